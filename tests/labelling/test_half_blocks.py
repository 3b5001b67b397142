import re

import numpy as np
import pytest

from rlhf_gym.labelling.half_blocks import fit, half_blocks, where_it_moves

BLACK, WHITE, RED, BLUE = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255)


def picture(*rows):
    return np.array([rows], np.uint8)


def plain(line):
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def test_a_cell_shows_the_upper_pixel_as_ink_and_the_lower_one_as_paper():
    [[line]] = half_blocks(picture([RED], [BLUE]), columns=1, rows=1, true_colour=True)
    assert line == "\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[0m"


def test_cells_of_one_colour_are_spaces_and_a_run_of_them_needs_one_sequence():
    [[line]] = half_blocks(picture([WHITE] * 3, [WHITE] * 3), columns=3, rows=1, true_colour=True)
    assert line == "\x1b[48;2;255;255;255m   \x1b[0m"


@pytest.mark.parametrize(
    ("colour", "number"),
    [
        (BLACK, 16),
        (WHITE, 231),
        (RED, 196),
        (BLUE, 21),
        ((95, 135, 175), 16 + 36 + 2 * 6 + 3),
        ((128, 128, 128), 244),  # 8 + 10 * 12, the grey of that name
        ((40, 40, 40), 235),  # 38 is nearer than 48, and both than the cube's 0 and 95
    ],
)
def test_few_colours_are_the_nearest_of_xterms(colour, number):
    [[line]] = half_blocks(picture([colour], [colour]), columns=1, rows=1, true_colour=False)
    assert line == f"\x1b[48;5;{number}m \x1b[0m"


@pytest.mark.parametrize("true_colour", [True, False])
def test_every_line_has_the_columns_asked_for(true_colour):
    frames = np.random.default_rng(0).integers(256, size=(2, 30, 40, 3)).astype(np.uint8)
    for lines in half_blocks(frames, columns=13, rows=5, true_colour=true_colour):
        assert [len(plain(line)) for line in lines] == [13] * 5


@pytest.mark.parametrize(
    ("columns", "rows", "cells"), [(80, 99, (80, 30)), (999, 15, (40, 15)), (1, 1, (1, 1)), (0, 0, (1, 1))]
)
def test_pictures_keep_their_proportions_in_cells_twice_as_high_as_wide(columns, rows, cells):
    assert fit(np.zeros((1, 300, 400, 3)), columns=columns, rows=rows) == cells


def dot(*places, height=100, width=200):
    frames = np.full((len(places), height, width, 3), 255, np.uint8)
    for frame, (y, x) in zip(frames, places, strict=True):
        frame[y : y + 2, x : x + 2] = 0
    return frames


def test_what_stands_still_around_is_cut_off_down_to_half():
    down, across = where_it_moves(dot((50, 100), (52, 104)))
    assert (down.stop - down.start, across.stop - across.start) == (pytest.approx(50, abs=2), pytest.approx(100, abs=2))
    assert down.start <= 50 and down.stop >= 54 and across.start <= 100 and across.stop >= 106


def test_what_moves_is_never_cut_off_and_nothing_lies_beyond_the_border():
    assert where_it_moves(dot((0, 0), (98, 198))) == (slice(0, 100), slice(0, 200))
    down, across = where_it_moves(dot((0, 0), (0, 120)))
    assert down.start == across.start == 0 and across.stop == 122 + 200 // 20


@pytest.mark.parametrize(("where", "down", "across"), [((0, 0), (0, 50), (0, 100)), ((98, 198), (50, 100), (100, 200))])
def test_at_an_edge_half_is_left_too(where, down, across):
    other = where[0], abs(where[1] - 2)  # moves by two columns
    assert where_it_moves(dot(where, other)) == (slice(*down), slice(*across))


def test_a_still_picture_is_shown_whole_and_so_is_one_that_only_flickers():
    still = dot((50, 100), (50, 100))
    flicker = still.copy()
    flicker[1] -= 30 * (flicker[1] > 100).astype(np.uint8)
    for frames in (still, flicker):
        assert where_it_moves(frames) == (slice(0, 100), slice(0, 200))

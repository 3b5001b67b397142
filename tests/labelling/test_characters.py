from dataclasses import replace

import numpy as np

from rlhf_gym.contracts import example_queries
from rlhf_gym.labelling.characters import plot_states
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Segment


def segment(*values, length=None, terminated=False):
    observations = np.array(values, float).reshape(len(values), -1)
    steps = len(values) - 1
    return Segment(observations, np.zeros(steps), np.zeros(steps), length or steps, terminated, np.zeros(0))


def test_time_goes_right_and_what_is_larger_stands_higher():
    query = Query((segment(*range(12)), segment(*range(11, -1, -1))), id="a")
    # Twelve values are the twelve heights: four rows, and in each _ below - below '.
    assert plot_states(query, columns=33) == [
        "     left          right",
        "s0  |         _-' | '-_",
        "    |      _-'    |    '-_",
        "    |   _-'       |       '-_",
        "    |_-'          |          '-_",
    ]


def test_both_sides_have_one_scale():
    lines = plot_states(Query((segment(0, 1), segment(0, 10)), id="a"), columns=30)
    assert [line[5:15].strip() for line in lines[1:]] == ["", "", "", "_____-----"]
    assert lines[1].endswith("_-'") and "_-'" in lines[4][16:]


def test_an_ending_is_marked_where_it_happened_and_a_time_limit_is_not():
    early = segment(0, 0, 0, length=4, terminated=True)
    for left, marks in ((early, 1), (replace(early, terminated=False), 0)):
        lines = plot_states(Query((left, segment(0, 1, 2, 3, 4)), id="a"), columns=33)
        assert "".join(lines).count("x") == marks
    assert plot_states(Query((early, early), id="a"), columns=33)[4] == "    |______x      | ______x"


def test_the_four_variables_that_change_most_are_named_by_their_place():
    moving, still = np.arange(12.0).reshape(2, 6), np.ones((2, 6))
    moving[:, [1, 4]] = 7
    query = Query((segment(*moving), segment(*np.where(moving == 7, 7, still))), id="a")
    assert [line[:3].strip() for line in plot_states(query, columns=40)[1::4]] == ["s0", "s2", "s3", "s5"]


def test_lines_are_ascii_and_fit():
    for columns in (20, 41, 80):
        lines = plot_states(example_queries(1)[0], columns=columns)
        assert max(map(len, lines)) <= columns and "".join(lines).isascii()


def test_pictures_as_observations_are_refused_in_words():
    image = segment(0, 1)
    image = replace(image, observations=np.zeros((2, 8, 8, 3)))
    [line] = plot_states(Query((image, image), id="a"), columns=80)
    assert "shape (8, 8, 3)" in line


def test_more_than_two_options_stand_beside_each_other_as_far_as_they_fit():
    options = tuple(segment(*(i * step for i in range(12))) for step in (1, -1, 0, 2))
    query = Query(options, id="a", kind="ranking")
    wide, narrow = plot_states(query, columns=4 + 4 * 14), plot_states(query, columns=4 + 2 * 14)
    assert wide[0].split() == ["a", "b", "c", "d"] and len(wide) == 5
    assert [line.split() for line in narrow if ("a" in line or "c" in line) and "|" not in line] == [
        ["a", "b"],
        ["c", "d"],
    ]
    assert len(narrow) == 10 and max(map(len, narrow)) <= 32
    # One scale from -11 to 22: what goes down ends lowest, what stands still is a third of the way up.
    assert narrow[4].rstrip().endswith("_") and wide[1].rstrip().endswith("-'")


def test_options_below_each_other_show_fewer_variables():
    moving = np.arange(24.0).reshape(6, 4)
    query = Query((segment(*moving),) * 6, id="a", kind="ranking")
    assert sum(line.startswith("s") for line in plot_states(query, columns=90)) == 4
    assert sum(line.startswith("s") for line in plot_states(query, columns=46)) == 2 * 2  # two bands of two


def test_numbered_parts_are_of_what_was_lived_and_stand_under_their_ends():
    query = Query((segment(*range(9), length=80, terminated=True),), id="a", kind="switch_off")
    lines = plot_states(query, columns=4 + 2 + 32, parts=8)
    assert lines[-1] == "     ---1---2---3---4---5---6---7---8"
    assert lines[0].startswith("s0  |") and lines[0].endswith("'x") and len(lines[0]) == len(lines[-1]) + 1
    assert "1" not in "".join(plot_states(query, columns=38))

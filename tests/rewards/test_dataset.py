"""What a fit reads: every segment encoded once, however many choices and fits it is in."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import Dataset, Encoding, dataset
from rlhf_gym.segments import Array, Segment, Steps

TWO = spaces.Box(-np.inf, np.inf, (2,))
ENCODING = Encoding(TWO, spaces.Discrete(2))


def segment(number: int, *, lived: int = 3, length: int = 3) -> Segment:
    """A segment that observes its number, in steps of a tenth."""
    observations = (number + np.arange(lived + 1) / 10)[:, None].repeat(2, axis=1).astype(np.float32)
    actions: Array = np.zeros(lived, np.int64)
    return Segment(observations, actions, np.zeros(lived), length, lived < length, earlier_actions=actions[:0])


def choice(*options: Segment, target: tuple[float, ...] | None = None) -> Choice:
    return Choice(options, target or (1.0,) + (0.0,) * (len(options) - 1), group="any")


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the segments that are padded, to be encoded."""
    seen: list[int] = []
    pad = dataset.pad

    def spy(segments: list[Segment]) -> Steps:
        seen.extend(int(s.observations[0, 0]) for s in segments)
        return pad(segments)

    monkeypatch.setattr(dataset, "pad", spy)
    return seen


def first_numbers(data: Dataset) -> list[list[float]]:
    """What the options of each choice observe first."""
    return [data.inputs[rows[offered]][:, 0, 0].tolist() for rows, offered in zip(data.rows, data.offered, strict=True)]


def test_a_segment_is_encoded_once_in_however_many_choices_and_fits(encoded: list[int]) -> None:
    a, b, c, d = map(segment, range(4))
    data = Dataset(ENCODING)
    data.update([choice(a, b, c), choice(b, c)])
    data.update([choice(a, b, c), choice(b, c), choice(d, a)])
    assert sorted(encoded) == [0, 1, 2, 3]
    assert first_numbers(data) == [[0, 1, 2], [1, 2], [3, 0]]
    assert data.offered.tolist() == [[True, True, True], [True, True, False], [True, True, False]]
    assert data.targets.tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]


def test_inputs_are_what_the_encoding_gives_and_padding_weighs_0() -> None:
    data = Dataset(ENCODING)
    data.update([choice(segment(5, lived=2), segment(7))])
    first, second = data.inputs[data.rows[0]]
    np.testing.assert_allclose(first[:2].tolist(), [[5, 5, 1, 0], [5.1, 5.1, 1, 0]], rtol=1e-6)
    np.testing.assert_allclose(second[:, 0].tolist(), [7, 7.1, 7.2], rtol=1e-6)
    assert data.lived[data.rows[0]].tolist() == [[1, 1, 0], [1, 1, 1]]


def test_an_answer_that_is_taken_back_is_gone_and_its_room_is_used_again(encoded: list[int]) -> None:
    segments = [segment(i) for i in range(6)]
    data = Dataset(ENCODING)
    data.update([choice(segments[0], segments[1]), choice(segments[2], segments[3])])
    room = len(data.inputs)
    data.update([choice(segments[2], segments[3], target=(0.0, 1.0))])
    assert (first_numbers(data), data.targets.tolist(), len(data)) == ([[2, 3]], [[0, 1]], 1)
    data.update([choice(segments[4], segments[5]), choice(segments[2], segments[3])])
    assert first_numbers(data) == [[4, 5], [2, 3]]
    assert len(data.inputs) == room and sorted(encoded) == [0, 1, 2, 3, 4, 5]


def test_room_is_made_seldom_as_the_data_grows() -> None:
    segments = [segment(i) for i in range(400)]
    data, rooms = Dataset(ENCODING), set()
    for n in range(2, 401, 2):
        data.update([choice(segments[i], segments[i + 1]) for i in range(0, n, 2)])
        rooms.add(len(data.inputs))
    assert first_numbers(data) == [[i, i + 1] for i in range(0, 400, 2)]
    assert len(rooms) <= 15 and max(rooms) < 600


def test_many_new_segments_are_encoded_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch, encoded: list[int]) -> None:
    monkeypatch.setattr(dataset, "AT_ONCE", 3)
    data = Dataset(ENCODING)
    data.update([choice(segment(2 * i), segment(2 * i + 1)) for i in range(5)])
    assert first_numbers(data) == [[2 * i, 2 * i + 1] for i in range(5)] and encoded == list(range(10))


def test_all_choices_may_go_and_others_of_another_length_come() -> None:
    data = Dataset(ENCODING)
    data.update([choice(segment(0), segment(1))])
    data.update([])
    assert len(data) == 0
    data.update([choice(segment(2, length=8), segment(3, length=8))])
    assert first_numbers(data) == [[2, 3]] and data.lived.shape[1] == 8


def test_segments_of_two_lengths_are_refused_in_one_line() -> None:
    data = Dataset(ENCODING)
    with pytest.raises(ValueError, match="segments last 3 and 4 steps; expected one length"):
        data.update([choice(segment(0), segment(1, length=4))])
    data = Dataset(ENCODING)
    data.update([choice(segment(0), segment(1))])
    with pytest.raises(ValueError, match="segments last 3 and 4 steps; expected one length"):
        data.update([choice(segment(0, length=4), segment(1, length=4)), *[choice(segment(0), segment(1))]])


def test_what_options_are_worth_is_multiplied_by_how_surely_they_were_chosen_between() -> None:
    a, b = map(segment, range(2))
    data = Dataset(ENCODING)
    data.update([Choice((a, b), (1.0, 0.0), "one", teacher="ann"), Choice((a, b), (0.0, 1.0), "two", teacher="bob")])
    assert (data.people, data.person.tolist()) == (["ann", "bob"], [0, 1])
    worth = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert data.surely(worth) is worth
    data.sureness = torch.tensor([1.0, -0.5])
    assert data.surely(worth).tolist() == [[1, 2], [-1.5, -2]]
    assert data.surely(worth[None, 1:], torch.tensor([1])).tolist() == [[[-1.5, -2]]]
    data.update([choice(a, b)])
    assert data.sureness is None


@pytest.mark.parametrize("kept", [0, 1, 3, 5])
def test_choices_that_go_on_from_the_last_ones_come_to_the_same_as_anew(kept: int, encoded: list[int]) -> None:
    a, b, c, d = map(segment, range(4))
    all_of_them = [choice(a, b), choice(b, c), choice(a, b, c, target=(0.5, 0.5, 0)), choice(c, d), choice(a, d)]
    for number, one in enumerate(all_of_them):
        all_of_them[number] = replace(one, group=str(number % 3), teacher="xy"[number % 2], weight=1 / (number + 1))
    growing, anew = Dataset(ENCODING), Dataset(ENCODING)
    growing.update(all_of_them[:kept])
    encoded.clear()
    growing.update(all_of_them)
    assert (encoded == []) == (kept == 5)
    anew.update(all_of_them)
    assert first_numbers(growing) == first_numbers(anew)
    for name in ("offered", "targets", "groups", "weights", "person", "sided"):
        one, other = (np.asarray(getattr(data, name)) for data in (growing, anew))
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert growing.people == anew.people == ["x", "y"]


def test_choices_that_do_not_go_on_from_the_last_ones_replace_them(encoded: list[int]) -> None:
    a, b, c = map(segment, range(3))
    one, other, third = choice(a, b), choice(b, c), choice(a, c)
    data = Dataset(ENCODING)
    for choices in ([one, other], [other, third], [third], [third, one]):
        data.update(choices)
        assert first_numbers(data) == [[float(o.observations[0, 0]) for o in c.options] for c in choices]
        assert data.groups.tolist() == [0] * len(choices) and len(data) == len(choices)


def test_choices_that_were_refused_are_forgotten() -> None:
    a, b, c = map(segment, range(3))
    data, short = Dataset(ENCODING), segment(3, lived=2, length=2)
    data.update([choice(a, b)])
    for refused in ([choice(a, short)], [choice(a, b), choice(b, short)]):
        with pytest.raises(ValueError, match="segments last"):
            data.update(refused)
        data.update([choice(a, c), choice(b, c)])
        assert first_numbers(data) == [[0, 2], [1, 2]]
        grown = [choice(a, b)]
        data.update(grown)
        with pytest.raises(ValueError, match="segments last"):
            data.update([*grown, choice(b, short)])
        data.update([*grown, choice(b, c)])
        assert first_numbers(data) == [[0, 1], [1, 2]]

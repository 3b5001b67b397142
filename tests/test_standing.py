"""What stands is what the last answers come to, however they came; kept as they are read, and not counted anew."""

from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_gym.answers import Answers, Done
from rlhf_gym.kinds import choices, seconds
from rlhf_gym.preferences import HELDOUT, Answer, Choice, Level, Preference, Query
from rlhf_gym.segments import Array, Segment
from rlhf_gym.standing import Changes, Key, Standing
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import OracleTeacher


def query(number: int, why: str = "uniform", kind: str = "comparison", options: int = 2) -> Query:
    actions: Array = np.zeros(2, np.int64)
    segment = Segment(np.full((3, 1), float(number)), actions, np.zeros(2), 2, False, actions[:0])
    return Query((segment,) * options, id=f"q{number}", why=why, kind=kind)


QUERIES = [query(0), query(1), query(2, HELDOUT), query(3)]
changes = st.tuples(
    st.sampled_from(QUERIES), st.sampled_from("ab"), st.sampled_from([*Answer, None]), st.integers(0, 3)
)


def told(standing: Standing, which: Query, who: str, answer: Answer | None, took: int = 0) -> Key:
    """Answer, or take back, as the store would have it read."""
    times = (10.0, 10.0 + took) if took else (None, None)
    key = which.id, who
    standing.replace(key, None if answer is None else Preference(which, answer, who, *times))
    return key


def as_told(found: list[Choice]) -> list[tuple[object, ...]]:
    return [(c.options, c.target, c.group, c.weight, c.teacher, c.sided) for c in found]


@settings(max_examples=60, deadline=None)
@given(st.lists(changes, max_size=12), st.lists(changes, max_size=12))
def test_it_comes_to_what_the_last_answers_come_to(before: list[object], after: list[object]) -> None:
    standing, since = Standing(), Changes()
    for change in before:
        told(standing, *change)  # type: ignore[misc]
    then = {key: standing.get(key) for key in standing}
    said_then = {key: standing.said(key) for key in standing}
    for change in after:
        which, who, *_ = change  # type: ignore[misc]
        since.note((which.id, who), standing)
        told(standing, *change)  # type: ignore[misc]

    now = standing.preferences
    assert standing.labels == sum(p.answer is not Answer.SKIP for p in now)
    assert standing.seconds == pytest.approx(sum(map(seconds, now)))
    assert set(map(id, standing.heldout)) == {id(p) for p in now if p.query.why == HELDOUT}
    assert as_told(standing.choices) == as_told(choices(now))
    assert since.new(standing) == [p for p in now if (p.query.id, p.teacher) not in then]
    keys = set(standing) | set(said_then)
    assert since.fitted_to(standing) == sum(standing.said(key) != said_then.get(key) for key in keys)


def test_a_rating_taken_back_takes_back_what_later_ones_told_against_it() -> None:
    standing, rated = Standing(), [query(number, kind="rating", options=1) for number in range(3)]

    def rate(which: Query, level: int | None) -> None:
        said = None if level is None else Preference(which, Level(level, 5), "a")
        standing.replace((which.id, "a"), said)

    for which, level in zip(rated, (1, 3, 5), strict=True):
        rate(which, level)
    assert len(standing.choices) == 3
    rate(rated[0], None)
    left = choices([Preference(which, Level(level, 5), "a") for which, level in zip(rated[1:], (3, 5), strict=True)])
    assert as_told(standing.choices) == as_told(left) and len(left) == 1


def test_new_answers_are_those_of_the_round_also_where_it_is_repeated() -> None:
    with closing(PreferenceStore()) as store:
        answers = Answers(store, OracleTeacher())
        answers.begin_round()
        answers.post(QUERIES[:2])
        answers.tell(QUERIES[:1], [Answer.LEFT])
        assert [p.query.id for p in answers.new] == ["q0"]
        answers.begin_round()
        assert answers.new == []
        answers.tell(QUERIES[:2], [Answer.RIGHT, Answer.TIE])
        assert [p.query.id for p in answers.new] == ["q1"]  # the other was there before, otherwise answered
        assert (answers.answered, answers.labels) == (2, 2)

        again = Answers(store, OracleTeacher())
        again.restore(fitted=0)
        again.begin_round(Done(answers.state["began"]))
        assert [p.query.id for p in again.new] == ["q1"]
        again.begin_round()
        assert again.new == []

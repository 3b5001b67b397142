"""What every teacher must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlhf_gym.contracts.examples import example_queries, must
from rlhf_gym.kinds import answer_text, find_kind
from rlhf_gym.preferences import Query, Said, content
from rlhf_gym.registry import KINDS
from rlhf_gym.teachers.teacher import Teacher

MakeTeacher = Callable[[], Teacher]
"""Returns the same teacher anew, as if it had never been asked."""


def check_teacher(make: MakeTeacher, queries: Sequence[Query] | None = None) -> None:
    """Hold a teacher against every one of TEACHER_RULES.

    Args:
        make: Returns the same teacher anew.
        queries: At least two to ask, such as :func:`example_queries` of the one kind that the teacher is for; None asks
            every kind that it says it answers, but for those to which the answer is a segment that it makes.

    Raises:
        AssertionError: Saying what isn't met.
    """
    answered = make().kinds or [kind for kind in KINDS if not find_kind(kind).made]
    asked = [example_queries(8, kind=kind) for kind in answered] if queries is None else [queries]
    for together in asked:
        for rule in TEACHER_RULES:
            rule(make, together)


def has_a_name(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """The store writes down who answered."""
    name = make().name
    must(isinstance(name, str) and name != "", f"a teacher has a name, not {name!r}")


def answers_each_query_once(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """N queries, N answers."""
    answers = make().answer(queries)
    must(
        isinstance(answers, list) and all(isinstance(a, Said) for a in answers),
        f"{answers!r} is no list of answers",
    )
    must(len(answers) == len(queries), f"{len(queries)} queries got {len(answers)} answers")


def answers_by_the_kind_of_the_query(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Or the store refuses it."""
    for query, answer in zip(queries, make().answer(queries), strict=True):
        try:
            answer_text(answer, kind=query.kind, options=len(query.options), query_id=query.id)
        except ValueError as error:
            raise AssertionError(f"a {query.kind} gets an answer of its kind: {error}") from error


def answers_nothing_to_no_queries(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """A round may ask nothing."""
    must(make().answer([]) == [], "no queries get no answers, []")


def answers_alike_when_made_anew(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Runs can be repeated."""
    must(make().answer(queries) == make().answer(queries), "the same teacher made twice gives the same answers")


def answers_alike_in_any_batch(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """How many are asked at once is nothing to the teacher."""
    at_once, teacher = make().answer(queries), make()
    one_by_one = [answer for query in queries for answer in teacher.answer([query])]
    must(at_once == one_by_one, "queries asked one by one get the answers they get all at once")


def leaves_queries_as_they_were(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Others look at the same arrays."""
    before = [content(*query.options) for query in queries]
    make().answer(queries)
    must(before == [content(*query.options) for query in queries], "answering changes nothing in a query")


TEACHER_RULES = (
    has_a_name,
    answers_each_query_once,
    answers_by_the_kind_of_the_query,
    answers_nothing_to_no_queries,
    answers_alike_when_made_anew,
    answers_alike_in_any_batch,
    leaves_queries_as_they_were,
)

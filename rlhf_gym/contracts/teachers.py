"""What every teacher must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlhf_gym.contracts.examples import example_queries, must
from rlhf_gym.kinds import answer_text, find_kind
from rlhf_gym.preferences import Query, Said, content
from rlhf_gym.registry import KINDS
from rlhf_gym.teachers.several import Open, Reply, Several
from rlhf_gym.teachers.teacher import Teacher, state_as_json

MOST = 1000  # most teachers behind one name

MakeTeacher = Callable[[], Teacher]
"""Makes the same teacher again, as if it had never been asked."""


def check_teacher(make: MakeTeacher, queries: Sequence[Query] | None = None) -> None:
    """Check a teacher against all TEACHER_RULES, and SEVERAL_RULES if it is a :class:`rlhf_gym.teachers.Several`.

    Args:
        make: Makes the same teacher again.
        queries: At least two to ask, such as :func:`example_queries` of the one kind that the teacher is for; None asks
            every kind in its `kinds`, or if that is None, every kind whose answer isn't a segment that it makes.

    Raises:
        AssertionError: Saying what isn't met.
    """
    rules = TEACHER_RULES + (SEVERAL_RULES if isinstance(make(), Several) else ())
    answered = make().kinds or [kind for kind in KINDS if not find_kind(kind).made]
    asked = [example_queries(8, kind=kind) for kind in answered] if queries is None else [queries]
    for together in asked:
        for rule in rules:
            rule(make, together)


def has_a_name(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that a teacher has a name, which the store keeps with its answers."""
    name = make().name
    must(isinstance(name, str) and name != "", f"a teacher has a name, not {name!r}")


def answers_each_query_once(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that N queries get a list of N answers."""
    answers = make().answer(queries)
    must(
        isinstance(answers, list) and all(isinstance(a, Said) for a in answers),
        f"{answers!r} is no list of answers",
    )
    must(len(answers) == len(queries), f"{len(queries)} queries got {len(answers)} answers")


def answers_by_the_kind_of_the_query(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that each answer is of its query's kind, or the store would refuse it."""
    for query, answer in zip(queries, make().answer(queries), strict=True):
        try:
            answer_text(answer, kind=query.kind, options=len(query.options), query_id=query.id)
        except ValueError as error:
            raise AssertionError(f"a {query.kind} gets an answer of its kind: {error}") from error


def answers_nothing_to_no_queries(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that no queries get no answers, because a round may ask nothing."""
    must(make().answer([]) == [], "no queries get no answers, []")


def answers_alike_when_made_anew(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that the same teacher made twice gives the same answers, so that runs can be repeated."""
    must(make().answer(queries) == make().answer(queries), "the same teacher made twice gives the same answers")


def answers_alike_in_any_batch(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that answers don't depend on how many queries are asked at once."""
    at_once, teacher = make().answer(queries), make()
    one_by_one = [answer for query in queries for answer in teacher.answer([query])]
    must(at_once == one_by_one, "queries asked one by one get the answers they get all at once")


def goes_on_from_its_state(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that a teacher restored from a saved state answers as the saved one does."""
    one, other = make(), make()
    one.answer(queries)
    try:
        state = state_as_json(one)
    except ValueError as error:
        raise AssertionError(f"its state can be saved: {error}") from error
    other.restore_state(state)
    must(one.answer(queries) == other.answer(queries), "it goes on from its state, as plain JSON, as it would have")


def leaves_queries_as_they_were(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that answering changes nothing in a query, because others use the same arrays."""
    before = [content(*query.options) for query in queries]
    make().answer(queries)
    must(before == [content(*query.options) for query in queries], "answering changes nothing in a query")


def replies_under_names_as_often_as_wanted(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that each query gets as many replies as it wants, in the order of the queries, each under another name."""
    teachers = several(make)
    for wanted in {1, teachers.each}:
        replies = teachers.replies([Open(query, wanted) for query in queries])
        must(
            all(isinstance(reply.who, str) and reply.who for reply in replies),
            "every reply has the name of who gave it",
        )
        must(
            [reply.query.id for reply in replies] == [query.id for query in queries for _ in range(wanted)],
            f"queries that want {wanted} replies get as many, in their order",
        )
        must(
            len({(reply.query.id, reply.who) for reply in replies}) == len(replies),
            "nobody answers a query twice",
        )


def asks_others_than_those_who_answered(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that missing answers come from other teachers, even if all are made again, as in a resumed run."""
    by: dict[str, list[str]] = {query.id: [] for query in queries}
    for _ in range(several(make).each):
        for query, who, _answer in several(make).replies([Open(query, 1, by[query.id]) for query in queries]):
            must(who not in by[query.id], f"{who} has answered query {query.id!r}, and is asked it again")
            by[query.id].append(who)
    must(
        all(len(names) == several(make).each for names in by.values()),
        "a query of which answers are missing is answered by others than those who answered it",
    )


def leaves_a_query_alone_that_everybody_answered(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that a query gets no further reply once every teacher has answered it."""
    everybody: set[str] = set()
    for _ in range(MOST):
        new = {reply.who for reply in several(make).replies([Open(queries[0], 1, everybody)])}
        must(not new & everybody, "somebody who has answered the query is asked it again")
        everybody |= new
        if not new:
            return
    must(False, f"there are at most {MOST} teachers, whose names stay the same")


def replies_by_the_kind_of_the_query(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that every reply is of its query's kind, not only the first."""
    for query, who, answer in _all(make, queries):
        try:
            answer_text(answer, kind=query.kind, options=len(query.options), query_id=query.id)
        except ValueError as error:
            raise AssertionError(f"{who} gives a {query.kind} an answer of its kind: {error}") from error


def replies_alike_when_made_anew_and_in_any_batch(make: MakeTeacher, queries: Sequence[Query]) -> None:
    """Check that the same teachers give the same replies when made twice, and in any batch."""
    at_once, teachers = _all(make, queries), several(make)
    must(at_once == _all(make, queries), "the same teachers made twice give the same replies")
    one_by_one = [reply for query in queries for reply in teachers.replies([Open(query, teachers.each)])]
    must(at_once == one_by_one, "queries asked one by one get the replies they get all at once")


def several(make: MakeTeacher) -> Several:
    """Make a teacher and check that it is :class:`rlhf_gym.teachers.Several`."""
    teachers = make()
    must(isinstance(teachers, Several), f"{type(teachers).__name__} is Several")
    assert isinstance(teachers, Several)  # noqa: S101
    return teachers


def _all(make: MakeTeacher, queries: Sequence[Query]) -> list[Reply]:
    teachers = several(make)
    return teachers.replies([Open(query, teachers.each) for query in queries])


TEACHER_RULES = (
    has_a_name,
    answers_each_query_once,
    answers_by_the_kind_of_the_query,
    answers_nothing_to_no_queries,
    answers_alike_when_made_anew,
    answers_alike_in_any_batch,
    goes_on_from_its_state,
    leaves_queries_as_they_were,
)
SEVERAL_RULES = (
    replies_under_names_as_often_as_wanted,
    asks_others_than_those_who_answered,
    leaves_a_query_alone_that_everybody_answered,
    replies_by_the_kind_of_the_query,
    replies_alike_when_made_anew_and_in_any_batch,
)
"""Further rules for several teachers behind one name (:class:`rlhf_gym.teachers.Several`)."""

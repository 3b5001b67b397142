"""What every preference store must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rlhf_gym.feedback.contracts.examples import example_queries, must, same_query
from rlhf_gym.feedback.store import PreferenceStore
from rlhf_gym.segments import Answer


def check_store(make: Callable[[], PreferenceStore]) -> None:
    """Hold a preference store against every one of STORE_RULES.

    Args:
        make: Opens an empty store; called for each rule.

    Raises:
        AssertionError: Saying what isn't met.
    """
    for rule in STORE_RULES:
        with make() as store:
            rule(store)


def keeps_queries_bit_for_bit(store: PreferenceStore) -> None:
    """Whatever the actions are, with and without an origin."""
    queries = example_queries(3, seed=1) + example_queries(3, box=True, seed=2)
    store.post(queries)
    kept = store.pending()
    must(len(kept) == 6 and all(map(same_query, kept, queries)), "queries come back as they were, in order of posting")


def hands_out_the_oldest_open_queries(store: PreferenceStore) -> None:
    """What has been answered, or skipped, isn't pending."""
    store.post(example_queries(4))
    store.record_all(["0-0", "0-2"], [Answer.SKIP, Answer.LEFT], teacher="a")
    must([q.id for q in store.pending()] == ["0-1", "0-3"], "pending gives the queries without an answer")
    must([q.id for q in store.pending(limit=1)] == ["0-1"], "pending gives the oldest first")


def keeps_answers_in_their_order(store: PreferenceStore) -> None:
    """With all that is known about them."""
    queries = example_queries(3)
    store.post(queries)
    store.record("0-2", Answer.TIE, teacher="a", shown_at=1.25, answered_at=2.5)
    store.record("0-0", Answer.RIGHT, teacher="b", answered_at=1.5)
    said = [(p.query.id, p.answer, p.teacher, p.shown_at, p.answered_at) for p in store.preferences()]
    expected = [("0-2", Answer.TIE, "a", 1.25, 2.5), ("0-0", Answer.RIGHT, "b", None, 1.5)]
    must(said == expected, f"preferences come in order of answering: expected {expected}, got {said}")
    must(same_query(store.preferences()[0].query, queries[2]), "a preference holds its query bit for bit")


def counts_what_a_person_said_last(store: PreferenceStore) -> None:
    """Two people may differ, and both count."""
    store.post(example_queries(1))
    for who, answer in (("a", Answer.LEFT), ("b", Answer.TIE), ("a", Answer.RIGHT)):
        store.record("0-0", answer, teacher=who)
    said = [(p.teacher, p.answer) for p in store.preferences()]
    must(said == [("b", Answer.TIE), ("a", Answer.RIGHT)], f"the last answer of each person counts; got {said}")


def takes_back_an_answer(store: PreferenceStore) -> None:
    """And can be told again."""
    store.post(example_queries(1))
    store.record("0-0", Answer.LEFT, teacher="a")
    store.record("0-0", None, teacher="a")
    must(store.preferences() == [] and len(store.pending()) == 1, "a query is pending again if its answer is withdrawn")
    store.record("0-0", Answer.RIGHT, teacher="a")
    must([p.answer for p in store.preferences()] == [Answer.RIGHT], "a withdrawn answer can be given again")


def counts_labels_ties_and_skips(store: PreferenceStore) -> None:
    """A skip is asked and no label; a tie is a label."""
    store.post(example_queries(5))
    answers = [Answer.LEFT, Answer.TIE, Answer.SKIP, Answer.RIGHT]
    store.record_all([f"0-{i}" for i in range(4)], answers, teacher="a")
    must(tuple(store.counts()) == (5, 3, 1, 1), f"5 asked, 3 labels, 1 tie, 1 skip; got {store.counts()}")


def refuses_a_query_posted_twice(store: PreferenceStore) -> None:
    """All of what is posted with it, too."""
    first, second, third = example_queries(3)
    store.post([first])
    for batch in ([second, replace(third, id="0-0")], [second, replace(third, id="0-1")]):
        _refuses(lambda batch=batch: store.post(batch), "a query posted twice")  # type: ignore[misc]
    kept = store.pending()
    must(len(kept) == 1 and same_query(kept[0], first), "what is refused leaves nothing behind")


def refuses_an_answer_to_an_unknown_query(store: PreferenceStore) -> None:
    """All of what is recorded with it, too."""
    store.post(example_queries(1))
    both = [Answer.LEFT, Answer.LEFT]
    _refuses(lambda: store.record_all(["0-0", "nobody's"], both, teacher="a"), "an answer to no query")
    _refuses(lambda: store.record_all(["0-0"], both, teacher="a"), "more answers than queries")
    must(store.preferences() == [], "what is refused leaves nothing behind")


def _refuses(act: Callable[[], None], what: str) -> None:
    try:
        act()
    except ValueError as error:
        must("\n" not in str(error), f"one line says why {what} is refused")
    else:
        raise AssertionError(f"{what} is refused with a ValueError")


STORE_RULES = (
    keeps_queries_bit_for_bit,
    hands_out_the_oldest_open_queries,
    keeps_answers_in_their_order,
    counts_what_a_person_said_last,
    takes_back_an_answer,
    counts_labels_ties_and_skips,
    refuses_a_query_posted_twice,
    refuses_an_answer_to_an_unknown_query,
)

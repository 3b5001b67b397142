"""What every preference store must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rlhf_gym.contracts.examples import example_queries, must, refuses, same_query
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Answer, Preference, Query, Ranking, Said, Shown
from rlhf_gym.registry import KINDS
from rlhf_gym.store.preference_store import PreferenceStore


def check_store(make: Callable[[], PreferenceStore]) -> None:
    """Check a preference store against all STORE_RULES.

    Args:
        make: Opens an empty store; called for each rule.

    Raises:
        AssertionError: Saying what isn't met.
    """
    for rule in STORE_RULES:
        with make() as store:
            rule(store)


def keeps_queries_bit_for_bit(store: PreferenceStore) -> None:
    """Check that queries come back bit for bit, whatever their actions, with and without an origin."""
    queries = example_queries(3, seed=1) + example_queries(3, box=True, seed=2)
    store.post(queries)
    kept = store.pending()
    must(len(kept) == 6 and all(map(same_query, kept, queries)), "queries come back as they were, in order of posting")


def tells_who_holds_a_query_and_what_stands(store: PreferenceStore) -> None:
    """Check `holders`, without leases that ran out, and `standing`, without answers that were taken back."""
    store.post(example_queries(2))
    store.claim("a", n=1)
    store.claim("b", n=1, lease=-1)
    must([store.holders("0-0"), store.holders("0-1")] == [{"a"}, set()], "holders are those whose lease lasts")
    store.record_all(["0-0", "0-1"], [Answer.TIE, Answer.LEFT], teacher="a")
    store.record("0-0", Answer.SKIP, teacher="b")
    store.record("0-1", None, teacher="a")
    must(store.standing("0-0") == {"a": Answer.TIE, "b": Answer.SKIP}, "standing gives each person's answer")
    must(store.standing("0-1") == {}, "an answer that was taken back doesn't stand")


def hands_out_the_oldest_open_queries(store: PreferenceStore) -> None:
    """Check that `pending` gives the oldest first, without what was answered or skipped."""
    store.post(example_queries(4))
    store.record_all(["0-0", "0-2"], [Answer.SKIP, Answer.LEFT], teacher="a")
    must([q.id for q in store.pending()] == ["0-1", "0-3"], "pending gives the queries without an answer")
    must([q.id for q in store.pending(limit=1)] == ["0-1"], "pending gives the oldest first")


def keeps_answers_in_their_order(store: PreferenceStore) -> None:
    """Check that `preferences` gives answers in order of recording, with all that is known about them."""
    queries = example_queries(3)
    store.post(queries)
    store.record("0-2", Answer.TIE, teacher="a", shown_at=1.25, answered_at=2.5)
    store.record("0-0", Answer.RIGHT, teacher="b", answered_at=1.5)
    said = [(p.query.id, p.answer, p.teacher, p.shown_at, p.answered_at) for p in store.preferences()]
    expected = [("0-2", Answer.TIE, "a", 1.25, 2.5), ("0-0", Answer.RIGHT, "b", None, 1.5)]
    must(said == expected, f"preferences come in order of answering: expected {expected}, got {said}")
    must(same_query(store.preferences()[0].query, queries[2]), "a preference holds its query bit for bit")


def counts_what_a_person_said_last(store: PreferenceStore) -> None:
    """Check that each person's last answer counts, and that two people's answers both count."""
    store.post(example_queries(1))
    for who, answer in (("a", Answer.LEFT), ("b", Answer.TIE), ("a", Answer.RIGHT)):
        store.record("0-0", answer, teacher=who)
    said = [(p.teacher, p.answer) for p in store.preferences()]
    must(said == [("b", Answer.TIE), ("a", Answer.RIGHT)], f"the last answer of each person counts; got {said}")


def takes_back_an_answer(store: PreferenceStore) -> None:
    """Check that a query whose answer is withdrawn is pending again, and can be answered again."""
    store.post(example_queries(1))
    store.record("0-0", Answer.LEFT, teacher="a")
    store.record("0-0", None, teacher="a")
    must(store.preferences() == [] and len(store.pending()) == 1, "a query is pending again if its answer is withdrawn")
    store.record("0-0", Answer.RIGHT, teacher="a")
    must([p.answer for p in store.preferences()] == [Answer.RIGHT], "a withdrawn answer can be given again")


def counts_labels_ties_and_skips(store: PreferenceStore) -> None:
    """Check `counts`: a skip counts as asked but is no label; a tie is a label."""
    store.post(example_queries(5))
    answers = [Answer.LEFT, Answer.TIE, Answer.SKIP, Answer.RIGHT]
    store.record_all([f"0-{i}" for i in range(4)], answers, teacher="a")
    must(
        tuple(store.counts()) == (5, 3, 1, 1, 0, 1, 1),
        f"5 asked, 3 labels, 1 tie, 1 skip, none dropped, 1 open and awaiting 1 answer; got {store.counts()}",
    )


def refuses_a_query_posted_twice(store: PreferenceStore) -> None:
    """Check that a query posted twice is refused with all that are posted with it."""
    first, second, third = example_queries(3)
    store.post([first])
    for batch in ([second, replace(third, id="0-0")], [second, replace(third, id="0-1")]):
        refuses(lambda batch=batch: store.post(batch), "a query posted twice")  # type: ignore[misc]
    kept = store.pending()
    must(len(kept) == 1 and same_query(kept[0], first), "what is refused leaves nothing behind")


def refuses_an_answer_to_an_unknown_query(store: PreferenceStore) -> None:
    """Check that an answer to an unknown query is refused with all that are recorded with it."""
    store.post(example_queries(1))
    both = [Answer.LEFT, Answer.LEFT]
    refuses(lambda: store.record_all(["0-0", "nobody's"], both, teacher="a"), "an answer to no query")
    refuses(lambda: store.record_all(["0-0"], both, teacher="a"), "more answers than queries")
    must(store.preferences() == [], "what is refused leaves nothing behind")


def leases_a_query_to_one_person(store: PreferenceStore) -> None:
    """Check that `claim` gives a person what they hold already, then the oldest queries that nobody holds."""
    store.post(example_queries(4))
    first, second = store.claim("a", n=2), store.claim("b")
    must(_ids(first) == ["0-0", "0-1"] and _ids(second) == ["0-2"], "nobody is given what another holds")
    must(same_query(first[0], store.query("0-0")), "a claimed query is whole")
    must(_ids(store.claim("b", n=9)) == ["0-2", "0-3"], "one's own come first, then those that nobody holds")
    must(store.claim("c") == [] and len(store.pending()) == 4, "leased queries are pending, and not to be had")
    store.record("0-0", Answer.SKIP, teacher="a")
    must(_ids(store.claim("a", n=9)) == ["0-1"], "what has been answered, or skipped, isn't given again")


def ends_a_lease(store: PreferenceStore) -> None:
    """Check that a lease ends when its time is over, or when it is released."""
    store.post(example_queries(3))
    store.claim("a", lease=0)
    must(_ids(store.claim("b", n=2)) == ["0-0", "0-1"], "a lease of no time has run out when the next person asks")
    store.release("a")
    must(_ids(store.claim("c", n=9)) == ["0-2"], "giving back leaves what others hold")
    store.release("b")
    must(_ids(store.claim("a", n=9)) == ["0-0", "0-1"], "what was given back goes to the next who asks")


def renews_a_lease(store: PreferenceStore) -> None:
    """Check that `renew` renews a lease, whoever holds it, unless it has run out."""
    store.post(example_queries(2))
    store.claim("a", n=2)
    store.renew("0-0", lease=0)
    must(store.holders("0-0") == set() and store.holders("0-1") == {"a"}, "a renewed lease lasts as long as it says")
    store.renew("0-0", lease=60)
    must(_ids(store.claim("b")) == ["0-0"], "what nobody holds any more isn't reserved anew")


def reserves_what_somebody_looks_at(store: PreferenceStore) -> None:
    """Check that `reserve` reserves a query again after its lease ran out, unless another person has it."""
    store.post(example_queries(1))
    store.claim("a", lease=0)
    must(store.reserve("0-0", "a") and store.holders("0-0") == {"a"}, "what nobody has is reserved again")
    must(not store.reserve("0-0", "b") and store.holders("0-0") == {"a"}, "reserving takes a query from nobody")
    store.release("a")
    store.record("0-0", Answer.TIE, teacher="c")
    must(not store.reserve("0-0", "a"), "what another has answered isn't reserved")
    refuses(lambda: store.reserve("nobody's", "a"), "reserving an unknown query")


def lists_what_comes_next_without_a_lease(store: PreferenceStore) -> None:
    """Check that `claim` lists queries ahead without reserving them, and chooses some queries last."""
    store.post(example_queries(4))
    must(_ids(store.claim("a", ahead=2)) == ["0-0", "0-1", "0-2"], "the query claimed, and two that come next")
    must(store.holders("0-0") == {"a"} and store.holders("0-1") == set(), "only the first is reserved")
    must(_ids(store.claim("b", last=["0-1", "0-2"])) == ["0-3"], "some are chosen last")
    must(_ids(store.claim("c", n=9, last=["0-1"])) == ["0-2", "0-1"], "and chosen where there are no others")


def lists_what_a_person_answered_lately(store: PreferenceStore) -> None:
    """Check that `lately_answered` lists the last current answers of a person, the latest last."""
    store.post(example_queries(4))
    for query_id in ("0-2", "0-0", "0-3", "0-1"):
        store.record(query_id, Answer.LEFT, teacher="a", answered_at=-float(query_id[-1]))
    store.record("0-3", None, teacher="a")
    must(store.lately_answered("a", most=9) == ["0-2", "0-0", "0-1"], "in order of answering, whatever the clock said")
    must(store.lately_answered("a", most=2) == ["0-0", "0-1"], "the last ones")
    must(store.lately_answered("a", most=9, kinds=["ranking"]) == store.lately_answered("b", most=9) == [], "none")


def counts_both_who_answered_after_a_lease_ran_out(store: PreferenceStore) -> None:
    """Check that both people's answers count, and that an answer sent twice counts once."""
    store.post(example_queries(1))
    store.claim("slow", lease=0)
    store.claim("quick")
    for who, answer in (("quick", Answer.LEFT), ("quick", Answer.LEFT), ("slow", Answer.RIGHT)):
        store.record("0-0", answer, teacher=who)
    said = [(p.teacher, p.answer) for p in store.preferences()]
    must(
        said == [("quick", Answer.LEFT), ("slow", Answer.RIGHT)], f"both people's answers stand, once each; got {said}"
    )
    must(store.counts().labels == 2, "two people's answers are two labels")


def hands_an_undone_query_back(store: PreferenceStore) -> None:
    """Check that an undone query goes to the person who undid it, unless another holds it by now."""
    store.post(example_queries(2))
    must(store.last_answered("a") is None, "who has said nothing has nothing to undo")
    store.record_all(["0-1", "0-0"], [Answer.LEFT, Answer.TIE], teacher="a")
    store.record("0-1", Answer.RIGHT, teacher="b")
    last = store.last_answered("a")
    must(last is not None and (last.query.id, last.answer) == ("0-0", Answer.TIE), "the last answer is to be undone")
    store.record("0-0", None, teacher="a")
    last = store.last_answered("a")
    must(last is not None and last.query.id == "0-1", "a withdrawn answer isn't the last any more")
    must(store.claim("b") == [] and _ids(store.claim("a")) == ["0-0"], "who undoes an answer holds the query again")
    store.release("a")
    store.claim("b")
    store.record("0-0", Answer.LEFT, teacher="a")
    store.record("0-0", None, teacher="a")
    must(store.claim("a") == [] and _ids(store.claim("b")) == ["0-0"], "undoing takes a query from nobody")


def hands_a_query_to_as_many_people_as_it_wants(store: PreferenceStore) -> None:
    """Check that each person gets a query once, and that answering, releasing and undoing change who may have it."""
    store.post(example_queries(1), people=2)
    store.post(example_queries(1, seed=1))
    must([store.wanted("0-0"), store.wanted("1-0")] == [2, 1], "wanted is how many people are to answer")
    given = [_ids(store.claim(who, n=2)) for who in ("a", "b", "c")]
    must(given == [["0-0", "1-0"], ["0-0"], []], f"each query is with as many people as it wants; got {given}")
    must(store.holders("0-0") == {"a", "b"}, "holders are all whose lease lasts")
    store.record("0-0", Answer.LEFT, teacher="a")
    must(_ids(store.claim("a", n=2)) == ["1-0"], "nobody is given again what they have answered")
    must(len(store.pending()) == 2 and store.claim("c") == [], "what wants another answer is open, and is with b")
    must(store.counts().awaited == 2 and store.counts().open == 2, "two open queries await one answer each")
    store.release("b")
    must(_ids(store.claim("c")) == ["0-0"] and store.claim("b") == [], "a place that is given back goes to the next")
    store.record("0-0", Answer.SKIP, teacher="c")
    must(_ids(store.pending()) == ["1-0"], "a skip fills a place too")
    store.record("0-0", None, teacher="a")
    must(store.claim("b") == [] and _ids(store.claim("a", n=2)) == ["0-0", "1-0"], "who undoes has the place again")
    store.record("0-0", Answer.TIE, teacher="b")
    must(_ids(store.pending()) == ["1-0"] and store.counts().labels == 1, "whose answers they are doesn't matter")


def undoing_takes_no_ones_place(store: PreferenceStore) -> None:
    """Check that undoing reserves nothing if others fill all places of the query by now."""
    store.post(example_queries(1), people=2)
    store.record("0-0", Answer.LEFT, teacher="a")
    store.claim("b")
    store.record("0-0", Answer.LEFT, teacher="c")
    store.record("0-0", None, teacher="a")
    must(store.claim("a") == [] and _ids(store.claim("b")) == ["0-0"], "b's lease and c's answer fill two places")


def drops_what_nobody_answered(store: PreferenceStore) -> None:
    """Check that `drop` withdraws unanswered queries, and that an answer which comes later is kept."""
    store.post(example_queries(4))
    store.record_all(["0-0", "0-1"], [Answer.LEFT, Answer.LEFT], teacher="a")
    store.record("0-1", None, teacher="a")
    store.release("a")
    must(store.drop(["0-0", "0-1", "0-2", "0-2"]) == 2, "two of three queries had no answer that stands")
    must(store.drop(["0-1", "0-2"]) == 0 and store.drop([]) == 0, "what was dropped before isn't dropped again")
    must(_ids(store.pending()) == _ids(store.claim("a", n=9)) == ["0-3"], "dropped queries are handed out no more")
    must(tuple(store.counts()) == (4, 1, 0, 0, 2, 1, 1), f"4 asked, 1 label, 2 dropped, 1 open; got {store.counts()}")
    store.record("0-2", Answer.TIE, teacher="late")
    must(store.counts().dropped == 1 and len(store.preferences()) == 2, "an answer to a dropped query counts")


def drops_nothing_that_somebody_looks_at(store: PreferenceStore) -> None:
    """Check that `drop` spares a held query, or its answer would count on top of that to the query that replaces it."""
    store.post(example_queries(2))
    store.post(example_queries(1, seed=1), people=2)
    store.claim("gone", n=3, lease=0)
    store.claim("a", n=1)
    store.record("1-0", Answer.LEFT, teacher="b")
    store.claim("c", n=9)
    must(store.drop(["0-0", "0-1", "1-0"]) == 0, "what a and c look at is left alone")
    store.release("c")
    must(store.drop(["0-0", "0-1", "1-0"]) == 2, "what was given back isn't, answered by some or by nobody")
    must(_ids(store.pending()) == ["0-0"] and store.counts().labels == 1, "an answer of few people's counts")
    store.record("0-0", Answer.LEFT, teacher="a")
    must(store.drop(["0-0"]) == 0, "what a has answered in time counts")
    must(tuple(store.counts()) == (3, 2, 0, 0, 1, 0, 0), f"3 asked, 2 labels, 1 dropped unseen; got {store.counts()}")
    store.post(example_queries(1, seed=2), people=2)
    store.claim("a")
    store.record("2-0", Answer.LEFT, teacher="a")
    must(store.drop(["2-0"]) == 1, "who has answered looks no more")


def remembers_everything_said(store: PreferenceStore) -> None:
    """Check that `history` gives all answers in order, withdrawals included."""
    store.post(example_queries(2))
    store.record("0-1", Answer.LEFT, teacher="a", shown_at=1.0, answered_at=2.0)
    store.record("0-0", Answer.SKIP, teacher="b", answered_at=1.0)
    store.record("0-1", None, teacher="a", answered_at=3.0)
    said = [(g.query_id, g.who, g.answer, g.shown_at, g.answered_at) for g in store.history()]
    expected = [
        ("0-1", "a", Answer.LEFT, 1.0, 2.0),
        ("0-0", "b", Answer.SKIP, None, 1.0),
        ("0-1", "a", None, None, 3.0),
    ]
    must(said == expected, f"history is all that was said, in order: expected {expected}, got {said}")
    must([g.answered_at for g in store.history("a")] == [2.0, 3.0], "or what one person said")
    store.record("0-1", Answer.RIGHT, teacher="a", answered_at=4.0)
    whole = [(p.query.id, p.answer) for p in store.preferences()]
    must(whole == [("0-0", Answer.SKIP), ("0-1", Answer.RIGHT)], "what stands is in order of answering")
    must([(p.query.id, p.answer) for p in store.each_preference(1)] == whole, "and can be read one at a time")


def takes_preferences_over(store: PreferenceStore) -> None:
    """Check that `add` keeps what is there already once, and adds nothing if one preference contradicts the store."""
    queries = example_queries(3)
    preferences = [Preference(q, Answer.LEFT, who, 1.25, 2.5) for q in queries for who in ("a", "b")]
    store.post(queries[:1])
    store.record("0-0", Answer.LEFT, teacher="a", shown_at=1.25, answered_at=2.5)
    must(store.add(preferences) == 5 and store.add(preferences) == 0 and store.add([]) == 0, "new ones are added, once")
    kept = [(p.query.id, p.teacher, p.answer, p.shown_at, p.answered_at) for p in store.preferences()]
    must(kept == [(p.query.id, p.teacher, p.answer, p.shown_at, p.answered_at) for p in preferences], "in their order")
    must(all(map(same_query, [store.query(q.id) for q in queries], queries)), "queries are added bit for bit")
    new, before = example_queries(1, seed=1)[0], store.history()
    for strange in (
        Preference(replace(queries[0], why="other"), Answer.LEFT, "c"),
        Preference(queries[0], Answer.TIE, "a"),
    ):
        refuses(lambda strange=strange: store.add([Preference(new, Answer.LEFT, "a"), strange]), "a contradiction")  # type: ignore[misc]
    must(store.history() == before and store.counts().asked == 3, "what is refused leaves nothing behind")
    posted = example_queries(1, seed=2)
    store.post(posted, people=3)
    store.add([Preference(posted[0], Answer.LEFT, "a")])
    must((store.counts().open, store.counts().awaited) == (1, 2), "added queries are answered; posted ones stay open")
    store.record(queries[2].id, None, teacher="b")
    must(store.add(preferences) == 0, "what was taken back since stays so")
    must(store.add([Preference(queries[2], Answer.TIE, "b")]) == 1, "and may be answered otherwise")
    must(store.add(preferences) == 0, "which isn't a contradiction")


def _answer(query: Query) -> Said:
    """Give an answer of the query's kind."""
    kind = find_kind(query.kind)
    if kind.made:
        return Shown(query.options[-1])
    return kind.said([place / len(kind.weighed(query)) for place in range(len(kind.weighed(query)))])


def keeps_every_kind_of_query_and_answer(store: PreferenceStore) -> None:
    """Check that queries and answers of every registered kind come back as they were."""
    queries = [query for seed, kind in enumerate(KINDS) for query in example_queries(6, seed=seed, kind=kind)]
    store.post(queries)
    answers = [_answer(query) for query in queries]
    store.record_all([query.id for query in queries], answers, teacher="a")
    kept = store.preferences()
    must([p.answer for p in kept] == answers, "answers come back as they were given, by the kind of the query")
    must(all(same_query(p.query, query) for p, query in zip(kept, queries, strict=True)), "queries come back whole")
    must([g.answer for g in store.history()] == answers, "history has every kind of answer")
    must(store.counts().labels == len(queries), "an answer is a label, whatever its kind")
    with_a_tie = Ranking(((2,), (0, 1)))
    ranking = next(query for query in queries if len(query.options) == 3)
    store.record(ranking.id, with_a_tie, teacher="b")
    must(store.standing(ranking.id)["b"] == with_a_tie, "ties within a ranking are kept")


def refuses_answers_of_another_kind(store: PreferenceStore) -> None:
    """Check that answers of another kind are refused with all that are recorded, or added, with them."""
    comparison, [ranking] = example_queries(2), example_queries(1, seed=1, kind="ranking")
    store.post([*comparison, ranking])
    both: list[Said] = [Answer.LEFT, Ranking(((0,), (1,), (2,)))]
    refuses(lambda: store.record_all(["0-0", "0-1"], both, teacher="a"), "a ranking of what was to be compared")
    refuses(lambda: store.record_all(["0-0", "1-0"], both[:1] * 2, teacher="a"), "a side of three")
    refuses(lambda: store.record("1-0", Ranking(((0,), (1,))), teacher="a"), "a ranking that lacks an option")
    refuses(lambda: store.add([Preference(ranking, Answer.TIE, "a")]), "a tie of three")
    must(store.history() == [], "what is refused leaves nothing behind")
    for strange in (replace(ranking, kind="comparison", id="x"), replace(ranking, kind="nobody's", id="x")):
        refuses(lambda strange=strange: store.post([strange]), "a query that isn't of its kind")  # type: ignore[misc]


def keeps_what_queries_share(store: PreferenceStore) -> None:
    """Check that queries that share segments come back bit for bit; segments that differ in anything are two."""
    query, other = example_queries(2)
    left, right = query.options
    paid = replace(left, rewards=left.rewards + 1)
    elsewhere = replace(left, earlier_actions=right.earlier_actions)
    shared = [
        query,
        replace(query, id="mirrored", options=(right, left)),
        replace(query, id="same", options=(left, left)),
        replace(query, id="paid", options=(left, paid)),
        replace(query, id="elsewhere", options=(elsewhere, other.left)),
    ]
    store.post(shared)
    kept = store.queries([query.id for query in shared])
    must(all(map(same_query, kept, shared)), "queries that share segments come back bit for bit")


def tells_what_is_new(store: PreferenceStore) -> None:
    """Check that a reader can look up new answers and open ids without reading everything again."""
    store.post(example_queries(4))
    store.record_all(["0-2", "0-0"], [Answer.TIE, Answer.LEFT], teacher="a")
    said = store.answers_since()
    must([s[1:4] for s in said] == [("0-2", "a", Answer.TIE), ("0-0", "a", Answer.LEFT)], "everything, in order")
    must(store.answers_since(said[-1].number) == [], "nothing is new after the last")
    must(store.answers_since(until=said[0].number) == said[:1], "nothing is listed after the last that is asked for")
    store.record("0-2", None, teacher="a")
    store.record("0-0", Answer.SKIP, teacher="b")
    new = store.answers_since(said[-1].number)
    must([s[1:4] for s in new] == [("0-2", "a", None), ("0-0", "b", Answer.SKIP)], "withdrawals too")
    must(said[0].number < said[1].number < new[0].number < new[1].number, "numbers go up")
    must(store.open_ids() == ["0-1", "0-2", "0-3"] and store.open_ids(limit=2) == ["0-1", "0-2"], "ids of what is open")
    must(_ids(store.queries(["0-3", "0-1", "0-3"])) == ["0-3", "0-1", "0-3"], "queries come in the order of the ids")
    must(store.queries([]) == [], "no ids, no queries")
    refuses(lambda: store.queries(["0-3", "nobody's"]), "an unknown query")


def hands_out_the_kinds_that_can_be_shown(store: PreferenceStore) -> None:
    """Check that claims, last answers and counts can be restricted to kinds that an interface shows."""
    store.post([*example_queries(1, kind="ranking"), *example_queries(2, seed=1)])
    given = _ids(store.claim("a", n=9, kinds=["comparison"]))
    must(given == ["1-0", "1-1"], "rankings aren't given where they can't be shown")
    must(_ids(store.claim("b", n=9)) == ["0-0"], "they are given to others")
    store.record("1-1", Answer.LEFT, teacher="b")
    store.record("0-0", Answer.SKIP, teacher="b")
    last = store.last_answered("b", kinds=["comparison"])
    must(last is not None and last.query.id == "1-1", "the last answer to a comparison")
    must(tuple(store.counts(["comparison"])) == (2, 1, 0, 0, 0, 1, 1), "counts are of these kinds alone")


def refuses_to_look_up_an_unknown_query(store: PreferenceStore) -> None:
    """Check that unknown queries can't be looked up or dropped, and that numbers below 1 are refused."""
    store.post(example_queries(1))
    refuses(lambda: store.query("nobody's"), "an unknown query")
    refuses(lambda: store.drop(["0-0", "nobody's"]), "dropping no query")
    refuses(lambda: store.claim("a", n=0), "claiming no query")
    refuses(lambda: store.wanted("nobody's"), "an unknown query")
    refuses(lambda: store.post(example_queries(1, seed=1), people=0), "asking nobody")
    must(len(store.pending()) == 1, "what is refused changes nothing")


def _ids(queries: Sequence[Query]) -> list[str]:
    return [query.id for query in queries]


STORE_RULES = (
    keeps_queries_bit_for_bit,
    hands_out_the_oldest_open_queries,
    keeps_answers_in_their_order,
    counts_what_a_person_said_last,
    takes_back_an_answer,
    counts_labels_ties_and_skips,
    refuses_a_query_posted_twice,
    refuses_an_answer_to_an_unknown_query,
    leases_a_query_to_one_person,
    ends_a_lease,
    counts_both_who_answered_after_a_lease_ran_out,
    hands_an_undone_query_back,
    hands_a_query_to_as_many_people_as_it_wants,
    undoing_takes_no_ones_place,
    drops_what_nobody_answered,
    drops_nothing_that_somebody_looks_at,
    remembers_everything_said,
    takes_preferences_over,
    refuses_to_look_up_an_unknown_query,
    tells_who_holds_a_query_and_what_stands,
    keeps_every_kind_of_query_and_answer,
    refuses_answers_of_another_kind,
    keeps_what_queries_share,
    tells_what_is_new,
    hands_out_the_kinds_that_can_be_shown,
    renews_a_lease,
    reserves_what_somebody_looks_at,
    lists_what_comes_next_without_a_lease,
    lists_what_a_person_answered_lately,
)

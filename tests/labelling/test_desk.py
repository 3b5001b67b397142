import threading
import time
from dataclasses import replace

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.labelling import Desk, Progress, Taken
from rlhf_gym.preferences import OWN, Answer, Preference, Ranking
from rlhf_gym.store import PreferenceStore, UnknownQuery


class Drawn:
    """In place of clips: remembers what was to be drawn."""

    def __init__(self):
        self.asked = []

    def ahead(self, queries):
        self.asked += [query.id for query in queries]

    def wait(self, query, *, timeout):
        return query.id, timeout


@pytest.fixture
def store():
    with PreferenceStore() as opened:
        opened.post(example_queries(6))
        yield opened


@pytest.fixture
def clips():
    return Drawn()


@pytest.fixture
def desk(store, clips):
    return Desk(store, clips, labels=5, instructions="keep the pole up")


def test_a_person_is_given_the_oldest_query_until_it_is_answered(desk):
    assert [desk.next("ann").id, desk.next("ann").id] == ["0-0", "0-0"]
    desk.answer("ann", "0-0", Answer.LEFT)
    assert desk.next("ann").id == "0-1"


def test_the_next_clips_are_drawn_while_the_first_is_looked_at(desk, clips):
    desk.next("ann")
    assert clips.asked == ["0-0", "0-1", "0-2"]
    assert desk.clip("0-2", timeout=5) == ("0-2", 5)


def test_no_query_is_given_to_two_people_and_nobody_waits_while_one_is_in_nobodys_view(desk):
    given = [desk.next(who).id for who in ("ann", "bob", "cid", "dan", "eve", "fay")]
    assert given == ["0-0", "0-3", "0-1", "0-2", "0-4", "0-5"]  # what was drawn ahead for others comes last
    assert desk.next("gus") is None
    desk.answer("ann", "0-0", Answer.LEFT)
    assert desk.next("ann") is None


def test_what_was_drawn_ahead_for_a_person_is_what_they_get_next(desk):
    ahead = [query.id for query in desk.upcoming("ann")[1:]]
    desk.next("bob")
    desk.answer("ann", "0-0", Answer.LEFT)
    assert desk.next("ann").id == ahead[0]


def test_a_query_that_somebody_looks_at_for_long_stays_theirs(store, clips):
    desk = Desk(store, clips, lease=-1)
    desk.next("ann")
    assert Desk(store, clips).reserve("ann", "0-0") and not Desk(store, clips).reserve("bob", "0-0")
    assert desk.next("bob").id == "0-1"


def test_a_query_that_wants_two_people_is_given_to_two_and_answered_by_two(store, clips):
    store.post(example_queries(1, seed=1), people=2)
    late, desk = Desk(store, clips, lease=-1), Desk(store, clips)
    assert store.claim("late", n=9, lease=-1)[-1].id == "1-0"
    assert [store.claim(who, n=9)[-1].id for who in ("ann", "bob")] == ["1-0", "1-0"]
    with pytest.raises(Taken, match="query 1-0 is with ann and bob; ask for the next one"):
        late.answer("late", "1-0", Answer.TIE)
    desk.answer("ann", "1-0", Answer.LEFT)
    assert (desk.progress("ann").answered, desk.progress("ann").waiting) == (1, 7)
    with pytest.raises(Taken, match="query 1-0 is with bob; ask for the next one"):
        late.answer("late", "1-0", Answer.TIE)
    with pytest.raises(Taken, match="query 1-0 was answered by ann already, maybe in another window"):
        desk.answer("ann", "1-0", Answer.RIGHT)
    assert desk.undo("ann").id == "1-0"
    desk.answer("ann", "1-0", Answer.RIGHT)  # a second thought
    desk.answer("bob", "1-0", Answer.LEFT)
    assert (desk.progress("ann").answered, desk.progress("ann").waiting) == (2, 6)
    with pytest.raises(Taken, match="query 1-0 was answered by ann and bob meanwhile; ask for the next one"):
        late.answer("late", "1-0", Answer.TIE)
    assert store.standing("1-0") == {"ann": Answer.RIGHT, "bob": Answer.LEFT}


def test_of_two_who_hold_the_last_place_the_first_to_answer_has_it(store, clips):
    store.post(example_queries(1, seed=1), people=2)
    desk = Desk(store, clips)
    for who in ("ann", "bob"):
        store.claim(who, n=9)
    store.record("1-0", Answer.LEFT, teacher="cid")  # without a desk
    desk.answer("ann", "1-0", Answer.LEFT)
    with pytest.raises(Taken, match="was answered by ann and cid"):
        desk.answer("bob", "1-0", Answer.LEFT)


def test_levels_have_words_where_there_are_as_many_as_levels(store, clips):
    desk = Desk(store, clips, levels=("bad", "fair", "good"))
    levels = {kind: desk.levels_of(example_queries(1, kind=kind)[0]) for kind in ("rating-3", "rating-2", "ranking")}
    assert levels == {"rating-3": ["bad", "fair", "good"], "rating-2": ["1", "2"], "ranking": []}


def test_what_a_person_gives_back_goes_to_others(desk):
    desk.next("ann")
    desk.release("ann")
    assert desk.next("bob").id == "0-0"


def test_a_query_that_is_with_somebody_else_is_not_answered_by_a_third(desk, store):
    desk.next("ann")
    with pytest.raises(Taken, match="query 0-0 is with ann; ask for the next one"):
        desk.answer("bob", "0-0", Answer.LEFT)
    assert store.standing("0-0") == {}


def test_whoever_thinks_longer_than_the_lease_may_still_answer_if_nobody_else_has_it(store, clips):
    desk = Desk(store, clips, labels=5, lease=-1)
    desk.next("ann")
    desk.answer("ann", "0-0", Answer.TIE)
    assert store.standing("0-0") == {"ann": Answer.TIE}


def test_after_a_lease_ran_out_only_one_of_the_two_answers_counts(store, clips):
    slow, quick = Desk(store, clips, labels=5, lease=-1), Desk(store, clips, labels=5)
    assert slow.next("ann").id == quick.next("bob").id == "0-0"
    with pytest.raises(Taken, match="is with bob"):
        slow.answer("ann", "0-0", Answer.LEFT)
    quick.answer("bob", "0-0", Answer.RIGHT)
    with pytest.raises(Taken, match="query 0-0 was answered by bob meanwhile; ask for the next one"):
        slow.answer("ann", "0-0", Answer.LEFT)
    assert store.standing("0-0") == {"bob": Answer.RIGHT}


def test_an_answer_sent_twice_counts_once(desk, store):
    for _ in range(2):
        desk.answer("ann", "0-0", Answer.LEFT)
    assert store.counts().labels == 1


def test_an_unknown_query_is_told_from_a_taken_one(desk):
    for ask in (lambda: desk.answer("ann", "no", Answer.LEFT), lambda: desk.query("no"), lambda: desk.clip("no")):
        with pytest.raises(UnknownQuery, match="query 'no' is not in the store"):
            ask()


def test_undo_brings_the_last_query_back_and_then_the_one_before(desk, store):
    for _ in range(2):
        desk.answer("ann", desk.next("ann").id, Answer.LEFT)
    assert desk.undo("ann").id == "0-1"
    assert desk.next("ann").id == "0-1"
    assert desk.undo("ann").id == "0-0"
    assert desk.undo("ann") is None
    assert store.counts().labels == 0


def test_undo_leaves_what_others_said(desk, store):
    desk.answer("ann", desk.next("ann").id, Answer.LEFT)
    assert desk.undo("bob") is None
    assert store.counts().labels == 1


def test_progress_counts_labels_and_knows_whose(desk, store):
    assert desk.progress("ann") == Progress(answered=0, by_you=0, labels=5, waiting=6, median_seconds=None)
    for number, (who, answer, seconds) in enumerate(
        [("ann", Answer.LEFT, 2), ("ann", Answer.SKIP, 4), ("ann", Answer.TIE, 9), ("bob", Answer.RIGHT, 1)]
    ):
        store.record(f"0-{number}", answer, teacher=who, shown_at=100, answered_at=100 + seconds)
    assert desk.progress("ann") == Progress(answered=3, by_you=2, labels=5, waiting=2, median_seconds=4)
    desk.undo("ann")  # the tie
    assert desk.progress("ann") == Progress(answered=2, by_you=1, labels=5, waiting=3, median_seconds=3)


def test_what_the_reward_answered_itself_is_no_label_and_no_person(desk, store):
    store.add([Preference(replace(query, why=OWN), Answer.TIE, OWN) for query in example_queries(2, seed=1)])
    store.record("0-0", Answer.LEFT, teacher="ann")
    told, [(_, counts)] = desk.progress("ann"), desk.progress_by_run()
    assert (told.answered, told.by_you, told.waiting) == (1, 1, 5)
    assert (counts.labels, counts.ties) == (1, 0)
    assert [person.who for person in desk.quality().people] == ["ann"]


def test_answers_to_kinds_that_are_not_shown_here_count_for_everybody_alike(store, clips):
    store.post(example_queries(2, seed=1, kind="ranking"))
    store.record("1-0", Ranking(((2,), (0, 1))), teacher="ann")
    told = Desk(store, clips).progress("ann")
    assert (told.answered, told.by_you, told.waiting) == (1, 1, 6)


def test_quality_is_that_of_the_standing_answers(desk, store):
    store.record("0-0", Answer.LEFT, teacher="ann", shown_at=10, answered_at=13)
    [ann] = desk.quality().people
    assert (ann.who, ann.answers, ann.seconds) == ("ann", 1, (3, 3, 3))


@pytest.mark.parametrize("first", ["history", "preferences"])
@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda store: store.record("0-1", Answer.RIGHT, teacher="ann"),
        lambda store: store.record("0-0", None, teacher="ann"),
        lambda store: store.record("0-0", Answer.TIE, teacher="bob"),
    ],
    ids=["another answer", "taken back", "somebody else's answer"],
)
def test_quality_holds_whatever_is_said_while_it_is_read(desk, store, monkeypatch, first, meanwhile):
    store.record("0-0", Answer.LEFT, teacher="ann")
    read = getattr(store, first)

    def reading():
        monkeypatch.setattr(store, first, read)
        found = read()
        meanwhile(store)
        return found

    monkeypatch.setattr(store, first, reading)
    said = desk.quality().people
    before_or_after = [[("ann", 1)], [("ann", 2)], [("ann", 0)], [("ann", 1), ("bob", 1)]]
    assert [(person.who, person.answers) for person in said] in before_or_after


def test_many_people_at_once_lose_and_double_nothing(tmp_path, clips):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post(example_queries(40))
        desk = Desk(store, clips, labels=40)
        failures = []

        def label(who):
            try:
                while query := desk.next(who):
                    desk.answer(who, query.id, Answer.LEFT)
            except Exception as error:
                failures.append(error)

        people = [threading.Thread(target=label, args=(str(number),)) for number in range(4)]
        for person in people:
            person.start()
        for person in people:
            person.join()
        assert failures == []
        given = [answer.query_id for answer in store.history()]
        assert len(given) == len(set(given)) == 40


def test_what_cannot_be_shown_is_neither_handed_out_nor_looked_up_nor_undone(store, clips):
    store.post(example_queries(2, seed=1, kind="ranking"))
    page, terminal = Desk(store, clips, ahead=9), Desk(store, clips, ahead=9, kinds=("comparison", "ranking"))
    assert {query.kind for query in page.upcoming("ann")} == {"comparison"}
    store.claim("ann", n=9, kinds=page.kinds)
    assert [query.id for query in terminal.upcoming("bob")] == ["1-0", "1-1"]
    for look_up in (page.query, page.clip):
        with pytest.raises(UnknownQuery, match="query '1-0' is a ranking, and only comparison can be shown here"):
            look_up("1-0")
    page.release("ann")
    page.answer("bob", "0-0", Answer.LEFT)
    terminal.answer("bob", "1-0", Ranking(((2,), (0, 1))))
    assert (page.progress("bob").waiting, terminal.progress("bob").waiting) == (5, 6)
    assert page.undo("bob").id == "0-0"
    assert page.undo("bob") is None
    assert terminal.undo("bob").id == "1-0"


def test_undo_leaves_what_the_same_person_said_in_another_window(desk, store):
    desk.answer("ann", "0-0", Answer.LEFT)  # before either was opened
    here, there = desk.answered("ann"), desk.answered("ann")
    for query_id, window in (("0-1", here), ("0-2", there), ("0-3", there)):
        desk.answer("ann", query_id, Answer.LEFT)
        window.append(query_id)
    assert desk.undo("ann", here).id == "0-1" and here == ["0-0"]
    assert desk.undo("ann", here).id == "0-0"
    assert desk.undo("ann", here) is None
    assert list(store.standing("0-2")) == list(store.standing("0-3")) == ["ann"]
    assert desk.undo("ann", there).id == "0-3" and there == ["0-0", "0-2"]


def test_an_undo_whose_reply_was_lost_takes_nothing_more_back(desk, store):
    for query_id in ("0-0", "0-1"):
        desk.answer("ann", query_id, Answer.LEFT)
    for answered in (["0-0", "0-1"], desk.answered("ann")):  # of a window, and of one that was opened later
        assert [desk.undo("ann", list(answered)).id for _ in range(3)] == ["0-1"] * 3
        assert list(store.standing("0-0")) == ["ann"]
        desk.answer("ann", "0-1", Answer.LEFT)


def test_undo_follows_the_order_of_answers_and_no_clock(desk, store):
    store.record("0-1", Answer.LEFT, teacher="ann", answered_at=time.time() - 3600)
    store.record("0-0", Answer.LEFT, teacher="ann", answered_at=time.time() + 3600)
    answered = desk.answered("ann")
    assert [desk.undo("ann", answered).id for _ in range(2)] == ["0-0", "0-1"]


def test_undo_passes_over_queries_of_a_run_that_was_labelled_here_before(desk):
    desk.answer("ann", "0-0", Answer.LEFT)
    assert desk.undo("ann", ["0-0", "another run's"]).id == "0-0"
    assert desk.undo("ann", ["another run's"]) is None


def test_an_answer_taken_back_elsewhere_is_passed_over_where_the_query_is_others_by_now(desk, store):
    for query_id in ("0-0", "0-1"):
        desk.answer("ann", query_id, Answer.LEFT)
    desk.undo("ann")
    desk.release("ann")
    store.record("0-1", Answer.LEFT, teacher="bob")
    assert desk.undo("ann", ["0-0", "0-1"]).id == "0-0"

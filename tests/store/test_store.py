import gc
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from rlhf_gym.contracts import STORE_RULES, check_store, example_queries, same_query
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.quality.assessment import assess
from rlhf_gym.segments import Ending, Origin, Trajectory
from rlhf_gym.store import PreferenceStore


@pytest.fixture(params=["file", "postgresql"])
def url(request, tmp_path):
    """Of a database that isn't there yet, or is empty."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return f"sqlite:///{tmp_path / 'preferences.db'}"


@pytest.fixture(params=["memory", "file", "postgresql"])
def store(request, tmp_path):
    urls = {"memory": lambda: "sqlite://", "file": lambda: tmp_path / "preferences.db"}
    where = urls.get(request.param, lambda: request.getfixturevalue("postgresql_url"))()
    with PreferenceStore(where) as opened:
        yield opened


@pytest.mark.parametrize("rule", STORE_RULES)
def test_stores_keep_the_contract(store, rule):
    rule(store)


def test_the_contract_catches_a_store_that_loses_withdrawals():
    class Stubborn(PreferenceStore):
        def record_all(self, query_ids, answers, **said):
            if None not in answers:
                super().record_all(query_ids, answers, **said)

    with pytest.raises(AssertionError, match="pending again"):
        check_store(Stubborn)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"teacher": "a\0b"}, r"teacher is 'a\\x00b'; expected whole characters other than NUL"),
        ({"teacher": "a\ud800"}, "teacher is .*; expected whole characters"),
        ({"shown_at": math.nan}, "shown_at of the answer to query '0-1' is nan; expected seconds since 1970"),
        ({"answered_at": math.inf}, "answered_at of the answer to query '0-1' is inf; expected seconds"),
    ],
)
def test_answers_of_elsewhere_that_no_database_can_keep_are_refused_with_all_that_come_along(store, said, message):
    fine, other = example_queries(2)
    with pytest.raises(BadInput, match=message):
        store.add([Preference(fine, Answer.LEFT, "ann"), Preference(other, Answer.LEFT, **{"teacher": "ann"} | said)])
    assert store.preferences() == [] and store.number_asked() == 0


def test_everything_is_there_after_closing_and_opening_again(url):
    queries = example_queries(3)
    with PreferenceStore(url) as store:
        store.post(queries)
        store.record("0-1", Answer.LEFT, teacher="ann", shown_at=10.5, answered_at=12.25)
    with PreferenceStore(url) as store:
        [preference] = store.preferences()
        assert same_query(preference.query, queries[1])
        assert (preference.answer, preference.teacher) == (Answer.LEFT, "ann")
        assert (preference.shown_at, preference.answered_at) == (10.5, 12.25)
        assert all(map(same_query, store.pending(), [queries[0], queries[2]]))


def test_a_closed_store_is_one_file(tmp_path):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post(example_queries(1))
        assert len(os.listdir(tmp_path)) > 1
    assert os.listdir(tmp_path) == ["preferences.db"]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
def test_arrays_of_every_dtype_come_back_bit_for_bit(store, dtype):
    query = example_queries(1)[0]
    shape = (query.left.lived + 1, 2, 3)
    left = replace(query.left, observations=np.arange(math.prod(shape)).reshape(shape).astype(dtype))
    store.post([replace(query, options=(left, query.right))])
    assert same_query(store.pending()[0], replace(query, options=(left, query.right)))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "uint64"])
@pytest.mark.parametrize("last", [0, 1, 127, 128, 200])
def test_integers_that_fit_in_a_byte_keep_their_dtype(tmp_path, dtype, last):
    query = example_queries(1)[0]
    actions = np.full(query.left.lived, 1).astype(dtype)
    actions[-1] = np.array(last).astype(dtype)
    with PreferenceStore(tmp_path / "p.db") as store:
        store.post([replace(query, options=(replace(query.left, actions=actions), query.right))])
    with PreferenceStore(tmp_path / "p.db") as store:
        kept = store.query("0-0").left.actions
        assert (kept.dtype, kept.tolist()) == (actions.dtype, actions.tolist())


def cut_queries(n):
    """Queries about segments that nobody can change."""
    walk = Trajectory(np.arange(99.0)[:, None], np.zeros(98), np.zeros(98), Ending.UNFINISHED)
    return [Query((walk.cut(i, 5), walk.cut(i + 1, 5)), id=f"cut-{i}") for i in range(n)]


def test_what_somebody_holds_is_given_out_again_and_nothing_of_it_read(store, monkeypatch):
    queries = cut_queries(3)
    store.post(queries)
    store.record("cut-1", Answer.LEFT, teacher="ann")

    def refuse(*_):
        raise AssertionError("segments were read")

    monkeypatch.setattr("rlhf_gym.store.queries.row_to_segment", refuse)
    assert store.pending() == [queries[0], queries[2]]  # queries are equal only to themselves
    assert [p.query for p in store.preferences()] == [queries[1]]
    assert store.queries(["cut-2"]) == [queries[2]]


def test_what_was_posted_and_changed_afterwards_is_given_out_as_it_was_posted(store):
    query = example_queries(1)[0]
    before = query.left.observations.copy()
    store.post([query])
    query.left.observations[:] = 0
    np.testing.assert_array_equal(store.query("0-0").left.observations, before)


def test_a_store_holds_nothing_of_what_nobody_holds(store):
    store.post(cut_queries(3))
    gc.collect()
    assert (len(store._at_hand.queries), len(store._at_hand.segments)) == (0, 0)


def test_segments_that_queries_share_are_stored_and_read_once(url):
    first, second = cut_queries(2)
    with PreferenceStore(url) as store:
        store.post([first, second, replace(first, id="mirrored", options=first.options[::-1])])
    engine = create_engine(url)
    with engine.connect() as connection:
        counts = [connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in ("segments", "options")]
    engine.dispose()
    assert counts == [3, 6]
    with PreferenceStore(url) as store:
        one, other, mirrored = store.pending()
        assert one.left is mirrored.right and one.right is mirrored.left is other.left


def test_special_numbers_come_back_bit_for_bit(store):
    query = example_queries(1)[0]
    rewards = np.resize([math.nan, -0.0, math.inf, 5e-324], query.left.lived)
    strange = replace(
        query, options=(replace(query.left, rewards=rewards), query.right), value=-math.inf, policy_step=2**40
    )
    store.post([strange, replace(query, id="nan", value=math.nan)])
    kept = store.pending()
    assert same_query(kept[0], strange)
    assert math.isnan(kept[1].value)


def test_arrays_that_are_not_contiguous_come_back_right(store):
    query = example_queries(1)[0]
    reversed_in_memory = np.arange(4.0 * (query.left.lived + 1)).reshape(4, -1)[::-1].T
    left = replace(query.left, observations=reversed_in_memory)
    store.post([replace(query, options=(left, query.right))])
    np.testing.assert_array_equal(store.pending()[0].left.observations, reversed_in_memory)


def test_arrays_read_from_the_store_cannot_be_changed(store):
    store.post(example_queries(1))
    with pytest.raises(ValueError, match="read-only"):
        store.pending()[0].left.observations[:] = 0


@pytest.mark.parametrize("strange", [np.array([object()]), np.array(["left"]), np.zeros(1, np.longdouble)])
def test_arrays_that_cannot_be_kept_are_refused(store, strange):
    query = example_queries(1)[0]
    left = replace(query.left, earlier_actions=strange)
    with pytest.raises(ValueError, match=f"earlier_actions of the left segment are {strange.dtype}; the store keeps"):
        store.post([replace(query, options=(left, query.right))])


def test_an_origin_that_cannot_be_written_is_refused(store):
    query = example_queries(1)[0]
    left = replace(query.left, origin=Origin("Example-v0", 1, {"bounds": {1, 2}}))
    with pytest.raises(ValueError, match=r"env_kwargs .*\{1, 2\}.* can't be stored: .*set.*; use numbers"):
        store.post([replace(query, options=(left, query.right))])


def test_numpy_numbers_are_taken_for_numbers(store):
    query = replace(example_queries(1)[0], policy_step=np.int64(3), reward_version=np.int32(2), value=np.float32(0.5))
    store.post([query])
    store.record("0-0", Answer.LEFT, teacher="a", shown_at=np.float64(1), answered_at=np.float64(2))
    kept = store.preferences()[0]
    assert (kept.query.policy_step, kept.query.reward_version, kept.query.value) == (3, 2, 0.5)


def test_an_answer_without_a_time_was_given_now(store):
    store.post(example_queries(1))
    before = time.time()
    store.record("0-0", Answer.LEFT, teacher="a")
    assert before <= store.preferences()[0].answered_at <= time.time()


def test_what_is_no_answer_is_refused(store):
    store.post(example_queries(1))
    with pytest.raises(ValueError, match="'maybe' is none; use left, right"):
        store.record("0-0", "maybe", teacher="a")


def test_posting_and_recording_nothing_does_nothing(store):
    store.post([])
    store.record_all([], [], teacher="a")
    assert set(store.counts()) == {0}


def test_every_answer_stays_in_the_database(url):
    with PreferenceStore(url) as store:
        store.post(example_queries(1))
        for answer in (Answer.LEFT, None, Answer.RIGHT):
            store.record("0-0", answer, teacher="a")
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT number, answer FROM answers ORDER BY number")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [(1, "left"), (2, None), (3, "right")]


def test_a_second_store_on_the_same_database_sees_an_answer_at_once(url):
    with PreferenceStore(url) as trainer, PreferenceStore(url) as page:
        trainer.post(example_queries(2))
        page.record(page.pending()[0].id, Answer.LEFT, teacher="ann")
        assert [p.query.id for p in trainer.preferences()] == ["0-0"]


KILLED = """
import os, signal, sys
from rlhf_gym.store import PreferenceStore
from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import Answer, Query
store = PreferenceStore(sys.argv[1])
store.post(example_queries(2))
store.record("0-1", Answer.TIE, teacher="ann")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals of Unix")
def test_a_recorded_answer_survives_the_sudden_death_of_the_process(url):
    killed = subprocess.run([sys.executable, "-c", KILLED, url])
    assert killed.returncode == -signal.SIGKILL
    with PreferenceStore(url) as store:
        assert [(p.query.id, p.answer) for p in store.preferences()] == [("0-1", Answer.TIE)]
        assert [query.id for query in store.pending()] == ["0-0"]


def test_people_who_answer_at_once_through_one_store_lose_and_double_nothing(store):
    label_at_once(lambda: nullcontext(store))
    check_all_is_there(store)


def test_people_who_answer_at_once_through_stores_of_their_own_lose_and_double_nothing(url):
    label_at_once(lambda: PreferenceStore(url))  # the tables are made by whoever comes first
    with PreferenceStore(url) as store:
        check_all_is_there(store)


def label_at_once(open_store):
    """Four people post ten queries each and answer them."""
    failures = []

    def label(person):
        try:
            with open_store() as mine:
                mine.post(example_queries(10, seed=person))
                for i in range(10):
                    mine.record(f"{person}-{i}", Answer.LEFT, teacher=str(person))
        except Exception as error:
            failures.append(error)

    people = [threading.Thread(target=label, args=(person,)) for person in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert failures == []


def check_all_is_there(store):
    assert sorted(p.query.id for p in store.preferences()) == sorted(f"{a}-{b}" for a in range(4) for b in range(10))
    assert store.pending() == []


def test_four_people_who_claim_at_once_give_each_query_three_answers_and_no_more(url):
    failures = []

    def answer(who):
        try:
            with PreferenceStore(url) as mine:
                together.wait()
                while claimed := mine.claim(who, n=3):
                    for query in claimed:
                        mine.record(query.id, Answer.LEFT, teacher=who)
        except Exception as error:
            failures.append(error)

    with PreferenceStore(url) as store:
        store.post(example_queries(40), people=3)
        together = threading.Barrier(4)
        people = [threading.Thread(target=answer, args=(who,)) for who in ("ann", "bob", "cid", "dot")]
        for person in people:
            person.start()
        for person in people:
            person.join()
        assert failures == []
        given = [(answer.query_id, answer.who) for answer in store.history()]
        assert len(given) == len(set(given)) == 120
        assert Counter(query_id for query_id, _ in given) == {f"0-{i}": 3 for i in range(40)}
        assert (store.counts().labels, store.counts().awaited, store.pending()) == (120, 0, [])


def test_agreement_is_that_of_the_people_who_were_asked_the_same(store):
    store.post([*example_queries(3), *example_queries(1, seed=1)], people=2)
    store.post(example_queries(1, seed=2))
    said = {"ann": [Answer.LEFT, Answer.LEFT, Answer.RIGHT, Answer.RIGHT, Answer.TIE], "bob": [Answer.LEFT] * 3}
    for who, answers in said.items():
        for answer in answers:
            store.record(store.claim(who)[0].id, answer, teacher=who)
    found = assess(store.history(), [preference.query for preference in store.preferences()])
    # Three queries have two answers, in all five LEFT and one RIGHT. By chance 2 x 5 x 1 of 6 x 5 ordered pairs differ,
    # within the queries 2 of 6 do.
    assert (found.shared, found.alpha) == (3, pytest.approx(0.0))
    store.record(store.claim("bob")[0].id, Answer.RIGHT, teacher="bob")
    found = assess(store.history(), [preference.query for preference in store.preferences()])
    # Five LEFT, three RIGHT: 2 x 5 x 3 of 8 x 7 by chance, and 2 of 8 in the units.
    assert (found.shared, found.alpha) == (4, pytest.approx(1 - (2 / 8) / (30 / 56)))


def test_a_store_that_is_dropped_closes_itself(tmp_path):
    PreferenceStore().post(example_queries(1))
    PreferenceStore(tmp_path / "p.db").post(example_queries(1))
    gc.collect()  # an open connection would warn here, and warnings are errors
    assert os.listdir(tmp_path) == ["p.db"]


def test_closing_twice_is_harmless():
    store = PreferenceStore()
    store.close()
    store.close()

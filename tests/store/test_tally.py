"""Counts that are kept up equal counts from the beginning, whatever was said, taken back and withdrawn."""

import random
import time
from dataclasses import replace
from statistics import median

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import OWN, Answer
from rlhf_gym.store import PreferenceStore

PEOPLE = ("ann", "bob", "cid")


def do_something(store, rng, asked, step):
    what = rng.random()
    if what < 0.2 or not asked:
        kind = rng.choice(["comparison", "comparison", "rating-3"])
        queries = example_queries(rng.randint(1, 4), seed=step, kind=kind)
        queries = [replace(query, why=rng.choice([query.why, OWN])) for query in queries]
        store.post(queries, people=rng.choice([1, 1, 2, 3]))
        asked += queries
    elif what < 0.75:
        query, answers = rng.choice(asked), [None, Answer.SKIP, Answer.LEFT, Answer.TIE]
        answer = rng.choice(answers if query.kind == "comparison" else answers[:2])
        shown = rng.choice([None, time.time() - rng.random()])
        store.record(query.id, answer, teacher=rng.choice(PEOPLE), shown_at=shown)
    elif what < 0.85:
        store.drop([query.id for query in rng.sample(asked, min(2, len(asked)))])
    else:
        store.claim(rng.choice(PEOPLE), n=2, lease=rng.choice([-1, 0, 0.01]))


@pytest.mark.parametrize(("where", "seed"), [("file", 0), ("file", 1), ("postgresql", 2)])
def test_kept_counts_equal_fresh_ones(where, seed, request, tmp_path):
    url = tmp_path / "preferences.db" if where == "file" else request.getfixturevalue("postgresql_url")
    rng, asked = random.Random(seed), []  # noqa: S311
    with PreferenceStore(url, lasting=False) as kept, PreferenceStore(url, lasting=False) as other:
        for step in range(60):
            do_something(rng.choice([kept, other]), rng, asked, step)
            if step % 4:
                continue
            with PreferenceStore(url) as fresh:
                for kinds in (None, ("comparison",)):
                    assert kept.counts(kinds) == fresh.counts(kinds)
                assert kept.open_ids() == fresh.open_ids() == [query.id for query in fresh.pending()]
                said = fresh.preferences()
                true = [preference.answer for preference in said if preference.query.why != OWN]
                skips, ties = true.count(Answer.SKIP), true.count(Answer.TIE)
                assert kept.counts()[1:4] == (len(true) - skips, ties, skips)
                assert kept.counts().asked == kept.number_asked() == len(asked)
                for person in PEOPLE:
                    mine = [preference for preference in said if preference.teacher == person]
                    seconds = [p.answered_at - p.shown_at for p in mine if p.shown_at is not None]
                    labels, middle = kept.counts_of(person)
                    assert labels == sum(preference.answer is not Answer.SKIP for preference in mine)
                    assert middle == (pytest.approx(median(seconds)) if seconds else None)


def test_progress_reads_what_is_new_however_many_answers_there_are(tmp_path):
    """Rows that SQLite steps over, as its own count has it, and no clock."""
    steps = {}
    for n in (20, 400):
        with PreferenceStore(tmp_path / f"{n}.db", lasting=False) as store:
            store.post(example_queries(n))
            store.record_all([f"0-{i}" for i in range(n - 9)], [Answer.LEFT] * (n - 9), teacher="ann")
            store.counts()
            store.counts_of("ann")
            store.record(f"0-{n - 9}", Answer.LEFT, teacher="ann")
            done = [0]

            def step(done=done):
                done[0] += 1

            with store._engine.connect() as connection:
                raw = connection.connection.driver_connection
                raw.set_progress_handler(step, 10)
            store.counts()
            store.counts_of("ann")
            store.claim("bob", n=3)
            store.record_in_turn(f"0-{n - 1}", Answer.LEFT, person="cid")
            store.standing("0-3")
            raw.set_progress_handler(None, 0)
            steps[n] = done[0]
    assert 0 < steps[400] < 2 * steps[20]


def test_a_clock_set_back_makes_no_negative_seconds():
    with PreferenceStore() as store:
        store.post(example_queries(1))
        store.record("0-0", Answer.LEFT, teacher="ann", shown_at=3700.0, answered_at=100.0)
        assert store.counts_of("ann").median_seconds == 0
        store.record("0-0", None, teacher="ann")
        assert store.counts_of("ann").median_seconds is None

"""Eight people, each in a process of their own, answer 1600 queries at once."""

import subprocess
import sys
import time

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.store import PreferenceStore

PEOPLE, QUERIES, AT_ONCE = 8, 1600, 10
ANNOTATE = """
import sys
from rlhf_gym.store import PreferenceStore
from rlhf_gym.preferences import Answer
url, who, n = sys.argv[1:]
with PreferenceStore(url) as store:
    while claimed := store.claim(who, n=int(n)):
        for query in claimed:
            store.record(query.id, Answer.LEFT, teacher=who)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return f"sqlite:///{tmp_path / 'preferences.db'}"


def test_annotators_who_answer_at_once_answer_each_query_once(url):
    with PreferenceStore(url) as store:
        store.post(example_queries(QUERIES))
        started = time.perf_counter()
        people = [
            subprocess.Popen([sys.executable, "-c", ANNOTATE, url, f"person {i}", str(AT_ONCE)]) for i in range(PEOPLE)
        ]
        assert [person.wait(timeout=300) for person in people] == [0] * PEOPLE
        seconds = time.perf_counter() - started
        print(f"{url.partition(':')[0]}: {QUERIES / seconds:.0f} answers a second, {PEOPLE} people")
        given = store.history()
        assert sorted(g.query_id for g in given) == sorted(f"0-{i}" for i in range(QUERIES))
        assert len({g.who for g in given}) > 1  # on a busy machine the last to start may find nothing left
        assert (store.counts().labels, store.pending()) == (QUERIES, [])

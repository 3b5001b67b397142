"""One name in many windows: what was acknowledged is never replaced by what was said in another."""

import random
import threading

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore, Taken

WINDOWS, QUERIES = 8, 16


@pytest.fixture(params=["one page", "pages of their own", "postgresql"])
def pages(request, tmp_path):
    """The store as each window's page has it open."""
    url = tmp_path / "preferences.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    stores = [PreferenceStore(url) for _ in range(1 if request.param == "one page" else WINDOWS)]
    yield [stores[i % len(stores)] for i in range(WINDOWS)]
    for store in stores:
        store.close()


def test_every_acknowledged_answer_of_eight_windows_under_one_name_stands(pages):
    pages[0].post(example_queries(QUERIES))
    acknowledged, failures = [], []

    def sit(window, store):
        rng = random.Random(window)  # noqa: S311
        try:
            while claimed := store.claim("ann", n=3):
                answer = rng.choice([Answer.LEFT, Answer.RIGHT, Answer.TIE])
                try:
                    store.record_in_turn(claimed[0].id, answer, person="ann")
                except Taken:
                    continue  # the person was told
                acknowledged.append((claimed[0].id, answer))
        except Exception as error:
            failures.append(error)

    windows = [threading.Thread(target=sit, args=one) for one in enumerate(pages)]
    for window in windows:
        window.start()
    for window in windows:
        window.join()
    assert failures == []
    standing = {preference.query.id: preference.answer for preference in pages[0].preferences()}
    assert len(standing) == QUERIES == len(pages[0].history())
    assert all(standing[id_] is answer for id_, answer in acknowledged)


def test_the_same_answer_again_is_the_one_that_stands_and_another_is_refused_until_it_is_taken_back():
    with PreferenceStore() as store:
        store.post(example_queries(1))
        store.record_in_turn("0-0", Answer.LEFT, person="ann", shown_at=1.0)
        store.record_in_turn("0-0", Answer.LEFT, person="ann", shown_at=9.0)
        [given] = store.history()
        assert given.shown_at == 1.0
        with pytest.raises(Taken, match="query 0-0 was answered by ann already, maybe in another window"):
            store.record_in_turn("0-0", Answer.RIGHT, person="ann")
        store.record("0-0", None, teacher="ann")
        store.record_in_turn("0-0", Answer.RIGHT, person="ann")
        assert store.standing("0-0") == {"ann": Answer.RIGHT}

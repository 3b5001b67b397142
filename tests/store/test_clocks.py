"""Leases under clocks that jump."""

from types import SimpleNamespace

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.store import PreferenceStore, leases


@pytest.fixture
def clock(monkeypatch):
    """A machine's clock, which may be set, and its seconds since it was started, which may not."""
    clock = SimpleNamespace(wall=1e9, ticks=50.0)
    monkeypatch.setattr(leases.time, "time", lambda: clock.wall)
    monkeypatch.setattr(leases, "_ticks", lambda: clock.ticks)
    return clock


def ids(queries):
    return [query.id for query in queries]


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_jumps_changes_no_lease(clock, tmp_path, jump):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post(example_queries(2))
        assert ids(store.claim("ann", lease=120)) == ["0-0"]
        clock.wall += jump
        clock.ticks += 1
        assert store.holders("0-0") == {"ann"} and ids(store.claim("bob")) == ["0-1"]
        clock.ticks += 120
        assert store.holders("0-0") == set() and ids(store.claim("cid")) == ["0-0"]


def test_a_lease_from_before_a_clock_was_set_back_does_not_outlast_a_new_process(clock, tmp_path):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post(example_queries(1))
        store.claim("ann", lease=120)
    clock.wall -= 3600
    with PreferenceStore(tmp_path / "preferences.db") as store:
        assert ids(store.claim("bob")) == ["0-0"]


@pytest.mark.parametrize("jump", [-3600, -60, 60, 3600])
def test_processes_that_began_before_and_after_a_clock_was_set_give_no_query_to_two_people(clock, tmp_path, jump):
    with PreferenceStore(tmp_path / "preferences.db") as early:
        early.post(example_queries(4))
        early.claim("gone", lease=0)
        assert ids(early.claim("ann", lease=100)) == ["0-0"]
        clock.wall += jump
        assert ids(early.claim("bob", lease=100)) == ["0-1"]
        with PreferenceStore(tmp_path / "preferences.db") as late:
            assert ids(late.claim("cid", lease=100)) == ["0-2"] and ids(early.claim("dan")) == ["0-3"]
            clock.wall, clock.ticks = clock.wall + 101, clock.ticks + 101
            assert (
                [late.holders(f"0-{i}") for i in range(3)] == [early.holders(f"0-{i}") for i in range(3)] == [set()] * 3
            )


@pytest.mark.parametrize("jump", [-60, 60])
def test_a_lease_that_had_ended_before_a_clock_was_set_stays_ended(clock, tmp_path, jump):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post(example_queries(2))
        assert ids(store.claim("ann", lease=10)) == ["0-0"]
        clock.wall, clock.ticks = clock.wall + 40, clock.ticks + 40
        clock.wall += jump
        assert ids(store.claim("bob")) == ["0-0"] and store.holders("0-0") == {"bob"}


def test_no_lease_is_longer_than_ten_minutes(clock):
    with PreferenceStore() as store:
        store.post(example_queries(1))
        store.claim("ann", lease=1e6)
        clock.ticks += 599
        assert store.claim("bob") == []
        clock.ticks += 2
        assert ids(store.claim("bob")) == ["0-0"]

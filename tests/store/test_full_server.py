"""A server whose disk is full: what was acknowledged is kept, what couldn't be is waited for, until there is room."""

import os
import shutil
import subprocess
import threading
import time
from itertools import count
from pathlib import Path

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore
from tests.conftest import become_somebody, run_sql


@pytest.fixture
def small_url(postgresql_server):
    """URL of an empty database on a disk of 16 MB, and the path of a file that fills half of it."""
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("needs root, to mount something")
    disk = Path(postgresql_server) / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        become_somebody(str(disk))
        run_sql(postgresql_server, f"CREATE TABLESPACE small LOCATION '{disk}'")
        run_sql(postgresql_server, "CREATE DATABASE small TABLESPACE small")
        yield f"postgresql+psycopg://postgres@/small?host={postgresql_server}", disk
        run_sql(postgresql_server, "DROP DATABASE small WITH (FORCE)")
        run_sql(postgresql_server, "DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
def test_trainer_and_page_wait_for_room_with_a_word_and_lose_nothing(small_url, caplog, monkeypatch):
    monkeypatch.setattr("rlhf_gym.store.patience.SAID_AFTER", 0.0)
    url, disk = small_url
    posted, acknowledged, failed, over = [], [], [], threading.Event()

    def train():
        for seed in count(1):
            if over.is_set():
                return
            trainer.post(example_queries(20, seed=seed))
            posted.append(seed)

    def answer():
        while not over.is_set():
            for query in page.claim("ann", n=3):
                page.record_in_turn(query.id, Answer.LEFT, person="ann")
                acknowledged.append(query.id)

    def to_its_end(work):
        try:
            work()
        except Exception as error:
            failed.append(error)

    def waiting():
        return [said for said in caplog.messages if "it is waited for" in said]

    with PreferenceStore(url) as trainer, PreferenceStore(url) as page:
        trainer.train_alone()
        trainer.post(example_queries(600))
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 200_000))
        threads = [threading.Thread(target=to_its_end, args=(work,)) for work in (train, answer)]
        for thread in threads:
            thread.start()
        until(lambda: failed or len(waiting()) >= 2)  # each store says it once
        before = len(posted), len(acknowledged)
        assert {given.query_id for given in page.history()} >= set(acknowledged[: before[1]])  # reading goes on
        subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
        until(lambda: failed or (len(posted) > before[0] and len(acknowledged) > before[1] + 3))
        over.set()
        for thread in threads:
            thread.join()
        assert not failed
        assert [given.query_id for given in page.history()] == acknowledged
        assert trainer.counts().asked == 600 + 20 * len(posted)
    assert all("No space left on device" in said for said in waiting())
    assert sum("can be written to again" in said for said in caplog.messages) >= 2


def until(there, seconds=300):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)

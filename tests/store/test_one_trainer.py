"""Two trainers never have one store."""

import subprocess
import sys

import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.store import PreferenceStore

TRAIN = """
import sys
from rlhf_gym.store import PreferenceStore
store = PreferenceStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    store.train_alone()
except ValueError as error:
    print(error, flush=True)
else:
    print("in", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return f"sqlite:///{tmp_path / 'preferences.db'}"


def train_alone_in_time(store, url):
    """Wait until the trainer before has gone: a server notices in its own time, a file's lock goes at once."""
    while True:
        try:
            return store.train_alone()
        except BadInput:
            assert url.startswith("postgresql")


def test_of_trainers_that_begin_at_one_instant_one_gets_in_and_the_next_when_it_is_shot(url):
    PreferenceStore(url).close()
    command = [sys.executable, "-c", TRAIN, url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    trainers = [subprocess.Popen(command, **pipes) for _ in range(2)]
    try:
        assert [trainer.stdout.readline() for trainer in trainers] == ["ready\n"] * 2
        for trainer in trainers:
            trainer.stdin.write("\n")
            trainer.stdin.flush()
        said = [trainer.stdout.readline() for trainer in trainers]
        [first] = [trainer for trainer, word in zip(trainers, said, strict=True) if word == "in\n"]
        [refused] = [word for word in said if word != "in\n"]
        assert "is being trained from by " in refused and "end that one first" in refused
        first.kill()
        first.wait()
        with PreferenceStore(url, patience=30) as store:
            train_alone_in_time(store, url)
    finally:
        for trainer in trainers:
            trainer.kill()
            trainer.communicate()


def test_the_next_trainer_gets_in_when_the_first_has_closed_and_leaves_one_file(tmp_path):
    for _ in range(2):
        with PreferenceStore(tmp_path / "preferences.db") as store:
            store.train_alone()
            store.train_alone()  # harmless
            with PreferenceStore(tmp_path / "preferences.db") as other, pytest.raises(ValueError, match="trained from"):
                other.train_alone()
    assert [file.name for file in tmp_path.iterdir()] == ["preferences.db"]


def test_a_lock_that_a_server_lost_is_taken_anew_before_the_next_write_unless_another_has_it(postgresql_url):
    with PreferenceStore(postgresql_url) as first, PreferenceStore(postgresql_url) as second:
        first.train_alone()

        def lose():
            with second._engine.connect() as connection:
                connection.exec_driver_sql(f"SELECT pg_terminate_backend({first._does.trainer._pid})")

        lose()
        first.post([])
        first.drop([])  # a write
        with pytest.raises(ValueError, match="is being trained from"):
            second.train_alone()
        lose()
        while second._does.trainer is None:
            try:
                second.train_alone()
            except ValueError:  # the server hasn't ended it yet
                pass
        with pytest.raises(ValueError, match="is being trained from"):
            first.drop([])


def test_a_run_is_refused_a_store_that_a_trainer_is_in(tmp_path):
    url = f"sqlite:///{tmp_path / 'p.db'}"
    settings = {"env_id": "CartPole-v1", "run_dir": str(tmp_path / "run"), "labels": 10, "total_timesteps": 5000}
    with PreferenceStore(url) as store:
        store.train_alone()
        with pytest.raises(ValueError, match="p.db is being trained from by process"):
            RLHF(RLHFConfig.from_dict({**settings, "feedback": {"store": url}}))
    assert [file.name for file in tmp_path.iterdir()] == ["p.db"]

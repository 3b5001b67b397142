"""Signals end a run as Ctrl-C does; a run outlasts a changed working folder and read-only media."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlhf_gym import cli
from rlhf_gym.config import RLHFConfig
from rlhf_gym.contracts.examples import example_queries
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import RunDirectory, directory, lifecycle, read_run
from rlhf_gym.store import PreferenceStore
from rlhf_gym.verbs.interrupts import Interrupted, interrupted_by_signals

TINY = (
    "--total-timesteps 800 --labels 8 --segment-length 20 --query.rounds 4 --query.warm-up-steps 200 "
    "--agent.n-envs 4 --agent.n-steps 32 --agent.net-arch 8 --reward.steps 5 --evaluation.n-episodes 1"
).split()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_interrupts_and_afterwards_means_what_it_meant(number: signal.Signals, status: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(Interrupted) as stopped, interrupted_by_signals():
            os.kill(os.getpid(), number)
        assert stopped.value.status == status and signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_as_under_nohup_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupted_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_run_that_is_ended_says_how_to_go_on_in_words_for_a_shell(
    number: signal.Signals, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def learn(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), number)
        for _ in range(1000):  # another thread may be told first
            time.sleep(0.01)

    monkeypatch.setattr(RLHF, "learn", learn)
    place = tmp_path / "a run's place"
    usual = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)  # under nohup, or in a shell's background, it may be ignored
    try:
        assert cli.main(["train", "--run-dir", str(place), *TINY]) == status
    finally:
        signal.signal(number, before)
    words = subprocess.run(["sh", "-c", f"printf '%s\\n' {capsys.readouterr().err.rpartition('resume ')[2]}"],
                           capture_output=True, text=True)  # fmt: skip
    assert words.stdout == f"{place}\n"
    monkeypatch.undo()
    assert cli.main(["resume", str(place)]) == 0 and read_run(place).summary["labels"] == 8


def test_a_run_stays_in_its_directory_when_the_working_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"query": {"rounds": 2, "warm_up_steps": 200}, "evaluation": {"n_episodes": 1}}
    agent = {"n_envs": 4, "options": {"n_steps": 32, "batch_size": 64}}
    config = RLHFConfig.for_env("CartPole-v1", labels=4, total_timesteps=600, run_dir="runs/one", agent=agent, **small)
    with closing(RLHF(config)) as rlhf:
        next(rlhf.rounds())
        (tmp_path / "elsewhere").mkdir()
        os.chdir(tmp_path / "elsewhere")
        rlhf.learn()
        assert os.listdir(".") == []
    assert read_run(tmp_path / "runs" / "one").summary["labels"] == 4


def test_two_trainers_are_not_let_into_one_new_directory(tmp_path: Path) -> None:
    with closing(RunDirectory(tmp_path / "run")):
        with pytest.raises(ValueError, match="is being trained by another process"):
            RunDirectory(tmp_path / "run")
    RunDirectory(tmp_path / "run").close()


def test_a_file_system_without_locks_is_used_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(directory.fcntl, "flock", flock)
    with closing(RunDirectory(tmp_path / "run")) as run:
        run.write_json("summary.json", {"labels": 1})


# A finished run where nothing can be written


@pytest.fixture
def medium(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    place = tmp_path / "medium"
    place.mkdir()
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("needs root, to mount something")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def read_only(medium: Path) -> Path:
    """A finished run with answers on a medium that is then made read-only."""
    assert cli.main(["train", "--run-dir", str(medium / "a run"), *TINY]) == 0
    subprocess.run(["mount", "-o", "remount,ro", medium], check=True)
    return medium / "a run"


def test_a_finished_run_on_a_read_only_medium_is_read_by_every_verb_that_looks(
    read_only: Path, tmp_path: Path, capsys: Any
) -> None:
    verbs = {
        "evaluate": ["--n-episodes", "1"],
        "quality": [],
        "export": ["--output", tmp_path / "export"],
        "plot": ["--output", tmp_path / "curve.png"],
        "watch": ["--output", tmp_path / "policy.gif"],
    }
    for verb, words in verbs.items():
        assert cli.main([verb, str(read_only), *map(str, words)]) == 0, (verb, capsys.readouterr().err)
    with closing(RLHF.load(read_only)) as rlhf:
        assert rlhf.labels == 8
    capsys.readouterr()
    assert cli.main(["watch", str(read_only)]) == 2
    assert "a folder that can't be written; use another place" in capsys.readouterr().err
    assert cli.main(["train", "--run-dir", str(read_only.parent / "another"), *TINY]) == 2
    assert "can't be made (Read-only file system)" in capsys.readouterr().err


def test_answers_in_a_file_that_is_only_read_are_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a run?" / "p.db"
    file.parent.mkdir()
    with closing(PreferenceStore(file)) as store:
        store.post(example_queries(3))
    monkeypatch.setattr("rlhf_gym.store.read_only.os.access", lambda *_: False)
    with closing(PreferenceStore(file)) as store:
        assert len(store.open_ids()) == 3
        with pytest.raises(Exception, match="readonly database"):
            store.post(example_queries(5))
    assert os.listdir(file.parent) == ["p.db"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # SB3 leaves policy.zip open
@pytest.mark.parametrize("size", ["100k", "250k", "300k", "400k", "500k", "620k"])
def test_a_run_that_fills_the_disk_says_so_and_is_ended_when_there_is_room(
    size: str, medium: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(lifecycle, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setitem(PreferenceStore.__init__.__kwdefaults__, "patience", 0.5)  # else it waits for room
    subprocess.run(["mount", "-o", f"remount,size={size}", medium], check=True)
    train = ["train", "--run-dir", str(medium / "run"), *TINY]
    assert cli.main(train) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "space left" in said or "disk is full" in said
    kept = (medium / "run" / "config.yaml").exists()
    assert kept or not (medium / "run").exists()
    subprocess.run(["mount", "-o", "remount,size=8m", medium], check=True)
    assert cli.main(["resume", str(medium / "run")] if kept else train) == 0
    assert [row["round"] for row in read_run(medium / "run").metrics] == [0, 1, 2, 3]

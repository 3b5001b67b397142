"""Checkpoints: when one is written, which is used, and what a run that was cut off at any moment goes on from."""

import itertools
import multiprocessing
import os
import random
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from rlhf_gym.config import RLHFConfig
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import checkpoint, directory, lifecycle, read_run
from rlhf_gym.runs.checkpoint import next_round, set_damaged_aside
from rlhf_gym.runs.checksums import find_damage, write_checksums
from rlhf_gym.runs.directory import RunDirectory, is_finished
from rlhf_gym.runs.lifecycle import Checkpoints

SMALL: dict[str, Any] = {
    "env_id": "CartPole-v1",
    "labels": 8,
    "total_timesteps": 800,
    "segment_length": 20,
    "query": {"rounds": 4, "warm_up_steps": 200, "memory_steps": 1000},
    "reward": {"network_options": {"hidden": [8]}, "steps": 5, "batch_size": 4},
    "agent": {
        "n_envs": 4,
        "net_arch": [8],
        "options": {"n_steps": 32, "batch_size": 64, "n_epochs": 1},
    },
    "evaluation": {"n_episodes": 1},
}


def config(run_dir: Path, **settings: Any) -> RLHFConfig:
    return RLHFConfig.from_dict(SMALL).replace(run_dir=str(run_dir), **settings)


def written(directory: Path, *rounds: int) -> list[Path]:
    """Checkpoints after these rounds."""
    places = [directory / f"{number:06d}" for number in rounds]
    for place in places:
        place.mkdir(parents=True)
        (place / "state.json").write_text('{"env_steps": 3}')
        write_checksums(place)
    return places


# Which is used


def test_a_damaged_checkpoint_is_passed_over_named_in_one_line_and_kept_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, newest = written(tmp_path, 1, 2, 4)
    (newest / "state.json").write_text("[]")
    set_damaged_aside(tmp_path)
    said = capsys.readouterr().err
    assert said == f"checkpoint {newest} is damaged (state.json has changed); going on from 000002\n"
    assert next_round(tmp_path) == 3
    assert (tmp_path / "000004.damaged" / "state.json").read_text() == "[]"


def test_whole_checkpoints_are_left_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, 1, 2)
    set_damaged_aside(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["000001", "000002"] and not capsys.readouterr().err


def test_a_run_of_which_no_checkpoint_is_whole_is_refused_and_nothing_is_renamed(tmp_path: Path) -> None:
    for place in written(tmp_path, 1, 2):
        (place / "state.json").unlink()
    with pytest.raises(
        ValueError, match=r"000002 is damaged .*000001 is damaged .* begins again with all answers"
    ) as e:
        set_damaged_aside(tmp_path)
    assert "\n" not in str(e.value) and sorted(os.listdir(tmp_path)) == ["000001", "000002"]


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_with_the_rows_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lifecycle, "CHECKPOINT_SECONDS", 0.0)
    with closing(RLHF(config(tmp_path / "run"))) as rlhf:
        rounds = rlhf.rounds()
        for _ in range(3):
            next(rounds)
    places = tmp_path / "run" / "checkpoints"
    assert sorted(os.listdir(places)) == ["000001", "000002"]
    (places / "000002" / "policy.zip").write_bytes(b"PK")
    with closing(RLHF.resume(tmp_path / "run")) as rlhf:
        assert "000002 is damaged (policy.zip has changed); going on from 000001" in capsys.readouterr().err
        assert (tmp_path / "run" / "metrics.csv").read_text().splitlines()[-1].startswith("1,")
        rlhf.learn()
    assert [row["round"] for row in read_run(tmp_path / "run").metrics] == [0, 1, 2, 3]


def test_who_trains_a_run_is_not_disturbed_by_somebody_who_resumes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "CHECKPOINT_SECONDS", 0.0)
    with closing(RLHF(config(tmp_path / "run"))) as rlhf:
        for _ in zip(range(2), rlhf.rounds(), strict=False):
            pass
        place = tmp_path / "run" / "checkpoints" / "000001"
        (place / "state.json").unlink()
        with pytest.raises(ValueError, match="is being trained by another process, or a run that is not closed"):
            RLHF.resume(tmp_path / "run")
        assert place.exists()
    RLHF.resume(tmp_path / "run").close()
    assert not place.exists()


def test_the_round_to_go_on_with_is_read_once_nobody_else_trains_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = []

    def watched(path: Path) -> int:
        with pytest.raises(BlockingIOError):
            directory.FolderLock(path)
        locked.append(path)
        return next_round(path / "checkpoints")

    with closing(RLHF(config(tmp_path / "run"))) as rlhf:
        next(rlhf.rounds())
    monkeypatch.setattr("rlhf_gym.assembly.finished_rounds", watched)
    RLHF.resume(tmp_path / "run").close()
    assert locked == [tmp_path / "run"]


# When one is written


class Saved:
    """What was to be saved, on a clock that costs make run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.cost, self.rounds = 100.0, 0.0, []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(lifecycle, "to_disk", lambda path: None)
        monkeypatch.setattr(lifecycle, "save_checkpoint", self.save)

    def save(self, directory: Path, finished: int, *_: object, keep: int, **__: object) -> None:
        self.rounds.append(finished)
        self.keep = keep
        self.now += self.cost

    def play(self, kept: Checkpoints, seconds: Sequence[float]) -> list[int]:
        """Save after rounds that take so long; gives those that were saved."""
        self.rounds = []
        for number, long in enumerate(seconds):
            self.now += long
            kept.save(number, *(None,) * 3, last=number == len(seconds) - 1)  # type: ignore[arg-type]
        return self.rounds


def test_a_checkpoint_is_written_every_few_seconds_and_after_the_last_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = Saved(monkeypatch)
    with closing(RunDirectory(tmp_path / "run")) as run:
        kept = Checkpoints(run, often=False, keep=7)
        assert saved.play(kept, [2] * 8) == [2, 5, 7] and saved.keep == 7
        assert saved.play(kept, [60] * 3) == [0, 1, 2]
        assert saved.play(kept, [0.1]) == [0]
        assert saved.play(Checkpoints(run, often=True), [0.1] * 3) == [0, 1, 2]
    assert saved.play(Checkpoints(None, often=True), [60]) == []


def test_checkpoints_that_take_long_take_a_twentieth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = Saved(monkeypatch)
    saved.cost = 3.0
    with closing(RunDirectory(tmp_path / "run")) as run:
        assert saved.play(Checkpoints(run, often=False), [10] * 20) == [0, 6, 12, 18, 19]


# What stays where something fails


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("No space left on device")])
def test_a_checkpoint_that_cannot_be_written_leaves_the_earlier_ones_and_nothing_of_itself(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(lifecycle, "CHECKPOINT_SECONDS", 0.0)
    with closing(RLHF(config(tmp_path / "run"))) as rlhf:
        rounds = rlhf.rounds()
        next(rounds)
        monkeypatch.setattr(checkpoint, "save_file", fail)
        with pytest.raises(OSError, match="No space left"):
            next(rounds)
    assert os.listdir(tmp_path / "run" / "checkpoints") == ["000000"]
    monkeypatch.undo()
    with closing(RLHF.resume(tmp_path / "run")) as rlhf:
        assert rlhf.learn()["labels"] == 8


def test_the_policy_is_saved_before_it_is_evaluated_and_resume_evaluates_it_again_without_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no more seats")

    with monkeypatch.context() as patch, closing(RLHF(config(tmp_path / "run"))) as rlhf:
        patch.setattr("rlhf_gym.reporting.play", fail)
        with pytest.raises(RuntimeError, match="no more seats"):
            rlhf.learn()
        steps = rlhf.agent.steps
    policy = (tmp_path / "run" / "policy.zip").stat().st_size
    assert policy > 1000 and not (tmp_path / "run" / "summary.json").exists()
    with closing(RLHF.resume(tmp_path / "run")) as rlhf:
        monkeypatch.setattr(rlhf, "improve", fail)
        assert rlhf.agent.steps == steps
        assert rlhf.learn()["labels"] == 8
    assert len(read_run(tmp_path / "run").metrics) == 4


def test_a_run_whose_summary_was_cut_is_not_finished(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path / "run"))) as rlhf:
        whole = rlhf.learn()
    summary = tmp_path / "run" / "summary.json"
    for cut in ("", '{"labels": ', "[]", "{}"):
        summary.write_text(cut)
        with pytest.raises(ValueError, match=r"summary.json of .* is damaged .*rlhf-gym resume .*run write"):
            read_run(tmp_path / "run")
    with closing(RLHF.resume(tmp_path / "run")) as rlhf:
        again = rlhf.learn()
    assert read_run(tmp_path / "run").summary == again
    for name in ("labels", "total_timesteps", "true_return_mean", "true_return_std", "reward_accuracy_heldout"):
        assert again[name] == whole[name]


# Killed


def learn(run_dir: Path, prepare: Callable[[], None] = lambda: None) -> None:
    """Begin a run or go on with it, to its end."""
    prepare()
    lifecycle.CHECKPOINT_SECONDS = 0.0
    begun = (run_dir / "config.yaml").exists()
    with closing(RLHF.resume(run_dir) if begun else RLHF(config(run_dir))) as rlhf:
        rlhf.learn()


def in_a_process(run_dir: Path, prepare: Callable[[], None] = lambda: None) -> Any:
    """Start :func:`learn` in a copy of this process."""
    process = multiprocessing.get_context("fork").Process(target=learn, args=(run_dir, prepare))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where another test has imported JAX, which the copy never calls
        process.start()
    return process


def kill_itself(owner: Any, name: str, *, at: int, after: bool = False) -> Callable[[], None]:
    """Have a process kill itself when a function is called for the `at`-th time, before it or after it."""
    real, calls = getattr(owner, name), []

    def then_die(*args: Any, **named: Any) -> Any:
        calls.append(name)
        found = real(*args, **named) if after or len(calls) != at else None
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return lambda: setattr(owner, name, then_die)


def check_is_whole(run_dir: Path) -> None:
    """A finished run with every row, every answer once, and no file damaged."""
    run = read_run(run_dir)
    assert [row["round"] for row in run.metrics] == [0, 1, 2, 3]
    assert (run.summary["labels"], run.summary["asked"]) == (8, 8)
    assert all(find_damage(place) is None for place in (run_dir / "checkpoints").iterdir())
    assert not [path for path in run_dir.rglob("*") if path.name.endswith((".new", ".damaged")) or path.name == "new"]
    with closing(RLHF.load(run_dir)) as rlhf:
        assert rlhf.labels == rlhf.store.counts().asked == 8


@pytest.mark.parametrize(
    "moment",
    [
        kill_itself(checkpoint, "write_checksums", at=2),
        kill_itself(checkpoint, "write_checksums", at=2, after=True),
        kill_itself(shutil, "rmtree", at=7),
        kill_itself(lifecycle, "move_files", at=1),
        kill_itself(RunDirectory, "write_json", at=1),
        kill_itself(RunDirectory, "write_json", at=2),
        kill_itself(RLHFConfig, "to_yaml", at=1, after=True),
    ],
    ids=["in a checkpoint", "before its name", "in tidying", "in saving", "at the start", "at the end", "at once"],
)
def test_a_run_killed_while_it_writes_is_resumed_to_its_whole(moment: Callable[[], None], tmp_path: Path) -> None:
    process = in_a_process(tmp_path / "run", moment)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    process = in_a_process(tmp_path / "run")
    process.join()
    assert process.exitcode == 0
    check_is_whole(tmp_path / "run")


@pytest.mark.slow
def test_a_run_killed_at_fifty_random_moments_is_resumed_to_its_whole(tmp_path: Path) -> None:
    chance, kills, runs = random.Random(0), 0, itertools.count()
    while kills < 50:
        run_dir = tmp_path / str(next(runs))
        process = in_a_process(run_dir)
        while kills < 50:
            process.join(chance.uniform(0.05, 1.5))
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            kills += 1
            if is_finished(run_dir):  # killed between its last file and its end
                break
            process = in_a_process(run_dir)
        process.join()
        assert process.exitcode == 0 or is_finished(run_dir)
        check_is_whole(run_dir)

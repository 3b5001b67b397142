"""What a run that fails clears away: what it made itself, where nobody's time and no finished round went into it."""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from rlhf_gym import cli
from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import RunDirectory, lifecycle
from rlhf_gym.runs.directory import FOLDERS
from rlhf_gym.runs.strange_files import check_entries
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import Teacher

TINY = (
    "--total-timesteps 800 --labels 8 --segment-length 20 --query.rounds 4 --query.warm-up-steps 200 "
    "--agent.n-envs 4 --agent.n-steps 32 --agent.net-arch 8 --reward.steps 5 --evaluation.n-episodes 1"
).split()
CONTROL = ["--reward.source", "true", "--labels", "0"]


class Fails(RuntimeError):
    """A simulator's own error."""


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has every CartPole fail from its process's n-th step on; None mends it."""
    real, steps, fails_at = CartPoleEnv.step, [0], [None]

    def step(env: CartPoleEnv, action: int) -> Any:
        steps[0] += 1
        if fails_at[0] is not None and steps[0] >= fails_at[0]:
            raise Fails("lost the connection")
        return real(env, action)

    def set_(at: int | None) -> None:
        steps[0], fails_at[0] = 0, at

    monkeypatch.setattr(CartPoleEnv, "step", step)
    return set_


def train(run_dir: object, *words: str) -> int:
    return cli.main(["train", "--env-id", "CartPole-v1", "--run-dir", str(run_dir), *TINY, *words])


@pytest.mark.parametrize("held", FOLDERS)
def test_a_directory_that_holds_a_folder_as_a_run_has_is_refused_and_left_as_it_is(held: str, tmp_path: Path) -> None:
    (tmp_path / held).mkdir()
    (tmp_path / held / "important.pt").write_text("mine")
    with pytest.raises(ValueError, match=rf"already holds a run \({held}\); use another directory"):
        RunDirectory(tmp_path)
    assert (tmp_path / held / "important.pt").read_text() == "mine"
    RunDirectory(tmp_path / "free").close()


def test_a_failing_train_deletes_no_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: Any
) -> None:
    files = ("notes.txt", "data/events.out.tfevents.1", "policy.zip.bak", "config.yml")
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    monkeypatch.chdir(tmp_path)
    failing(40)
    assert train(".") == 2
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == sorted(files)


def test_what_somebody_put_there_meanwhile_stays(tmp_path: Path) -> None:
    with closing(RunDirectory(tmp_path / "run")) as run:
        for name in ("config.yaml", "tensorboard/events.out.tfevents.1", "tensorboard/mine", "checkpoints/mine"):
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).write_text("")
        run.discard()
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["run/checkpoints/mine", "run/tensorboard/mine"]


def test_a_run_whose_environment_fails_before_the_first_round_is_over_can_begin_again_there(
    tmp_path: Path, failing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for at in (40, 250):  # in the warm-up, and after the first answers
        failing(at)
        for place in ("new", "empty"):
            assert train(tmp_path / place) == 2
    assert os.listdir(tmp_path) == ["empty"] and not os.listdir(tmp_path / "empty")
    assert "to go on" not in capsys.readouterr().err
    failing(None)
    assert train(tmp_path / "empty") == 0


@pytest.mark.parametrize("words", [[], CONTROL], ids=["labels", "control"])
def test_a_run_that_has_finished_a_round_is_kept_whatever_fails_and_resume_ends_it(
    words: Sequence[str], tmp_path: Path, failing: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(lifecycle, "CHECKPOINT_SECONDS", 0.0)
    place = tmp_path / "a run"
    failing(560)
    assert train(place, *words) == 2
    assert f"the run is kept; to go on: rlhf-gym resume '{place}'" in capsys.readouterr().err
    kept = sorted(os.listdir(place / "checkpoints"))
    assert kept
    assert cli.main(["resume", str(place)]) == 2  # as it isn't mended
    assert "damaged" not in capsys.readouterr().err
    failing(None)
    monkeypatch.setattr("rlhf_gym.parts.Parts.collect", _refuse)
    with pytest.raises(ValueError, match="nothing to ask"):
        cli_resume(place)
    assert sorted(os.listdir(place / "checkpoints")) == kept
    monkeypatch.undo()
    capsys.readouterr()
    assert train(place, *words) == 2
    assert f"or go on with it: rlhf-gym resume '{place}'" in capsys.readouterr().err
    assert cli.main(["resume", str(place)]) == 0


def cli_resume(place: Path) -> None:
    with closing(RLHF.resume(place)) as rlhf:
        rlhf.learn()


def _refuse(*_: object) -> None:
    raise ValueError("nothing to ask")


class Expert(Teacher):
    """Somebody's own way to ask, which costs something."""

    name = "expert"

    def answer(self, queries: Sequence[Query]) -> Any:
        raise Fails("went home")


def test_what_was_asked_of_people_or_of_somebodys_own_teacher_is_kept(tmp_path: Path) -> None:
    config = RLHFConfig.for_env(
        "CartPole-v1", labels=4, total_timesteps=3000, query={"warm_up_steps": 200}, run_dir=str(tmp_path / "run")
    )
    with closing(RLHF(config, teacher=Expert())) as rlhf, pytest.raises(Fails):
        rlhf.learn()
    with closing(PreferenceStore(tmp_path / "run" / "preferences.db")) as store:
        assert store.counts().asked
    assert (tmp_path / "run" / "config.yaml").exists()


def test_a_link_to_itself_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(BadInput, match="link is a link to itself; remove it"):
        check_entries(tmp_path)

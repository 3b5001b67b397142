"""What is open is closed: when a run can't be made or read, and when one of its parts fails to close."""

from contextlib import closing

import gymnasium
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.envs import Recorder

SMALL = {
    "env_id": "CartPole-v1",
    "labels": 4,
    "total_timesteps": 800,
    "segment_length": 20,
    "query": {"rounds": 2, "warm_up_steps": 200},
    "reward": {"ensemble_size": 1, "steps": 5},
    "agent": {"n_envs": 2, "net_arch": [8], "options": {"n_steps": 50, "batch_size": 50, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}


def config(**settings):
    return RLHFConfig.from_dict(SMALL).replace(**settings)


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """Recorders that are open, with their environments."""
    found, made, close = [], Recorder.__init__, Recorder.close

    def opens(self, *args, **settings):
        made(self, *args, **settings)
        found.append(self)

    def closes(self):
        found.remove(self)
        close(self)

    monkeypatch.setattr(Recorder, "__init__", opens)
    monkeypatch.setattr(Recorder, "close", closes)
    return found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"segment_length": 501}, "segment_length is 501"),
        ({"algo": "sac", "agent": {"options": {}}}, "algo is sac, which can't take the actions"),
        ({"agent": {"restart_steps": 5000}}, "restart_steps is 5000"),
        ({"agent": {"start": "nowhere"}}, "nowhere"),
        ({"query": {"shown": 0.5}, "agent": {"restart_steps": 5000}}, "restart_steps is 5000"),
        ({"teacher": "noisy", "teacher_options": {"error_rate": 3}}, "error_rate"),
    ],
)
def test_a_run_that_cannot_be_made_leaves_nothing_open(settings, message, opened, tmp_path):
    if "algo" in settings:
        made = RLHFConfig.from_dict({**SMALL, **settings, "run_dir": str(tmp_path / "run")})
    else:
        made = config(**settings, run_dir=str(tmp_path / "run"))
    with pytest.raises(ValueError, match=message):
        RLHF(made)
    assert not opened and not (tmp_path / "run").exists()


def test_a_run_that_cannot_be_resumed_leaves_nothing_open_and_can_be_resumed_after_that(opened, tmp_path, monkeypatch):
    with closing(RLHF(config(run_dir=str(tmp_path / "run")))) as rlhf:
        next(rlhf.rounds())
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr("rlhf_gym.assembly.make_method", lambda *args: (_ for _ in ()).throw(OSError("no space")))
        RLHF.resume(tmp_path / "run")
    assert not opened
    RLHF.resume(tmp_path / "run").close()
    assert not opened


def test_a_saved_run_that_cannot_be_read_leaves_nothing_open(opened, tmp_path):
    with closing(RLHF(config())) as rlhf:
        rlhf.save(tmp_path / "saved")
    (tmp_path / "saved" / "policy.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"policy\.zip"):
        RLHF.load(tmp_path / "saved")
    assert not opened


def test_why_a_run_cannot_be_made_is_told_even_if_its_environment_does_not_close(monkeypatch):
    monkeypatch.setattr(gymnasium.envs.classic_control.CartPoleEnv, "close", fails)
    with pytest.raises(ValueError, match="restart_steps is 5000"):
        RLHF(config(agent={"restart_steps": 5000}))


def test_an_environment_that_does_not_close_keeps_neither_store_nor_directory(tmp_path, monkeypatch):
    rlhf = RLHF(config(run_dir=str(tmp_path / "run")))
    next(rlhf.rounds())
    with monkeypatch.context() as patch, pytest.raises(OSError, match="the simulator is gone"):
        patch.setattr(gymnasium.envs.classic_control.CartPoleEnv, "close", fails)
        rlhf.close()
    with closing(RLHF.resume(tmp_path / "run")) as resumed:
        assert list(resumed.rounds())


def fails(env):
    raise OSError("the simulator is gone")

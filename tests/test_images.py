"""A whole run on images: kept as bytes, resumed bit for bit, drawn, exported, or flat where it is earlier."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import yaml
from gymnasium import spaces

from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs.replay import replay
from rlhf_gym.reporting import evaluate
from rlhf_gym.reward_report import relearn
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import lifecycle
from rlhf_gym.store.exchange import export, read_preferences

ENV_ID = "WholeImages/Grey-v0"


class Grey(gymnasium.Env[Any, Any]):
    """Four grey frames in a stack, as Atari's are seen; what is paid is how light the latest one is."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space, action_space = spaces.Box(0, 255, (36, 36, 4), np.uint8), spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.light, self.frames = 100, np.zeros((36, 36, 4), np.uint8)
        return self.frames.copy(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.light = int(np.clip(self.light + (20 if action else -20) + self.np_random.integers(-5, 6), 0, 250))
        self.frames = np.roll(self.frames, -1, axis=2)
        self.frames[..., -1] = self.light + self.np_random.integers(0, 6, (36, 36))
        return self.frames.copy(), self.light / 250, False, False, {}

    def render(self) -> Any:
        return np.repeat(self.frames[..., -1:], 3, axis=2)


SMALL: dict[str, Any] = {
    "env_id": ENV_ID,
    "labels": 4,
    "total_timesteps": 96,
    "segment_length": 5,
    "query": {"rounds": 2, "warm_up_steps": 32, "memory_steps": 100},
    "reward": {"network_options": {"hidden": [4]}, "steps": 2, "batch_size": 2, "ensemble_size": 2},
    "agent": {"n_envs": 2, "options": {"n_steps": 16, "batch_size": 16, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}


@pytest.fixture(autouse=True)
def registered() -> Any:
    gymnasium.register(ENV_ID, entry_point=Grey, max_episode_steps=20)
    yield
    del gymnasium.registry[ENV_ID]


def config(run_dir: Path, **settings: Any) -> RLHFConfig:
    return RLHFConfig.from_dict(SMALL).replace(run_dir=str(run_dir), **settings)


def weights(rlhf: RLHF) -> dict[str, torch.Tensor]:
    """Of policy and reward model."""
    method: Any = rlhf.method
    return {**rlhf.agent.sb3.policy.state_dict(), **method.learner.model.state_dict()}


@pytest.mark.slow
def test_a_run_on_images_is_resumed_bit_for_bit_drawn_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "CHECKPOINT_SECONDS", 0.0)
    with closing(RLHF(config(tmp_path / "whole"))) as rlhf:
        rlhf.learn()
        wanted = weights(rlhf)
        assert rlhf.method.learner.model.images == "cnn"  # type: ignore[attr-defined]
        assert type(rlhf.agent.sb3.policy).__name__ == "ActorCriticCnnPolicy"
        kept = list(rlhf.preferences)
        export(rlhf.answers.store, tmp_path / "export")
    with closing(RLHF(config(tmp_path / "halved"))) as rlhf:
        next(rlhf.rounds())
    with closing(RLHF.resume(tmp_path / "halved")) as rlhf:
        rlhf.learn()
        found = weights(rlhf)
    assert list(found) == list(wanted) and all(torch.equal(found[name], wanted[name]) for name in wanted)

    segments = [segment for preference in kept for segment in preference.query.options]
    assert {segment.observations.dtype for segment in segments} == {np.dtype(np.uint8)}
    assert replay(segments[0]).shape == (len(segments[0].actions) + 1, 36, 36, 3)
    for before, after in zip(kept, read_preferences(tmp_path / "export"), strict=True):
        assert np.array_equal(after.query.left.observations, before.query.left.observations)
        assert after.query.left.observations.dtype == np.uint8


@pytest.mark.slow
def test_a_reward_learned_from_images_is_relearned_and_pays_its_run_s_policy_as_the_run_did(tmp_path: Path) -> None:
    with closing(RLHF(config(tmp_path / "run"))) as rlhf:
        rlhf.learn()
        pay = rlhf.method.learner.model.reward_function()  # type: ignore[attr-defined]
        [episode] = evaluate(rlhf.predict, rlhf.config, seed=rlhf.config.seed)
        paid = pay(episode.observations[:-1], episode.actions, episode.observations[1:]).sum()
    found = relearn(tmp_path / "run", seeds=[5])
    assert found.own.learned_return_mean == pytest.approx(paid)


def test_a_run_directory_that_does_not_say_how_images_are_seen_is_of_a_version_that_saw_them_flat(
    tmp_path: Path,
) -> None:
    RLHFConfig.from_dict(SMALL).to_yaml(tmp_path / "config.yaml")
    assert RLHFConfig.from_run(tmp_path / "config.yaml").reward.images is None
    settings = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del settings["reward"]["images"], settings["agent"]["images"]
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    earlier = RLHFConfig.from_run(tmp_path / "config.yaml")
    assert (earlier.reward.images, earlier.agent.images) == ("flat", "flat")
    assert RLHFConfig.from_yaml(tmp_path / "config.yaml").reward.images is None  # settings for a new run

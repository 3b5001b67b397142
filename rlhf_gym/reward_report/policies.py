"""Policies whose steps a learned reward is judged on: the run's own, its untrained form, and random actions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlhf_gym.assembly import make_policy, make_recorder, random_streams
from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.evaluation import Predict, play
from rlhf_gym.saved_policy import saved_policy
from rlhf_gym.segments import Array, Trajectory

SOURCES = {
    "policy": "the run's policy as it explores",
    "deterministic": "the run's policy, deterministic",
    "untrained": "that policy before any training, exploring (no early checkpoint is kept)",
    "random": "uniform actions",
}
"""The policies, by name."""


class Policy(NamedTuple):
    """A policy's name, and its function from a batch of observations to actions."""

    name: str
    predict: Predict


def fresh_trajectories(run_dir: Path, config: RLHFConfig, *, n_episodes: int, seed: int) -> dict[str, list[Trajectory]]:
    """Play fresh episodes of each policy of `SOURCES`, in the run's environment and at its horizon.

    A run keeps only its last checkpoints, so the only early policy is an untrained one: the initial weights of the
    run's seed and settings, even if `agent.start` then replaced them by another policy's.

    Args:
        run_dir: A finished run.
        config: Its settings.
        n_episodes: Of each policy.
        seed: Of episodes and actions.

    Raises:
        BadInput: If its policy can't be read.
    """
    seeds = np.random.SeedSequence(seed).generate_state(len(SOURCES))
    return {
        policy.name: play(
            policy.predict,
            config.env_id,
            env_kwargs=config.env_kwargs,
            n_episodes=n_episodes,
            seed=int(one),
            fixed_horizon=config.env.fixed_horizon,
            n_envs=config.evaluation.n_envs,
            step_seconds=config.env.step_seconds,
        )
        for policy, one in zip(_policies(run_dir, config, seed), seeds, strict=True)
    }


def _policies(run_dir: Path, config: RLHFConfig, seed: int) -> Iterator[Policy]:
    """Yield the policies one after the other, as each sets the seed of its actions."""
    trained = saved_policy(run_dir, config)
    trained.sb3.set_random_seed(seed)
    yield Policy("policy", lambda observations: (trained.explore(observations), None))
    yield Policy("deterministic", partial(trained.predict, deterministic=True))
    streams = random_streams(config.seed)
    with closing(VecLearnedReward(make_recorder(config, streams["envs"]))) as venv:
        agent = make_policy(config, venv, streams["agent"])
        agent.sb3.set_random_seed(seed)
        yield Policy("untrained", lambda observations: (agent.explore(observations), None))
        venv.action_space.seed(seed)
        yield Policy("random", lambda observations: (_drawn(venv.action_space.sample, len(observations)), None))


def _drawn(sample: object, n: int) -> Array:
    return np.stack([sample() for _ in range(n)])  # type: ignore[operator]

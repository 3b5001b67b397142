"""From settings to the parts of a run: environments, teacher, agent, reward model, and what is paid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat
from stable_baselines3.common.vec_env import VecEnv

from rlhf_gym.agents import make_ppo
from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import Recorder, RewardFunction, make_vec_env
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.segments import Origin, Trajectory
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import PEOPLE, Goal, OracleTeacher, People, RandomTeacher, Teacher, Waiting, goal_rewards

STREAMS = ("envs", "agent", "queries", "model", "reward", "teacher", "evaluation")


def random_streams(*seed: int) -> dict[str, np.random.Generator]:
    """One generator for each part, all from one seed: what one part draws doesn't change the others."""
    children = np.random.SeedSequence(seed).spawn(len(STREAMS))
    return {name: np.random.default_rng(child) for name, child in zip(STREAMS, children, strict=True)}


def pick(group: object, names: str) -> dict[str, Any]:
    """Some settings of a group, as keyword arguments."""
    return {name: getattr(group, name) for name in names.split()}


def make_recorder(config: RLHFConfig, rng: np.random.Generator) -> Recorder:
    """The environments, below what records them.

    Raises:
        ValueError: If episodes have no limit, or none is as long as a segment.
    """
    recorder = make_vec_env(
        Origin(config.env_id, 0, config.env_kwargs, config.env.fixed_horizon),
        n_envs=config.agent.n_envs,
        memory_steps=config.query.memory_steps,
        rng=rng,
    )
    spec = recorder.get_attr("spec", 0)[0]
    limit = spec.max_episode_steps if spec else None
    if limit is None:
        raise ValueError(
            f"env_id is {config.env_id}, which sets no limit to its episodes, so that an evaluation may never end; "
            'set one: env_kwargs {"max_episode_steps": 1000}'
        )
    longest = config.env.fixed_horizon or limit
    if config.segment_length > longest:
        raise ValueError(
            f"segment_length is {config.segment_length} but an episode of {config.env_id} has at most {longest} steps; "
            f"use segment_length <= {longest}"
        )
    return recorder


def make_teacher(
    config: RLHFConfig, goal: Goal | None, store: PreferenceStore, waiting: Waiting, rng: np.random.Generator
) -> Teacher:
    """Who answers."""
    if config.teacher in PEOPLE:
        return People(store, name=config.teacher, waiting=waiting)
    if config.teacher == "random":
        return RandomTeacher(seed=int(rng.integers(2**31)))
    return OracleTeacher(goal=goal)


def open_store(config: RLHFConfig, *, finished_rounds: int | None = None) -> PreferenceStore:
    """Where queries are posted and answered.

    Args:
        config: All settings.
        finished_rounds: Of a run that is resumed; None where it begins, so that its store has to be empty.

    Raises:
        ValueError: If a new run's store holds queries, or a resumed run's holds none.
    """
    if config.feedback.store is None and config.run_dir is None:
        return PreferenceStore()
    place = config.feedback.store or Path(config.run_dir or "") / "preferences.db"
    store = PreferenceStore(place, lasting=config.teacher in PEOPLE)
    asked = store.counts().asked
    wrong = ""
    if finished_rounds is None and asked:
        wrong = f"feedback.store holds {asked} queries of another run; give each run a database of its own"
    elif finished_rounds and not asked and config.reward.source == "learned":
        wrong = f"the run has finished {finished_rounds} rounds, but its store is empty; bring back {store.place}"
    if wrong:
        store.close()
        raise ValueError(wrong)
    return store


def make_agent(config: RLHFConfig, venv: VecEnv, rng: np.random.Generator) -> PPO:
    """Who learns the policy; it logs to the run directory's TensorBoard file."""
    torch.set_num_threads(config.agent.torch_threads)
    agent = make_ppo(
        venv,
        seed=int(rng.integers(2**31)),
        **pick(config.agent, "n_steps batch_size n_epochs learning_rate clip_range gamma gae_lambda ent_coef vf_coef"),
        **pick(config.agent, "max_grad_norm net_arch log_std_init normalize_observations"),
    )
    folder: list[KVWriter] = [TensorBoardOutputFormat(f"{config.run_dir}/tensorboard")] if config.run_dir else []
    agent.set_logger(Logger(None, folder))
    return agent


def make_reward(
    config: RLHFConfig, venv: VecEnv, model_rng: np.random.Generator, fit_rng: np.random.Generator
) -> RewardLearner:
    """The reward model and what fits it."""
    model = RewardModel(
        venv.observation_space,
        venv.action_space,
        seed=int(model_rng.integers(2**31)),
        **pick(config.reward, "ensemble_size hidden inputs"),
    )
    return RewardLearner(
        model, rng=fit_rng, **pick(config.reward, "steps batch_size learning_rate l2 l2_sample random_share")
    )


def reward_function(config: RLHFConfig, goal: Goal | None, model: RewardModel) -> RewardFunction | None:
    """What is paid from now on; None is the environment's own reward."""
    if config.reward.source == "constant":
        return lambda observations, *_: np.full(len(observations), config.reward.constant, np.float32)
    if config.reward.source in ("true", "true_scaled"):
        return (lambda obs, act, next_obs, _: goal_rewards(goal, obs, act, next_obs)) if goal else None
    return model.reward_function()


def true_size(trajectories: Sequence[Trajectory], goal: Goal | None, *, shift: bool) -> tuple[float, float]:
    """What to subtract from the true reward and to divide it by, for the size that a learned one has.

    Args:
        trajectories: Steps to take it from.
        goal: What is paid in place of the environment's reward, if anything.
        shift: As :meth:`rlhf_gym.rewards.RewardModel.rescale` takes it.
    """
    if goal is None:
        rewards = np.concatenate([t.rewards for t in trajectories])
    else:
        steps = [(t.observations[:-1], t.actions, t.observations[1:]) for t in trajectories]
        rewards = goal_rewards(goal, *(np.concatenate(arrays) for arrays in zip(*steps, strict=True)))
    zero = float(rewards.mean()) if shift else 0.0
    return zero, max(float(np.sqrt(np.square(rewards - zero).mean())), 1e-6)

"""Measures of a policy during training: both returns, divergence, and signals known without the true reward."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from rlhf_gym.agents.reference import Reference
from rlhf_gym.queries import sample_candidates
from rlhf_gym.queries.schemes.disagreement import spread
from rlhf_gym.rewards import RewardModel
from rlhf_gym.segments import Array, Segment, Trajectory
from rlhf_gym.teachers import Goal, goal_returns, true_returns
from rlhf_gym.teachers.goals import goal_rewards

N_QUERIES = 100
AT_ONCE = 2**12  # steps


def mean_kl(policy: ActorCriticPolicy, start: Reference, trajectories: Sequence[Trajectory]) -> float:
    """Compute the exact KL(policy || start) in nats, averaged over the steps of the policy's own trajectories."""
    observations, actions, _ = steps_of(trajectories)
    return float(start.compare(policy, observations, actions.reshape(len(actions), -1))[0].mean())


def steps_of(trajectories: Sequence[Trajectory | Segment]) -> tuple[Array, Array, Array]:
    """Concatenate the steps of all: observations, actions, next observations."""
    steps = [(t.observations[:-1], t.actions, t.observations[1:]) for t in trajectories]
    return tuple(np.concatenate(parts) for parts in zip(*steps, strict=True))  # type: ignore[return-value]


class Signals(NamedTuple):
    """What can be known without the true reward; `accuracy` costs labels."""

    least: float
    """Mean return of the episodes by the member that gives them least, each member scaled and shifted as it is paid."""
    disagreement: float
    """Members' standard deviation, averaged over the steps, as a multiple of that over the labelled steps."""
    spread: float
    """Members' standard deviation of P(left preferred), averaged over queries, as in :class:`Round.disagreement`."""
    accuracy: float
    """Share of these queries that the reward model answers as the teacher; chance is one half."""


class Watch:
    """Computes a reward model's signals on rollouts.

    Args:
        model: The frozen reward model.
        labelled: The segments that its answers were about.
        goal: What the teacher wants; None is the environment's reward.
        length: Steps of a query's segments.
    """

    def __init__(self, model: RewardModel, labelled: Sequence[Segment], goal: Goal | None, length: int) -> None:
        self._model, self._length = model, length
        self._worth: Callable[[Sequence[Segment]], Array] = goal_returns(goal) if goal else true_returns
        rewards = self.step_rewards(*steps_of(labelled))
        # The likelihood doesn't determine a member's zero where options have equally many steps.
        self._zero = rewards.mean(axis=1, keepdims=True)
        self._usual = max(float((rewards - self._zero).std(axis=0).mean()), 1e-6)

    @torch.inference_mode()
    def step_rewards(self, *steps: Array) -> Array:
        """Compute each member's own reward of each step, shape (M, S)."""
        inputs = self._model.encode(*steps)
        return np.asarray(torch.cat([self._model(part) for part in torch.split(inputs, AT_ONCE)], dim=1).numpy())

    def signals(
        self, trajectories: Sequence[Trajectory], rng: np.random.Generator, *, n_queries: int = N_QUERIES
    ) -> Signals:
        """Compute the signals on trajectories, and on queries drawn from them uniformly."""
        rewards = self.step_rewards(*steps_of(trajectories))
        scale, shift = (part.numpy()[:, None] for part in (self._model.output_scale, self._model.output_shift))
        candidates = sample_candidates(
            trajectories, length=self._length, n=n_queries, rng=rng, step_scores=self.step_rewards
        )
        queries = candidates.queries()
        worth = self._worth([option for query in queries for option in query.options]).reshape(-1, 2)
        ahead = np.sign(worth[:, 0] - worth[:, 1])
        scores = candidates.scores.mean(axis=0)
        thought = np.sign(scores[:, 0] - scores[:, 1])
        told = ahead != 0
        right = (1 + thought[told] * ahead[told]) / 2
        return Signals(
            float((rewards * scale + shift).sum(axis=1).min()) / len(trajectories),
            float((rewards - self._zero).std(axis=0).mean()) / self._usual,
            float(spread(candidates.probabilities).mean()),
            float(right.mean()) if told.any() else math.nan,
        )


def gold_returns(trajectories: Sequence[Trajectory], goal: Goal | None) -> Array:
    """Compute each episode's true return, or its return by the goal, shape (N,)."""
    if goal is None:
        return np.array([t.true_return for t in trajectories])
    return np.array(
        [goal_rewards(goal, t.observations[:-1], t.actions, t.observations[1:]).sum() for t in trajectories]
    )


def proxy_returns(trajectories: Sequence[Trajectory], pay: Any) -> Array:
    """Compute each episode's learned return, shape (N,)."""
    lengths = np.cumsum([len(t) for t in trajectories])[:-1]
    steps = steps_of(trajectories)
    return np.array([part.sum() for part in np.split(pay(*steps, np.zeros(len(steps[1]), bool)), lengths)])

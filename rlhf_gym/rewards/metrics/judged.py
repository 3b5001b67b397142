"""The data that metrics judge a learned reward on: trajectories with both rewards of their steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from rlhf_gym.rewards.metrics.coverage import Coverage, cover
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.segments import Array, Segment, Trajectory, count_windows

StepRewards = Callable[[Array, Array, Array], Array]
"""Observations (S, *obs), actions (S, *act) and next observations (S, *obs) -> rewards (S,)."""
AT_ONCE = 2**14  # steps evaluated in one go, which bounds the memory it takes


@dataclass(frozen=True, eq=False)
class Judged:
    """N trajectories with the learned and the true reward of each step.

    Args:
        trajectories: Whole episodes, L steps each.
        learned: The model's paid rewards of each trajectory's steps, each of shape (L,).
        true: The true rewards, likewise.
        members: Each member's own reward, as the likelihood uses it, each of shape (M, L).
        inputs: What the model sees of each step, each of shape (L, D).
        labelled: The same of each labelled segment, each of shape (lived, D).
        segment_length: Steps T of a segment.
        gamma: The agent's discount.
        learned_function: The model's paid reward of any step.
        true_function: The true reward of any step; None where it isn't known, like the environment's own, which is
            known only for steps that were taken.
        true_explained: Share of the true reward's variance that `true_function` explains, at most 1.
    """

    trajectories: Sequence[Trajectory]
    learned: Sequence[Array]
    true: Sequence[Array]
    members: Sequence[Array]
    inputs: Sequence[Array]
    labelled: Sequence[Array]
    segment_length: int
    gamma: float
    learned_function: StepRewards
    true_function: StepRewards | None = None
    true_explained: float = 0.0

    @cached_property
    def steps(self) -> tuple[Array, Array, Array]:
        """Observations, actions and next observations of all trajectories, one after the other, S steps."""
        each = [(t.observations[:-1], t.actions, t.observations[1:]) for t in self.trajectories]
        observations, actions, following = (np.concatenate(arrays) for arrays in zip(*each, strict=True))
        return observations, actions, following

    @cached_property
    def step_rewards(self) -> Array:
        """The learned and the true reward of each step, float64, shape (2, S)."""
        return np.stack([np.concatenate(self.learned), np.concatenate(self.true)]).astype(np.float64)

    @cached_property
    def member_rewards(self) -> Array:
        """Each member's own reward of each step, shape (M, S)."""
        return np.concatenate(self.members, axis=1)

    @cached_property
    def covered(self) -> Coverage:
        """How far the steps are from the labelled ones (:func:`~rlhf_gym.rewards.metrics.coverage.cover`)."""
        return cover(np.concatenate(self.inputs), self.labelled)

    @cached_property
    def segment_returns(self) -> Array:
        """Returns of every segment that can be cut: learned, true, and by each member, shape (2 + M, windows).

        Raises:
            BadInput: If no segment can be cut.
        """
        counts = count_windows(self.trajectories, self.segment_length)
        rewards = [np.vstack(both) for both in zip(self.learned, self.true, self.members, strict=True)]
        return np.hstack([_sums(one, n, self.segment_length) for one, n in zip(rewards, counts, strict=True)])


def _sums(rewards: Array, windows: int, length: int) -> Array:
    """Sum over each of the first `windows` windows, shape (rows, windows)."""
    totals = np.pad(np.cumsum(rewards, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    first = np.arange(windows)
    return np.asarray(totals[:, np.minimum(first + length, rewards.shape[1])] - totals[:, first])


def judge(
    model: RewardModel,
    trajectories: Sequence[Trajectory],
    *,
    goal: StepRewards | None = None,
    labelled: Sequence[Segment] = (),
    segment_length: int,
    gamma: float,
) -> Judged:
    """Have a reward model judge trajectories.

    Args:
        model: The learned reward.
        trajectories: At least one.
        goal: The true reward of a step, if that isn't the environment's own.
        labelled: Segments in the answers that the model was fitted to.
        segment_length: Steps of a segment.
        gamma: The agent's discount.
    """
    pay, steps = model.reward_function(), [_steps(trajectory) for trajectory in trajectories]
    return Judged(
        trajectories=trajectories,
        learned=[np.asarray(pay(*one)) for one in steps],
        true=[t.rewards if goal is None else goal(*one) for t, one in zip(trajectories, steps, strict=True)],
        members=[_member_rewards(model, one) for one in steps],
        inputs=[_encoded(model, one) for one in steps],
        labelled=[_encoded(model, _steps(segment)) for segment in labelled],
        segment_length=segment_length,
        gamma=gamma,
        learned_function=pay,
        true_function=goal,
        true_explained=float(goal is not None),
    )


def together(parts: Sequence[Judged]) -> Judged:
    """Join the trajectories of several :class:`Judged` of the same model."""
    names = ("trajectories", "learned", "true", "members", "inputs")
    joined: dict[str, Any] = {name: [one for part in parts for one in getattr(part, name)] for name in names}
    return replace(parts[0], **joined)


def _steps(trajectory: Trajectory | Segment) -> tuple[Array, Array, Array]:
    return trajectory.observations[:-1], trajectory.actions, trajectory.observations[1:]


def _encoded(model: RewardModel, steps: tuple[Array, Array, Array]) -> Array:
    return np.asarray(model.encode(*steps).numpy())


@torch.inference_mode()
def _member_rewards(model: RewardModel, steps: tuple[Array, Array, Array]) -> Array:
    parts = torch.split(model.encode(*steps), AT_ONCE)
    return np.concatenate([model(part).numpy() for part in parts], axis=1)

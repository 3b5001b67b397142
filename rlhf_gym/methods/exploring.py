"""Unsupervised pre-training: an agent explores before the first query."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rlhf_gym.agents import Agent
from rlhf_gym.rewards.state_entropy import StateEntropy
from rlhf_gym.segments import Trajectory

STEPS = 1000  # least environment steps between updates of the states that new ones are compared with


def whole_portions(steps: int, portion: int) -> int:
    """Round environment steps up to whole portions of an agent."""
    return -(-steps // portion) * portion


def explore(agent: Agent, recorded: Callable[[], Sequence[Trajectory]], *, steps: int) -> None:
    """Train an agent to reach states unlike those it has visited (Lee et al. 2021, PEBBLE, algorithm 1).

    Its reward (:class:`StateEntropy`) changes only between portions, and replayed experience is relabelled with it. At
    the end the value function is reset, but the reward stays: pay the agent another one.

    Args:
        agent: The agent that explores.
        recorded: Returns the trajectories so far, the oldest first.
        steps: Environment steps, a multiple of the agent's portion.

    Raises:
        BadInput: If the agent has no value function that can be reset.
    """
    entropy, left = StateEntropy(), steps
    agent.reset_critic()  # an agent without one is refused before training, not after
    agent.pay(entropy)
    while left:
        if been := [trajectory.observations for trajectory in recorded()]:
            entropy.compare_with(np.concatenate(been))
        part = min(left, whole_portions(STEPS, agent.portion))
        agent.improve(part)
        left -= part
    agent.reset_critic()

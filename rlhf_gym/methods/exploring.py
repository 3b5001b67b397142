"""Unsupervised pre-training: an agent gets about before anybody is asked anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rlhf_gym.agents import Agent
from rlhf_gym.rewards.state_entropy import StateEntropy
from rlhf_gym.segments import Trajectory

STEPS = 1000  # at least, between two looks at where it has been


def whole_portions(steps: int, portion: int) -> int:
    """Round environment steps up to whole portions of an agent."""
    return -(-steps // portion) * portion


def explore(agent: Agent, recorded: Callable[[], Sequence[Trajectory]], *, steps: int) -> None:
    """Train an agent to reach states unlike those that it was in (Lee et al. 2021, PEBBLE, algorithm 1).

    What it is paid (:class:`StateEntropy`) changes between portions only; where experience is replayed, it is paid
    anew. In the end its value function begins anew, and it is still paid so: pay it something else.

    Args:
        agent: Who explores.
        recorded: Gives the trajectories so far, the oldest first.
        steps: Environment steps, a multiple of the agent's portion.

    Raises:
        BadInput: If the agent has no value function that can begin anew.
    """
    entropy, left = StateEntropy(), steps
    agent.reset_critic()  # or it would be refused after all those steps
    agent.pay(entropy)
    while left:
        if been := [trajectory.observations for trajectory in recorded()]:
            entropy.compare_with(np.concatenate(been))
        part = min(left, whole_portions(STEPS, agent.portion))
        agent.improve(part)
        left -= part
    agent.reset_critic()

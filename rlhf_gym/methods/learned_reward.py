"""The method of Christiano et al. 2017: learn a reward from the answers, and train an agent on it."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import final

from rlhf_gym.agents import Agent
from rlhf_gym.errors import BadInput
from rlhf_gym.methods.method import Lately, Method
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import RewardFit, RewardLearner
from rlhf_gym.rewards.sources import Goal, Paid, Situation, Source
from rlhf_gym.segments import Array

REWARD = "reward_model"


@final
class LearnedRewardMethod(Method):
    """Fit a reward model, and pay it to the agent; controls pay another source of reward.

    Args:
        agent: Learns the policy, in environments that pay the method's reward function.
        learner: The reward model and its fits.
        source: Source of the agent's reward.
        goal: The teacher's reward function, where that isn't the environment's.
    """

    version = property(attrgetter("learner.version"), doc="How often the reward model has been fitted.")

    def __init__(self, agent: Agent, learner: RewardLearner, source: Source, goal: Goal | None) -> None:
        self.agent, self.learner, self._source, self._goal = agent, learner, source, goal
        self._pay(Lately((), shift=False))  # from the start, or the true reward would be paid
        self._paid = self.version

    def begin(self, lately: Lately) -> None:
        """See :meth:`Method.begin`."""
        self.learner.rescale(lately.trajectories, shift=lately.shift)

    def fit(self, choices: Sequence[Choice], lately: Lately) -> RewardFit:
        """See :meth:`Method.fit`."""
        fit = self.learner.fit(choices, lately.trajectories)
        self.learner.rescale(lately.trajectories, shift=lately.shift)
        return fit

    def improve(self, steps: int, lately: Lately) -> None:
        """See :meth:`Method.improve`; the reward stays the same until the next call."""
        self._pay(lately)
        if self.version != self._paid and self.agent.steps:
            self.agent.reward_changed(lately.trajectories)
        self._paid = self.version
        self.agent.improve(steps)

    def step_scores(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """See :meth:`Method.step_scores`: the members' rewards."""
        return self.learner.step_rewards(observations, actions, next_observations)

    def encode(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """See :meth:`Method.encode`: what the reward model sees."""
        return self.learner.model.encoding(observations, actions, next_observations)

    def save(self, directory: Path) -> None:
        """See :meth:`Method.save`."""
        self.agent.save(directory / "policy.zip")
        self.learner.save(directory / REWARD)

    def save_state(self, directory: Path) -> None:
        """See :meth:`Method.save_state`."""
        self.agent.save_state(directory)
        self.learner.save(directory / REWARD)

    def restore(self, directory: Path) -> None:
        """See :meth:`Method.restore`."""
        self.agent.restore(directory)
        self.learner.restore(directory / REWARD)
        self._pay(Lately((), shift=False))
        self._paid = self.version

    def _pay(self, lately: Lately) -> None:
        learned = self.learner.reward_function(self.agent.steps)
        paid = self._source(Situation(learned, self._goal, *lately))
        if not isinstance(paid, Paid):
            raise BadInput(
                f"reward.source gives {reprlib.repr(paid)}; expected rlhf_gym.rewards.sources.Paid(reward_function)"
            )
        self.agent.pay(*paid)

"""Several objectives at once, with a reward model for each; the agent is paid their weighted sum.

Each objective has its own answers, by teachers of different names: the principles of a constitution, one by one, or
people with different aims. The weights needn't be known before the answers are given: other weights need another
policy, but no other answers (multi-objective reinforcement learning with preferences; Marta et al. 2024, Sequential
preference-based optimisation; Roijers et al. 2013, A survey of multi-objective sequential decision-making, section 4).
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np
from tqdm import tqdm

from rlhf_gym.agents import Agent
from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.methods.learned_reward import REWARD
from rlhf_gym.methods.method import Lately, Method
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import RewardFit, RewardLearner
from rlhf_gym.rewards.paid import weighted
from rlhf_gym.segments import Array

NAMES = "objectives.json"


@final
class ObjectivesMethod(Method):
    """Fit a reward model to the answers of each objective, and pay the agent the weighted sum of their rewards.

    Each reward has unit size over the latest steps, as a single learned one has, so that the weights are comparable.

    Args:
        agent: Learns the policy.
        new_learner: Makes the reward model of an objective, with its fits.
        weights: Weight of each objective, by the name of the teacher who answers for it; answers of others are left
            out.

    Attributes:
        learners: Reward model and fits of each objective, by its name.

    Raises:
        BadInput: If weights aren't numbers by name, or all are 0.
    """

    def __init__(self, agent: Agent, new_learner: Callable[[], RewardLearner], *, weights: Mapping[str, float]) -> None:
        numbers = isinstance(weights, Mapping) and all(_is_number(weight) for weight in weights.values())
        if not numbers or not any(weights.values()):
            raise BadInput(
                f"method_options.weights is {weights!r}; give objectives, which are names of teachers, a number each, "
                "not all of them 0"
            )
        self.agent, self.weights = agent, dict(weights)
        self.learners = {name: new_learner() for name in weights}
        self.version = self._paid = 0
        self._pay()  # from the start, or the true reward would be paid

    def begin(self, lately: Lately) -> None:
        """See :meth:`Method.begin`."""
        for learner in self.learners.values():
            learner.rescale(lately.trajectories, shift=lately.shift)

    def fit(self, choices: Sequence[Choice], lately: Lately) -> RewardFit:
        """See :meth:`Method.fit`; an objective without answers so far isn't fitted, and adds nothing to the reward.

        Raises:
            BadInput: If all answers are by other teachers.
        """
        by = {name: [choice for choice in choices if choice.teacher == name] for name in self.learners}
        if not any(by.values()):
            others = ", ".join(sorted({choice.teacher or "nobody by name" for choice in choices}))
            raise BadInput(
                f"method_options.weights names {', '.join(self.weights)}, and answers are by {others}; name teachers"
            )
        self._tell_of_silence(by, choices)
        fits = [self.learners[name].fit(mine, lately.trajectories) for name, mine in by.items() if mine]
        self.begin(lately)
        self.version += 1
        return _together(fits)

    def improve(self, steps: int, lately: Lately) -> None:
        """See :meth:`Method.improve`; the reward stays the same until the next call."""
        self._pay()
        if self.version != self._paid and self.agent.steps:
            self.agent.reward_changed(lately.trajectories)
        self._paid = self.version
        self.agent.improve(steps)

    def step_scores(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """See :meth:`Method.step_scores`: the weighted sum of the members' rewards over objectives."""
        steps = (observations, actions, next_observations)
        each = [weight * self.learners[name].step_rewards(*steps) for name, weight in self._paid_weights().items()]
        return np.asarray(np.sum(each, axis=0))

    @property
    def scores_by_teacher(self) -> Mapping[str, Callable[[Array, Array, Array], Array]]:
        """See :meth:`Method.scores_by_teacher`: each objective's own reward, once it is fitted."""
        return {name: learner.step_rewards for name, learner in self.learners.items() if learner.version}

    def encode(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """See :meth:`Method.encode`: what each reward model sees."""
        first = next(iter(self.learners.values()))
        return first.model.encoding(observations, actions, next_observations)

    def save(self, directory: Path) -> None:
        """See :meth:`Method.save`; a folder for each objective."""
        self.agent.save(directory / "policy.zip")
        self._save_learners(directory / REWARD)

    def save_state(self, directory: Path) -> None:
        """See :meth:`Method.save_state`."""
        self.agent.save_state(directory)
        self._save_learners(directory / REWARD)

    def restore(self, directory: Path) -> None:
        """See :meth:`Method.restore`.

        Raises:
            BadInput: If the objectives there are others, or can't be read.
        """
        self.agent.restore(directory)
        try:
            saved = json.loads((directory / REWARD / NAMES).read_text(encoding="utf-8"))
            names, version = [str(name) for name in saved["objectives"]], int(saved["version"])
        except (OSError, *UNREADABLE) as error:
            raise BadInput(f"{directory / REWARD / NAMES} can't be read: {error!r}; bring it back") from error
        if names != list(self.learners):
            raise BadInput(
                f"{directory / REWARD} has the objectives {', '.join(names)}; expected "
                f"{', '.join(self.learners)}, as method_options.weights says"
            )
        for number, learner in enumerate(self.learners.values()):
            learner.restore(directory / REWARD / str(number))
        self.version = self._paid = version
        self._pay()

    def _tell_of_silence(self, by: Mapping[str, Sequence[Choice]], choices: Sequence[Choice]) -> None:
        """Warn at the first fit if objectives have no answers while unnamed teachers have: a name may be misspelt."""
        silent = [name for name, mine in by.items() if not mine]
        others = sorted({str(choice.teacher) for choice in choices} - by.keys())
        if self.version == 0 and silent and others:
            tqdm.write(
                f"method_options.weights names {', '.join(silent)}, who answered nothing so far, and not "
                f"{', '.join(others)}, whose answers are left out",
                file=sys.stderr,
            )

    def _save_learners(self, directory: Path) -> None:
        for number, learner in enumerate(self.learners.values()):
            learner.save(directory / str(number))
        names = {"objectives": list(self.learners), "version": self.version}
        (directory / NAMES).write_text(json.dumps(names) + "\n", encoding="utf-8")

    def _paid_weights(self) -> Mapping[str, float]:
        """Return the weights of the objectives that were fitted, or all before the first fit."""
        return {name: self.weights[name] for name, learner in self.learners.items() if learner.version} or self.weights

    def _pay(self) -> None:
        weights = self._paid_weights()
        rewards = [self.learners[name].reward_function(self.agent.steps) for name in weights]
        self.agent.pay(weighted(rewards, list(weights.values())), 0.0, 1.0)


def _is_number(weight: object) -> bool:
    return isinstance(weight, int | float) and not isinstance(weight, bool) and bool(np.isfinite(weight))


def _together(fits: Sequence[RewardFit]) -> RewardFit:
    """Average the figures of several fits; nan where none of them has one."""
    names = ("loss", "loss_heldout", "accuracy", "accuracy_heldout", "l2")
    known = {name: [value for fit in fits if not math.isnan(value := getattr(fit, name))] for name in names}
    means: dict[str, Any] = {name: float(np.mean(values)) if values else math.nan for name, values in known.items()}
    sums: dict[str, Any] = {name: sum(getattr(fit, name) for fit in fits) for name in ("n", "seconds")}
    return replace(fits[0], **means, **sums, left_out=None, sureness={})

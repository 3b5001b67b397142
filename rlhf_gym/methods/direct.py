"""Direct methods: a policy is fitted to answers, without a reward."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from rlhf_gym.agents import Agent
from rlhf_gym.agents.likelihood import Std, actor_of, play_on
from rlhf_gym.errors import BadInput
from rlhf_gym.methods.method import Lately, Method
from rlhf_gym.methods.policy_fit import Fitting, PolicyFit, Scores, log_probabilities
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import Dataset, Encoding, RewardFit
from rlhf_gym.segments import Array

REFERENCE = "reference_policy"
WEIGHTS, NUMBERS = "policy.safetensors", "fits.json"


@final
class DirectMethod(Method):
    """Fit the agent's policy to the choices (:mod:`rlhf_gym.methods.policy_fit`), and play it to record more steps.

    The agent is paid 0, and its own algorithm makes no update.

    Args:
        agent: An on-policy agent.
        scores: How log-probabilities are scored, which is what methods differ in.
        fitting: How the policy is fitted.
        std: Of continuous actions, as :class:`ActorLikelihood` takes it.
        name: Of the method, for messages.
        rng: Source of the batches.

    Attributes:
        actor: The policy that is fitted, which is the agent's.
        reference: The policy that cloned all steps seen, at the last fit.

    Raises:
        BadInput: If the agent's policy can't be fitted.
    """

    def __init__(
        self, agent: Agent, scores: Scores, fitting: Fitting, *, std: Std, name: str, rng: np.random.Generator
    ) -> None:
        self.agent, self.version = agent, 0
        self.actor = actor_of(agent, method=name, std=std)
        self.reference = self.actor.frozen_copy()
        self._scores, self._fitting, self._rng = scores, fitting, rng
        self._encoding = Encoding(agent.seen_space, agent.sb3.action_space)
        self._data = Dataset(self._encoding)
        self._average, self._normalises = 0.0, True
        agent.pay(_nothing)  # or metrics would report the true reward as the learned one

    def begin(self, lately: Lately) -> None:
        """See :meth:`Method.begin`; there is nothing to do."""

    def fit(self, choices: Sequence[Choice], lately: Lately) -> RewardFit:
        """See :meth:`Method.fit`; nothing is held out, so that the held-out figures are nan.

        Raises:
            BadInput: If there is no choice, or the weights diverge.
        """
        started = time.perf_counter()
        if not choices:
            raise BadInput("there are no choices to fit to; expected at least one answer that isn't SKIP")
        if not self.version:
            self.reference.become(self.actor)  # a run may start with a policy from elsewhere
            self._normalises = not self.actor.has_statistics  # its statistics are part of it
        self._data.update(choices)
        how, parts = self._fitting, (self._scores, self._fitting)
        fit = PolicyFit(self._data, self._encoding, self.actor, self.reference, *parts, rng=self._rng)
        fitted = fit.run(normalise=self._normalises)
        self.version, self._average = self.version + 1, fitted.average
        seconds = time.perf_counter() - started
        return RewardFit(len(choices), fitted.loss, math.nan, fitted.accuracy, math.nan, 0.0, how.steps, seconds)

    def improve(self, steps: int, lately: Lately) -> None:
        """See :meth:`Method.improve`: play the policy, which only a fit changes."""
        play_on(self.agent, steps)

    def step_scores(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """See :meth:`Method.step_scores`: for one member, each step's score less that of a step that wasn't lived."""
        inputs = torch.from_numpy(self._encoding(observations, actions, next_observations))
        logs = [log_probabilities(actor, self._encoding, inputs) for actor in (self.actor, self.reference)]
        scores = self._scores.of_step(*logs) - self._scores.not_lived(self._average)
        return np.asarray(scores[None].numpy())

    def encode(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """See :meth:`Method.encode`: observations and actions."""
        return self._encoding(observations, actions, next_observations)

    def save(self, directory: Path) -> None:
        """See :meth:`Method.save`; the reference has a folder of its own."""
        self.agent.save(directory / "policy.zip")
        self._save_reference(directory / REFERENCE)

    def save_state(self, directory: Path) -> None:
        """See :meth:`Method.save_state`."""
        self.agent.save_state(directory)
        self._save_reference(directory / REFERENCE)

    def restore(self, directory: Path) -> None:
        """See :meth:`Method.restore`.

        Raises:
            BadInput: If the reference is missing, damaged, or of another network.
        """
        self.agent.restore(directory)
        place = directory / REFERENCE
        try:
            self.reference.restore(load_file(place / WEIGHTS))
            numbers = json.loads((place / NUMBERS).read_text(encoding="utf-8"))
            self.version, self._average = int(numbers["version"]), float(numbers["average"])
            self._normalises = bool(numbers.get("normalises", True))  # earlier versions always did
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            reason = (str(error).splitlines() or ["empty"])[0]
            raise BadInput(f"{place} can't be read: {reason}; use the settings that the run was saved with") from error

    def _save_reference(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        save_file(self.reference.weights(), place / WEIGHTS)
        numbers = {"version": self.version, "average": self._average, "normalises": self._normalises}
        (place / NUMBERS).write_text(json.dumps(numbers) + "\n", encoding="utf-8")


def _nothing(observations: Array, *_: Array) -> Array:
    return np.zeros(len(observations), np.float32)

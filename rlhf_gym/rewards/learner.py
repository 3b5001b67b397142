"""A reward model over a whole run, with the state that its fits share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards.bootstrap import Bootstrap
from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.files import damaged_model
from rlhf_gym.rewards.fitting import RewardFit, evenly, fit_reward_model, lived_inputs
from rlhf_gym.rewards.living import worth_of_living
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.more import More
from rlhf_gym.rewards.normalised import spread_of
from rlhf_gym.rewards.verdict import heldout_losses, verdict
from rlhf_gym.segments import Array, RewardFunction, Segment, Trajectory

SCALE_STEPS = 2048
AT_ONCE = 2**12  # steps evaluated in one go, which bounds the memory it takes
LEARNER = "learner.json"


@final
class RewardLearner:
    """Fit one model repeatedly to growing data.

    Args:
        model: Changed in place.
        rng: Source of bootstrap weights and batches.
        l2: Weight decay to start from; every fit starts from where the last one left it.
        folds: Whether members hold choices out in folds (:class:`Bootstrap`).
        living: Whether networks' rewards that aren't shifted to mean 0 get a worth of living
            (:func:`worth_of_living`).
        more: Options that add to the fits and to the paid reward (:mod:`rlhf_gym.rewards.more`).
        **settings: Further arguments of :func:`rlhf_gym.rewards.fit_reward_model`.

    Attributes:
        version: How often the model has been fitted.
        l2: Weight decay that the next fit starts from.
    """

    def __init__(
        self,
        model: RewardModel,
        *,
        rng: np.random.Generator,
        l2: float,
        folds: bool = False,
        living: bool = False,
        more: Sequence[More] = (),
        **settings: Any,
    ) -> None:
        self.model, self.version = model, 0
        self.l2, self._rng, self._living, self._settings = l2, rng, living, settings
        self._bootstrap = Bootstrap(model.ensemble_size, seed=int(rng.integers(2**63)), folds=folds)
        self._data = Dataset(model.encoding)
        self._zero: float | None = None
        self._losses: dict[str, float] = {}
        self._more, self._spread = more, 0.0

    def fit(self, choices: Sequence[Choice], lately: Sequence[Trajectory | Segment] = ()) -> RewardFit:
        """Continue to fit the model to all choices so far.

        Args:
            choices: Choices that the answers imply (:func:`rlhf_gym.kinds.choices`); segments that were in the last
                fit, as the same objects, are not encoded again.
            lately: The policy's latest trajectories, for options that learn from them; with a linear part, their steps
                also enter the input statistics.

        Raises:
            BadInput: If there is no choice.
        """
        fit = fit_reward_model(
            self.model,
            choices,
            bootstrap=self._bootstrap,
            rng=self._rng,
            data=self._data,
            latest=_encoded(self.model, lately, most=SCALE_STEPS) if lately and self.model.linear else None,
            more=self._more,
            lately=lately,
            l2=self.l2,
            **self._settings,
        )
        self.l2, self._zero = fit.l2, self._worthless(fit)
        self.version += 1
        losses = heldout_losses(fit.left_out, choices, self._data) if fit.left_out else {}
        before, self._losses = self._losses, losses
        return replace(fit, verdict=verdict(losses, before))

    def rescale(self, trajectories: Sequence[Trajectory | Segment], *, shift: bool) -> None:
        """Scale the rewards to unit size on these steps (:meth:`RewardModel.rescale`).

        A model that was never fitted also takes its input statistics from them.

        Args:
            trajectories: The policy's latest trajectories; without any, the scale stays as it is.
            shift: Whether the mean is subtracted.
        """
        if not trajectories:
            return
        inputs = _encoded(self.model, trajectories, most=SCALE_STEPS)
        if self.version == 0:
            self.model.freeze_inputs(inputs)
        self.model.rescale(inputs, shift=shift, zero=None if shift else self._zero)
        if any(option.bonus for option in self._more):
            self._spread = float(spread_of(self.model)(inputs.numpy()).mean())

    def reward_function(self, steps: int) -> RewardFunction:
        """Copy the agent's reward function: the model's (:meth:`RewardModel.reward_function`), with bonuses.

        Args:
            steps: Environment steps that the policy has been trained for.
        """
        pay: RewardFunction = self.model.reward_function()
        for option in self._more:
            if option.bonus:
                pay = option.bonus(pay, self.model, steps, self._spread)
        return pay

    def _worthless(self, fit: RewardFit) -> float | None:
        """Find the reward of a step that is worth as much as not living; None leaves the zero of the fit.

        A linear part needs none: living is one of its features, with a weight of its own.
        """
        if not self._living or self.model.linear or fit.left_out is None:
            return None
        steps = lived_inputs(self._data)
        with torch.inference_mode():
            each = self.model(steps[evenly(len(steps), SCALE_STEPS)]).mean(dim=0)
        std, mean = each.std(correction=0).item(), each.mean().item()
        choices, returns = fit.left_out
        lived = self._data.lived.sum(dim=1)[self._data.rows[choices]]
        worths = (self._data.surely(worth, choices) for worth in (returns - mean * lived, std * lived))
        arrays = *worths, self._data.targets[choices], self._data.offered[choices], self._data.weight(choices)
        worth = worth_of_living(*(array.numpy() for array in arrays))
        return float(mean - std * worth)

    @torch.inference_mode()
    def step_rewards(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """Compute each member's own reward of each step; a segment's score is their sum.

        Args:
            observations: Shape (S, *obs).
            actions: Shape (S, *act).
            next_observations: Shape (S, *obs).

        Returns:
            float32, shape (M, S), neither scaled nor shifted.
        """
        at_once = self.model.encoding.at_once(AT_ONCE)
        parts = [slice(start, start + at_once) for start in range(0, max(1, len(actions)), at_once)]
        encoded = (self.model.encode(observations[part], actions[part], next_observations[part]) for part in parts)
        return np.asarray(torch.cat([self.model(inputs) for inputs in encoded], dim=1).numpy())

    def save(self, directory: Path) -> None:
        """Write the model as :meth:`RewardModel.save`, and beside it the state of its fits."""
        self.model.save(directory)
        numbers = {"version": self.version, "l2": self.l2, "zero": self._zero, "spread": self._spread}
        (directory / LEARNER).write_text(json.dumps(numbers) + "\n")

    def restore(self, directory: Path) -> None:
        """Restore in place what :meth:`save` wrote; from a directory of an earlier version, only the model.

        Raises:
            BadInput: If the model there is another one.
        """
        encoding = self.model.encoding
        saved = RewardModel.load(directory, encoding.observation_space, encoding.action_space)
        there, wanted = saved.described, self.model.described
        for name in wanted:
            if there.get(name) != wanted[name]:
                raise BadInput(
                    f"reward model {directory} has {name} {there.get(name)!r}; expected {wanted[name]!r}, as the "
                    "settings say: use the settings it was written with"
                )
        self.model.load_state_dict(saved.state_dict())
        self.version = 1  # at least: earlier versions wrote no count
        if (file := directory / LEARNER).exists():
            with damaged_model(file):
                numbers = json.loads(file.read_text(encoding="utf-8"))
                self.version, self.l2 = int(numbers["version"]), float(numbers["l2"])
                zero, self._spread = numbers.get("zero"), float(numbers.get("spread", 0.0))
                self._zero = None if zero is None else float(zero)


def _encoded(model: RewardModel, trajectories: Sequence[Trajectory | Segment], *, most: int) -> torch.Tensor:
    """Encode the steps of trajectories, at most `most` and evenly spread, shape (S, D)."""
    borders = np.cumsum([0, *(len(t.actions) for t in trajectories)])
    some, most = np.arange(borders[-1]), model.encoding.at_once(most)
    if len(some) > most:  # more would cost time and change nothing
        some = np.linspace(0, len(some) - 1, most).astype(int)
    steps: list[tuple[Array, Array, Array]] = []
    for t, own in zip(trajectories, np.split(some, np.searchsorted(some, borders[1:-1])), strict=True):
        at = own - borders[len(steps)]
        steps.append((t.observations[at], t.actions[at], t.observations[at + 1]))
    return model.encode(*(np.concatenate(parts) for parts in zip(*steps, strict=True)))

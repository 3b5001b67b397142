"""A reward model over a whole run, with what its fits hand on to one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from scipy.special import expit

from rlhf_gym.preferences import Choice, Query
from rlhf_gym.rewards.bootstrap import Bootstrap
from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.fitting import RewardFit, fit_reward_model
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.segments import Array, Segment, Trajectory, pad

SCALE_STEPS = 2048
AT_ONCE = 2**12  # steps evaluated in one go, which bounds the memory it takes


class State(NamedTuple):
    """What a checkpoint keeps of a learner."""

    numbers: dict[str, float]
    """As JSON has them."""
    arrays: dict[str, Array]
    """Weights and statistics of the model."""


@final
class RewardLearner:
    """Fit one model again and again to growing data.

    Args:
        model: Changed in place.
        rng: Source of bootstrap weights and batches.
        l2: Weight decay to start from; every fit starts from where the last one left it.
        **settings: Of :func:`rlhf_gym.rewards.fit_reward_model`.

    Attributes:
        version: How often the model has been fitted.
        l2: Weight decay that the next fit starts from.
    """

    def __init__(self, model: RewardModel, *, rng: np.random.Generator, l2: float, **settings: float) -> None:
        self.model, self.version = model, 0
        self.l2, self._rng, self._settings = l2, rng, settings
        self._bootstrap = Bootstrap(model.ensemble_size, seed=int(rng.integers(2**63)))
        self._data = Dataset(model.encoding)

    def fit(self, choices: Sequence[Choice]) -> RewardFit:
        """Go on fitting to all choices so far.

        Args:
            choices: What answers imply (:func:`rlhf_gym.kinds.choices`); segments that were there at the last fit, the
                very same objects, are not encoded again.

        Raises:
            ValueError: If there is no choice.
        """
        fit = fit_reward_model(
            self.model,
            choices,
            bootstrap=self._bootstrap,
            rng=self._rng,
            data=self._data,
            l2=self.l2,
            **self._settings,  # type: ignore[arg-type]
        )
        self.l2 = fit.l2
        self.version += 1
        return fit

    def rescale(self, trajectories: Sequence[Trajectory], *, shift: bool) -> None:
        """Give the rewards of these steps unit size (:meth:`RewardModel.rescale`).

        A model that was never fitted has its input statistics taken from them, too.

        Args:
            trajectories: What the policy did lately; where there are none, the size stays as it is.
            shift: Whether the mean is taken out.
        """
        if not trajectories:
            return
        inputs = _encoded(self.model, trajectories, most=SCALE_STEPS)
        if self.version == 0:
            self.model.freeze_inputs(inputs)
        self.model.rescale(inputs, shift=shift)

    def scores(self, segments: Sequence[Segment]) -> Array:
        """Each member's learned sums of N segments, shape (M, N); a segment named twice is evaluated once."""
        distinct = {segment: i for i, segment in enumerate(dict.fromkeys(segments))}
        if not distinct:
            return np.zeros((self.model.ensemble_size, 0), np.float32)
        listed, at_once = list(distinct), max(1, AT_ONCE // segments[0].length)
        parts = [self.model.returns(pad(listed[i : i + at_once])) for i in range(0, len(listed), at_once)]
        return np.concatenate(parts, axis=1)[:, [distinct[segment] for segment in segments]]

    @torch.inference_mode()
    def step_rewards(self, trajectories: Sequence[Trajectory]) -> list[Array]:
        """Each member's own reward of every step, from whose sums any window can be scored.

        Returns:
            For each trajectory of L steps float32, shape (M, L), neither scaled nor shifted.
        """
        if not trajectories:
            return []
        inputs = _encoded(self.model, trajectories)
        rewards = torch.cat([self.model(part) for part in torch.split(inputs, AT_ONCE)], dim=1).numpy()
        return np.split(rewards, np.cumsum([len(t) for t in trajectories])[:-1], axis=1)

    def probabilities(self, queries: Sequence[Query]) -> Array:
        """Each member's probability that left is preferred, shape (M, N)."""
        returns = self.scores([side for query in queries for side in (query.left, query.right)])
        return np.asarray(expit(returns[:, ::2] - returns[:, 1::2]))

    def state(self) -> State:
        """What :meth:`restore` takes: version, weight decay, and the model's arrays, copied."""
        arrays = {name: value.numpy().copy() for name, value in self.model.state_dict().items()}
        return State({"version": self.version, "l2": self.l2}, arrays)

    def restore(self, state: tuple[Mapping[str, Any], Mapping[str, Array]]) -> None:
        """Go on from where :meth:`state` was taken, in place.

        Raises:
            ValueError: If the arrays are another model's.
        """
        numbers, arrays = state
        try:
            self.model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
        except RuntimeError as error:
            raise ValueError(
                f"the state of a reward model doesn't fit {self.model.network} with options {self.model.options} and "
                f"{self.model.ensemble_size} members; restore it into a model of the same settings"
            ) from error
        self.version, self.l2 = int(numbers["version"]), float(numbers["l2"])


def _encoded(model: RewardModel, trajectories: Sequence[Trajectory], *, most: int | None = None) -> torch.Tensor:
    """Encoded steps in a row, shape (S, D); beyond `most` that many, evenly spread."""
    steps = [(t.observations[:-1], t.actions, t.observations[1:]) for t in trajectories]
    arrays = [np.concatenate(parts) for parts in zip(*steps, strict=True)]
    if most is not None and len(arrays[1]) > most:  # more would cost time and change nothing
        some = np.linspace(0, len(arrays[1]) - 1, most).astype(int)
        arrays = [array[some] for array in arrays]
    return model.encode(*arrays)

"""Features of a step in which the Bayesian part of a reward is linear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.encoding import Encoding

Form = Literal["linear", "quadratic", "absolute"]
ROUNDING = 1e-6
"""Standard deviation of what float32 can't tell from a constant: of numbers up to 1, or as a share of larger ones."""
SCALES = {
    "state": 1.0, "state squares": 0.3, "state magnitudes": 1.0, "actions": 0.1, "effort": 1.0, "living": 1.0,
}  # fmt: skip
"""Groups of features, with the prior standard deviation of each group's sum."""
STRAIGHT = SCALES | {"state squares": 0.03, "state magnitudes": 0.03}
"""The same, for rewards that are almost linear in the state."""


class Statistics(NamedTuple):
    """Statistics that standardise features, all tensors or all arrays."""

    squares: Any
    """Mean square of each standardised input, shape (C,): 1, or 0 for an input that never changes."""
    magnitudes: Any
    """The standardised value of 0, and mean and standard deviation of |x|, shape (3, C)."""
    effort: Any
    """Mean and standard deviation of the effort, shape (2,)."""


class Features:
    """The features of a step, in one of three forms.

    `linear` has the standardised inputs z, and 1. `quadratic` adds the squares of the state's coordinates and the
    effort of an action, minus the sum of its squared coordinates, as effort is a norm. `absolute` also adds the
    magnitudes |x| of the state's coordinates, for rewards that fall with a distance, which squares miss near 0.

    Args:
        encoding: The inputs.
        form: Which of the forms.

    Attributes:
        size: F.
        groups: Index of each feature's group, in the order of :data:`SCALES`, shape (F,).
        squared: Indices of the inputs that are squared, those of the state, shape (C,).

    Raises:
        BadInput: On another form.
    """

    def __init__(self, encoding: Encoding, form: Form) -> None:
        if form not in get_args(Form):
            raise BadInput(f"linear is {form!r}; use one of {', '.join(get_args(Form))}")
        actions = self._actions = encoding.action_columns
        is_action = np.isin(np.arange(encoding.size), np.arange(encoding.size)[actions])
        self.squared = np.flatnonzero(~is_action) if form != "linear" else np.zeros(0, np.int64)
        self.has_magnitudes = form == "absolute"
        self.has_effort = form != "linear" and encoding.continuous_actions
        kinds = np.where(is_action, "actions", "state").tolist()
        kinds += ["state squares"] * len(self.squared) + ["state magnitudes"] * len(self.squared) * self.has_magnitudes
        kinds += ["effort"] * self.has_effort + ["living"]
        names = list(SCALES)
        self.groups = np.array([names.index(kind) for kind in kinds])
        self.size = len(kinds)

    def __call__(self, inputs: Any, standardised: Any, by: Statistics) -> Any:
        """Compute the features of steps, in torch or NumPy like the arguments.

        Args:
            inputs: Shape (..., D).
            standardised: The same, standardised.
            by: Statistics of the features.

        Returns:
            Shape (..., F); the last is 1.
        """
        library: Any = torch if isinstance(standardised, Tensor) else np
        state = standardised[..., self.squared]
        parts = [standardised, (state * state - by.squares) * math.sqrt(0.5)]
        if self.has_magnitudes:
            zero, mean, std = by.magnitudes
            parts.append((abs(state - zero) - mean) / std)
        if self.has_effort:
            mean, std = by.effort
            parts.append((self.effort(inputs)[..., None] - mean) / std)
        return library.concatenate([*parts, library.ones_like(standardised[..., :1])], axis=-1)

    def effort(self, inputs: Any) -> Any:
        """Compute minus the sum of squares of the actions' coordinates, shape (...,)."""
        return -(inputs[..., self._actions] ** 2).sum(-1)

    def statistics(self, inputs: Tensor, standardised: Tensor, zero: Tensor) -> Statistics:
        """Compute the features' statistics over steps.

        Args:
            inputs: Shape (S, D).
            standardised: The same, standardised.
            zero: The standardised value of an input of 0, shape (D,).
        """
        state, zero = standardised[:, self.squared], zero[self.squared]
        magnitudes = torch.stack([zero, *mean_and_std((state - zero).abs())])
        return Statistics(state.square().mean(dim=0), magnitudes, torch.stack(mean_and_std(self.effort(inputs))))

    def names(self, inputs: Sequence[str]) -> list[str]:
        """Name each feature, given names of the inputs."""
        squares = [f"{inputs[int(i)]} squared" for i in self.squared]
        magnitudes = [f"|{inputs[int(i)]}|" for i in self.squared] * self.has_magnitudes
        return [*inputs, *squares, *magnitudes, *["effort, -|a|^2"] * self.has_effort, "living"]


def mean_and_std(values: Tensor) -> tuple[Tensor, Tensor]:
    """Compute both over the first axis; a standard deviation that may be mere rounding, see ROUNDING, counts as 1."""
    mean = values.mean(dim=0)
    std = (values - mean).square_().mean(dim=0).sqrt()
    if values.dtype != torch.float64 and not std.isfinite().all():  # squares beyond float32
        mean, std = (part.to(values.dtype) for part in mean_and_std(values.double()))
    return mean, torch.where(std > ROUNDING * mean.abs().clamp_min(1), std, torch.ones_like(std))

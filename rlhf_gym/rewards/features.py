"""Features of a step in which the Bayesian part of a reward is linear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.encoding import Encoding
from rlhf_gym.segments import Array

Form = Literal["linear", "quadratic", "absolute"]
SCALES = {
    "state": 1.0, "state squares": 0.3, "state magnitudes": 1.0, "actions": 0.1, "effort": 1.0, "living": 1.0,
}  # fmt: skip
"""Groups of features, and how much each is thought to matter before any answer: its standard deviation as a whole."""
STRAIGHT = SCALES | {"state squares": 0.03, "state magnitudes": 0.03}
"""The same, where the state is thought to matter by hardly any but linear features."""


class Features:
    """Linear: z, the standardised inputs, and 1. Quadratic: their squares, too, and the effort of an action.

    The squares of an action's coordinates come as one feature, minus their sum: effort is a norm. Absolute: magnitudes
    of the state's coordinates, |x|, as well: of a reward that falls with a distance, which squares miss near 0.

    Args:
        encoding: The inputs.
        form: Which features.

    Raises:
        BadInput: On another form.
    """

    def __init__(self, encoding: Encoding, form: Form) -> None:
        if form not in get_args(Form):
            raise BadInput(f"linear is {form!r}; use one of {', '.join(get_args(Form))}")
        actions = encoding.action_columns
        self.inputs = encoding.size
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

    def __call__(self, standardised: Tensor, magnitudes: Tensor, efforts: Tensor) -> Tensor:
        """Compute the features of steps.

        Args:
            standardised: Inputs, shape (..., D).
            magnitudes: Of the state's coordinates, standardised, shape (..., S); unused where there are none.
            efforts: Standardised, shape (...,); unused where there is none.

        Returns:
            Shape (..., F); the last is 1.
        """
        parts = [standardised]
        if len(self.squared):
            parts.append((standardised[..., self.squared].square() - 1) / math.sqrt(2))
        if self.has_magnitudes:
            parts.append(magnitudes)
        if self.has_effort:
            parts.append(efforts[..., None])
        return torch.cat([*parts, torch.ones_like(standardised[..., :1])], dim=-1)

    def names(self, inputs: Sequence[str]) -> list[str]:
        """Name each feature, given names of the inputs."""
        squares = [f"{inputs[int(i)]} squared" for i in self.squared]
        magnitudes = [f"|{inputs[int(i)]}|" for i in self.squared] * self.has_magnitudes
        return [*inputs, *squares, *magnitudes, *["effort, -|a|^2"] * self.has_effort, "living"]


def effort(inputs: Array | Tensor, columns: slice) -> Array | Tensor:
    """Compute minus the sum of squares of the actions' coordinates, shape (...,)."""
    return -(inputs[..., columns] ** 2).sum(-1)

"""Signs of a training that has diverged: weights that aren't finite, and the errors that torch raises."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def are_numbers(parameters: Iterable[Tensor]) -> bool:
    """Test whether all weights are finite."""
    return all(bool(parameter.isfinite().all()) for parameter in parameters)


def is_out_of_range(error: Exception) -> bool:
    """Test whether torch's error is about a distribution's parameters (nan, infinite or 0) or an optimizer's step."""
    return "Expected parameter" in str(error) or "without overflow" in str(error)

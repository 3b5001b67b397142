"""What an option of `reward.more` adds to a fit and to the paid reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.registry import check_is, make
from rlhf_gym.segments import RewardFunction, Segment, Trajectory

if TYPE_CHECKING:
    from rlhf_gym.rewards.model import RewardModel

Windows = Callable[[Tensor], Tensor]
"""From lived steps of choices' options, shape (n, K, T), to those of them that count, same shape."""
Term = Callable[[], Tensor]
"""Computes a further term of the loss, summed over networks, on a newly drawn batch; a scalar."""


class Situation(NamedTuple):
    """The state in which the networks are about to be fitted."""

    model: RewardModel
    """Its inputs are standardised for this fit, its linear part is fitted, and its networks are as the last fit left
    them."""
    lately: Sequence[Trajectory | Segment]
    """The policy's latest trajectories, as far as they are kept; in a loaded run the queries' segments."""
    length: int
    """Nominal steps of a segment, T."""
    choices: int
    """Number of choices fitted to, N."""
    batch_size: int
    """Choices in a gradient step."""
    windows: Windows | None
    """Which steps count in a gradient step; None is all of them."""
    rng: np.random.Generator
    """Source of the options' randomness; batches of choices are drawn from another."""


@dataclass(frozen=True)
class More:
    """What one option adds; every part may be left out.

    Args:
        windows: Chooses which lived steps count in a gradient step: maps lived steps, 1 or 0, shape (n, K, T), and a
            generator to the steps that count, same shape. Where no option is offered, all are 1.
        term: Makes a term that is added to the loss of each gradient step of this fit, or None.
        bonus: Makes the paid reward function from the model's reward function, the model, the number of environment
            steps the policy has been trained for, and the mean over latest steps of the members' standard deviation.
            The result mustn't change with the model.
    """

    windows: Callable[[Tensor, np.random.Generator], Tensor] | None = None
    term: Callable[[Situation], Term | None] | None = None
    bonus: Callable[[RewardFunction, RewardModel, int, float], RewardFunction] | None = None


def make_more(named: Mapping[str, Mapping[str, Any] | None], model: RewardModel) -> list[More]:
    """Make the options that `reward.more` names.

    Args:
        named: The parameters of each option, by its registered or dotted name.
        model: Passed to options that take it.

    Raises:
        BadInput: On an unknown name, a parameter that the option doesn't take, or a model that it can't use.
    """
    made = []
    for name, options in named.items():
        if not isinstance(options, Mapping | None):
            raise BadInput(f"reward.more.{name} is {options!r}; expected its parameters by name, or {{}} for none")
        made.append(make("reward.more", name, options or {}, model=model))
        check_is("reward.more", name, made[-1], More, "a rlhf_gym.rewards.more.More")
    return made


def windows_of(more: Sequence[More], rng: np.random.Generator) -> Windows | None:
    """Compose the options' windows; None if no option has any."""
    each = [option.windows for option in more if option.windows]
    if not each:
        return None

    def windows(lived: Tensor) -> Tensor:
        for choose in each:
            lived = choose(lived, rng)
        return lived

    return windows


def terms_of(more: Sequence[More], about: Situation) -> list[Term]:
    """Make the terms that options add to the loss of this fit."""
    made = [option.term(about) for option in more if option.term]
    return [term for term in made if term is not None]

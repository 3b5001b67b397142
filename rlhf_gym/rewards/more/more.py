"""What an option of `reward.more` adds to a fit, and to what is paid."""

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
"""A further term of the loss, summed over networks, on a batch that is drawn anew each time; a scalar."""


class Situation(NamedTuple):
    """What there is when the networks are about to be fitted."""

    model: RewardModel
    """Its inputs are standardised for this fit, its linear part is fitted, and its networks are as the last fit left
    them."""
    lately: Sequence[Trajectory | Segment]
    """What the policy did lately, as far as it is remembered; of a loaded run the queries' segments."""
    length: int
    """Nominal steps of a segment, T."""
    choices: int
    """Choices that are fitted to, N."""
    batch_size: int
    """Choices in a gradient step."""
    windows: Windows | None
    """Which steps count in a gradient step; None is all of them."""
    rng: np.random.Generator
    """Source of everything random that options do; batches of choices are drawn from another."""


@dataclass(frozen=True)
class More:
    """What one option adds; every part may be left out.

    Args:
        windows: Chooses, in each gradient step, which lived steps of its choices count: from lived steps, 1 or 0, shape
            (n, K, T), and a generator, to steps that count, same shape. Where no option is offered, all are 1.
        term: Makes a term that is added to the loss of each gradient step of this fit, or None.
        bonus: Composes what is paid: from the model's reward function, the model, the environment steps the policy has
            been trained for, and the mean over latest steps of the members' standard deviation, to another reward
            function. It mustn't follow the model.
    """

    windows: Callable[[Tensor, np.random.Generator], Tensor] | None = None
    term: Callable[[Situation], Term | None] | None = None
    bonus: Callable[[RewardFunction, RewardModel, int, float], RewardFunction] | None = None


def make_more(named: Mapping[str, Mapping[str, Any] | None], model: RewardModel) -> list[More]:
    """Make the options that `reward.more` names.

    Args:
        named: By name, registered or dotted, the parameters of each.
        model: Offered to those that want to look at it.

    Raises:
        BadInput: On a name that nothing has, a parameter that the option doesn't take, or a model it can't do with.
    """
    made = []
    for name, options in named.items():
        if not isinstance(options, Mapping | None):
            raise BadInput(f"reward.more.{name} is {options!r}; expected its parameters by name, or {{}} for none")
        made.append(make("reward.more", name, options or {}, model=model))
        check_is("reward.more", name, made[-1], More, "a rlhf_gym.rewards.more.More")
    return made


def windows_of(more: Sequence[More], rng: np.random.Generator) -> Windows | None:
    """Put the options' windows one after the other; None where none has any."""
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

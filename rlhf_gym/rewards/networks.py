"""Reward networks: functions D -> module, built in or named by the user."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from rlhf_gym.errors import BadInput
from rlhf_gym.registry import GIVEN, check_options, dotted_name, load

Network = Callable[..., nn.Module]
"""(D, **options) -> module from inputs (..., D) to rewards (...,) or (..., 1)."""


def mlp(size: int, *, hidden: Sequence[int] = (64, 64)) -> nn.Module:
    """Make a multilayer perceptron with leaky ReLU (Christiano et al. 2017, appendix A.1).

    Args:
        size: D, number of inputs.
        hidden: Units of each hidden layer.

    Returns:
        Module from (..., D) to (..., 1).
    """
    widths = [size, *checked_hidden(hidden), 1]
    layers = [nn.Linear(into, out) for into, out in zip(widths[:-1], widths[1:], strict=True)]
    with torch.no_grad():  # start almost constant: differences between steps have to be learned
        layers[-1].weight *= 0.1
        layers[-1].bias.zero_()
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.LeakyReLU())][:-1])


def checked_hidden(hidden: Sequence[int]) -> Sequence[int]:
    """Return `hidden` if it is a sequence of numbers of units.

    Raises:
        BadInput: If it is something else.
    """
    whole = isinstance(hidden, Sequence) and all(isinstance(n, int) and not isinstance(n, bool) for n in hidden)
    if not whole or any(n < 1 for n in hidden):
        raise BadInput(
            f"reward.network_options.hidden is {hidden!r}; use whole numbers of units, at least 1, one for each layer"
        )
    return hidden


def name_of(network: str | Network) -> str:
    """Name a network for :func:`load_network`; a function that can't be imported gets a name with `given:`."""
    if isinstance(network, str):
        return network
    return "mlp" if network is mlp else dotted_name(network) or f"{GIVEN}{getattr(network, '__name__', 'network')}"


def load_network(network: str | Network, options: Mapping[str, Any]) -> Network:
    """Find a network, and check that it takes the options.

    Args:
        network: A registered name, `module:attribute` whose module may be in the current folder, or the function.
        options: Its keyword arguments beside D.

    Raises:
        BadInput: If there is no such network, or it has no such option.
    """
    found: Network = load("reward.network", network) if isinstance(network, str) else network
    if not callable(found):
        raise BadInput(
            f"reward.network is {network!r}, which is {found!r}; expected a function of the number of inputs"
        )
    size = next(iter(inspect.signature(found).parameters), None)
    if size is None:
        raise BadInput(
            f"reward.network is {network!r}, which takes no arguments; expected a function of the number of inputs"
        )
    check_options("reward.network", name_of(network), found, options, {size: None})
    return found

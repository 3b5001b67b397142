"""Reward networks: functions D -> module, ours and by name one of the user's own."""

from __future__ import annotations

import difflib
import importlib
import inspect
import operator
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

Network = Callable[..., nn.Module]
"""(D, **options) -> module from inputs (..., D) to rewards (...,) or (..., 1)."""

GIVEN = "given:"
"""Marks the name of a network that was handed over as a Python object which can't be imported."""


def mlp(size: int, *, hidden: Sequence[int] = (64, 64)) -> nn.Module:
    """Make a multilayer perceptron with leaky ReLU (Christiano et al. 2017, appendix A.1).

    Args:
        size: D, number of inputs.
        hidden: Units of each hidden layer.

    Returns:
        Module from (..., D) to (..., 1).
    """
    widths = [size, *hidden, 1]
    layers = [nn.Linear(into, out) for into, out in zip(widths[:-1], widths[1:], strict=True)]
    with torch.no_grad():  # start as almost constant: what differs between steps is to be learned, not inherited
        layers[-1].weight *= 0.1
        layers[-1].bias.zero_()
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.LeakyReLU())][:-1])


NETWORKS = {"mlp": "rlhf_gym.rewards.networks:mlp"}
"""Networks by name, as module:attribute."""


def name_of(network: str | Network) -> str:
    """The name under which :func:`load_network` finds a network again."""
    if isinstance(network, str):
        return network
    if network is mlp:
        return "mlp"
    module, name = getattr(network, "__module__", None), getattr(network, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        return GIVEN + (name or repr(network))
    return f"{module}:{name}"


def load_network(network: str | Network, options: Mapping[str, Any]) -> Network:
    """Find a network, and check that it takes the options.

    Args:
        network: A registered name, `module:attribute` whose module may lie in the current folder, or the function.
        options: Its keyword arguments beside D.

    Raises:
        ValueError: If there is no such network, or it has no such option.
    """
    found = _resolve(network) if isinstance(network, str) else network
    if not callable(found):
        raise ValueError(f"network is {network!r}, which is {found!r}; expected a function of the number of inputs")
    known = [name for name, p in inspect.signature(found).parameters.items() if p.kind is not p.VAR_KEYWORD][1:]
    for option in options:
        if option not in known and not _takes_any(found):
            near = difflib.get_close_matches(option, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known) or 'none'}"
            raise ValueError(f"network {name_of(network)} has no option {option}; {hint}")
    return found


def _takes_any(found: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(found).parameters.values())


def _resolve(name: str) -> Any:
    if name.startswith(GIVEN):
        raise ValueError(
            f"network was given as a Python object, {name.removeprefix(GIVEN)}; hand it over again, as in "
            "RewardModel.load(directory, network=...)"
        )
    module_name, _, attribute = NETWORKS.get(name, name).partition(":")
    if not attribute:
        near = difflib.get_close_matches(name, NETWORKS, n=1)
        raise ValueError(
            f"network is {name!r}; {f'did you mean {near[0]}? ' if near else ''}use one of {', '.join(NETWORKS)}, or "
            "module:name for one of your own"
        )
    if os.getcwd() not in sys.path:  # an installed command, unlike `python -m`, doesn't look where it is started
        sys.path.append(os.getcwd())
    try:
        return operator.attrgetter(attribute)(importlib.import_module(module_name))
    except Exception as error:  # whatever somebody's module does while it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"network is {name!r}, which can't be imported ({reason}); bring its module back") from error

"""Ensembles: M reward networks that are trained, saved and evaluated together."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.networks import Network, checked_hidden, load_network, mlp
from rlhf_gym.segments import Array


class Ensemble(nn.Module, ABC):
    """M networks of the same form."""

    at_once: int | None = None
    """Most steps in one backward pass; None is no limit."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Compute each member's own reward.

        Args:
            inputs: Standardised, shape (..., D).

        Returns:
            Shape (M, ...).
        """

    @property
    @abstractmethod
    def decaying(self) -> list[Tensor]:
        """Parameters that weight decay shrinks: weights, not biases."""

    def numpy_function(self) -> Callable[[Array], Array]:
        """Copy the members as they are now into a function that doesn't follow the model, computed in torch.

        Returns:
            From standardised steps, shape (S, D), to each member's own reward, float32, shape (M, S).
        """
        members = copy.deepcopy(self).requires_grad_(False)

        @torch.inference_mode()
        def rewards(inputs: Array) -> Array:
            return np.asarray(members(torch.from_numpy(inputs)).numpy())

        return rewards


@final
class BatchedMLP(Ensemble):
    """Multilayer perceptrons (:func:`rlhf_gym.rewards.networks.mlp`), evaluated with one batched product per layer.

    Args:
        size: D.
        ensemble_size: M.
        hidden: Units of each hidden layer.
        seed: Of the initial weights.
    """

    def __init__(self, size: int, ensemble_size: int, *, hidden: Sequence[int] = (64, 64), seed: int) -> None:
        super().__init__()
        self.ensemble_size = ensemble_size
        generator = torch.Generator().manual_seed(seed)
        widths = [size, *checked_hidden(hidden), 1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):
            weight = torch.empty(ensemble_size, fan_in, fan_out).uniform_(-1, 1, generator=generator)
            bias = torch.empty(ensemble_size, 1, fan_out).uniform_(-1, 1, generator=generator)
            self.weights.append(nn.Parameter(weight / math.sqrt(fan_in)))
            self.biases.append(nn.Parameter(bias / math.sqrt(fan_in)))
        with torch.no_grad():  # as in mlp
            self.weights[-1] *= 0.1
            self.biases[-1].zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        """As :meth:`Ensemble.forward`."""
        return self._last(self.hidden(inputs)).reshape(self.ensemble_size, *inputs.shape[:-1])

    def of_members(self, inputs: Tensor) -> Tensor:
        """Compute each member's rewards of its own inputs, shape (M, S, D) to (M, S)."""
        return self._last(self._hidden(inputs))[..., 0]

    def hidden(self, inputs: Tensor) -> Tensor:
        """Compute each member's last hidden layer for all S steps, leading axes flattened, shape (M, S, H)."""
        return self._hidden(inputs.reshape(1, -1, inputs.shape[-1]).expand(self.ensemble_size, -1, -1))

    def _last(self, hidden: Tensor) -> Tensor:
        return torch.baddbmm(self.biases[-1], hidden, self.weights[-1])

    def _hidden(self, hidden: Tensor) -> Tensor:
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = F.leaky_relu(torch.baddbmm(bias, hidden, weight))
        return hidden

    @property
    def decaying(self) -> list[Tensor]:
        """The weights of all layers."""
        return list(self.weights)

    def numpy_function(self) -> Callable[[Array], Array]:
        """As :meth:`Ensemble.numpy_function`, in NumPy.

        It is called for a few steps at a time, where torch's overhead dominates (8 times as long for 8 steps).
        """
        weights, biases = ([p.detach().numpy().copy() for p in ps] for ps in (self.weights, self.biases))

        def rewards(inputs: Array) -> Array:
            hidden = inputs
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                hidden = hidden @ weight
                hidden += bias
                np.maximum(hidden, 0.01 * hidden, out=hidden)
            return np.asarray((hidden @ weights[-1] + biases[-1])[..., 0])

        return rewards


@final
class Modules(Ensemble):
    """Evaluate networks of any form one after the other, in evaluation mode: no dropout, no batch statistics.

    Args:
        members: M modules from (..., D) to (...,) or (..., 1).
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members).eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """As :meth:`Ensemble.forward`.

        Raises:
            BadInput: If a member gives anything but one reward for each step.
        """
        return torch.stack([_one_each(member(inputs), inputs) for member in self.members])

    @property
    def decaying(self) -> list[Tensor]:
        """Parameters of at least two axes; vectors are biases, or scales of a normalisation."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad and parameter.ndim > 1]


def _one_each(rewards: Tensor, inputs: Tensor) -> Tensor:
    lead = inputs.shape[:-1]
    if rewards.shape not in (lead, (*lead, 1)):
        raise BadInput(
            f"a reward network maps {tuple(inputs.shape)} to {tuple(rewards.shape)}; expected one reward for each "
            f"step, {tuple(lead)} or {(*lead, 1)}"
        )
    return rewards.reshape(lead)


def make_ensemble(
    network: str | Network, size: int, *, ensemble_size: int, options: Mapping[str, Any], seed: int
) -> Ensemble:
    """Make M networks, each with its own initial weights.

    Args:
        network: As :func:`rlhf_gym.rewards.networks.load_network` takes it.
        size: D.
        ensemble_size: M.
        options: Options of the network.
        seed: Of the initial weights; torch's global generator is left as it was.

    Raises:
        BadInput: If there is no such network, or it makes no module with parameters to learn.
    """
    factory = load_network(network, options)
    if factory is mlp:
        return BatchedMLP(size, ensemble_size, seed=seed, **options)
    with torch.random.fork_rng(devices=[]):
        members = []
        for member_seed in np.random.SeedSequence(seed).generate_state(ensemble_size, np.uint64):
            torch.manual_seed(int(member_seed))
            members.append(factory(size, **options))
    for member in members:
        if not isinstance(member, nn.Module) or not any(p.requires_grad for p in member.parameters()):
            raise BadInput(f"network {network!r} made {member!r}; expected a torch module with parameters to learn")
    return Modules(members)

"""An algorithm as it was before any training: its weights and optimizers are copied, and put back in place."""

from __future__ import annotations

from copy import deepcopy
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor


class Untrained(NamedTuple):
    """What an algorithm learns."""

    parameters: dict[str, Any]
    """States of its policy and optimizers, by SB3's names."""
    tensors: dict[str, Tensor]
    """Single tensors, such as SAC's entropy coefficient."""


def untrained(sb3: BaseAlgorithm) -> Untrained:
    """Copy the weights and optimizers of an algorithm that hasn't been trained; its networks must be torch's."""
    _, names = sb3._get_torch_save_params()
    tensors = {name: attrgetter(name)(sb3).detach().clone() for name in names}
    return Untrained(deepcopy(sb3.get_parameters()), tensors)


@torch.no_grad()
def begin_anew(sb3: BaseAlgorithm, before: Untrained) -> None:
    """Put back what :func:`untrained` copied."""
    sb3.set_parameters(deepcopy(before.parameters))
    for name, tensor in before.tensors.items():
        attrgetter(name)(sb3).copy_(tensor)

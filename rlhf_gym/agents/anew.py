"""What an algorithm has learned, copied and later put back in place, so that it begins anew from there."""

from __future__ import annotations

from copy import deepcopy
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor


class Weights(NamedTuple):
    """What an algorithm learns."""

    parameters: dict[str, Any]
    """States of its policy and optimizers, by SB3's names."""
    tensors: dict[str, Tensor]
    """Single tensors, such as SAC's entropy coefficient."""


def weights_now(sb3: BaseAlgorithm) -> Weights:
    """Copy an algorithm's weights and optimizers; its networks must be torch's."""
    _, names = sb3._get_torch_save_params()
    tensors = {name: attrgetter(name)(sb3).detach().clone() for name in names}
    return Weights(deepcopy(sb3.get_parameters()), tensors)


@torch.no_grad()
def put_back(sb3: BaseAlgorithm, kept: Weights) -> None:
    """Put back what :func:`weights_now` copied."""
    sb3.set_parameters(deepcopy(kept.parameters))
    for name, tensor in kept.tensors.items():
        attrgetter(name)(sb3).copy_(tensor)

"""Write a policy's file that Stable-Baselines3 can read without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor, nn

from rlhf_gym.agents.agent import REPLAY_SETTINGS
from rlhf_gym.agents.normalisation import NormalizedObservations
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array

CONSTANT = 1e-6  # a standard deviation below this share of the mean is float32 rounding
CHECKED, AT_MOST = 256, 1e-2  # observations compared, and the largest difference of outputs allowed


def write_plain(sb3: BaseAlgorithm, path: str | Path) -> bool:
    """Write an algorithm so that its class's own `load` needs no other package.

    A policy that normalises observations is first replaced by one whose first layers absorb it: W (x - m) / s + b is
    (W / s) x + (b - W m / s). Coordinates that have never changed get weight 0, and the optimizer's state is reset.

    Args:
        sb3: The algorithm.
        path: File to write.

    Returns:
        Whether observations were normalised; values beyond 10 standard deviations are then no longer clipped.

    Raises:
        BadInput: If float32 can't hold such weights precisely enough, or the first layers aren't linear.
    """
    policy: Any = sb3.policy
    extractor = getattr(policy, "features_extractor", None)
    if normalised := isinstance(extractor, NormalizedObservations):
        options = {k: v for k, v in (sb3.policy_kwargs or {}).items() if k != "features_extractor_class"}
        plain = type(policy)(
            policy.observation_space, policy.action_space, sb3.lr_schedule, use_sde=sb3.use_sde, **options
        )
        mine = plain.state_dict()
        plain.load_state_dict({name: value for name, value in policy.state_dict().items() if name in mine})
        scale, shift = _linear(extractor)
        for layer in _first_layers(plain):
            _take_in(layer, scale, shift)
        _check_same(policy, plain, extractor)
        sb3.policy, sb3.policy_kwargs = plain, options
    sb3.save(path, exclude=REPLAY_SETTINGS)
    return normalised


def _linear(extractor: NormalizedObservations) -> tuple[Array, Array]:
    """Turn statistics into the scale and shift of a linear map, float64; constant coordinates become 0."""
    mean, variance = extractor.mean.double().numpy(), extractor.variance.double().numpy()
    moves = variance > (CONSTANT * np.maximum(np.abs(mean), 1.0)) ** 2
    scale = np.where(moves, 1 / np.sqrt(variance + 1e-8), 0.0)
    return scale, -mean * scale


def _first_layers(policy: Any) -> list[nn.Linear]:
    """Find the first layers of the policy and value networks."""
    parts = policy.mlp_extractor
    layers = [
        network[0] if len(network) else head
        for network, head in ((parts.policy_net, policy.action_net), (parts.value_net, policy.value_net))
    ]
    if wrong := [layer for layer in layers if not isinstance(layer, nn.Linear)]:
        raise BadInput(f"the policy begins with a {type(wrong[0]).__name__}; only linear layers take normalisation in")
    return layers


@torch.no_grad()
def _take_in(layer: nn.Linear, scale: Array, shift: Array) -> None:
    weight, bias = layer.weight.double(), layer.bias.double()
    layer.weight.copy_(weight * torch.from_numpy(scale))
    layer.bias.copy_(bias + weight @ torch.from_numpy(shift))


@torch.no_grad()
def _check_same(policy: Any, plain: Any, extractor: NormalizedObservations) -> None:
    """Refuse a plain policy whose actions or values differ for observations like those seen."""
    noise = torch.from_numpy(np.random.default_rng(0).uniform(-3, 3, (CHECKED, extractor.features_dim))).float()
    seen = (extractor.mean + noise * extractor.variance.sqrt()).reshape(-1, *policy.observation_space.shape)
    apart = max((_outputs(policy, seen) - _outputs(plain, seen)).abs().max().item(), 0.0)
    if not apart <= AT_MOST:
        raise BadInput(
            f"with normalisation in its weights the policy gives outputs that differ by {apart:.2g}: observations "
            "change too little beside their size; use policy.zip, which needs this package"
        )


def _outputs(policy: Any, observations: Tensor) -> Tensor:
    distribution = policy.get_distribution(observations).distribution
    chosen = distribution.logits if hasattr(distribution, "logits") else distribution.mean
    return torch.cat([chosen.reshape(len(observations), -1), policy.predict_values(observations)], dim=1)

"""Reinitialise the Q-functions of an off-policy algorithm."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import nn

from rlhf_gym.errors import BadInput

NAMES = ("critic", "q_net", "quantile_net")  # SAC, TD3 and their like; DQN; QR-DQN


def reset_q(sb3: OffPolicyAlgorithm) -> None:
    """Reinitialise the Q-networks and their targets as torch does, and clear their optimizer's moments.

    An actor doesn't change; DQN's Q-network is also its policy, which is reset with it.

    Raises:
        BadInput: If the algorithm keeps no Q-network under a known name.
    """
    policy: Any = sb3.policy
    names = [name for name in NAMES if isinstance(getattr(policy, name, None), nn.Module)]
    if not names:
        raise BadInput(
            f"agent.explore_steps is set and {type(sb3).__name__} has no Q-network that could begin anew after them; "
            "use 0"
        )
    network, target = getattr(policy, names[0]), getattr(policy, f"{names[0]}_target", None)
    for layer in network.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    if target is not None:
        target.load_state_dict(network.state_dict())
    optimizer = getattr(network, "optimizer", None) or policy.optimizer
    for parameter in network.parameters():
        optimizer.state.pop(parameter, None)

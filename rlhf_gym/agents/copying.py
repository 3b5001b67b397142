"""Weights of one policy taken over by another, where both are the same function of them."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.policies import BasePolicy

NO_PART = ("observation_space", "action_space", "lr_schedule", "ortho_init", "log_std_init", "net_arch")
"""What a policy is made with, and its weights or its spaces say better."""


def copy_weights(source: BasePolicy, policy: BasePolicy) -> bool:
    """Copy all weights, statistics of observations included, if class, spaces and layers are exactly the same.

    Args:
        source: Not changed.
        policy: Becomes the same function; optimizers stay as they are.

    Returns:
        Whether they were the same, so that it was done.
    """
    if type(source) is not type(policy) or source.action_space != policy.action_space:
        return False
    if source.observation_space.shape != policy.observation_space.shape or _made_with(source) != _made_with(policy):
        return False
    weights = source.state_dict()
    if not weights:  # SBX's, which are no torch modules
        return False
    if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in policy.state_dict().items()}:
        return False
    policy.load_state_dict(weights)
    return True


def _made_with(policy: BasePolicy) -> dict[str, Any]:
    """Collect what it was made with, as far as that has a part in what it does."""
    made = policy._get_constructor_parameters()
    return {k: v for k, v in made.items() if k not in NO_PART and not k.startswith("optimizer")}

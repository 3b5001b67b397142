"""Copy a policy's weights to another one of the same architecture."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.policies import BasePolicy

NO_PART = ("observation_space", "action_space", "lr_schedule", "ortho_init", "log_std_init", "net_arch")
"""Constructor parameters that aren't compared, because weights and spaces are, or because they only affect training."""


def copy_weights(source: BasePolicy, policy: BasePolicy) -> bool:
    """Copy all weights and observation statistics if class, action space, observation shape and layers are the same.

    Args:
        source: Policy to copy from.
        policy: Policy to copy to; its optimizer doesn't change.

    Returns:
        Whether they were the same, and the weights were copied.
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
    """Collect the constructor parameters that affect a policy's outputs."""
    made = policy._get_constructor_parameters()
    return {k: v for k, v in made.items() if k not in NO_PART and not k.startswith("optimizer")}

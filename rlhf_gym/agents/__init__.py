"""Who learns the policy."""

from rlhf_gym.agents.ppo import improve, make_ppo

__all__ = ["improve", "make_ppo"]

"""Every setting of a run."""

from rlhf_gym.config.settings import (
    AgentConfig,
    EnvConfig,
    EvaluationConfig,
    FeedbackConfig,
    QueryConfig,
    RewardConfig,
    RLHFConfig,
)

__all__ = [
    "AgentConfig",
    "EnvConfig",
    "EvaluationConfig",
    "FeedbackConfig",
    "QueryConfig",
    "RLHFConfig",
    "RewardConfig",
]

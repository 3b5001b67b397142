"""Which values settings may have, and which don't go together."""

from __future__ import annotations

from typing import Any

AT_LEAST_0 = (
    "seed", "feedback.outstanding", "reward.learning_rate", "reward.l2", "agent.learning_rate", "agent.clip_range",
    "agent.ent_coef", "agent.vf_coef", "agent.max_grad_norm",
)  # fmt: skip
AT_LEAST_1 = (
    "total_timesteps", "segment_length", "query.candidates_per_query", "query.rounds", "query.first_steps",
    "query.memory_steps", "query.halving_steps", "feedback.refit_answers", "feedback.stale_rounds",
    "feedback.people_per_query", "reward.ensemble_size", "reward.steps", "reward.batch_size", "reward.l2_sample",
    "agent.n_envs", "agent.n_steps", "agent.batch_size", "agent.n_epochs", "agent.torch_threads",
    "evaluation.n_episodes",
)  # fmt: skip
FROM_0_TO_1 = (
    "query.first_fraction", "query.repeats", "query.checks", "reward.random_share", "reward.l2", "agent.gamma",
    "agent.gae_lambda",
)  # fmt: skip


def check_limits(config: Any) -> None:
    """Refuse what can't be run.

    Args:
        config: An :class:`RLHFConfig`, whose own module imports this one.

    Raises:
        ValueError: On a value out of its range, or two that don't go together; the message names the setting.
    """
    _check_ranges(config)
    _check_steps(config)
    _check_teacher(config)


def _check_ranges(config: Any) -> None:
    learned = config.reward.source == "learned"
    _at_least("labels", config.labels, 1 if learned else 0, "1, or reward.source other than learned")
    for least, names in enumerate((AT_LEAST_0, AT_LEAST_1)):
        for name in names:
            _at_least(name, _get(config, name), least)
    for name in ("reward.hidden", "agent.net_arch"):
        _at_least(name, min(_get(config, name), default=1), 1)
    if config.env.fixed_horizon is not None:
        _at_least("env.fixed_horizon", config.env.fixed_horizon, 1)
    for name in FROM_0_TO_1:
        if not 0 <= _get(config, name) <= 1:
            raise ValueError(f"{name} is {_get(config, name)}; use a number from 0 to 1")


def _check_steps(config: Any) -> None:
    _at_least("agent.batch_size", config.agent.batch_size, 2)  # PPO takes the advantages' standard deviation
    if config.agent.batch_size > config.rollout_steps:
        raise ValueError(
            f"agent.batch_size is {config.agent.batch_size} but a rollout has {config.rollout_steps} steps "
            f"(agent.n_envs x agent.n_steps); use agent.batch_size <= {config.rollout_steps}"
        )
    least = config.watched_steps + config.rollout_steps
    if config.total_timesteps < least:
        watched = "query.first_steps and " if config.watched_steps else ""
        raise ValueError(
            f"total_timesteps is {config.total_timesteps}; use at least {least}: {watched}one rollout of PPO"
        )


def _check_teacher(config: Any) -> None:
    if config.teacher == "terminal" and config.feedback.async_labels:
        raise ValueError(
            "teacher is terminal, where the run waits, and feedback.async_labels is on, where it doesn't; "
            "use teacher store, and rlhf-gym label in another terminal"
        )
    if config.feedback.people_per_query > 1 and config.teacher not in ("web", "store"):
        raise ValueError(
            f"feedback.people_per_query is {config.feedback.people_per_query} and teacher is {config.teacher}, "
            "who is one; use teacher web or store"
        )


def _at_least(name: str, value: float, least: int, remedy: str | None = None) -> None:
    if not value >= least:
        raise ValueError(f"{name} is {value}; use at least {remedy or least}")


def _get(config: object, dotted: str) -> Any:
    for name in dotted.split("."):
        config = getattr(config, name)
    return config

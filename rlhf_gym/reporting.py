"""What a round did, and how good the learned policy is, in figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from rlhf_gym.agents import Agent
from rlhf_gym.config import RLHFConfig
from rlhf_gym.evaluation import Predict, goal_return, play
from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.queries import disagreement
from rlhf_gym.rewards import RewardFit
from rlhf_gym.runs import Round
from rlhf_gym.segments import Array, Trajectory
from rlhf_gym.teachers import Goal


def episode_figures(episodes: Sequence[Sequence[float]]) -> dict[str, float]:
    """Means over finished episodes; nan where there was none.

    Args:
        episodes: True return, learned return and length of each.
    """
    means = np.mean(episodes, axis=0).tolist() if episodes else [math.nan] * 3
    return dict(zip(("true_return", "learned_return", "episode_length"), means, strict=True))


def answer_figures(
    preferences: Sequence[Preference], probabilities: Callable[[Sequence[Query]], Array]
) -> dict[str, float]:
    """How unsure the reward model was about what was asked, and how often the teacher was; nan if nothing was asked.

    Args:
        preferences: What was asked, and answered.
        probabilities: Each member's P(left preferred), of shape (members, N).
    """
    if not preferences:
        return {"disagreement": math.nan, "tie_rate": math.nan}
    return {
        "disagreement": float(disagreement(probabilities([p.query for p in preferences])).mean()),
        "tie_rate": float(np.mean([p.answer is Answer.TIE for p in preferences])),
    }


def fit_figures(fit: RewardFit | None) -> dict[str, float]:
    """How the reward model's fit went; nan if there was none."""
    names = ("loss", "loss_heldout", "accuracy", "accuracy_heldout")
    return {f"reward_{name}": getattr(fit, name) if fit else math.nan for name in names}


def log_round(agent: Agent, done: Round) -> None:
    """Write a round to TensorBoard, and what SB3 itself would of the last 100 episodes."""
    agent.log({f"rlhf/{name}": value for name, value in asdict(done).items()}, done.env_steps)


def evaluate(predict: Predict, config: RLHFConfig, *, seed: int) -> list[Trajectory]:
    """Episodes of the deterministic policy on the unmodified environment."""
    return play(
        predict,
        config.env_id,
        env_kwargs=config.env_kwargs,
        n_episodes=config.evaluation.n_episodes,
        seed=seed,
    )


def return_figures(episodes: Sequence[Trajectory], goal: Goal | None) -> dict[str, Any]:
    """How good a policy was in these episodes."""
    returns = [episode.true_return for episode in episodes]
    return {
        "true_return_mean": float(np.mean(returns)),
        "true_return_std": float(np.std(returns)),
        "goal_return_mean": goal_return(goal, episodes) if goal else None,
        "n_eval_episodes": len(returns),
    }


def time_figures(seconds: float, parts: Mapping[str, float], env_steps: int) -> dict[str, float]:
    """What a run took, all in all and part by part."""
    each = {f"wall_seconds_{part}": parts[part] for part in ("policy", "reward", "query", "evaluation")}
    return {"wall_seconds": seconds, **each, "env_steps_per_second": env_steps / seconds}

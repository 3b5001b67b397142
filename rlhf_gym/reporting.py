"""Figures of a round, and of the learned policy."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from tqdm import tqdm

from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import NoEnvironment
from rlhf_gym.evaluation import Predict, goal_return, play
from rlhf_gym.kinds import NO_CHOICE
from rlhf_gym.parts import Parts
from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.quality import heldout_figures
from rlhf_gym.queries import StepScores, probabilities_of
from rlhf_gym.queries.schemes.disagreement import spread
from rlhf_gym.registry import source_entry
from rlhf_gym.rewards import RewardFit
from rlhf_gym.runs import Round, Stopwatch
from rlhf_gym.runs.metrics import add_round
from rlhf_gym.runs.provenance import peak_rss_mb
from rlhf_gym.segments import Ending, Trajectory
from rlhf_gym.teachers import Goal

FIGURES_MOST = 1024  # queries, evenly spread; more would cost time and change the figure by less than chance


def report_round(parts: Parts, number: int, fit: RewardFit | None, watch: Stopwatch) -> Round:
    """Compute a round's figures, and write them to ``metrics.csv`` and TensorBoard if there is a run directory.

    A fit that is worse than the one before is reported on stderr.

    Args:
        parts: Parts of the run.
        number: Number of the round.
        fit: Fit of the reward model in this round, if there was one.
        watch: Wall time so far.
    """
    answers = parts.answers
    episodes = parts.venv.pop_episodes()
    done = Round(
        round=number,
        env_steps=parts.env_steps,
        labels=answers.labels,
        asked=answers.answered,
        **episode_figures(episodes),
        goal_return=_goal_return(parts, len(episodes)),
        **fit_figures(fit),
        **answer_figures(answers.new, parts.method.step_scores),
        **heldout_figures(answers.heldout, parts.method.step_scores, parts.method.scores_by_teacher),
        seconds=watch.seconds,
        teacher_seconds=answers.seconds,
        **parts.method.agent.pop_figures(),
    )
    if fit and fit.verdict:
        tqdm.write(f"round {number}: {fit.verdict}", file=sys.stderr)
    if parts.run:
        add_round(parts.run / "metrics.csv", done)
        parts.method.agent.log({f"rlhf/{name}": value for name, value in asdict(done).items()}, done.env_steps)
    return done


def summary(parts: Parts, fit: RewardFit | None, watch: Stopwatch) -> dict[str, Any]:
    """Evaluate the policy, and sum up the run: the contents of ``summary.json``."""
    config, answers = parts.config, parts.answers
    with watch.timing("evaluation"):
        try:
            episodes = evaluate(parts.method.agent.predict, config, seed=parts.evaluation_seed)
        except NoEnvironment:  # a simulator may allow no more environments than training has open
            for recorder in parts.recorders:
                recorder.close()
            episodes = evaluate(parts.method.agent.predict, config, seed=parts.evaluation_seed)
    accuracy = fit_figures(fit)["reward_accuracy_heldout"]
    return {
        "env_id": config.env_id,
        "seed": config.seed,
        "teacher": answers.teacher.name if source_entry(config.reward.source).labels else None,
        "reward_source": config.reward.source,
        "labels": answers.labels,
        "asked": answers.answered,
        "total_timesteps": parts.env_steps,
        **return_figures(episodes, parts.goal),
        # JSON has no nan, which the accuracy is if nothing was held out.
        "reward_accuracy_heldout": accuracy if math.isfinite(accuracy) else None,
        **time_figures(watch.seconds, watch.parts, parts.env_steps),
        "peak_rss_mb": peak_rss_mb(),
    }


def tell_if_never_fitted(parts: Parts) -> None:
    """Say on stderr that a run ended with answers, but with nothing to fit to."""
    config, labels = parts.config, parts.answers.labels
    asked = labels and source_entry(config.reward.source).labels
    if asked and not (parts.method.version or parts.answers.choices):
        fitted = "policy" if config.direct else "reward"
        tqdm.write(f"{labels} answers {NO_CHOICE}: the {fitted} was never fitted", file=sys.stderr)


def episode_figures(episodes: Sequence[Sequence[float]]) -> dict[str, float]:
    """Average over finished episodes; nan where there was none.

    Args:
        episodes: True return, learned return and length of each.
    """
    means = np.mean(episodes, axis=0).tolist() if episodes else [math.nan] * 3
    return dict(zip(("true_return", "learned_return", "episode_length"), means, strict=True))


def answer_figures(preferences: Sequence[Preference], step_scores: StepScores) -> dict[str, float]:
    """Compute the members' mean disagreement about the queries, and the share of ties; nan without queries.

    Args:
        preferences: Queries with their answers.
        step_scores: Scores steps by each member of the reward model.
    """
    if not preferences:
        return {"disagreement": math.nan, "tie_rate": math.nan}
    some = np.linspace(0, len(preferences) - 1, min(len(preferences), FIGURES_MOST)).round().astype(int)
    alike: dict[int, list[Query]] = defaultdict(list)
    for i in some:
        alike[len(preferences[i].query.options)].append(preferences[i].query)
    spreads = [spread(probabilities_of(queries, step_scores)) for queries in alike.values()]
    return {
        "disagreement": float(np.concatenate(spreads).mean()),
        "tie_rate": float(np.mean([p.answer is Answer.TIE for p in preferences])),
    }


def fit_figures(fit: RewardFit | None) -> dict[str, float]:
    """Collect the losses and accuracies of the reward model's fit; nan if there was none."""
    names = ("loss", "loss_heldout", "accuracy", "accuracy_heldout")
    return {f"reward_{name}": getattr(fit, name) if fit else math.nan for name in names}


def evaluate(predict: Predict, config: RLHFConfig, *, seed: int) -> list[Trajectory]:
    """Play episodes of the deterministic policy on the unmodified environment."""
    return play(
        predict,
        config.env_id,
        env_kwargs=config.env_kwargs,
        n_episodes=config.evaluation.n_episodes,
        seed=seed,
        n_envs=config.evaluation.n_envs,
        step_seconds=config.env.step_seconds,
    )


def return_figures(episodes: Sequence[Trajectory], goal: Goal | None) -> dict[str, Any]:
    """Sum up a policy's returns in these episodes."""
    returns = [episode.true_return for episode in episodes]
    return {
        "true_return_mean": float(np.mean(returns)),
        "true_return_std": float(np.std(returns)),
        "goal_return_mean": goal_return(goal, episodes) if goal else None,
        "n_eval_episodes": len(returns),
    }


def time_figures(seconds: float, parts: Mapping[str, float], env_steps: int) -> dict[str, float]:
    """Collect the wall times of a run, in total and part by part."""
    each = {f"wall_seconds_{part}": parts[part] for part in ("policy", "reward", "query", "evaluation")}
    return {"wall_seconds": seconds, **each, "env_steps_per_second": env_steps / seconds}


def _goal_return(parts: Parts, finished: int) -> float:
    """Average the goal's return over the latest finished episodes, as far as they are recorded."""
    if parts.goal is None or not finished:
        return math.nan
    ended = [t for t in parts.recorder.trajectories() if t.ending is not Ending.UNFINISHED]
    return goal_return(parts.goal, ended[-finished:]) if ended else math.nan

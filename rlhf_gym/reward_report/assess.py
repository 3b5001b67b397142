"""Assess the reward model of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gymnasium import Env

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.code import code_named
from rlhf_gym.diverging import are_numbers
from rlhf_gym.envs import make_env
from rlhf_gym.envs.names import action_names, observation_names
from rlhf_gym.errors import BadInput
from rlhf_gym.files import sqlite_file
from rlhf_gym.kinds import NO_CHOICE, choices
from rlhf_gym.preferences import OWN, Answer, Preference
from rlhf_gym.registry import source_entry, teacher_entry
from rlhf_gym.reward_report.policies import SOURCES, fresh_trajectories
from rlhf_gym.reward_report.report import ROWS, RewardReport, Row, report_source
from rlhf_gym.rewards import RewardModel
from rlhf_gym.rewards.metrics.judged import Judged, judge, together
from rlhf_gym.rewards.metrics.quadratic import with_true_function
from rlhf_gym.runs import read_run
from rlhf_gym.segments import Origin, Segment, Trajectory
from rlhf_gym.store import FIRST, PreferenceStore
from rlhf_gym.teachers import goal_rewards, load_goal
from rlhf_gym.trust import check_trusted

ALL = "all"
MOST_WEIGHTS = 10


@dataclass(frozen=True)
class RunJudged:
    """A run's learned reward, judged on fresh trajectories.

    Args:
        config: Its settings.
        labels: Number of answers, skips left out.
        model: The reward model.
        judged: By policy; "all" holds the trajectories of all policies.
        observation_names: Of its environment.
        action_names: Likewise.
    """

    config: RLHFConfig
    labels: int
    model: RewardModel
    judged: Mapping[str, Judged]
    observation_names: Sequence[str]
    action_names: Sequence[str]


def judge_run(run_dir: str | Path, *, n_episodes: int = 20, seed: int = 0) -> RunJudged:
    """Play fresh episodes, and have a finished run's reward model judge them.

    Args:
        run_dir: Its directory.
        n_episodes: Of each policy (:data:`rlhf_gym.reward_report.policies.SOURCES`).
        seed: Of episodes and actions.

    Raises:
        BadInput: If it holds no finished run, or no reward model.
    """
    run_dir, config = Path(run_dir), read_run(run_dir).config
    judging = judging_of(run_dir, config)
    names = variable_names(config)
    played = fresh_trajectories(run_dir, config, n_episodes=n_episodes, seed=seed)
    judged = _all_told({name: judging(trajectories) for name, trajectories in played.items()})
    return RunJudged(config, judging.labels, judging.model, judged, *names)


def variable_names(config: RLHFConfig) -> tuple[list[str], list[str]]:
    """Name the coordinates of observations and actions in a run's environment."""
    with closing(_env(config)) as env:
        return observation_names(env), action_names(env)


class Judging(NamedTuple):
    """A run's reward model and what it needs to judge trajectories; call it on them."""

    config: RLHFConfig
    model: RewardModel
    labels: int
    labelled: Sequence[Segment]

    def __call__(self, trajectories: Sequence[Trajectory]) -> Judged:
        """Judge trajectories by the learned reward, and by the environment's or the run's goal."""
        config = self.config
        goal = load_goal(config.feedback.goal) if config.feedback.goal else None
        return judge(
            self.model,
            trajectories,
            goal=partial(goal_rewards, goal) if goal else None,
            labelled=self.labelled,
            segment_length=config.segment_length,
            gamma=float(config.agent.options.get("gamma", 0.99)),
        )


def check_learned(run_dir: Path, config: RLHFConfig) -> None:
    """Refuse a run whose reward wasn't learned.

    Raises:
        BadInput: Naming the source of its reward.
    """
    source = config.reward.source
    if not source_entry(source).labels:
        raise BadInput(f"{run_dir} was paid reward.source {source}, which isn't learned; use a run that learned one")


def no_single_model(method: str) -> str:
    """Explain why a run of another method than learned_reward has no single reward model."""
    return f"was learned by method {method}, which left no single reward model; use a run of learned_reward"


def check_has_model(run_dir: Path, config: RLHFConfig) -> None:
    """Refuse a run directory without a reward model.

    Raises:
        BadInput: If the run learned no reward, or left no single reward model, or its model is gone.
    """
    check_learned(run_dir, config)
    if not (run_dir / "reward_model" / "model.json").is_file():
        if config.method != "learned_reward":
            raise BadInput(f"{run_dir} {no_single_model(config.method)}")
        raise BadInput(f"{run_dir} holds no reward model; use the directory of a whole run that learned a reward")


def judging_of(run_dir: Path, config: RLHFConfig) -> Judging:
    """Read a run's reward model and its labelled segments.

    Raises:
        BadInput: If it learned no reward, there is no reward model, its weights aren't finite, or its answers are gone.
    """
    check_has_model(run_dir, config)
    with closing(_env(config)) as env:
        model = RewardModel.load(run_dir / "reward_model", env.observation_space, env.action_space)
    if not are_numbers(model.parameters()):
        raise BadInput(f"the weights in {run_dir / 'reward_model'} are nan or infinite; bring it back, or train again")
    answered = [p for p in _preferences(run_dir, config) if p.answer is not Answer.SKIP]
    segments = dict.fromkeys(option for choice in choices(answered) for option in choice.options)
    return Judging(config, model, len(answered), list(segments))


def _env(config: RLHFConfig) -> Env[Any, Any]:
    check_trusted(code_named(config, "env_id", "algo", "feedback.goal", "feedback.store"), "the run")
    return make_env(Origin(config.env_id, 0, config.env_kwargs, config.env.fixed_horizon))


def _preferences(run_dir: Path, config: RLHFConfig) -> list[Preference]:
    """Read a run's preferences, without creating a store that is missing."""
    url, own = config.feedback.store, run_dir / "preferences.db"
    file = sqlite_file(url) if url else own
    if file and not Path(file).is_file():
        raise BadInput(f"the answers of {run_dir} were in {file}, which isn't there; bring it back")
    with closing(PreferenceStore(url or own, run=config.feedback.run or FIRST)) as store:
        return [preference for preference in store.preferences() if preference.query.why != OWN]


def _all_told(apart: Mapping[str, Judged]) -> dict[str, Judged]:
    """Add all trajectories as "all", and to each the true reward as a function, fitted to all if it isn't known."""
    whole = with_true_function(together(list(apart.values())))
    known = {"true_function": whole.true_function, "true_explained": whole.true_explained}
    return {name: replace(one, **known) for name, one in apart.items()} | {ALL: whole}  # type: ignore[arg-type]


def assess(run: RunJudged, rows: Sequence[Row] = ROWS) -> RewardReport:
    """Measure how good a run's learned reward is, on each policy's trajectories and on all together.

    Args:
        run: From :func:`judge_run`.
        rows: What to measure.
    """
    about = {**SOURCES, ALL: "all of these together"}
    config = run.config
    taught = f"{run.labels} answers of {config.teacher}" if run.labels else "no answers"
    return RewardReport(
        title=f"{config.env_id}: the learned reward of {taught}, on fresh trajectories",
        rows=rows,
        notes=list(_notes(run)),
        sources=[report_source(name, about[name], judged, rows) for name, judged in run.judged.items()],
        weights=_weights(run),
    )


def _notes(run: RunJudged) -> Iterator[str]:
    config, whole = run.config, run.judged[ALL]
    yield f"true reward: {f'goal {config.feedback.goal}' if config.feedback.goal else 'that of the environment'}"
    if teacher_entry(config.teacher).people:
        yield "people taught this run: they may have wanted something else than that"
    if not source_entry(config.reward.source).labels or not run.labels:
        yield "this reward model was never fitted"
    elif not whole.labelled:
        yield f"its {run.labels} answers {NO_CHOICE}: this reward model was never fitted"
    if not config.feedback.goal:
        yield (
            "EPIC and DARD: the environment's reward as a quadratic of a step, which explains "
            f"{whole.true_explained:.3f} of its variance on episodes that it wasn't fitted to"
        )


def _weights(run: RunJudged) -> list[tuple[str, float, float]]:
    """Take the largest weights by name, if the model has any."""
    named = getattr(run.model, "weights_by_name", lambda *_: None)(run.observation_names, run.action_names)
    return sorted(named or (), key=lambda one: -abs(one[1]))[:MOST_WEIGHTS]

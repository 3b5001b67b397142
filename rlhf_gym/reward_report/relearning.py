"""Relearning: test a run's learned reward by training fresh policies on it.

A run's own policy and its reward model are trained together: answers are about what that policy did, so the reward only
has to be right there. Fresh policies, trained on the frozen reward, visit other states (McKinney et al. 2023, On the
fragility of learned reward functions, arXiv 2301.03652).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.code import code_named
from rlhf_gym.config.settings import FeedbackConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.evaluation import Predict
from rlhf_gym.files import check_output
from rlhf_gym.registry import GIVEN
from rlhf_gym.reporting import evaluate, return_figures
from rlhf_gym.reward_report.assess import check_has_model, no_single_model
from rlhf_gym.rewards import RewardModel
from rlhf_gym.rewards.files import model_digest
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import Run, read_run, unfinished_run
from rlhf_gym.runs.directory import is_finished
from rlhf_gym.saved_policy import saved_policy
from rlhf_gym.segments import RewardFunction, Trajectory
from rlhf_gym.teachers import load_goal
from rlhf_gym.trust import check_trusted

FILE = "relearned.json"
N_SEEDS = 3
NOBODY_ASKED: dict[str, Any] = {
    "scheme": "uniform",
    "scheme_options": {},
    "schedule": "constant",
    "options": None,
    "trajectories": None,
}


@dataclass(frozen=True)
class Returns:
    """Returns of a deterministic policy in the unmodified environment.

    Args:
        seed: Of the run that learned it.
        total_timesteps: Environment steps of that run, at most, as set.
        true_return_mean: By the environment's reward.
        true_return_std: Likewise.
        goal_return_mean: By the run's goal; None without one.
        n_eval_episodes: How many episodes these are means of.
        learned_return_mean: By the frozen reward.
        reward: Digest of that reward's model; "" in files of earlier versions.
    """

    seed: int
    total_timesteps: int
    true_return_mean: float
    true_return_std: float
    goal_return_mean: float | None
    n_eval_episodes: int
    learned_return_mean: float
    reward: str = ""

    @property
    def key(self) -> tuple[int, int]:
        """Key that identifies a policy among those that learned from the same reward."""
        return self.seed, self.total_timesteps


@dataclass(frozen=True)
class Relearning:
    """A run's policy, and fresh ones that learned from its frozen reward.

    Args:
        title: Which run, and what it was taught by.
        own: The run's policy.
        relearned: One fresh policy for each seed.
    """

    title: str
    own: Returns
    relearned: Sequence[Returns]

    def to_json(self) -> dict[str, Any]:
        """Turn it into plain JSON values."""
        return {"title": self.title, "own": asdict(self.own), "relearned": [asdict(one) for one in self.relearned]}

    def lines(self) -> Iterable[str]:
        """Yield the lines of the table, for a terminal."""
        yield self.title
        goal = self.own.goal_return_mean is not None
        heads = ["seed", "steps, at most", "true return", *["goal return"] * goal, "learned return"]
        yield f"{'':<14}" + "".join(f"{head:>16}" for head in heads)
        for name, one in (("the run's own", self.own), *(("relearned", one) for one in self.relearned)):
            spread = f"{one.true_return_mean:.1f} ± {one.true_return_std:.1f}"
            goals = [] if one.goal_return_mean is None else [f"{one.goal_return_mean:.4g}"]
            cells = [str(one.seed), str(one.total_timesteps), spread, *goals, f"{one.learned_return_mean:.4g}"]
            yield f"{name:<14}" + "".join(f"{cell:>16}" for cell in cells)
        yield f"mean and standard deviation of {self.own.n_eval_episodes} episodes of the deterministic policy"


def relearn(
    run_dir: str | Path,
    *,
    seeds: Sequence[int] = (),
    total_timesteps: int | None = None,
    out: str | Path | None = None,
    progress: bool = False,
) -> Relearning:
    """Train fresh policies on a run's learned reward, as its last round paid it, with the run's own agent settings.

    Each result is written to ``relearned.json`` in the run directory as soon as it is known. A seed and number of steps
    that are in the file aren't trained again, unless the run has continued since and its reward has changed.

    Args:
        run_dir: A finished run.
        seeds: Seeds of the fresh policies; if empty, the three lowest other than the run's own.
        total_timesteps: Environment steps of each; None is the run's.
        out: Folder of their run directories, ``seed_1`` and so on; an interrupted one is resumed. None keeps none.
        progress: Whether to show a bar.

    Raises:
        BadInput: If it holds no finished run, or the run didn't learn one reward; if a seed is negative or repeated, or
            an output can't be written.
    """
    run = _relearnable(Path(run_dir))
    seeds = _checked(seeds or [seed for seed in range(N_SEEDS + 1) if seed != run.config.seed][:N_SEEDS])
    steps = run.config.total_timesteps if total_timesteps is None else total_timesteps
    configs = [relearning_config(run, seed, steps, Path(out) / f"seed_{seed}" if out else None) for seed in seeds]
    check_output("run_dir", run.path / FILE)
    if out:
        check_output("out", Path(out), folder=True)
    check_trusted(code_named(configs[0]), str(run_dir))
    agent = saved_policy(run.path, run.config)
    model = RewardModel.load(run.path / "reward_model", agent.seen_space, agent.sb3.action_space)
    pay = model.reward_function()
    own = _returns(agent.predict, run.config, run, pay)
    title = _title(run)
    found = _read(run)
    for config in configs:
        if (config.seed, steps) not in found:
            with closing(_trained(config, progress=progress)) as rlhf:
                one = _returns(rlhf.predict, config, run, pay)
            found = _read(run) | {one.key: one}
            _write(run.path / FILE, Relearning(title, own, list(found.values())))
    return Relearning(title, own, [found[seed, steps] for seed in seeds])


def relearning_config(run: Run, seed: int, total_timesteps: int, run_dir: Path | None) -> RLHFConfig:
    """Make the settings of a fresh policy's run: the run's own, with the frozen reward and without queries.

    The agent settings include where the run's policy started, and the reference that it stayed close to.
    """
    agent, goal = run.config.agent, run.config.feedback.goal
    cloned = run.config.feedback.preferences if "best" in (agent.start, agent.reference) else None
    return run.config.replace(
        seed=seed,
        total_timesteps=total_timesteps,
        run_dir=None if run_dir is None else str(run_dir),
        labels=0,
        teacher="oracle",
        teacher_options={},
        kind="comparison",
        # A goal that was given as a Python object is gone, and the frozen reward doesn't need it.
        feedback=FeedbackConfig(goal=None if goal and goal.startswith(GIVEN) else goal, preferences=cloned),
        query=NOBODY_ASKED,
        reward={"source": "frozen", "source_options": _reward(run), "more": {}},
        agent={"explore_steps": 0, "restart_steps": 0},
    )


def _reward(run: Run) -> dict[str, str]:
    """Return the run's reward model as options of :func:`rlhf_gym.rewards.sources.frozen`."""
    return {"path": str(run.path.resolve()), "digest": model_digest(run.path)}


def _relearnable(run_dir: Path) -> Run:
    run = read_run(run_dir)
    method = run.config.method
    check_has_model(run_dir, run.config)
    if method != "learned_reward":
        raise BadInput(f"{run_dir} {no_single_model(method)}")
    return run


def _checked(seeds: Sequence[int]) -> Sequence[int]:
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise BadInput(f"seeds are {', '.join(map(str, seeds))}; use different ones of at least 0")
    return seeds


def _trained(config: RLHFConfig, *, progress: bool) -> RLHF:
    """Train a run, resume it if it was interrupted, or only read it if it is finished."""
    begun = None
    if (place := config.run_dir) and (Path(place) / "config.yaml").exists():
        begun = place if unfinished_run(place, finished_too=True) == config else None
    if begun and is_finished(begun):
        return RLHF.load(begun)
    with ExitStack() as undo:
        rlhf = undo.enter_context(closing(RLHF.resume(begun) if begun else RLHF(config)))
        rlhf.learn(progress=progress)
        undo.pop_all()
    return rlhf


def _returns(predict: Predict, learner: RLHFConfig, run: Run, pay: RewardFunction) -> Returns:
    """Evaluate a policy on the same episodes as the run's other policies."""
    episodes = evaluate(predict, run.config, seed=run.config.seed)
    goal = run.config.feedback.goal
    judge = load_goal(goal) if goal and not goal.startswith(GIVEN) else None
    learned = float(np.mean([_learned(pay, episode) for episode in episodes]))
    figures = return_figures(episodes, judge)
    which = model_digest(run.path)
    return Returns(learner.seed, learner.total_timesteps, **figures, learned_return_mean=learned, reward=which)


def _learned(pay: RewardFunction, episode: Trajectory) -> float:
    """Sum what the reward pays over an episode."""
    terminated = np.zeros(len(episode), bool)
    return float(pay(episode.observations[:-1], episode.actions, episode.observations[1:], terminated).sum())


def _title(run: Run) -> str:
    taught = f"{run.summary['labels']} answers"
    if run.config.labels:  # with 0, all answers were there before, by others
        taught += f" of {run.config.teacher}"
    return f"{run.config.env_id}: policies on the learned reward of {taught}, frozen, beside the run's own"


def _read(run: Run) -> dict[tuple[int, int], Returns]:
    """Read the results of policies that learned from the run's current reward, by their keys.

    Raises:
        BadInput: If the file is damaged.
    """
    file, now = run.path / FILE, model_digest(run.path)
    if not file.exists():
        return {}
    try:
        found = [Returns(**one) for one in json.loads(file.read_text())["relearned"]]
        return {one.key: one for one in found if one.reward == now}
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{file} is damaged ({error}); remove it, and relearn again") from error


def _write(file: Path, relearning: Relearning) -> None:
    new = file.with_suffix(".new")
    new.write_text(json.dumps(relearning.to_json(), indent=1) + "\n")
    new.replace(file)

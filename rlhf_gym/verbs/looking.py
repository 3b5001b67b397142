"""The verbs that look at a run: evaluate, watch and plot.

What a verb needs (torch, Stable-Baselines3, Matplotlib) is imported when it runs: ``--help`` shouldn't wait for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.files import check_output
from rlhf_gym.registry import check_name
from rlhf_gym.verbs.arguments import RunDir, check_code, check_played, config_there
from rlhf_gym.verbs.judging import measured, report_reward

if TYPE_CHECKING:
    from rlhf_gym.segments import Trajectory


@dataclass(frozen=True)
class Evaluate:
    """Play a run's policy on the unmodified environment, or assess its learned reward."""

    run_dir: RunDir
    """A run directory."""
    n_episodes: int = 20
    """Episodes to play; with --reward, of each policy."""
    seed: int = 0
    """Seed from which the episodes' seeds are drawn; they differ from those of the run's own summary."""
    metrics: tuple[str, ...] = ()
    """Compare the run's learned reward with the true one (or its goal's) on these episodes: correlation,
    pair_accuracy, epic, ..., or module:name."""
    reward: bool = False
    """Say how good the learned reward is on fresh episodes of the run's policy, of the untrained policy, and of
    random actions: accuracy by how close a pair is, calibration, correlations, EPIC and DARD distances, disagreement
    against error inside and outside of what was asked about."""
    output: Path | None = None
    """With --reward, write reliability.png into this folder (and map.png)."""
    map: Annotated[tuple[str, str] | None, arg(metavar="VARIABLE VARIABLE")] = None
    """With --reward, draw the learned reward over two variables of the observation, by name or number: map.png in the
    output folder, or in the run directory."""
    json: bool = False
    """Print JSON."""
    trust: bool = False
    """Run somebody else's modules that this run's settings name; needed once for each."""

    def run(self) -> None:
        """Play, and print the true return, the return by the run's goal if it has one, and the metrics asked for."""
        for name in self.metrics:
            check_name("metric", name)
        if self.reward:
            report_reward(self)
            return
        for name in ("output", "map"):
            if getattr(self, name) is not None:
                raise BadInput(f"{name} is of the learned reward's report; ask for it with --reward")
        config, episodes = play_run(self.run_dir, n_episodes=self.n_episodes, seed=self.seed)
        returns = [episode.true_return for episode in episodes]
        found = {
            "env_id": config.env_id,
            "seed": self.seed,
            "n_eval_episodes": len(returns),
            "true_return_mean": fmean(returns),
            "true_return_std": pstdev(returns),
            "goal_return_mean": _goal_return(config.feedback.goal, episodes),
            "episode_length_mean": fmean(map(len, episodes)),
        }
        figures = measured(self.metrics, self.run_dir, config, episodes)
        if self.json:
            found |= {"metrics": {name: figure.value for name, figure in figures.items()}} if figures else {}
            untold = {name: figure.why for name, figure in figures.items() if figure.why}
            print(json.dumps(found | ({"untold": untold} if untold else {})))
            return
        print(f"{config.env_id}: {true_return(found)}")
        for name, figure in figures.items():
            why = f" ({figure.why})" if figure.why else ""
            print(f"{name} of the learned reward with the true one: {figure}{why}")


@dataclass(frozen=True)
class Watch:
    """Write a video of a run's policy."""

    run_dir: RunDir
    """A run directory."""
    output: Path | None = None
    """File to write, .gif or .webp; None is policy.gif in the run directory."""
    n_episodes: int = 1
    """Episodes to show, one after the other."""
    seed: int = 0
    """Seed from which the episodes' seeds are drawn."""
    trust: bool = False
    """Run somebody else's modules that this run's settings name; needed once for each."""

    def run(self) -> None:
        """Play, draw, write."""
        import numpy as np

        from rlhf_gym.envs import frames_per_second, replay, write_clip
        from rlhf_gym.envs.clips import check_format

        output = self.output or self.run_dir / "policy.gif"
        check_format(output)
        check_output("output", output)
        config, episodes = play_run(self.run_dir, n_episodes=self.n_episodes, seed=self.seed)
        frames = np.concatenate([replay(episode) for episode in episodes])
        clip = write_clip(
            frames,
            output,
            fps=frames_per_second(config.env_id, config.env_kwargs),
        )
        goals = [goal for episode in episodes if (goal := _goal_return(config.feedback.goal, [episode])) is not None]
        print(f"true return {', '.join(f'{episode.true_return:.4g}' for episode in episodes)}")
        if goals:
            print(f"goal return {', '.join(f'{goal:.4g}' for goal in goals)}")
        print(f"wrote {clip}")


@dataclass(frozen=True)
class Plot:
    """Draw the learning curve of one run or many."""

    run_dirs: Annotated[tuple[Path, ...], Positional, arg(metavar="DIR...")]
    """Run directories, of unfinished runs too, or the folder of a sweep, which means all of its finished runs."""
    output: Path = Path("curve.png")
    """File to write; its ending says whether png, svg or pdf."""
    interval: bool = False
    """Draw the mean over seeds with its 95 % confidence interval, instead of the interquartile mean and the range."""
    seconds: bool = False
    """Draw against seconds of the teacher's time, in which kinds of feedback differ, instead of labels."""

    def run(self) -> None:
        """Draw and write."""
        from rlhf_gym.plots import learning_curve
        from rlhf_gym.runs import read_so_far

        if self.output.suffix not in (".png", ".svg", ".pdf"):
            raise BadInput(f"output is {self.output}; use a name that ends in .png, .svg or .pdf")
        check_output("output", self.output)
        # Each once: a run that is named twice, as a sweep's too, is no second seed.
        run_dirs = {run_dir.resolve(): run_dir for given in self.run_dirs for run_dir in _runs_of(given)}
        runs = [read_so_far(run_dir) for run_dir in run_dirs.values()]
        learning_curve(runs, self.output, interval=self.interval, seconds=self.seconds)
        print(f"wrote {self.output}")


def _runs_of(folder: Path) -> list[Path]:
    """List the finished runs of a sweep's folder; any other folder is taken as a run."""
    from rlhf_gym.runs.directory import is_finished

    kept = folder / "runs"
    if (folder / "config.yaml").exists() or not (folder / "runs.csv").exists():
        return [folder]
    if not kept.is_dir() or not (found := [path for path in sorted(kept.iterdir()) if is_finished(path)]):
        raise BadInput(f"{folder} is of a sweep that kept no run directory here; sweep without --no-keep-runs")
    return found


def true_return(found: Mapping[str, Any]) -> str:
    """Describe the true return of an evaluation, and the return by the goal if there is one."""
    mean, std, n = (found[name] for name in ("true_return_mean", "true_return_std", "n_eval_episodes"))
    goal = found["goal_return_mean"]
    return f"true return {mean:.1f} ± {std:.1f} (mean and standard deviation of {n} episodes)" + (
        "" if goal is None else f"; goal return {goal:.4g} (mean)"
    )


def _goal_return(goal: str | None, episodes: Sequence[Trajectory]) -> float | None:
    """Average the episodes' returns by the run's goal; None if it has no goal."""
    from rlhf_gym.evaluation import goal_return
    from rlhf_gym.teachers import load_goal

    return goal_return(load_goal(goal), episodes) if goal else None


def play_run(run_dir: Path, *, n_episodes: int, seed: int) -> tuple[RLHFConfig, list[Trajectory]]:
    """Read a run's settings, and play episodes of its policy on the unmodified environment.

    Raises:
        BadInput: If the directory holds neither a finished nor a saved run, or names code that this user never ran.
    """
    check_played(n_episodes=n_episodes, seed=seed)
    from rlhf_gym.evaluation import play
    from rlhf_gym.runs import is_saved, read_run
    from rlhf_gym.saved_policy import saved_policy

    config = config_there(run_dir) if is_saved(run_dir) else read_run(run_dir).config
    check_code(config, run_dir, "env_id", "algo", "feedback.goal")
    predict = partial(saved_policy(run_dir, config).predict, deterministic=True)
    return config, play(
        predict,
        config.env_id,
        env_kwargs=config.env_kwargs,
        n_episodes=n_episodes,
        seed=seed,
        n_envs=config.evaluation.n_envs,
        step_seconds=config.env.step_seconds,
    )

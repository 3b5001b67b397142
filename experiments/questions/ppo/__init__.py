"""What is the strongest PPO on the true reward, task by task, at the steps that the results have?

Everything that learns from answers is compared with PPO on the true reward, so PPO is to be tuned first; so far it is
on four tasks, and there in part. The candidates are variants of Stable-Baselines3's PPO, paid the true reward, on seeds
100 to 102, which no result uses. Each task's preset is to have the best of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiments.harness.parts import returns
from experiments.harness.settings import Row, Setting, Verdict
from experiments.questions.ppo.settings import CANDIDATES, FAMILIES, LONG, SETTINGS, TASKS, TESTING, agent_of, names
from rlhf_gym.config import RLHFConfig
from rlhf_gym.stats import interquartile_mean, mean_name

Settings = Mapping[str, Setting]
Runs = Mapping[str, Sequence[Row]]


def best(task: str, runs: Runs, *, long: bool = False) -> str | None:
    """Choose the candidate with the highest mean over seeds, among the settings with runs; None without any."""
    there = [name for name in names(task, long=long) if runs.get(name)]
    return max(there, key=lambda name: interquartile_mean(returns(name, runs)), default=None)


@dataclass(frozen=True)
class Best:
    """The mean of a task's best candidate is at least `least`, on the seeds it was chosen by."""

    task: str
    least: float
    long: bool = False

    def judge(self, settings: Settings, runs: Runs) -> Verdict:
        """Compare the best candidate with the figure."""
        steps = "1M" if self.long else f"{TASKS[self.task].steps // 1000}k"
        asked = f"{TASKS[self.task].env_id}, {steps} steps, best candidate: true return at least {self.least:g}"
        name = best(self.task, runs, long=self.long)
        if name is None:
            return Verdict(asked, "not run", None)
        values = returns(name, runs)
        whole = all(
            len(runs.get(other, ())) == len(settings[other].seeds) for other in names(self.task, long=self.long)
        )
        reached = f"{_spread(values)} by {settings[name].title} (`{name}`)"
        return Verdict(asked, reached, interquartile_mean(values) >= self.least if whole else None)


ASKED = tuple(Best(name, task.asked) for name, task in TASKS.items() if task.asked is not None) + tuple(
    Best(name, task.asked_1m, long=True) for name, task in TASKS.items() if task.asked_1m is not None
)


def in_preset(task: str, name: str) -> bool:
    """Test whether the task's preset has the same agent settings as a setting of this question."""
    candidate = next(key for key in CANDIDATES if name.removesuffix("_1m") == f"{task}_{key}")
    env_id = TASKS[task].env_id
    return RLHFConfig.for_env(env_id, agent=agent_of(task, candidate)).agent == RLHFConfig.for_env(env_id).agent


def more(settings: Settings, runs: Runs) -> Iterator[str]:
    """List the best candidate of each task, with its spread, and whether the preset has it."""
    yield "\n## The best candidate of each task\n"
    yield "| task | steps | best by mean over its seeds | mean, lowest to highest seed | next best | in the preset |"
    yield "|---|---|---|---|---|---|"
    for task, long in [*((task, False) for task in TASKS), *((task, True) for task in LONG)]:
        name = best(task, runs, long=long)
        if name is not None:
            others = {other: rows for other, rows in runs.items() if other != name}
            second = best(task, others, long=long)
            after = f"{settings[second].title}: {_spread(returns(second, runs))}" if second else ""
            steps = "1M" if long else f"{TASKS[task].steps // 1000}k"
            has = "yes" if in_preset(task, name) else "**no**"
            spread = _spread(returns(name, runs))
            yield f"| {TASKS[task].env_id} | {steps} | {settings[name].title} | {spread} | {after} | {has} |"


def _spread(values: Sequence[float]) -> str:
    digits = 1 if max(map(abs, values)) >= 10 else 2
    middle, low, high = (f"{value:.{digits}f}" for value in (interquartile_mean(values), min(values), max(values)))
    return f"{middle} ({low} to {high}), {mean_name(len(values))} of {len(values)} seeds"


def answer(settings: Settings, runs: Runs) -> str:
    """Say how many of the asked returns the best candidates reach, and on how many tasks the presets have them."""
    reached = sum(bool(asked.judge(settings, runs).passed) for asked in ASKED)
    named = [task for task in TASKS if (name := best(task, runs)) and in_preset(task, name)]
    return (
        f"The best candidate reaches {reached} of the {len(ASKED)} true returns asked for, and the presets have it on "
        f"{len(named)} of {len(TASKS)} tasks."
    )


HOW_TO_READ = """\
Every return is that of the deterministic policy over 20 episodes of the unmodified environment. The best candidate is
chosen by its mean over the same seeds that are shown here, so its own figure is too good, the more so the more
candidates there are. How its preset does on seeds 0 to 9 is on the pages of [mujoco](../mujoco/README.md),
[classic_control](../classic_control/README.md) and [cartpole](../cartpole/README.md). A candidate is laid over settings
that are written out in `experiments/questions/ppo/settings.py`. *Normalised* is `normalize_rewards`,
Stable-Baselines3's VecNormalize; σ is the standard deviation of actions at the start, γ the discount, λ that of the
advantage estimate, and a rollout is the steps between two updates."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer", "more"]

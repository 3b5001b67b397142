"""How much of what PPO reaches on the true reward labels reach: on every task, here and elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from experiments.harness.records import read_rows
from experiments.harness.results import Results, read_results
from experiments.harness.settings import Family, Row, names
from rlhf_gym.config import RLHFConfig
from rlhf_gym.registry import source_entry, teacher_entry
from rlhf_gym.stats import fraction_reached, interquartile_mean

RETURN = "true_return_mean"


@dataclass(frozen=True)
class Point:
    """One mark of the figure, one row of its table.

    Args:
        task: What it was reached on.
        kind: From answers, from a constant reward and no answers at all, or by others.
        labels: Answers given.
        fraction: Interquartile mean of the true return, as a part of what PPO reaches on the true reward.
        low: The same part of the lowest seed; None where only the fraction is known.
        high: That of the highest seed.
        n_seeds: Runs with these labels; None where not known.
        source: Where the figure is from: experiment and setting, or a publication.
        above: The setting whose return counts as 0; none where 0 itself does.
        ppo_low: The part that PPO's own lowest seed reaches of PPO's interquartile mean.
        ppo_high: That of its highest seed.
    """

    task: str
    kind: Literal["labels", "constant", "elsewhere"]
    labels: int
    fraction: float
    low: float | None
    high: float | None
    n_seeds: int | None
    source: str
    above: str = ""
    ppo_low: float | None = None
    ppo_high: float | None = None


class Parts(NamedTuple):
    """Returns as parts of PPO's interquartile mean: their own interquartile mean, their lowest and their highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, returns: Sequence[float], ppo: Sequence[float], floor: Sequence[float]) -> Parts:
        """Take the parts, all counted from the floor's interquartile mean."""
        return cls(*(fraction_reached(v, ppo, floor=floor) for v in (returns, [min(returns)], [max(returns)])))


# Only what was given as a part of the true reward's return, or beside it. Christiano et al. (2017) say of 700 labels
# that they "nearly match" the true reward, and give no number; returns alone can't be placed here either.
PUBLISHED = (
    Point(
        "mean of 6 tasks",
        "elsewhere",
        10_000,
        0.55,
        None,
        None,
        None,
        "Metz et al. 2025, multi-type-feedback: PPO, mean of 6 tasks",
    ),
    Point(
        "cheetah-run",
        "elsewhere",
        100,
        0.96,
        None,
        None,
        None,
        "STAR 2025: SAC on DMControl cheetah-run",
    ),
)
IMITATION = {"half_cheetah_700": "imitation", "cartpole_200": "imitation_fragments_of_8"}
"""Tasks of the peers whose returns are positive, and by which settings imitation runs them."""


def elsewhere(results_dir: Path = Path("results")) -> list[Point]:
    """Collect others' figures: imitation, as measured here beside its own PPO, and published ones."""
    path = results_dir / "peers" / "runs.csv"
    rows = read_rows(path) if path.exists() else []
    points = []
    for task, who in IMITATION.items():
        own = [row for row in rows if row["task"] == task and row["who"] == who]
        returns, ppo = _returns(own), _returns([r for r in rows if (r["task"], r["who"]) == (task, "imitation_ppo")])
        if returns and ppo:
            env_id, labels = own[0]["env_id"], int(own[0]["labels"])
            parts = Parts.of(returns, ppo, [0.0])
            source = f"imitation 1.0.1 on {env_id} (results/peers)"
            points.append(Point(env_id, "elsewhere", labels, *parts, len(returns), source))
    return [*points, *PUBLISHED]


def results_with_rows(results_dir: Path = Path("results")) -> list[Results]:
    """List every experiment that has been run at least in part."""
    return [
        read_results(name, results_dir=results_dir) for name in names() if (results_dir / name / "runs.csv").exists()
    ]


def measured(experiments: Iterable[Results]) -> tuple[list[Point], dict[str, list[str]]]:
    """Make a point per number of labels, and one for the best constant reward, on every comparable task.

    That is where an oracle compares by the environment's own reward and PPO was also paid that reward. Missing runs are
    left out.

    Returns:
        The points, and the tasks that had to be left out, by why: a part of a negative return says nothing where
        nothing was run that could count as 0, or the oracle compares by another goal.
    """
    points: list[Point] = []
    without_floor: list[str] = []
    other_goals: list[str] = []
    for results in experiments:
        for family in results.families.values():
            found, configs = _points(results, family), list(_configs(results, family).values())
            without_floor += [_task(configs[0])] * (found is None)
            other_goals += [c.env_id for c in configs if c.teacher == "oracle" and c.feedback.goal is not None]
            points += found or ()
    named = {*without_floor, *(point.task for point in points)}
    left_out = {
        "returns are negative": without_floor,
        "their oracle judges another goal": [task for task in dict.fromkeys(other_goals) if task not in named],
    }
    return points, {why: tasks for why, tasks in left_out.items() if tasks}


def _points(results: Results, family: Family) -> list[Point] | None:
    """Those of one family; None where a floor is missing."""
    configs = {name: config for name, config in _configs(results, family).items() if config.feedback.goal is None}
    ours = [
        name
        for name, c in configs.items()
        if source_entry(c.reward.source).labels and not teacher_entry(c.teacher).control
    ]
    ppo = next((name for name, c in configs.items() if c.reward.source == "true"), None)
    if ppo is None or not ours:
        return []
    theirs, floor, above = _returns(results.runs[ppo]), [0.0], ""
    if interquartile_mean(theirs) <= 0:
        above = next((name for name, c in configs.items() if c.agent.options["learning_rate"] == 0), "")
        if not above:
            return None
        floor = _returns(results.runs[above])
    learning = {name: c for name, c in configs.items() if c.agent.options["learning_rate"] != 0}
    constant = [name for name, c in learning.items() if c.reward.source == "constant"]
    best = sorted(constant, key=lambda name: interquartile_mean(_returns(results.runs[name])))[-1:]
    return [
        Point(
            _task(configs[name]),
            "labels" if name in ours else "constant",
            configs[name].labels,
            *Parts.of(returns, theirs, floor),
            len(returns),
            f"{results.name}: {name}",
            above,
            *Parts.of(theirs, theirs, floor)[1:],
        )
        for name in [*ours, *best]
        for returns in [_returns(results.runs[name])]
    ]


def _configs(results: Results, family: Family) -> dict[str, RLHFConfig]:
    return {name: setting.run_config(setting.seeds[0]) for name, setting in results.of(family).items()}


def _task(config: RLHFConfig) -> str:
    return config.env_id + (", fixed horizon" if config.env.fixed_horizon is not None else "")


def _returns(rows: Sequence[Row]) -> list[float]:
    return [float(row[RETURN]) for row in rows]

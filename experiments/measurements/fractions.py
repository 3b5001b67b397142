"""Compute what part of the best PPO's gain on the true reward labels reach, on every task, here and elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.harness.parts import part_of
from experiments.harness.results import Results, read_results
from experiments.harness.settings import Family, Row, names
from rlhf_gym.config import RLHFConfig
from rlhf_gym.registry import source_entry, teacher_entry
from rlhf_gym.stats import interquartile_mean
from rlhf_gym.sweeps.records import read_rows

RETURN = "true_return_mean"
ABLATIONS = (
    "direct",
    "kinds",
    "label_efficiency",
    "label_noise",
    "more_from_labels",
    "off_policy",
    "ppo",
    "pretrained",
    "ratings",
)
"""Questions whose settings differ in more than the number of labels, or whose learner isn't PPO."""


@dataclass(frozen=True)
class Point:
    """One mark of the figure, one row of its table.

    Args:
        task: Task that it was reached on.
        kind: From answers (`labels`), from a constant reward without answers, or by others (`elsewhere`).
        labels: Answers given.
        fraction: Interquartile mean of the true return (of fewer than 4 seeds the mean), as a part of what the best PPO
            gains on the true reward over the untrained policy.
        low: The part that the lowest seed reaches; None if only the fraction is known.
        high: The part that the highest seed reaches; None likewise.
        n_seeds: Runs with these labels; None where not known.
        source: Where the figure is from: experiment and setting, or a publication.
        above: The untrained policy's setting, whose return counts as 0.
        ppo_low: The part that the best PPO's own lowest seed reaches of its interquartile mean.
        ppo_high: The part that its highest seed reaches.
        ppo_seeds: Runs of that PPO.
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
    ppo_seeds: int | None = None


# Only figures published as a part of the true reward's return, or beside it. They count from 0, because nobody gives
# the return of an untrained policy. Christiano et al. (2017) say that 700 labels "nearly match" the true reward, and
# give no number; returns alone can't be placed here either.
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
IMITATION = ("pendulum_100", "half_cheetah_700")
"""Tasks of the peers on which imitation runs by its own documented settings."""


def elsewhere(results_dir: Path = Path("results")) -> list[Point]:
    """Collect others' figures: imitation, as measured here beside its own PPO, and published ones.

    Imitation's untrained policy is taken to reach the return of ours on the same task; without ours, imitation's
    figures are left out.
    """
    path = results_dir / "peers" / "runs.csv"
    rows = read_rows(path) if path.exists() else []
    ours = _without_ablations(results_with_rows(results_dir))
    floors = {stem(env_id): floor for results in ours for env_id, floor in _floors(results).items()}
    points = []
    for task in IMITATION:
        own = [row for row in rows if (row["task"], row["who"]) == (task, "imitation")]
        returns, ppo = _returns(own), _returns([r for r in rows if (r["task"], r["who"]) == (task, "imitation_ppo")])
        above, floor = floors.get(stem(own[0]["env_id"]), ("", [])) if own else ("", [])
        part = part_of(returns, ppo, floor) if returns and ppo and floor else None
        if part:
            env_id, labels = own[0]["env_id"], int(own[0]["labels"])
            figures = (part.middle, part.least, part.most, part.n)
            points.append(
                Point(env_id, "elsewhere", labels, *figures, f"imitation 1.0.1 on {env_id} (results/peers)", above)
            )
    return [*points, *PUBLISHED]


def stem(task: str) -> str:
    """Cut the version from a task's name: others' versions are compared with ours, as their own PPO is."""
    name, _, how = task.partition(", ")
    return name.partition("-v")[0] + f", {how}" * bool(how)


def results_with_rows(results_dir: Path = Path("results")) -> list[Results]:
    """List every experiment that has been run at least in part."""
    return [
        read_results(name, results_dir=results_dir) for name in names() if (results_dir / name / "runs.csv").exists()
    ]


def _without_ablations(experiments: Iterable[Results]) -> list[Results]:
    return [results for results in experiments if results.name not in ABLATIONS]


def measured(experiments: Iterable[Results]) -> tuple[list[Point], dict[str, list[str]]]:
    """Make a point per number of labels, and one for the best constant reward, on every comparable task.

    A task is comparable if an oracle compares by the environment's own reward, PPO was also paid that reward, and an
    untrained policy was run, whose return counts as 0. Missing runs are left out, and so are ablations.

    Returns:
        The points, and the tasks that had to be left out, by reason: no untrained policy was run, or the oracle
        compares by another goal.
    """
    points: list[Point] = []
    without_floor: list[str] = []
    other_goals: list[str] = []
    for results in _without_ablations(experiments):
        floors = _floors(results)
        for family in results.families.values():
            found, configs = _points(results, family, floors), list(_configs(results, family).values())
            without_floor += [_task(configs[0])] * (found is None)
            other_goals += [c.env_id for c in configs if c.teacher == "oracle" and c.feedback.goal is not None]
            points += found or ()
    named = {*without_floor, *(point.task for point in points)}
    left_out = {
        "no untrained policy was run": without_floor,
        "their oracle judges another goal": [task for task in dict.fromkeys(other_goals) if task not in named],
    }
    return points, {why: tasks for why, tasks in left_out.items() if tasks}


def _points(results: Results, family: Family, floors: Mapping[str, tuple[str, Sequence[float]]]) -> list[Point] | None:
    """Make one family's points, none without PPO or labels; None if the floor is missing, or PPO isn't above it."""
    configs = {name: config for name, config in _configs(results, family).items() if config.feedback.goal is None}
    learning = {name: c for name, c in configs.items() if not _is_untrained(c)}
    ours = [
        name
        for name, c in learning.items()
        if source_entry(c.reward.source).labels and not teacher_entry(c.teacher).control
    ]
    ppo = _best([name for name, c in learning.items() if source_entry(c.reward.source).true], results)
    if not ppo or not ours:
        return []
    above, floor = floors.get(configs[ppo[0]].env_id, ("", []))
    theirs = _returns(results.runs[ppo[0]])
    own = part_of(theirs, theirs, floor) if floor else None
    if own is None:
        return None
    constant = _best([name for name, c in learning.items() if c.reward.source == "constant"], results)
    return [
        Point(
            _task(configs[name]),
            "labels" if name in ours else "constant",
            configs[name].labels,
            *(part.middle, part.least, part.most, part.n),
            f"{results.name}: {name}",
            above,
            own.least,
            own.most,
            own.n,
        )
        for name in [*ours, *constant]
        if (part := part_of(_returns(results.runs[name]), theirs, floor))
    ]


def _best(names: Sequence[str], results: Results) -> list[str]:
    """Choose the setting with the highest interquartile mean, in a list; an empty list if there are none."""
    return sorted(names, key=lambda name: interquartile_mean(_returns(results.runs[name])))[-1:]


def _floors(results: Results) -> dict[str, tuple[str, list[float]]]:
    """Collect untrained policies by environment, which they play unmodified, however the others learn in it."""
    settings = {name: results.settings[name] for name in results.runs}
    configs = {name: setting.run_config(setting.seeds[0]) for name, setting in settings.items()}
    return {c.env_id: (name, _returns(results.runs[name])) for name, c in configs.items() if _is_untrained(c)}


def _is_untrained(config: RLHFConfig) -> bool:
    return bool(config.agent.options.get("learning_rate") == 0)


def _configs(results: Results, family: Family) -> dict[str, RLHFConfig]:
    return {name: setting.run_config(setting.seeds[0]) for name, setting in results.of(family).items()}


def _task(config: RLHFConfig) -> str:
    fixed = ", fixed horizon" if config.env.fixed_horizon is not None else ""
    return config.env_id + fixed + ", 1M steps" * (config.total_timesteps >= 1_000_000)


def _returns(rows: Sequence[Row]) -> list[float]:
    return [float(row[RETURN]) for row in rows]

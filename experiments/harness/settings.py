"""The parts of an experiment: settings as data, the figures asked of them, and their groups on its page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from experiments.harness.parts import Scale
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import merge, unknown_name
from rlhf_gym.plots import Panel
from rlhf_gym.segments import Trajectory
from rlhf_gym.sweeps.columns import setting_columns

QUESTIONS = Path(__file__).parents[1] / "questions"

Measure = Callable[[Sequence[Trajectory]], float]
"""A figure of the evaluation's episodes: the deterministic policy on the unmodified environment."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Bound:
    """A figure that a run has to reach.

    Args:
        measure: Column of the table of runs.
        least: The figure must not be below it.
        most: The figure must not be above it.
    """

    measure: str
    least: float = -math.inf
    most: float = math.inf

    def holds(self, run: Row) -> bool:
        """Test whether a run's figure is within the bounds; False if it has none."""
        return run.get(self.measure, "") != "" and self.least <= float(run[self.measure]) <= self.most

    def __str__(self) -> str:
        ends = [f"≥ {self.least:g}"] * (self.least > -math.inf) + [f"≤ {self.most:g}"] * (self.most < math.inf)
        return f"{self.measure} {' and '.join(ends)}"


@dataclass(frozen=True)
class Setting:
    """One setting of an experiment, run once per seed.

    Args:
        title: Its name in figures and tables.
        config: Settings of :class:`RLHFConfig`, nested, laid over the preset of their `env_id`.
        seeds: One run each.
        control: Whether it is there for comparison.
        measures: Figures of the evaluation's episodes that are recorded beside the true return.
        threshold: Bounds that a run has to reach, all of them.
        clip: Whether to keep a clip of the policy that the first seed learns.
        scale: Scale that its returns are expressed on as parts; None shows them as they are.
    """

    title: str
    config: Mapping[str, Any]
    seeds: tuple[int, ...]
    control: bool = False
    measures: Mapping[str, Measure] = field(default_factory=dict)
    threshold: tuple[Bound, ...] = ()
    clip: bool = False
    scale: Scale | None = None

    def run_config(self, seed: int) -> RLHFConfig:
        """Make all settings of one run."""
        return RLHFConfig.for_env(**merge(self.config, {"seed": seed}))

    @property
    def asked(self) -> str:
        """The threshold in words."""
        return " and ".join(map(str, self.threshold))

    def reached(self, run: Row) -> bool:
        """Test whether a run reaches the threshold."""
        return all(bound.holds(run) for bound in self.threshold)


SHORT: Mapping[str, Any] = {
    "total_timesteps": 2048,
    "query": {"rounds": 2, "warm_up_steps": 256},
    "agent": {"n_envs": 4, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 4}},
    "evaluation": {"n_episodes": 2},
}
"""Settings that make a run take only seconds."""


def shortened(settings: Mapping[str, Setting], names: Sequence[str], config: Mapping[str, Any]) -> dict[str, Setting]:
    """Shorten some settings for tests: one seed each, and `config` laid over their own."""
    return {
        name: replace(settings[name], seeds=settings[name].seeds[:1], config=merge(settings[name].config, config))
        for name in names
    }


@dataclass(frozen=True)
class Family:
    """Settings that are compared with each other: one table and one figure.

    Args:
        title: Heading of their section.
        settings: Their names, in order.
        panels: What the figure shows beside the learning curves.
        curve: What the learning curves show; None leaves them out.
        figure: Whether to draw a figure; False if its settings have no unit in common.
    """

    title: str
    settings: tuple[str, ...]
    panels: tuple[Panel, ...]
    curve: str | None = "true return"
    figure: bool = True


@dataclass(frozen=True)
class Verdict:
    """A figure asked for, beside the one reached; `passed` is None while runs are missing."""

    asked: str
    reached: str
    passed: bool | None


class Asked(Protocol):
    """A condition on the results."""

    def judge(self, settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> Verdict:
        """Compare it with the runs of each setting."""


class Experiment(Protocol):
    """What the package of an experiment defines; its docstring is the question, in words."""

    __doc__: str
    SETTINGS: Mapping[str, Setting]
    TESTING: Mapping[str, Setting]  # a few of SETTINGS, shortened to seconds for the tests
    FAMILIES: Mapping[str, Family]  # by the name of their figure's file
    ASKED: Sequence[Asked]
    HOW_TO_READ: str
    answer: Callable[[Mapping[str, Setting], Mapping[str, Sequence[Row]]], str]  # one sentence, once nothing is missing


def names() -> list[str]:
    """List the names of all questions, sorted."""
    return sorted(path.parent.name for path in QUESTIONS.glob("*/__init__.py"))


def load(name: str) -> Experiment:
    """Load the experiment in `experiments/questions/NAME`.

    Raises:
        ValueError: If there is none.
    """
    if not name.isidentifier() or not (QUESTIONS / name / "__init__.py").exists():
        raise ValueError(f"there is no experiment {name!r}; use one of {', '.join(names())}")
    return cast(Experiment, import_module(f"experiments.questions.{name}"))


def choose(experiment: Experiment, *, testing: bool, only: Sequence[str] = ()) -> dict[str, Setting]:
    """Choose settings by name or pattern (`*` and `?`); all of them if `only` is empty.

    Raises:
        ValueError: If a name matches no setting.
    """
    settings = experiment.TESTING if testing else experiment.SETTINGS
    for name in only:
        if not any(fnmatchcase(known, name) for known in settings):
            raise ValueError(unknown_name(name, list(settings)))
    return {name: setting for name, setting in settings.items() if not only or any(fnmatchcase(name, o) for o in only)}


def known_columns(experiment: str, setting: str, config: RLHFConfig) -> dict[str, Any]:
    """List the columns of a run that are known before it starts: its names, and every setting by its dotted name."""
    return {"experiment": experiment, "setting": setting} | setting_columns(config)


def measure_names(settings: Mapping[str, Setting]) -> list[str]:
    """List the measures of all settings; each has a column, which is empty for settings without it."""
    return list(dict.fromkeys(name for setting in settings.values() for name in setting.measures))

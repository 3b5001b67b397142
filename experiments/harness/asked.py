"""Conditions that an experiment's results are tested for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.harness.parts import RETURN, Scale, returns
from experiments.harness.settings import Asked, Row, Setting, Verdict
from rlhf_gym.stats import (
    ENOUGH,
    bootstrap_interval,
    difference_interval,
    interquartile_mean,
    probability_of_improvement,
)

Settings = Mapping[str, Setting]
Runs = Mapping[str, Sequence[Row]]
ENOUGH_TO_BE_ALIKE = 5  # with fewer seeds, a narrow interval is luck


@dataclass(frozen=True)
class Seeds:
    """At least `least` seeds of a setting reach its threshold, and at most `most` if it must miss it."""

    setting: str
    least: int = 0
    most: int | None = None

    def judge(self, settings: Settings, runs: Runs) -> Verdict:
        """Count the seeds over the threshold."""
        setting, rows = settings[self.setting], runs.get(self.setting, ())
        over, n = sum(map(setting.reached, rows)), len(setting.seeds)
        wanted = f"at least {self.least}" if self.most is None else f"at most {self.most}"
        enough = over >= self.least and (self.most is None or over <= self.most)
        asked = f"{_called(self.setting, settings)}: {setting.asked} on {wanted} of {n} seeds"
        whole = len(rows) == n >= self.least
        return Verdict(asked, f"{over} of {len(rows)}" if rows else "not run", enough if whole else None)


@dataclass(frozen=True)
class Reaches:
    """A setting's true return is at least `least`, by the lower end of its interval."""

    setting: str
    least: float

    def judge(self, settings: Settings, runs: Runs) -> Verdict:
        """Compare the interval's lower end with the figure."""
        asked = f"{_called(self.setting, settings)}: true return at least {self.least:g}"
        ours = returns(self.setting, runs)
        if not ours:
            return Verdict(asked, "not run", None)
        low, high = bootstrap_interval(ours, seed=0)
        passed = low >= self.least if _whole((self.setting,), settings, runs) else None
        spread = f"[{low:.1f}, {high:.1f}]" if len(ours) >= ENOUGH else f"({min(ours):.1f} to {max(ours):.1f})"
        return Verdict(asked, f"{interquartile_mean(ours):.1f} {spread}", passed)


@dataclass(frozen=True)
class Ratio:
    """A setting reaches at least a part of the best PPO's gain, by the lower end of the part's interval.

    Args:
        setting: The setting to compare.
        scale: What counts as 1 and as 0.
        least: The part asked for.
        worst: Whether to compare the worst seed instead of the interval's lower end.
    """

    setting: str
    scale: Scale
    least: float
    worst: bool = False

    def judge(self, settings: Settings, runs: Runs) -> Verdict:
        """Compare the interval's lower end, or the worst seed, with the part."""
        scale, part, better = self.scale, self.scale.part(self.setting, runs), self.scale.better(runs)
        gain = f"the gain over {settings[scale.floor].title} of {settings[better or scale.best[0]].title}"
        whose = f", the worst of {len(settings[self.setting].seeds)} seeds" if self.worst else ""
        asked = f"{_called(self.setting, settings)}{whose}: ≥ {self.least:g} of {gain}"
        if part is None or better is None:
            there = all(scale.of(name, runs) for name in (self.setting, str(better), scale.floor))
            return Verdict(asked, "PPO gained nothing over the untrained policy" if there else "not run", None)
        ours, zero, one = (scale.of(name, runs) for name in (self.setting, scale.floor, better))
        measured, figure = (min(ours), f"{part.least:.2f}") if self.worst else (interquartile_mean(ours), str(part))
        reached = f"{figure}: {measured:.1f}, between {interquartile_mean(zero):.1f} and {interquartile_mean(one):.1f}"
        passed = (part.least if self.worst else part.low) >= self.least
        whole = _whole((self.setting, scale.floor, *scale.best), settings, runs, scale.measure)
        return Verdict(asked, reached, passed if whole else None)


@dataclass(frozen=True)
class Alike:
    """The 95 % interval of two settings' difference in true return lies within a margin; needs 5 seeds of each.

    Args:
        setting: The setting to compare.
        other: The setting to compare it with.
        margin: In units of the true return; a difference below it doesn't matter.
    """

    setting: str
    other: str
    margin: float

    def judge(self, settings: Settings, runs: Runs) -> Verdict:
        """Compare the difference's interval with the margin."""
        like = f"true return within {self.margin:g} of that of {_called(self.other, settings)}"
        asked = f"{_called(self.setting, settings)}: {like}"
        ours, theirs = returns(self.setting, runs), returns(self.other, runs)
        if not ours or not theirs:
            return Verdict(asked, "not run", None)
        low, high = difference_interval(ours, theirs, seed=0)
        reached = (
            f"{interquartile_mean(ours):.1f} to {interquartile_mean(theirs):.1f}, difference [{low:.1f}, {high:.1f}]; "
            f"probability of improvement {probability_of_improvement(ours, theirs):.2f}"
        )
        enough = min(len(ours), len(theirs)) >= ENOUGH_TO_BE_ALIKE
        whole = _whole((self.setting, self.other), settings, runs) and enough
        return Verdict(asked, reached, -self.margin <= low and high <= self.margin if whole else None)


def _called(name: str, settings: Settings) -> str:
    """Join a setting's title and name, because families repeat titles."""
    return f"{settings[name].title} (`{name}`)"


def _whole(names: Sequence[str], settings: Settings, runs: Runs, measure: str = RETURN) -> bool:
    """Test whether every seed of these settings has a run with the measure."""
    return all(len(returns(name, runs, measure)) == len(settings[name].seeds) for name in names)


def reached(asked: Asked, settings: Settings, runs: Runs) -> bool:
    """Test whether the runs meet the condition; False while runs are missing."""
    return bool(asked.judge(settings, runs).passed)


def mean_return(setting: str, runs: Runs) -> float:
    """Compute the interquartile mean of a setting's true return over its seeds."""
    return interquartile_mean([float(row[RETURN]) for row in runs[setting]])


def listed(names: Sequence[str]) -> str:
    """Join names with commas and a final "and"; "none" if there are none."""
    *before, last = names or ("none",)
    return f"{', '.join(before)} and {last}" if before else last

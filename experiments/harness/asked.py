"""The kinds of figures an experiment can be asked for, each with its test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.harness.settings import Asked, Row, Setting, Verdict
from rlhf_gym.stats import bootstrap_interval, interquartile_mean, probability_of_improvement

Settings = Mapping[str, Setting]
Runs = Mapping[str, Sequence[Row]]
RETURN = "true_return_mean"


@dataclass(frozen=True)
class Seeds:
    """Seeds of a setting that reach its threshold: at least `least`, or at most `most` where it must miss it."""

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
    """The interquartile mean of a setting's true return is at least `least`."""

    setting: str
    least: float

    def judge(self, settings: Settings, runs: Runs) -> Verdict:
        """Compare it with the figure."""
        asked = f"{_called(self.setting, settings)}: true return at least {self.least:g}"
        rows = runs.get(self.setting, ())
        if not rows:
            return Verdict(asked, "not run", None)
        reached = interquartile_mean([float(row[RETURN]) for row in rows])
        whole = len(rows) == len(settings[self.setting].seeds)
        return Verdict(asked, f"{reached:.1f}", reached >= self.least if whole else None)


@dataclass(frozen=True)
class Ratio:
    """The interquartile mean of a setting's true return is at least `least` times another's.

    Args:
        setting: The one that is compared.
        other: What it is measured against.
        least: The ratio asked for.
        floor: A setting whose return counts as 0, where returns are negative and a ratio would say nothing.
    """

    setting: str
    other: str
    least: float
    floor: str | None = None

    def judge(self, settings: Settings, runs: Runs) -> Verdict:
        """Compare the two interquartile means."""
        theirs, none = settings[self.other].title, settings[self.floor].title if self.floor else "0"
        way = f"the way from {none} to " if self.floor else ""
        asked = f"{_called(self.setting, settings)}: ≥ {self.least:g} of {way}{theirs}"
        ours, ceiling, whole = _returns(self.setting, self.other, settings, runs)
        lowest = [float(row[RETURN]) for row in runs.get(self.floor, ())] if self.floor else [0.0]
        if not ours or not ceiling or not lowest:
            return Verdict(asked, "not run", None)
        a, b, zero = (interquartile_mean(values) for values in (ours, ceiling, lowest))
        reached = f"{(a - zero) / (b - zero):.2f}: {a:.1f} of {b:.1f}"
        if self.floor and a < zero:
            reached = f"worse than {none}: {a:.1f} against {zero:.1f}"
        elif self.floor:
            reached = f"{(a - zero) / (b - zero):.2f}: {a:.1f}, between {zero:.1f} and {b:.1f}"
        return Verdict(asked, reached, a - zero >= self.least * (b - zero) if whole else None)


@dataclass(frozen=True)
class Alike:
    """A setting scores what another does: the bootstrap intervals of their interquartile means overlap."""

    setting: str
    other: str

    def judge(self, settings: Settings, runs: Runs) -> Verdict:
        """Compare the two intervals."""
        asked = f"{_called(self.setting, settings)}: true return like that of {_called(self.other, settings)}"
        ours, theirs, whole = _returns(self.setting, self.other, settings, runs)
        if not ours or not theirs:
            return Verdict(asked, "not run", None)
        (low, high), (their_low, their_high) = (bootstrap_interval(values, seed=0) for values in (ours, theirs))
        reached = (
            f"{interquartile_mean(ours):.1f} [{low:.1f}, {high:.1f}] to {interquartile_mean(theirs):.1f} "
            f"[{their_low:.1f}, {their_high:.1f}]; probability of improvement "
            f"{probability_of_improvement(ours, theirs):.2f}"
        )
        return Verdict(asked, reached, (low <= their_high and their_low <= high) if whole else None)


def _called(name: str, settings: Settings) -> str:
    """Join title and name: titles alone repeat from family to family."""
    return f"{settings[name].title} (`{name}`)"


def _returns(setting: str, other: str, settings: Settings, runs: Runs) -> tuple[list[float], list[float], bool]:
    """Collect true returns of both settings, and whether all their runs are there."""
    ours, theirs = ([float(row[RETURN]) for row in runs.get(name, ())] for name in (setting, other))
    return ours, theirs, (len(ours), len(theirs)) == tuple(len(settings[name].seeds) for name in (setting, other))


def reached(asked: Asked, settings: Settings, runs: Runs) -> bool:
    """Test whether the runs show it; missing runs don't."""
    return bool(asked.judge(settings, runs).passed)


def mean_return(setting: str, runs: Runs) -> float:
    """Compute the interquartile mean of a setting's true return over its seeds."""
    return interquartile_mean([float(row[RETURN]) for row in runs[setting]])


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence lists them."""
    *before, last = names or ("none",)
    return f"{', '.join(before)} and {last}" if before else last

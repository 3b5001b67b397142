"""Express returns as parts of the better PPO's gain on the true reward over the untrained policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlhf_gym.stats import ENOUGH, fraction_interval, fraction_reached, interquartile_mean

RETURN = "true_return_mean"
Runs = Mapping[str, Sequence[Mapping[str, Any]]]


def returns(setting: str, runs: Runs, measure: str = RETURN) -> list[float]:
    """Collect a setting's true returns, or another measure, one per seed."""
    return [float(row[measure]) for row in runs.get(setting, ()) if row[measure] != ""]


@dataclass(frozen=True)
class Part:
    """A part of a gain, over seeds.

    Args:
        middle: Interquartile mean; the mean of fewer than 4 seeds.
        low: Lower end of the 95 % bootstrap interval, which resamples the seeds of both ends of the scale as well.
        high: Upper end of the interval.
        least: The part that the worst seed reaches.
        most: The part that the best seed reaches.
        n: Number of seeds.
    """

    middle: float
    low: float
    high: float
    least: float
    most: float
    n: int

    def __str__(self) -> str:
        if self.n < ENOUGH:
            return f"{self.middle:.2f} ({self.least:.2f} to {self.most:.2f})"
        return f"{self.middle:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Scale:
    """The returns that count as 1 and as 0.

    Args:
        best: Settings; the one with the highest interquartile mean counts as 1.
        floor: The setting that counts as 0.
        measure: Column of the table of runs that is measured.
    """

    best: tuple[str, ...]
    floor: str
    measure: str = RETURN

    def of(self, setting: str, runs: Runs) -> list[float]:
        """Collect a setting's values of the measure, one per seed."""
        return returns(setting, runs, self.measure)

    def better(self, runs: Runs) -> str | None:
        """Choose the setting of `best` with the highest mean; None if none has runs."""
        there = [name for name in self.best if self.of(name, runs)]
        return max(there, key=lambda name: interquartile_mean(self.of(name, runs)), default=None)

    def placing(self, runs: Runs) -> Callable[[float], float] | None:
        """Make a function from a return to its part; None if runs are missing, or the better PPO gained nothing."""
        better, floor = self.better(runs), self.of(self.floor, runs)
        if better is None or not floor:
            return None
        zero, one = interquartile_mean(floor), interquartile_mean(self.of(better, runs))
        return (lambda value: (value - zero) / (one - zero)) if one > zero else None

    def part(self, setting: str, runs: Runs) -> Part | None:
        """Compute a setting's part; None if runs are missing, or the better PPO gained nothing."""
        better = self.better(runs)
        ours, floor = self.of(setting, runs), self.of(self.floor, runs)
        if better is None or not ours or not floor:
            return None
        return part_of(ours, self.of(better, runs), floor)


def part_of(ours: Sequence[float], theirs: Sequence[float], floor: Sequence[float]) -> Part | None:
    """Place ours between the floor (0) and theirs (1), one return per seed; None where theirs isn't above the floor."""
    if interquartile_mean(theirs) <= interquartile_mean(floor):
        return None
    middle, least, most = (fraction_reached(v, theirs, floor=floor) for v in (ours, [min(ours)], [max(ours)]))
    low, high = fraction_interval(ours, theirs, floor=floor, seed=0)
    return Part(middle, low, high, least, most, len(ours))

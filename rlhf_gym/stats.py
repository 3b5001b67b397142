"""Statistics over seeds (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float] | NDArray[np.floating]
ENOUGH = 4
"""Least number of seeds of which an interquartile mean leaves any out; of fewer it is the mean."""


def mean_name(n: int) -> str:
    """Name what :func:`interquartile_mean` computes of n values."""
    return "interquartile mean" if n >= ENOUGH else "mean"


def interquartile_mean(values: Numbers) -> float:
    """Compute the mean of the middle half: less swayed by one seed than the mean, less wasteful than the median.

    A quarter of the values, rounded down, is dropped at each end; up to 3 values are all kept.

    Args:
        values: One number per seed, shape (n,), in any unit.

    Returns:
        The mean of what is left, in the same unit.

    Raises:
        ValueError: If there are no values, or one is NaN or infinite.
    """
    from scipy.stats import trim_mean  # slow to import, and a single run doesn't need it

    return float(trim_mean(_checked("values", values), 0.25))


def bootstrap_interval(
    values: Numbers, *, seed: int, confidence: float = 0.95, n_resamples: int = 10_000
) -> tuple[float, float]:
    """Compute a percentile bootstrap interval of the interquartile mean over seeds.

    Read it with care for few seeds: with 5, it is narrower than its confidence promises.

    Args:
        values: One number per seed, shape (n,), in any unit.
        seed: Seed of the resampling; the same seed gives the same interval.
        confidence: Share of resampled means inside the interval, between 0 and 1.
        n_resamples: Samples drawn with replacement, each of n values.

    Returns:
        Lower and upper end, in the unit of the values; equal for a single value.

    Raises:
        ValueError: If there are no values, one is NaN or infinite, or confidence isn't between 0 and 1.
    """
    tails = _tails(confidence)
    means = _resampled_means(_checked("values", values), n_resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, tails)
    return float(low), float(high)


def mean_interval(
    values: NDArray[np.float64], *, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute a confidence interval of the mean over seeds, by Student's t (Student 1908); wide for few seeds.

    Args:
        values: k numbers for each of n seeds, shape (n, k).
        confidence: Between 0 and 1.

    Returns:
        Lower and upper ends, shape (k,); both are the value if there is one seed.
    """
    from scipy.stats import t as student_t

    n = len(values)
    half = np.zeros(values.shape[1])
    if n > 1:
        half = values.std(axis=0, ddof=1) / np.sqrt(n) * student_t.ppf((1 + confidence) / 2, n - 1)
    return values.mean(axis=0) - half, values.mean(axis=0) + half


def fraction_reached(ours: Numbers, theirs: Numbers, *, floor: Numbers = (0.0,)) -> float:
    """Compute the ratio of interquartile means, ours to theirs, each less the floor's.

    Args:
        ours: One number per seed, shape (n,), in any unit.
        theirs: One number per seed, shape (m,), in the same unit.
        floor: Numbers that count as nothing, shape (k,); needed where theirs are negative.

    Returns:
        1 where both are the same, 0 at the floor, negative below it.

    Raises:
        ValueError: If theirs isn't above the floor, or any is empty or holds NaN or infinity.
    """
    a, b, zero = (interquartile_mean(values) for values in (ours, theirs, floor))
    if b <= zero:
        raise ValueError(f"theirs is {b:g}, which isn't above the floor of {zero:g}: there is nothing to be a part of")
    return (a - zero) / (b - zero)


def fraction_interval(
    ours: Numbers,
    theirs: Numbers,
    *,
    floor: Numbers = (0.0,),
    seed: int,
    confidence: float = 0.95,
    n_resamples: int = 10_000,
) -> tuple[float, float]:
    """Compute a percentile bootstrap interval of :func:`fraction_reached`; each sample is resampled by itself.

    Args:
        ours: One number per seed, shape (n,), in any unit.
        theirs: One number per seed, shape (m,), in the same unit.
        floor: Numbers that count as nothing, shape (k,).
        seed: Seed of the resampling; the same seed gives the same interval.
        confidence: Share of resampled fractions inside the interval, between 0 and 1.
        n_resamples: Samples drawn with replacement.

    Returns:
        Lower and upper end. An end is infinite if theirs falls to the floor in more resamples than lie outside it:
        the upper one where ours is above the floor then, the lower one where it is below.

    Raises:
        ValueError: If any is empty or holds NaN or infinity, or confidence isn't between 0 and 1.
    """
    tails, rng = _tails(confidence), np.random.default_rng(seed)
    named = {"ours": ours, "theirs": theirs, "floor": floor}
    a, b, zero = (_resampled_means(_checked(name, values), n_resamples, rng) for name, values in named.items())
    fractions = np.divide(a - zero, b - zero, out=np.where(a < zero, -np.inf, np.inf), where=b > zero)
    low, high = np.quantile(fractions, tails, method="nearest")  # interpolation between infinities isn't a number
    return float(low), float(high)


def difference_interval(
    ours: Numbers, theirs: Numbers, *, seed: int, confidence: float = 0.95, n_resamples: int = 10_000
) -> tuple[float, float]:
    """Compute a percentile bootstrap interval of ours less theirs, as interquartile means; each is resampled by itself.

    Args:
        ours: One number per seed, shape (n,), in any unit.
        theirs: One number per seed, shape (m,), in the same unit.
        seed: Seed of the resampling; the same seed gives the same interval.
        confidence: Share of resampled differences inside the interval, between 0 and 1.
        n_resamples: Samples drawn with replacement.

    Returns:
        Lower and upper end, in the unit of the values.

    Raises:
        ValueError: If either is empty or holds NaN or infinity, or confidence isn't between 0 and 1.
    """
    tails, rng = _tails(confidence), np.random.default_rng(seed)
    named = {"ours": ours, "theirs": theirs}
    a, b = (_resampled_means(_checked(name, values), n_resamples, rng) for name, values in named.items())
    low, high = np.quantile(a - b, tails)
    return float(low), float(high)


def probability_of_improvement(ours: Numbers, theirs: Numbers) -> float:
    """Estimate P(`ours` beats `theirs`), a tie counting half (Mann & Whitney's U over n times m).

    Args:
        ours: One number per seed, shape (n,).
        theirs: One number per seed, shape (m,), in the same unit.

    Returns:
        From 0 to 1; 0.5 where neither is better.

    Raises:
        ValueError: If either is empty or holds NaN or infinity.
    """
    from scipy.stats import mannwhitneyu

    ours, theirs = _checked("ours", ours), _checked("theirs", theirs)
    return float(mannwhitneyu(ours, theirs).statistic / (len(ours) * len(theirs)))


def _resampled_means(values: NDArray[np.float64], n_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    from scipy.stats import trim_mean

    drawn = rng.integers(len(values), size=(n_resamples, len(values)))
    means: NDArray[np.float64] = trim_mean(values[drawn], 0.25, axis=1)
    return means


def _tails(confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; use a number between 0 and 1, such as 0.95")
    return (1 - confidence) / 2, 1 - (1 - confidence) / 2


def _checked(name: str, values: Numbers) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) == 0:
        raise ValueError(f"{name} has shape {numbers.shape}; expected one number per seed, at least one")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} holds {numbers[~np.isfinite(numbers)][0]}; leave out the runs that didn't finish")
    return numbers

"""Choices as pairs of options, for a model that is linear in features."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rlhf_gym.segments import Array


@dataclass(frozen=True)
class Pairs:
    """P comparisons of two options' features.

    Args:
        differences: Features of the left option less those of the right one, times the sureness of the choice, shape
            (P, F).
        targets: Probability that left was preferred, shape (P,).
        weights: Of each pair in the likelihood, shape (P,).
        group: Index of the group that each pair is left out with, ascending, shape (P,).
    """

    differences: Array
    targets: Array
    weights: Array
    group: Array

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, some: Array) -> Pairs:
        """Select some of the pairs."""
        return Pairs(self.differences[some], self.targets[some], self.weights[some], self.group[some])

    def some(self, most: int) -> Pairs:
        """Select `most` pairs, evenly spread; all if there are no more."""
        if len(self) <= most:
            return self
        return self[np.linspace(0, len(self) - 1, most).astype(int)]

    def by(self, groups: Array) -> Pairs:
        """Sort pairs by their choices' groups, which become their `group`.

        Args:
            groups: Index of each choice's group, shape (N,); `group` must still hold the choices' own indices.
        """
        of = groups[self.group]
        order = np.argsort(of, kind="stable")
        return replace(self[order], group=of[order])


def break_up(
    features: Array, rows: Array, offered: Array, targets: Array, weights: Array, sureness: Array | None = None
) -> Pairs:
    """Break choices up into pairs of options of which at least one may have been chosen.

    With few answers, Bradley-Terry on broken rankings is as good as Plackett-Luce (with weight 2/K, both carry the same
    Fisher information among equal options); for two options nothing changes.

    Args:
        features: Sums over each segment, shape (R, F).
        rows: Row of each option's segment, shape (N, K).
        offered: Whether there is an option, bool, shape (N, K).
        targets: Probability with which each option was chosen, shape (N, K).
        weights: How much each choice counts, shape (N,).
        sureness: Factor of each choice's log-odds, and so of the differences, shape (N,); None is 1.
    """
    one, other = np.triu_indices(rows.shape[1], k=1)
    there = offered[:, one] & offered[:, other]
    mass = np.where(there, targets[:, one] + targets[:, other], 0.0)
    choice, pair = np.nonzero(mass > 0)
    left, right = (rows[choice, side[pair]] for side in (one, other))
    mass = mass[choice, pair]
    differences = features[left] - features[right]
    return Pairs(
        differences if sureness is None else differences * sureness[choice][:, None],
        targets[choice, one[pair]] / mass,
        mass * 2 / offered.sum(axis=1)[choice] * weights[choice],
        choice,
    )

"""Schedules of labels over rounds, and the plan of a run's rounds. Every schedule spends its budget exactly."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array

Schedule = Callable[[int, Array], list[int]]
"""(labels, environment steps done when each round begins, shape (rounds,)) -> labels of each round."""


class Part(NamedTuple):
    """The plan of one round."""

    round: int
    """Its number, from 0."""
    labels: int
    """Labels to have once the round has asked, those of earlier rounds included."""
    steps: int
    """Environment steps to learn for."""
    last: bool
    """Whether no later round asks for more labels."""
    shown: int = 0
    """Steps only played to be shown, not learned from, before the round asks, those of earlier rounds included."""


def begins(parts: Sequence[Part], before: int) -> Array:
    """Count the steps made when each round begins, shape (rounds,).

    Args:
        parts: Plan of each round.
        before: Steps made before the first.
    """
    return before + np.cumsum([0, *(part.steps for part in parts[:-1])])


def plan(
    labels: int,
    *,
    total_timesteps: int,
    warm_up_steps: int,
    portion: int,
    rounds: int,
    schedule: Schedule,
    shown_steps: int = 0,
    shown_envs: int = 1,
    explore_steps: int = 0,
) -> list[Part]:
    """Plan labels and steps of every round; a run has no more rounds than portions.

    Args:
        labels: Budget of labels.
        total_timesteps: Environment steps of the run at most, all steps below included.
        warm_up_steps: Environment steps before any policy update.
        portion: Steps that the agent trains for at a time.
        rounds: Number of rounds, at most.
        schedule: Spreads the labels.
        shown_steps: Environment steps only played to be shown, spread over the rounds that ask.
        shown_envs: Environments that play these side by side.
        explore_steps: Environment steps learned from before the first query.

    Raises:
        BadInput: If not even one portion fits.
    """
    before = warm_up_steps + explore_steps
    portions = (total_timesteps - before - shown_steps) // portion
    if portions < 1:
        said = f", {explore_steps} to explore" if explore_steps else ""
        said += f", {shown_steps} to be shown" if shown_steps else ""
        raise BadInput(
            f"total_timesteps is {total_timesteps}; use at least {before + shown_steps + portion}: "
            f"{warm_up_steps} steps before any policy update{said} and one portion of {portion}"
        )
    borders = np.linspace(0, portions, min(rounds, portions) + 1).round().astype(int)
    done = before + borders[:-1] * portion + np.arange(len(borders) - 1) * shown_steps // (len(borders) - 1)
    wanted = np.cumsum(spread(schedule, labels, done)).tolist()
    asking = np.cumsum(np.diff(wanted, prepend=0) > 0)
    shown = (shown_steps * asking // max(asking[-1], 1) // shown_envs * shown_envs).tolist()
    steps = (np.diff(borders) * portion).tolist()
    return [Part(i, wanted[i], steps[i], wanted[i] == wanted[-1], shown[i]) for i in range(len(steps))]


def spread(schedule: Schedule, labels: int, steps: Array) -> Sequence[int]:
    """Spread labels over rounds by a schedule, and check the result, since the schedule may be the user's own.

    Args:
        schedule: Spreads the labels.
        labels: Budget of labels.
        steps: Environment steps done when each round begins, shape (rounds,).

    Raises:
        BadInput: If the schedule doesn't spend the budget exactly, in whole numbers.
    """
    given = schedule(labels, steps)
    try:
        numbers = np.asarray(given)
    except ValueError:  # a ragged list
        numbers = np.array(None)
    if numbers.shape != steps.shape or numbers.dtype.kind not in "iu" or (numbers < 0).any() or numbers.sum() != labels:
        raise BadInput(
            f"query.schedule gave {reprlib.repr(given)} for {labels} labels in {len(steps)} rounds; expected a whole "
            "number, at least 0, for each round, and the labels in all"
        )
    return given


def constant() -> Schedule:
    """Ask for the same number of labels every round."""
    return lambda labels, steps: apportion(labels, np.ones(len(steps)))


def christiano(first_fraction: float = 0.25, halving_steps: float = 2_000_000) -> Schedule:
    """Ask for a share before any policy update, then at a rate that decays as h / (t + h).

    Christiano et al. 2017, A.1.

    Args:
        first_fraction: Share of the first round (0.25 in the paper).
        halving_steps: h, environment steps after which the rate has halved (2e6 in the paper).

    Raises:
        BadInput: If the share isn't from 0 to 1, or h isn't a finite number of at least 1.
    """
    if not 0 <= first_fraction <= 1:
        raise BadInput(f"query.schedule_options.first_fraction is {first_fraction}; use a number from 0 to 1")
    if not 1 <= halving_steps < np.inf:
        raise BadInput(
            f"query.schedule_options.halving_steps is {halving_steps}; use at least 1, or schedule constant, whose "
            "rate never halves"
        )

    def schedule(labels: int, steps: Array) -> list[int]:
        if len(steps) == 1:
            return [labels]
        first = round(labels * first_fraction)
        return [first, *apportion(labels - first, halving_steps / (steps[1:] + halving_steps))]

    return schedule


def front_loaded(first_fraction: float = 0.25, by: float = 0.5) -> Schedule:
    """Ask for a share before any policy update, then at a rate that falls linearly to 0.

    Args:
        first_fraction: Share of the first round.
        by: Share of the rounds, taken as equally long, within which all labels are asked for; 0 asks for all of them
            in the first round.

    Raises:
        BadInput: If a share isn't from 0 to 1.
    """
    for name, share in (("first_fraction", first_fraction), ("by", by)):
        if not 0 <= share <= 1:
            raise BadInput(f"query.schedule_options.{name} is {share}; use a number from 0 to 1")

    def schedule(labels: int, steps: Array) -> list[int]:
        rates = np.maximum(by * len(steps) - np.arange(1, len(steps)), 0.0)
        if not rates.any():
            return [labels] + [0] * (len(steps) - 1)
        first = round(labels * first_fraction)
        return [first, *apportion(labels - first, rates)]

    return schedule


def apportion(labels: int, weights: Array) -> list[int]:
    """Split `labels` into whole numbers proportional to `weights`, by rounding their cumulative sums."""
    cumulative = np.cumsum(weights) / np.sum(weights)
    return [int(n) for n in np.diff(np.floor(cumulative * labels + 0.5), prepend=0)]

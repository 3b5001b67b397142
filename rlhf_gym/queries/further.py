"""The plan of a run that goes on with a new budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.queries.schedules import Part, Schedule, apportion, begins, spread


def plan_further(
    done: Sequence[Part],
    labels: int,
    *,
    total_timesteps: int,
    before: int,
    portion: int,
    schedule: Schedule,
    shown_steps: int = 0,
    shown_envs: int = 1,
) -> list[Part]:
    """Keep the rounds that are done, and plan others for what the new budget leaves.

    The further rounds are about as long as those so far, on average. The remaining labels are spread over them in
    proportion to what the schedule would give these rounds in a run begun with the new budget, or evenly if that is
    nothing.

    Args:
        done: Rounds that are finished, at least one.
        labels: New budget of labels.
        total_timesteps: New budget of environment steps.
        before: Environment steps before the first round.
        portion: Steps that the agent trains for at a time.
        schedule: Spreads the labels.
        shown_steps: Remaining environment steps that are only played to be shown.
        shown_envs: Environments that play these side by side.

    Returns:
        All rounds, those done included.

    Raises:
        BadInput: If the new budget is smaller than what is done, or leaves no portion to learn in.
    """
    last = done[-1]
    if labels < last.labels:
        raise BadInput(f"labels is {labels}, and the run has asked for {last.labels}; use at least as many")
    spent = before + sum(part.steps for part in done) + last.shown
    portions = (total_timesteps - spent - shown_steps) // portion
    if portions < 1:
        raise BadInput(
            f"total_timesteps is {total_timesteps}, and the run has made {spent} steps; use at least "
            f"{spent + shown_steps + portion}, so that there is a portion of {portion} to learn in"
        )
    usual = (spent - before - last.shown) / len(done)
    rounds = min(portions, max(1, round(portions * portion / usual)))
    borders = np.linspace(0, portions, rounds + 1).round().astype(int)
    given = spread(schedule, labels, np.concatenate([begins(done, before), spent + borders[:-1] * portion]))[
        len(done) :
    ]
    weights = np.array(given, float) if any(given) else np.ones(rounds)
    wanted = last.labels + np.cumsum(apportion(labels - last.labels, weights))
    asking = np.cumsum(np.diff(wanted, prepend=last.labels) > 0)
    shown = last.shown + shown_steps * asking // max(asking[-1], 1) // shown_envs * shown_envs
    steps, n = np.diff(borders) * portion, len(done)
    new = [Part(n + i, int(wanted[i]), int(steps[i]), False, int(shown[i])) for i in range(rounds)]
    return [part._replace(last=part.labels == labels) for part in [*done, *new]]

"""Maps of the learned reward over two state variables, beside the true one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from rlhf_gym.errors import BadInput
from rlhf_gym.plots import INK, SMALL, dress
from rlhf_gym.reward_report.assess import ALL, RunJudged, variable_names
from rlhf_gym.rewards.metrics.correlation import pearson
from rlhf_gym.rewards.metrics.judged import Judged, StepRewards
from rlhf_gym.runs import read_run
from rlhf_gym.segments import Array

SIDE = 80  # points of the grid along each variable
DOTS = 1500
ALIKE = 0.9
"""Least correlation with the recorded rewards for a reward to count as a function of one observation and an action."""
FLAT = 0.01
"""Least range of a map's colours, as a share of the reward's size; below it, noise would look like structure."""


def map_figure(run: RunJudged, first: str, second: str, output: str | Path | None = None) -> Figure:
    """Draw the learned reward, and the true one if it is a function of observation and action, over two variables.

    All other variables and the action are at their medians over the judged steps (a Discrete action at the most
    frequent), and nothing moves: s' = s. The variables reach from the 1st to the 99th percentile.

    Args:
        run: From :func:`judge_run`.
        first: Name or number of the horizontal variable.
        second: Name or number of the vertical variable.
        output: File to write, its format by its ending; None writes nothing.

    Raises:
        BadInput: If there is no such variable, or it never changes.
    """
    names, judged = run.observation_names, run.judged[ALL]
    across, up = _both(first, second, names)
    ranges = [_range(judged, i, names[i]) for i in (across, up)]
    grid = _grid(judged, across, up, ranges)
    (function, title), said = _true(judged), "others at their median · white: steps of policy, black: of untrained"
    panels = [("learned reward", judged.learned_function), *([(title, function)] if function else [])]
    figure = Figure(figsize=(10 if function else 5.6, 4.7), layout="constrained")
    for ax, (what, rewards) in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        _draw(ax, what, _rewards(rewards, grid), ranges)
        _draw_steps(ax, run, across, up)
        ax.set_xlabel(names[across])
    figure.axes[0].set_ylabel(names[up])
    figure.suptitle(
        f"{run.config.env_id}, {run.labels} answers", x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK
    )
    figure.supxlabel(said if function else f"{said}\n{title}", **SMALL)
    if output is not None:
        figure.savefig(output, dpi=150)
    return figure


def check_variables(run_dir: str | Path, first: str, second: str) -> None:
    """Check that a run's observation has these two variables.

    Raises:
        BadInput: If one doesn't exist, naming those that do; or if both are the same.
    """
    _both(first, second, variable_names(read_run(run_dir).config)[0])


def _both(first: str, second: str, names: Sequence[str]) -> tuple[int, int]:
    across, up = (_number(name, names) for name in (first, second))
    if across == up:
        raise BadInput(f"map got {names[up]} twice; use two different variables")
    return across, up


def _number(name: str, names: Sequence[str]) -> int:
    """Find a variable by its name or number."""
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise BadInput(
        f"map got {name!r}; {hint}use a number from 0 to {len(names) - 1}, or one of these names: {', '.join(names)}"
    )


def _flat(judged: Judged) -> Array:
    return judged.steps[0].reshape(len(judged.steps[0]), -1)


def _range(judged: Judged, variable: int, name: str) -> tuple[float, float]:
    low, high = np.percentile(_flat(judged)[:, variable], [1, 99])
    if high <= low:
        raise BadInput(f"map got {name}, which stays at {low:g} on these trajectories; use a variable that changes")
    return float(low), float(high)


def _grid(judged: Judged, across: int, up: int, ranges: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    """Make observations on a grid, row by row upwards, and an action for each."""
    observations, actions, _ = judged.steps
    x, y = np.meshgrid(*(np.linspace(low, high, SIDE) for low, high in ranges))
    points = np.tile(np.median(_flat(judged), axis=0), (SIDE**2, 1))
    points[:, across], points[:, up] = x.ravel(), y.ravel()
    usual = _usual(actions).astype(actions.dtype)
    shaped = points.reshape(-1, *observations.shape[1:]).astype(observations.dtype)
    return shaped, np.tile(usual, (SIDE**2, *[1] * usual.ndim))


def _usual(actions: Array) -> Array:
    """Find the median action, or the most frequent one if actions are integers."""
    if actions.dtype.kind in "iu":
        values, counts = np.unique(actions, axis=0, return_counts=True)
        return np.asarray(values[counts.argmax()])
    return np.asarray(np.median(actions, axis=0))


def _rewards(function: StepRewards, grid: tuple[Array, Array]) -> Array:
    observations, actions = grid
    return np.asarray(function(observations, actions, observations)).reshape(SIDE, SIDE)


def _true(judged: Judged) -> tuple[StepRewards | None, str]:
    """Find the true reward as a function of observation and action, or say why there is none."""
    observations, actions, following = judged.steps
    true = judged.step_rewards[1]
    if judged.true_function is None:
        return None, "the true reward is known only for steps that were taken"
    if true.std() == 0:
        return None, f"the true reward is {true[0]:g} on every step"
    alike = max(pearson(judged.true_function(one, actions, one), true) for one in (observations, following))
    if not alike >= ALIKE:
        return None, f"the true reward is no function of one observation (as one, correlation {alike:.2f})"
    exact = judged.true_explained == 1
    return judged.true_function, "true reward" if exact else "true reward, as a quadratic"


def _draw(ax: Axes, title: str, rewards: Array, ranges: Sequence[tuple[float, float]]) -> None:
    extent: Any = (*ranges[0], *ranges[1])
    least = FLAT * np.abs(rewards).max()
    if flat := np.ptp(rewards) < least:
        title += ", nearly constant"
    middle = (rewards.max() + rewards.min()) / 2
    image = ax.imshow(
        rewards,
        origin="lower",
        extent=extent,
        aspect="auto",
        cmap="viridis",
        interpolation="bilinear",
        vmin=middle - least / 2 if flat else None,
        vmax=middle + least / 2 if flat else None,
    )
    assert ax.figure is not None  # noqa: S101
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=30, format=ScalarFormatter(useOffset=False))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8.5, labelcolor=INK, color="#b0b0b0")
    ax.set_title(title, loc="left", fontsize=10, color=INK)
    dress(ax)


def _draw_steps(ax: Axes, run: RunJudged, across: int, up: int) -> None:
    """Draw the steps of two policies, to show where the rewards are based on data."""
    limits = ax.get_xlim(), ax.get_ylim()
    for name, colour in (("policy", "white"), ("untrained", "#222222")):
        steps = _flat(run.judged[name])
        some = steps[np.linspace(0, len(steps) - 1, min(DOTS, len(steps))).astype(int)]
        ax.plot(some[:, across], some[:, up], ".", color=colour, markersize=2, alpha=0.45, markeredgewidth=0)
    ax.set(xlim=limits[0], ylim=limits[1])

"""Report in advance whether people will see the environment, or plots of its observations."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import numpy as np

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput

TRIED = 10  # steps


def say_how_shown(config: RLHFConfig, *, draw: str | None = None) -> None:
    """Print to stderr why the environment can't be shown, if it can't.

    Args:
        config: Settings of the run.
        draw: How queries are drawn; None is the setting `feedback.draw`.
    """
    draw = draw or config.feedback.draw
    if draw != "states" and (why := why_not_drawn(config)):
        shown = "plots of its observations are shown" if draw == "auto" else "leave out --draw replay to plot them"
        print(f"people can't be shown {config.env_id} itself; {shown}: {why}", file=sys.stderr)


def can_be_drawn(config: RLHFConfig) -> bool:
    """Test whether a run's environment declares that it can draw itself."""
    from rlhf_gym.envs import remake_env
    from rlhf_gym.envs.replay import check_drawable
    from rlhf_gym.segments import Origin

    try:
        with closing(remake_env(Origin(config.env_id, 0, config.env_kwargs, config.env.fixed_horizon))) as env:
            check_drawable(env, config.env_id)
    except BadInput:
        return False
    return True


def why_not_drawn(config: RLHFConfig) -> str:
    """Replay a few steps, and return why a run's environment can't be shown; "" if no reason is found.

    Whether it can be drawn is read from its metadata; the drawing process tries it.
    """
    from rlhf_gym.envs import remake_env
    from rlhf_gym.envs.replay import check_drawable, replay
    from rlhf_gym.segments import Ending, Origin, Trajectory

    origin = Origin(config.env_id, 0, config.env_kwargs, config.env.fixed_horizon)
    try:
        with closing(remake_env(origin, step_seconds=config.env.step_seconds)) as env:
            check_drawable(env, config.env_id)
            env.action_space.seed(0)
            observations, over = [np.array(env.reset(seed=0)[0])], False
            actions: list[Any] = []
            while not over and len(actions) < TRIED:
                actions.append(np.array(env.action_space.sample()))
                observation, _, terminated, truncated, _ = env.step(actions[-1])
                observations.append(np.array(observation))
                over = terminated or truncated
        played = Trajectory(
            np.array(observations), np.array(actions), np.zeros(len(actions)), Ending.UNFINISHED, origin
        )
        replay(played, draw=False)
    except BadInput as error:
        return str(error)
    except Exception:  # training reports errors of the environment itself
        return ""
    return ""

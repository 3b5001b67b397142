"""Say before anybody sits down whether people will see the environment, or plots of what it observed."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import numpy as np

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput

TRIED = 10  # steps


def say_how_shown(config: RLHFConfig, *, draw: str | None = None) -> None:
    """Say on stderr why people will see plots, if they will.

    Args:
        config: Settings of the run.
        draw: What is drawn; None is as the settings have it.
    """
    draw = draw or config.feedback.draw
    if draw != "states" and (why := why_not_drawn(config)):
        shown = "plots of its observations are shown" if draw == "auto" else "leave out --draw replay to plot them"
        print(f"people can't be shown {config.env_id} itself; {shown}: {why}", file=sys.stderr)


def can_be_drawn(config: RLHFConfig) -> bool:
    """Tell whether a run's environment says that it can draw itself."""
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
    """Try to replay a few steps; why a run's environment can't be shown, or "" if nothing speaks against it.

    That it can be drawn is taken from what it says of itself: to try it is for the process that draws.
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
    except Exception:  # what is wrong with the environment itself is told where it is trained in
        return ""
    return ""

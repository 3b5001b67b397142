"""The variables of an environment's steps, by names that formulas and texts can use."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from rlhf_gym.envs.make import make_env
from rlhf_gym.envs.names import action_names, observation_names
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Origin, Segment


@dataclass(frozen=True)
class Variables:
    """Named variables of a step: the observation that it led to, and the action.

    Args:
        observations: Names of the observation's coordinates, in their order.
        actions: Names of the action's coordinates, or of a discrete action's choices.
        discrete: Whether actions are discrete.
        env_id: Id of the environment; None if unknown.
    """

    observations: tuple[str, ...]
    actions: tuple[str, ...]
    discrete: bool
    env_id: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all variables, those of observations first."""
        return (*self.observations, *self.actions)

    def __call__(self, segments: Sequence[Segment]) -> Mapping[str, Array]:
        """Collect each variable's values at the lived steps of all segments, concatenated, shape (S,) each.

        Raises:
            BadInput: If the segments are of another environment.
        """
        for origin in (segment.origin for segment in segments):
            if origin is not None and self.env_id not in (None, origin.env_id):
                raise BadInput(f"segments are of {origin.env_id} and the variables of {self.env_id}; use its own")
        states = np.concatenate([segment.observations[1:].reshape(segment.lived, -1) for segment in segments])
        actions = np.concatenate([segment.actions.reshape(segment.lived, -1) for segment in segments])
        if self.discrete:
            actions = actions == np.arange(len(self.actions))
        came = (states.shape[1], actions.shape[1])
        if came != (len(self.observations), len(self.actions)):
            raise BadInput(
                f"segments have {came[0]} observed numbers and {came[1]} of actions and the variables are "
                f"{len(self.observations)} and {len(self.actions)}; name the environment that the segments are of"
            )
        return dict(zip(self.names, np.concatenate([states, actions], axis=1, dtype=np.float64).T, strict=True))


def variables_of(env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> Variables:
    """Name the variables of an environment's steps: coordinates of observations and actions, or discrete choices.

    A name is the environment's own (:mod:`rlhf_gym.envs.names`), with `_` for what isn't a letter or a digit, and
    `minus` and `plus` for signs.

    Args:
        env_id: Id in Gymnasium.
        env_kwargs: Keyword arguments of the environment.

    Raises:
        BadInput: If there is no such environment, or two of its variables have one name.
    """
    with closing(make_env(Origin(env_id, seed=0, env_kwargs=env_kwargs or {}))) as env:
        observations, actions = (tuple(map(_plain, found(env))) for found in (observation_names, action_names))
        if twice := [name for name, times in Counter(observations + actions).items() if times > 1]:
            raise BadInput(
                f"env_id is {env_id}, where several variables are named {', '.join(twice)}; give each its own name in "
                "the environment's observation_names and action_names"
            )
        return Variables(observations, actions, isinstance(env.action_space, spaces.Discrete), env_id)


def _plain(name: str) -> str:
    signs = re.sub(r"([-+])(?=\d)", lambda sign: {"-": " minus ", "+": " plus "}[sign[1]], name)
    return re.sub(r"\W+", "_", signs).strip("_")

"""Make recorded environments in a vector of Stable-Baselines3, which making a single one doesn't need."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.envs.make import SeededEpisodes, make_env
from rlhf_gym.envs.recorder import Recorder
from rlhf_gym.segments import Origin


class FreshInfos(list[dict[str, Any]]):
    """The infos of one step of all environments, whose deep copy copies only each dict.

    SB3 returns a deep copy in case an environment changes a dict it has returned before. A full one takes longer than a
    step of CartPole, and copying each dict is enough.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> list[dict[str, Any]]:
        return [dict(info) for info in self]


def make_vec_env(
    origin: Origin, *, n_envs: int, memory_steps: int, rng: np.random.Generator, step_seconds: float | None = None
) -> Recorder:
    """Make environments side by side in one process, below a :class:`Recorder`.

    Args:
        origin: Describes each environment; its seed isn't used.
        n_envs: Number of environments.
        memory_steps: Environment steps the recorder keeps.
        rng: Each environment draws its episodes' seeds from a child of it.
        step_seconds: Longest time that a reset or a step of one may take; None waits for ever.

    Raises:
        BadInput: As :func:`make_env`; environments already made are then closed.
    """
    with ExitStack() as undo:
        envs = []
        for number, child in enumerate(rng.spawn(n_envs)):
            env = make_env(origin, step_seconds=step_seconds, tell_unseeded=number == 0)
            undo.callback(env.close)
            envs.append(SeededEpisodes(env, rng=child))
        venv = DummyVecEnv([lambda env=env: env for env in envs])  # type: ignore[misc]
        undo.pop_all()
    venv.buf_infos = FreshInfos(venv.buf_infos)
    return Recorder(venv, origin=origin, memory_steps=memory_steps)

"""Environments by id: checked, seeded episode by episode, recorded."""

from __future__ import annotations

import difflib
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.envs.horizon import FixedHorizon
from rlhf_gym.envs.recorder import Recorder
from rlhf_gym.segments import Origin


class SeededEpisodes(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Reset every episode with a seed of its own, reported as ``info["episode_seed"]``.

    A reset without a seed draws the next one; with it any episode can be started again, alone.

    Args:
        env: Environment to wrap.
        rng: Source of the seeds.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, rng: np.random.Generator) -> None:
        super().__init__(env)
        self._rng = rng

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; see the class."""
        seed = int(self._rng.integers(2**31)) if seed is None else seed
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "episode_seed": seed}


def check_spaces(env: gymnasium.Env[Any, Any], env_id: str) -> None:
    """Refuse spaces the reward model can't take in.

    Raises:
        ValueError: Naming the space and what is supported.
    """
    supported = {"observation": (spaces.Box,), "action": (spaces.Box, spaces.Discrete)}
    for what, kinds in supported.items():
        space = getattr(env, f"{what}_space")
        if not isinstance(space, kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise ValueError(
                f"env_id is {env_id}, whose {what} space is {type(space).__name__}; supported: {names}. "
                "Wrap the environment (gymnasium.wrappers has FlattenObservation) and register the wrapped one"
            )


def make_env(origin: Origin, *, render_mode: str | None = None, **drawing: Any) -> gymnasium.Env[Any, Any]:
    """One environment as `origin` describes it; its seed is for the caller to use.

    Args:
        origin: Id, keyword arguments and horizon.
        render_mode: As Gymnasium takes it.
        **drawing: Further keyword arguments that change only how it is drawn (width, height).

    Raises:
        ValueError: Unknown id, keyword arguments it doesn't take, unsupported spaces, or a horizon out of reach.
    """
    kwargs = {**origin.env_kwargs, **drawing, "render_mode": render_mode}
    if render_mode is None:  # not every environment takes the argument, and none shall open a window while it trains
        del kwargs["render_mode"]
    try:
        env = gymnasium.make(origin.env_id, disable_env_checker=True, **kwargs)
    except gymnasium.error.UnregisteredEnv as error:
        near = difflib.get_close_matches(origin.env_id, list(gymnasium.registry), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "see gymnasium.pprint_registry() for the known ones"
        raise ValueError(f"env_id is {origin.env_id!r}, which Gymnasium doesn't know; {hint}") from error
    except (TypeError, ImportError, OSError, gymnasium.error.Error) as error:
        raise ValueError(
            f"env_id {origin.env_id} with {kwargs} can't be made: {' '.join(str(error).split())}"
        ) from error
    check_spaces(env, origin.env_id)
    return env if origin.fixed_horizon is None else FixedHorizon(env, origin.fixed_horizon)


def make_vec_env(origin: Origin, *, n_envs: int, memory_steps: int, rng: np.random.Generator) -> Recorder:
    """Environments side by side in one process, below a :class:`Recorder`.

    Args:
        origin: What each of them is; its seed isn't used.
        n_envs: How many.
        memory_steps: Environment steps the recorder keeps.
        rng: Each environment draws its episodes' seeds from a child of it.
    """

    def start(child: np.random.Generator) -> gymnasium.Env[Any, Any]:
        return Monitor(SeededEpisodes(make_env(origin), rng=child))

    venv = DummyVecEnv([lambda child=child: start(child) for child in rng.spawn(n_envs)])  # type: ignore[misc]
    return Recorder(venv, origin=origin, memory_steps=memory_steps)

"""Environments by id: checked, seeded episode by episode, recorded."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import find_highest_version, get_env_id, load_env_creator, parse_env_id
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.envs.horizon import FixedHorizon
from rlhf_gym.envs.mujoco_warnings import tidy_warnings
from rlhf_gym.envs.opengl import told_without_opengl
from rlhf_gym.envs.recorder import Recorder
from rlhf_gym.errors import BadInput
from rlhf_gym.registry import find_here
from rlhf_gym.segments import Origin


class FreshInfos(list[dict[str, Any]]):
    """The infos of one step of all environments, of which SB3 hands out a deep copy.

    It makes that copy in case an environment changes a dict it has handed out before, which takes longer than a step of
    CartPole; dicts of their own are enough.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> list[dict[str, Any]]:
        return [dict(info) for info in self]


@final
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
    """Refuse spaces that the reward model or Stable-Baselines3's PPO can't take in.

    Raises:
        BadInput: Naming the space and what is supported.
    """
    observation, action = env.observation_space, env.action_space
    bounded = isinstance(action, spaces.Box) and action.is_bounded()
    counted = isinstance(action, spaces.Discrete) and action.start == 0  # PPO's own count starts at 0, silently
    for what, space, fits, supported in (
        ("observation", observation, isinstance(observation, spaces.Box), "Box"),
        ("action", action, bounded or counted, "Box with finite bounds, or Discrete counted from 0"),
    ):
        if not fits:
            raise BadInput(
                f"env_id is {env_id}, whose {what} space is {type(space).__name__}; supported: {supported}. "
                "Wrap the environment (gymnasium.wrappers has FlattenObservation) and register the wrapped one"
            )


def make_env(origin: Origin, *, render_mode: str | None = None, **drawing: Any) -> gymnasium.Env[Any, Any]:
    """Make one environment as `origin` describes it; its seed is for the caller to use.

    With a fixed horizon, an environment whose constructor names `terminate_when_unhealthy` is made with False, unless
    `env_kwargs` say otherwise: a fallen body lies there and physics goes on. Any other is frozen where it would
    terminate (:class:`FixedHorizon`).

    Args:
        origin: Id, keyword arguments and horizon.
        render_mode: As Gymnasium takes it.
        **drawing: Further keyword arguments that change only how it is drawn (width, height).

    Raises:
        BadInput: Unknown id, keyword arguments it doesn't take, unsupported spaces, or a horizon out of reach.
    """
    kwargs = {**origin.env_kwargs, **drawing, "render_mode": render_mode}
    if render_mode is None:  # not every environment takes the argument, and none shall open a window while it trains
        del kwargs["render_mode"]
    try:
        if newest := _newest_version(origin.env_id):
            raise BadInput(f"env_id is {origin.env_id!r}, which leaves the version open; use {newest}")
        with told_without_opengl(origin.env_id):
            creator = _creator(origin.env_id)
        tidy_warnings()
        if origin.fixed_horizon is not None and _takes(creator, "terminate_when_unhealthy"):
            kwargs.setdefault("terminate_when_unhealthy", False)
        env = gymnasium.make(origin.env_id, disable_env_checker=True, **kwargs)
    except gymnasium.error.UnregisteredEnv as error:
        module, colon, name = origin.env_id.rpartition(":")
        near = difflib.get_close_matches(name, list(gymnasium.registry), n=3, cutoff=0.7)
        hint = "see gymnasium.pprint_registry() for the known ones, or name the module of your own: module:Id"
        if near:
            hint = f"did you mean {', '.join(f'{module}{colon}{one}' for one in near)}?"
        raise BadInput(f"env_id is {origin.env_id!r}, which Gymnasium doesn't know; {hint}") from error
    except (TypeError, ImportError, OSError, gymnasium.error.Error) as error:
        raise BadInput(
            f"env_id {origin.env_id} with env_kwargs {dict(origin.env_kwargs)} can't be made: "
            f"{' '.join(str(error).split())}"
        ) from error
    check_spaces(env, origin.env_id)
    return env if origin.fixed_horizon is None else FixedHorizon(env, origin.fixed_horizon)


def _creator(env_id: str) -> Callable[..., Any] | None:
    """Look up an id's constructor, its modules imported; None for an unknown id."""
    module, _, name = env_id.rpartition(":")
    if module:  # `module:id` is an id that the module registers when it is imported
        find_here()
        importlib.import_module(module)
    entry = gymnasium.registry[name].entry_point if name in gymnasium.registry else None
    return load_env_creator(entry) if isinstance(entry, str) else entry


def _takes(creator: Callable[..., Any] | None, argument: str) -> bool:
    """Whether a constructor names the argument."""
    return creator is not None and argument in inspect.signature(creator).parameters


def _newest_version(env_id: str) -> str | None:
    """Complete an id without a version as Gymnasium does; None if it has one, or isn't known."""
    if ":" in env_id or env_id in gymnasium.registry:
        return None
    namespace, name, version = parse_env_id(env_id)
    newest = find_highest_version(namespace, name) if version is None else None
    return None if newest is None else get_env_id(namespace, name, newest)


def make_vec_env(origin: Origin, *, n_envs: int, memory_steps: int, rng: np.random.Generator) -> Recorder:
    """Make environments side by side in one process, below a :class:`Recorder`.

    Args:
        origin: What each of them is; its seed isn't used.
        n_envs: How many.
        memory_steps: Environment steps the recorder keeps.
        rng: Each environment draws its episodes' seeds from a child of it.
    """

    def start(child: np.random.Generator) -> gymnasium.Env[Any, Any]:
        return SeededEpisodes(make_env(origin), rng=child)

    venv = DummyVecEnv([lambda child=child: start(child) for child in rng.spawn(n_envs)])  # type: ignore[misc]
    venv.buf_infos = FreshInfos(venv.buf_infos)
    return Recorder(venv, origin=origin, memory_steps=memory_steps)

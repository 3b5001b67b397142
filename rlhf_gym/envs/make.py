"""Make environments by id, checked and with a seed for each episode."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium.envs.registration import find_highest_version, get_env_id, load_env_creator, parse_env_id

from rlhf_gym.envs.allowed import check_spaces
from rlhf_gym.envs.checked import Checked
from rlhf_gym.envs.horizon import FixedHorizon
from rlhf_gym.envs.mujoco_warnings import tidy_warnings
from rlhf_gym.envs.opengl import told_without_opengl
from rlhf_gym.envs.registered import class_without_id
from rlhf_gym.envs.running import Samplers, go_to_samplers, play_again, samplers
from rlhf_gym.errors import BadInput, place_of
from rlhf_gym.generators import go_to, state_of
from rlhf_gym.registry import find_here
from rlhf_gym.segments import Origin, Trajectory


@final
class SeededEpisodes(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Reset every episode with a seed of its own, reported as ``info["episode_seed"]``.

    A reset without a seed draws the next one; given its seed, any episode can be started again by itself.

    Args:
        env: Environment to wrap.
        rng: Source of the seeds.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, rng: np.random.Generator) -> None:
        super().__init__(env)
        self._rng = rng
        self._samplers: Samplers = samplers(env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; see the class."""
        seed = int(self._rng.integers(2**31)) if seed is None else seed
        self._samplers = samplers(self.env)
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "episode_seed": seed}

    def running(self) -> dict[str, Any]:
        """Return the state of its generator, and of its spaces' now and at the episode's start, as JSON values."""
        return {"seeds": state_of(self._rng), "spaces": samplers(self.env), "spaces_at_start": self._samplers}

    def go_on(self, running: Mapping[str, Any], seed: int, played: Trajectory | None) -> tuple[Any, int, bool]:
        """Continue an episode that another environment began, by replaying it, or begin the next one if it differs.

        Args:
            running: What :meth:`running` of that environment returned.
            seed: Seed of the episode.
            played: What was recorded of the episode; None if it had just begun.

        Returns:
            The latest observation, the seed of the episode now running, and whether it is the same episode.
        """
        go_to(self._rng, running["seeds"])
        go_to_samplers(self.env, running["spaces_at_start"])
        observation = play_again(self, seed, played)
        if same := observation is not None:
            self._samplers = running["spaces_at_start"]
        go_to_samplers(self.env, running["spaces"])
        if not same:
            observation, info = self.reset()
            seed = info["episode_seed"]
        return observation, seed, same


class NoEnvironment(BadInput):
    """An environment can't be made, or no more of them at a time."""


def make_env(
    origin: Origin,
    *,
    render_mode: str | None = None,
    step_seconds: float | None = None,
    tell_unseeded: bool = False,
    **drawing: Any,
) -> gymnasium.Env[Any, Any]:
    """Make one environment as `origin` describes it; the caller resets it with the seed.

    What it returns is checked and copied (:class:`Checked`).

    With a fixed horizon, an environment whose constructor names `terminate_when_unhealthy` is made with False, unless
    `env_kwargs` say otherwise, so that a fallen body lies there and physics goes on. Any other is frozen when it
    terminates (:class:`FixedHorizon`).

    Args:
        origin: Id, keyword arguments and horizon.
        render_mode: As Gymnasium takes it.
        step_seconds: Longest time that a reset or a step may take, as in :class:`Checked`; None waits for ever.
        tell_unseeded: Whether to warn on stderr if the seed doesn't determine how an episode starts.
        **drawing: Further keyword arguments that change only how it is drawn (width, height).

    Raises:
        BadInput: On an unknown id, unsupported spaces, or a horizon out of reach; NoEnvironment if it refuses its
            keyword arguments, or fails while it is made.
    """
    kwargs = {**origin.env_kwargs, **drawing, "render_mode": render_mode}
    if render_mode is None:  # not every environment takes it, and none should open a window in training
        del kwargs["render_mode"]
    try:
        if newest := _newest_version(origin.env_id):
            raise BadInput(f"env_id is {origin.env_id!r}, which leaves the version open; use {newest}")
        if ".py:" in origin.env_id:
            without = origin.env_id.replace(".py:", ":")
            raise BadInput(f"env_id is {origin.env_id!r}; a module is named without .py: use {without}")
        with told_without_opengl(origin.env_id):
            creator = _creator(origin.env_id)
        tidy_warnings()
        if origin.fixed_horizon is not None and _takes(creator, "terminate_when_unhealthy"):
            kwargs.setdefault("terminate_when_unhealthy", False)
        if render_mode is not None and creator is not None and not _takes_any(creator, "render_mode"):
            raise NoEnvironment(
                f"env_id {origin.env_id} can't be drawn: its constructor takes no render_mode; give it one, and a "
                "render method that returns an image (height, width, 3)"
            )
        env = gymnasium.make(origin.env_id, disable_env_checker=True, **kwargs)
    except gymnasium.error.UnregisteredEnv as error:
        module, colon, name = origin.env_id.rpartition(":")
        near = difflib.get_close_matches(name, list(gymnasium.registry), n=3, cutoff=0.7)
        hint = "see gymnasium.pprint_registry() for the known ones, or name the module of your own: module:Id"
        if near:
            hint = f"did you mean {', '.join(f'{module}{colon}{one}' for one in near)}?"
        hint = class_without_id(origin.env_id) or hint
        raise BadInput(f"env_id is {origin.env_id!r}, which Gymnasium doesn't know; {hint}") from error
    except BadInput:
        raise
    except Exception as error:  # an environment of the user's own may raise anything
        raise NoEnvironment(
            f"env_id {origin.env_id} with env_kwargs {dict(origin.env_kwargs)} can't be made: {_reason(error)}"
        ) from error
    check_spaces(env, origin.env_id)
    checked = Checked(env, env_id=origin.env_id, step_seconds=step_seconds, tell_unseeded=tell_unseeded)
    return checked if origin.fixed_horizon is None else FixedHorizon(checked, origin.fixed_horizon)


def _reason(error: Exception) -> str:
    """Say in one line why an environment can't be made, with the place of errors in its own code."""
    said = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError):
        return f"{said}; start from the folder that the module lies in, or install it"
    if isinstance(error, TypeError | ImportError | OSError | gymnasium.error.Error):
        return said
    return f"{type(error).__name__}: {said}, at {place_of(error)}"


def _creator(env_id: str) -> Callable[..., Any] | None:
    """Import an id's module, and look up its constructor; None for an unknown id."""
    module, _, name = env_id.rpartition(":")
    if module:  # `module:id` is an id that the module registers when it is imported
        find_here()
        importlib.import_module(module)
    entry = gymnasium.registry[name].entry_point if name in gymnasium.registry else None
    return load_env_creator(entry) if isinstance(entry, str) else entry


def _takes(creator: Callable[..., Any] | None, argument: str) -> bool:
    """Whether a constructor names the argument."""
    return creator is not None and argument in inspect.signature(creator).parameters


def _takes_any(creator: Callable[..., Any], argument: str) -> bool:
    """Whether a constructor takes the argument, by name or as any keyword."""
    parameters = inspect.signature(creator).parameters
    return argument in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _newest_version(env_id: str) -> str | None:
    """Complete an id without a version as Gymnasium does; None if it has one, or isn't known."""
    if ":" in env_id or env_id in gymnasium.registry:
        return None
    namespace, name, version = parse_env_id(env_id)
    newest = find_highest_version(namespace, name) if version is None else None
    return None if newest is None else get_env_id(namespace, name, newest)

"""Check what an environment returns at each reset and step, and copy the arrays exchanged with it."""

from __future__ import annotations

import math
import reprlib
import sys
from collections.abc import Callable
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from rlhf_gym.envs import time_limits
from rlhf_gym.envs.running import go_to_samplers, samplers
from rlhf_gym.envs.time_limits import TookTooLong, at_most
from rlhf_gym.errors import BadInput, place_of, reason_of
from rlhf_gym.segments import Array

UNSEEDED = (
    "{env_id} starts differently each time from one seed, so that nothing replays: no clips, no corrections; draw its "
    "random numbers from self.np_random, after super().reset(seed=seed)"
)


@final
class Checked(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Check what an environment returns, and share no array with it.

    Observations and infos are copies, so an environment that reuses a buffer doesn't change earlier ones. Actions are
    copies in the action space's dtype, so training, evaluation and replay play the same action, whatever dtype a policy
    gives and whatever the environment does to it.

    Args:
        env: Environment to wrap, whose spaces pass :func:`rlhf_gym.envs.make.check_spaces`.
        env_id: Its name in error messages.
        step_seconds: Longest time that a reset or a step may take; None waits for ever. The limit works in the main
            thread of a POSIX system, as soon as the environment's code returns to Python.
        tell_unseeded: Whether to start the first episode twice, and warn on stderr if its seed doesn't determine the
            first observation.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        env_id: str,
        step_seconds: float | None = None,
        tell_unseeded: bool = False,
    ) -> None:
        super().__init__(env)
        self._env_id, self._seconds, self._tell_unseeded = env_id, step_seconds, tell_unseeded
        self._shape, self._dtype = env.observation_space.shape, np.dtype(env.observation_space.dtype)
        self._acts = env.action_space.dtype
        self._seed: int | None = None
        self._steps, self._closed = 0, False

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]
        """Spec of the wrapped environment, which checking doesn't change."""
        return self.env.spec

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Raises:
            BadInput: If it fails, takes too long, or gives anything but an observation of its space and a dict.
        """
        self._seed, self._steps = seed, 0
        before = samplers(self.env) if self._tell_unseeded else []
        observation, info = self._reset(seed, options)
        if self._tell_unseeded and seed is not None:
            self._tell_unseeded = False
            again, info = self._reset(seed, options)
            if not np.array_equal(again, observation):
                print(UNSEEDED.format(env_id=self._env_id), file=sys.stderr)
                go_to_samplers(self.env, before)
                again, info = self._reset(seed, options)
            observation = again
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Make one step.

        Raises:
            BadInput: If it fails, takes too long, or gives anything but an observation of its space, a finite reward,
                two flags and a dict.
        """
        self._steps += 1
        came = self._call(self.env.step, np.array(action, self._acts)[()])
        if not isinstance(came, tuple) or len(came) != 5:
            raise self._wrong("step", came, "five values: observation, reward, terminated, truncated, info")
        observation, reward, terminated, truncated, info = came
        return (
            self._observed(observation),
            self._rewarded(reward),
            terminated if terminated is True or terminated is False else self._flag("terminated", terminated),
            truncated if truncated is True or truncated is False else self._flag("truncated", truncated),
            self._informed(info),
        )

    def close(self) -> None:
        """Close the environment; harmless if done twice."""
        if not self._closed:
            self._closed = True
            super().close()

    def _reset(self, seed: int | None, options: dict[str, Any] | None) -> tuple[Array, dict[str, Any]]:
        came = self._call(self.env.reset, seed=seed, options=options)
        if not isinstance(came, tuple) or len(came) != 2:
            raise self._wrong("reset", came, "two values: observation, info")
        return self._observed(came[0]), self._informed(came[1])

    def _observed(self, observation: Any) -> Array:
        """Copy an observation in the dtype of its space."""
        if type(observation) is np.ndarray and observation.dtype == self._dtype and observation.shape == self._shape:
            copied = observation.copy()
        else:
            copied = self._converted(observation)
        # A cheap test for the usual case: if the sum of squares is finite, so are all values.
        if self._dtype.kind == "f" and not math.isfinite(np.vdot(copied, copied)):
            self._check_finite("observation", copied)
        return copied

    def _converted(self, observation: Any) -> Array:
        try:
            array = np.asarray(observation)
        except ValueError:  # lists of different lengths
            array = np.asarray(None)
        if array.shape != self._shape or not _fits(array.dtype, self._dtype):
            space = f"shape {self._shape} and dtype {self._dtype}, as its observation_space has"
            raise self._wrong("observation", observation, space)
        converted = np.array(array, self._dtype)
        if array.dtype.kind in "iu" and self._dtype.kind in "iu" and (converted != array).any():
            raise self._wrong("observation", observation, f"numbers that {self._dtype} holds")
        return converted

    def _rewarded(self, reward: Any) -> float:
        if not isinstance(reward, float):
            try:
                array = np.asarray(reward)
                if array.size != 1 or array.dtype.kind not in "fiub":
                    raise ValueError
                reward = float(array.item())
            except (ValueError, TypeError, RuntimeError):
                raise self._wrong("reward", reward, "one finite number") from None
        if not math.isfinite(reward):
            self._check_finite("true reward", np.asarray(reward))
        return float(reward)

    def _flag(self, name: str, value: Any) -> bool:
        array = np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "biu":
            raise self._wrong(name, value, "True or False")
        return bool(array.item())

    def _informed(self, info: Any) -> dict[str, Any]:
        if not isinstance(info, dict):
            raise self._wrong("info", info, "a dict")
        return dict(info)

    def _check_finite(self, what: str, values: Array) -> None:
        if not (finite := np.isfinite(values)).all():
            raise BadInput(
                f"{what} of {self._env_id} holds {values[~finite].flat[0]} after {self._where}; "
                "expected finite numbers: mend the environment"
            )

    @property
    def _where(self) -> str:
        return f"step {self._steps} of the episode with seed {self._seed}"

    def _wrong(self, what: str, came: Any, expected: str) -> BadInput:
        return BadInput(
            f"{what} of {self._env_id} is {_described(came)} after {self._where}; expected {expected}: mend the "
            "environment"
        )

    def _call(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call the environment, and report what it raises in one line, with its place."""
        try:
            if self._seconds is None:
                return function(*args, **named)
            with at_most(self._seconds):
                return function(*args, **named)
        except BadInput:
            raise
        except TookTooLong as error:
            raise BadInput(
                f"{self._env_id} takes longer than env.step_seconds, {self._seconds} s, in {self._where}, at "
                f"{place_of(error, but=time_limits.__file__)}; mend the environment, or allow it more"
            ) from error
        except Exception as error:
            reason = reason_of(error)
            raise BadInput(
                f"{self._env_id} raised {reason} at {place_of(error)}, in {self._where}; {_remedy(reason)}"
            ) from error


def _remedy(reason: str) -> str:
    if "unexpected keyword argument" in reason:
        return "expected reset(self, *, seed=None, options=None) and step(self, action): mend the environment"
    if "to unpack" in reason:
        return (
            "expected observation, info of reset, and observation, reward, terminated, truncated, info of step: mend "
            "the environment"
        )
    return "mend the environment"


def _fits(came: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether numbers may be converted from one dtype to another; floats to integers, and objects, may not."""
    return (came.kind in "iu" and wanted.kind in "iu") or np.can_cast(came, wanted, "same_kind")


def _described(came: Any) -> str:
    """Describe a value in few words: arrays by shape and dtype, tuples by their length."""
    if isinstance(came, tuple):
        return f"a tuple of {len(came)} values"
    if isinstance(came, np.ndarray | np.generic):
        return f"an array of shape {came.shape} and dtype {came.dtype}"
    return f"{type(came).__name__} {' '.join(reprlib.repr(came).split())}"

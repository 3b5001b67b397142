"""Live play: a person acts in a query's environment step by step, and what they did becomes the answer."""

from __future__ import annotations

import io
import threading
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import final

import numpy as np
from PIL import Image

from rlhf_gym.envs import remake_env
from rlhf_gym.envs.replay import check_drawable, checked_frame, draw_without_screen, follow, plain_light
from rlhf_gym.errors import BadInput
from rlhf_gym.labelling.controls import controls
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array, Ending, Segment, Trajectory

MOST_STEPS = 5000
"""Most steps of one demonstration."""
CLOSE_SECONDS = 2.0
"""Seconds that a step under way may take when its game is closed."""
PLAYED = ("demonstration", "correction")
"""Kinds of query that are answered by playing."""


class NoGame(BadInput):
    """The game isn't running, or can't go on as asked."""


@final
class Game:
    """One episode that a person plays. Safe to use from many threads.

    A demonstration is played from a reset until its episode ends, and its last steps are the answer. A correction is
    played from the state in which the query's option starts, for at most its nominal length.

    Args:
        query: Of a kind in PLAYED.
        seed: Seed of the reset, for a demonstration.
        width: Width of a picture, in pixels.

    Attributes:
        controls: Keys and what they do.
        frames_per_second: The environment's own speed.

    Raises:
        BadInput: If the query can't be played by keys, can't be drawn, or doesn't start as the option did.
    """

    def __init__(self, query: Query, *, seed: int, width: int = 480) -> None:
        if query.kind not in PLAYED:
            raise BadInput(f"query {query.id!r} is a {query.kind}; played are {' and '.join(PLAYED)}")
        first = query.options[0]
        if first.origin is None:
            raise BadInput(f"query {query.id!r} has no origin from which it could be played")
        self._corrected = first if query.kind == "correction" else None
        self._origin = first.origin if self._corrected else replace(first.origin, seed=seed)
        self.length, self._width, self._lock = first.length, width, threading.Lock()
        self._actions: list[Array] = []
        self._rewards: list[float] = []
        self._ending = Ending.UNFINISHED
        with ExitStack() as undo:
            draw_without_screen()
            self._env = undo.enter_context(closing(remake_env(self._origin, render_mode="rgb_array")))
            check_drawable(self._env, self._origin.env_id)
            plain_light(self._env)
            follow(self._env)
            self.controls = controls(self._env.action_space, self._origin.env_id)
            self.frames_per_second = int(self._env.metadata.get("render_fps") or 30)
            self._observations = [self._start()]
            undo.pop_all()

    @property
    def steps(self) -> int:
        """Steps played so far."""
        return len(self._actions)

    @property
    def over(self) -> bool:
        """Whether the episode has ended, or the most steps are played."""
        most = self.length if self._corrected else MOST_STEPS
        return self._ending is not Ending.UNFINISHED or self.steps >= most

    @property
    def enough(self) -> bool:
        """Whether a whole segment is played, or the game is over after at least one step."""
        return self.steps >= self.length or (self.over and self.steps > 0)

    def step(self, action: int, *, at: int) -> None:
        """Play one step, unless the game is over.

        Args:
            action: One of the environment's.
            at: Steps played before; a step requested twice because its reply was lost is made once.

        Raises:
            NoGame: If the game is at another step.
            BadInput: If there is no such action.
        """
        if not self._env.action_space.contains(np.int64(action)):
            raise BadInput(f"action is {action}; {self._origin.env_id} has {self._env.action_space}")
        with self._lock:
            if at not in (self.steps, self.steps - 1):
                raise NoGame(f"the game is at step {self.steps}, not at {at}; begin again")
            if at == self.steps and not self.over:
                self._step(np.asarray(action, self._env.action_space.dtype))

    def picture(self) -> bytes:
        """Draw the current state as a JPEG.

        Raises:
            BadInput: If the environment draws no picture.
        """
        with self._lock:
            frame = checked_frame(self._env.render(), self._origin.env_id)
        size = (self._width, round(frame.shape[0] * self._width / frame.shape[1]))
        written = io.BytesIO()
        Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0).save(written, "JPEG")
        return written.getvalue()

    def segment(self) -> Segment:
        """Cut the answer: the last steps of a demonstration, all steps of a correction.

        Raises:
            NoGame: If it is too short.
        """
        with self._lock:
            if not self.enough:
                raise NoGame(f"{self.steps} steps are played; play {self.length}, or until the episode ends")
            observations = np.stack(self._observations).astype(self._env.observation_space.dtype)
            rewards = np.array(self._rewards, np.float32)
            played = Trajectory(observations, np.stack(self._actions), rewards, self._ending, self._origin)
            last = played.cut(max(0, self.steps - self.length), self.length)
            return replace(last, earlier_actions=self._corrected.earlier_actions) if self._corrected else last

    def close(self) -> None:
        """Close the environment, unless a step of it hangs."""
        if self._lock.acquire(timeout=CLOSE_SECONDS):
            try:
                self._env.close()
            finally:
                self._lock.release()

    def _start(self) -> Array:
        observation = self._env.reset(seed=self._origin.seed)[0]
        if self._corrected is None:
            return np.array(observation)
        for action in self._corrected.earlier_actions:
            observation = self._env.step(action)[0]
        wanted = self._corrected.observations[0]
        if not np.array_equal(np.asarray(observation, wanted.dtype), wanted):
            raise BadInput(
                f"{self._origin.env_id} doesn't replay: it starts with another observation than the stored one"
            )
        return np.array(observation)

    def _step(self, action: Array) -> None:
        observation, reward, terminated, truncated, _ = self._env.step(action[()])
        self._actions.append(action)
        self._observations.append(np.array(observation))
        self._rewards.append(float(reward))
        if terminated or truncated:
            self._ending = Ending.TERMINATED if terminated else Ending.TRUNCATED

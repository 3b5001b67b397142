"""The agent's own rollouts, recorded before any reward is replaced."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Ending, Origin, Trajectory

LARGEST = float(np.finfo(np.float32).max)  # networks compute in float32


def endings(observations: Array, dones: Array, infos: list[dict[str, Any]]) -> tuple[Array, Array]:
    """Find the observations a step really led to, and which episodes ended for good.

    SB3 resets in the same step: if an episode ended, the observation returned is the next episode's first one, and the
    ended episode's last one is in ``info``.

    Returns:
        Next observations, shape (n_envs, *obs), and terminated, shape (n_envs,).
    """
    if not any(dones.tolist()):
        return observations, dones
    next_observations, terminated = observations.copy(), dones.copy()
    for i in np.flatnonzero(dones):
        next_observations[i] = infos[i]["terminal_observation"]
        terminated[i] = not infos[i].get("TimeLimit.truncated", False)
    return next_observations, terminated


class _Log:
    """The latest steps of all environments, in arrays that grow when they are full."""

    def __init__(self, venv: VecEnv, steps: int = 64) -> None:
        def room(space: spaces.Space[Any], steps: int) -> Array:
            return np.zeros((steps, venv.num_envs, *(space.shape or ())), space.dtype)

        self._observations = room(venv.observation_space, steps + 1)  # one more, for the one after the last step
        self._actions = room(venv.action_space, steps)
        self._rewards = np.zeros((steps, venv.num_envs), np.float32)  # as SB3 has them
        self._end = 0

    def __len__(self) -> int:
        return self._end

    @property
    def full(self) -> bool:
        return self._end == len(self._rewards)

    @property
    def last_observations(self) -> Array:
        return np.asarray(self._observations[self._end])

    def restart(self, observations: Array) -> None:
        self._end = 0
        self._observations[0] = observations

    def add(self, actions: Array, rewards: Array, observations: Array) -> None:
        """Add a step; the observation after the end of an episode is the next one's first."""
        self._actions[self._end], self._rewards[self._end] = actions, rewards
        self._end += 1
        self._observations[self._end] = observations

    def since(self, start: int, env: np.intp) -> tuple[Array, Array, Array]:
        """Return views of one environment's observations before each step from `start` on, actions and rewards."""
        steps = slice(start, self._end)
        return self._observations[steps, env], self._actions[steps, env], self._rewards[steps, env]

    def go_on(self, episodes: Sequence[Trajectory | None], latest: Array) -> list[int]:
        """Begin with episodes that have been running, and return the index at which each begins.

        Args:
            episodes: Episode of each environment; None for one that has just begun.
            latest: Their latest observations, shape (n_envs, *obs).
        """
        lengths = [0 if episode is None else len(episode) for episode in episodes]
        while len(self._rewards) < max(lengths):
            self.make_room(0)
        self._end = max(lengths)
        self._observations[self._end] = latest
        starts = [self._end - length for length in lengths]
        for i, (episode, start) in enumerate(zip(episodes, starts, strict=True)):
            if episode is not None:
                self._observations[start : self._end, i] = episode.observations[:-1]
                self._actions[start : self._end, i] = episode.actions
                self._rewards[start : self._end, i] = episode.rewards
        return starts

    def make_room(self, needless: int) -> int:
        """Drop the first `needless` steps, double the room if that frees less than half, and return `needless`."""
        extra = 0 if needless >= len(self._rewards) // 2 else len(self._rewards)

        def moved(array: Array) -> Array:
            new = np.zeros((len(array) + extra, *array.shape[1:]), array.dtype)
            new[: len(array) - needless] = array[needless:]
            return new

        self._observations, self._actions, self._rewards = map(
            moved, (self._observations, self._actions, self._rewards)
        )
        self._end -= needless
        return needless


@final
class Recorder(VecEnvWrapper):
    """Keep the trajectories of the most recent steps, with the true rewards.

    It belongs below any wrapper that replaces the reward. Finished episodes are kept whole, and the oldest is dropped
    once the others hold `memory_steps`, so memory is bounded by `memory_steps`, one episode, and the episodes still
    running.

    Args:
        venv: Environments whose resets report ``info["episode_seed"]``.
        origin: Describes each environment; the seed is filled in for each episode.
        memory_steps: Environment steps to keep.

    Attributes:
        steps: Environment steps so far, of all environments together.
        terminations: Number of episodes terminated so far, including dropped ones.

    Raises:
        BadInput: If `memory_steps` isn't positive.
    """

    def __init__(self, venv: VecEnv, *, origin: Origin, memory_steps: int) -> None:
        super().__init__(venv)
        if memory_steps < 1:
            raise BadInput(f"memory_steps is {memory_steps}; use at least 1")
        self._origin, self._memory_steps = origin, memory_steps
        self._finished: deque[Trajectory] = deque()
        self._kept = 0
        self._log = _Log(venv)
        self._starts = np.zeros(self.num_envs, np.int64)  # where in the log each running episode begins
        self._episode_seeds = np.zeros(self.num_envs, np.int64)
        self.terminations = 0
        self.steps = 0

    def reset(self) -> VecEnvObs:
        """Start new episodes; the running ones are kept as unfinished."""
        for trajectory in self._running():
            self._keep(trajectory)
        self._starts[:] = 0
        observations = self.venv.reset()
        assert isinstance(observations, np.ndarray)
        self._log.restart(observations)
        self._episode_seeds[:] = [info["episode_seed"] for info in self.venv.reset_infos]
        self._check_finite(observations, np.zeros(self.num_envs))
        return observations

    def step_async(self, actions: Array) -> None:
        """Remember the actions and pass them on, in the action space's dtype."""
        self._actions = np.array(actions, self.action_space.dtype)
        self.venv.step_async(self._actions.copy())

    def step_wait(self) -> VecEnvStepReturn:
        """Make one step of all environments, unchanged.

        Raises:
            BadInput: On NaN or infinity in an observation or reward, naming the step.
        """
        observations, rewards, dones, infos = self.venv.step_wait()
        assert isinstance(observations, np.ndarray)
        next_observations, terminated = endings(observations, dones, infos)
        if self._log.full:
            self._starts -= self._log.make_room(needless=int(self._starts.min()))
        self._log.add(self._actions, rewards, observations)
        self._check_finite(next_observations, rewards)
        self.steps += self.num_envs
        if next_observations is not observations:  # an episode ended
            for i in np.flatnonzero(dones):
                ending = Ending.TERMINATED if terminated[i] else Ending.TRUNCATED
                self._keep(self._trajectory(i, next_observations[i], ending))
                self._starts[i] = len(self._log)
                self._episode_seeds[i] = self.venv.reset_infos[i]["episode_seed"]
            self._check_finite(observations, np.zeros(self.num_envs))  # the first observations of new episodes
        return observations, rewards, dones, infos

    def trajectories(self) -> list[Trajectory]:
        """Collect the last `memory_steps` steps, oldest first: finished episodes, then the ones still running."""
        return [*self._finished, *self._running()]

    @property
    def observations(self) -> Array:
        """Copy the latest observations, shape (n_envs, *obs)."""
        return self._log.last_observations.copy()

    def running(self) -> list[dict[str, Any]]:
        """Describe the running episodes, as JSON values: seed, steps so far, and states of the generators.

        Their steps come last in :meth:`trajectories`.
        """
        generators = self.venv.env_method("running")
        steps = (len(self._log) - self._starts).tolist()
        each = zip(self._episode_seeds.tolist(), steps, generators, strict=True)
        return [{"seed": seed, "steps": done, "generators": state} for seed, done, state in each]

    def restore(
        self,
        trajectories: Sequence[Trajectory],
        *,
        steps: int,
        terminations: int,
        running: Sequence[Mapping[str, Any]] | None = None,
    ) -> Array:
        """Restore what another recorder of the same environments had kept and counted, before the first reset.

        Args:
            trajectories: Its :meth:`trajectories`.
            steps: Its `steps`.
            terminations: Its `terminations`.
            running: Its running episodes (:meth:`running`), to be continued; None continues none.

        Returns:
            Whether each environment's episode continues, bool, shape (n_envs,). One whose replay differs from what was
            recorded is kept as unfinished, and another one begins in its place; the run then goes on differently.
        """
        self.steps, self.terminations = steps, terminations
        kept = len(trajectories) - sum(one["steps"] > 0 for one in running or ())
        self._finished, self._kept = deque(trajectories[:kept]), sum(map(len, trajectories[:kept]))
        same, under_way = np.zeros(self.num_envs, bool), iter(trajectories[kept:])
        if running is None:
            return same
        played = [next(under_way) if one["steps"] else None for one in running]
        latest = []
        for i, (one, was) in enumerate(zip(running, played, strict=True)):
            found = self.venv.env_method("go_on", one["generators"], one["seed"], was, indices=[i])[0]
            observation, self._episode_seeds[i], same[i] = found
            latest.append(np.asarray(observation))
            if was is not None and not same[i]:
                self._keep(was)
        on = [was if goes_on else None for was, goes_on in zip(played, same, strict=True)]
        self._starts[:] = self._log.go_on(on, np.stack(latest))
        return same

    def _running(self) -> list[Trajectory]:
        running = np.flatnonzero(self._starts < len(self._log))
        return [self._trajectory(i, self._log.last_observations[i], Ending.UNFINISHED) for i in running]

    def _trajectory(self, env: np.intp, last_observation: Array, ending: Ending) -> Trajectory:
        observations, actions, rewards = self._log.since(int(self._starts[env]), env)
        return Trajectory(
            observations=np.concatenate([observations, last_observation[None]]),
            actions=actions.copy(),
            rewards=rewards.copy(),
            ending=ending,
            origin=replace(self._origin, seed=int(self._episode_seeds[env])),
        )

    def _keep(self, trajectory: Trajectory) -> None:
        self.terminations += trajectory.ending is Ending.TERMINATED
        self._finished.append(trajectory)
        self._kept += len(trajectory)
        while self._kept - len(self._finished[0]) >= self._memory_steps:
            self._kept -= len(self._finished.popleft())

    def _check_finite(self, observations: Array, rewards: Array) -> None:
        # A cheap test for the usual case: if the sums of squares are within bounds, so are all values.
        if float(np.vdot(observations, observations)) <= LARGEST and math.isfinite(np.vdot(rewards, rewards)):
            return
        for what, values in (("observation", observations), ("true reward", rewards)):
            for i, value in enumerate(values):
                if not (fine := np.abs(value) <= LARGEST).all():
                    wrong = np.asarray(value)[~fine].flat[0]
                    most = f" up to {LARGEST:.2g}" if math.isfinite(wrong) else ""
                    raise BadInput(
                        f"{what} of {self._origin.env_id} holds {wrong} after "
                        f"step {len(self._log) - self._starts[i]} of the episode with seed {self._episode_seeds[i]}; "
                        f"expected finite numbers{most}: mend the environment"
                    )

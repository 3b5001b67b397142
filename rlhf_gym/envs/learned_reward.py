"""Wrappers that pay the learned reward: for one environment, Gymnasium's vectors and SB3's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, SupportsFloat, final

import gymnasium
import gymnasium.vector
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from rlhf_gym.envs.recorder import endings
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, RewardFunction, Segment, Trajectory


@final
class LearnedReward(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Pay a reward function in place of the environment's reward, which stays in ``info["true_reward"]``.

    Args:
        env: Environment to wrap.
        reward_function: Called with a batch of one.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], reward_function: RewardFunction) -> None:
        # Not deep-copied, because a bound method would bring its whole model along.
        RecordConstructorArgs.__init__(self, _disable_deepcopy=True, reward_function=reward_function)
        gymnasium.Wrapper.__init__(self, env)
        self.reward_function = reward_function
        self._observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._observation = np.array(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Make one step, paid by the reward function."""
        played = np.array(action)  # a copy: the environment may change it
        observation, true_reward, terminated, truncated, info = self.env.step(action)
        reward = self.reward_function(
            self._observation[None], played[None], np.asarray(observation)[None], np.array([terminated])
        )
        self._observation = np.array(observation)
        return observation, float(reward[0]), terminated, truncated, {**info, "true_reward": float(true_reward)}


@final
class VectorLearnedReward(gymnasium.vector.VectorWrapper):
    """Pay a reward function in Gymnasium's vectorised environments: one batched call a step, any autoreset mode.

    The environment's reward stays in ``infos["true_reward"]``. In mode NEXT_STEP an ended episode's next step only
    resets it: nothing happened, so 0 is paid. In mode SAME_STEP the last transition leads to ``infos["final_obs"]``.

    Args:
        env: Environments to wrap.
        reward_function: Called with one transition of each environment; where one is only reset, its reward is unused.

    Attributes:
        reward_function: May be replaced between steps.
    """

    def __init__(self, env: gymnasium.vector.VectorEnv[Any, Any, Any], reward_function: RewardFunction) -> None:
        super().__init__(env)
        self.reward_function = reward_function
        mode = (env.metadata or {}).get("autoreset_mode", "NextStep")  # the only one that Gymnasium 1.0 has
        self._next_step = getattr(mode, "value", mode) == "NextStep"
        self._resetting = np.zeros(env.num_envs, bool)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes, in all environments or those of ``options["reset_mask"]``."""
        restarted = (options or {}).get("reset_mask", slice(None))
        observations, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        self._observations = np.array(observations)
        self._resetting[restarted] = False
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Make one step of all environments, paid by the reward function."""
        played = np.array(actions)  # a copy: the environments may change them
        observations, true_rewards, terminated, truncated, infos = self.env.step(actions)
        after = observations
        if "final_obs" in infos:
            after = np.array(observations)
            for i in np.flatnonzero(infos["_final_obs"]):
                after[i] = infos["final_obs"][i]
        paid = self.reward_function(self._observations, played, after, terminated)
        rewards = np.array(paid, np.float64)
        happened = ~self._resetting
        if self._next_step:
            rewards[self._resetting] = 0
            self._resetting = np.logical_or(terminated, truncated)
        self._observations = np.array(observations)
        infos = {**infos, "true_reward": np.array(true_rewards), "_true_reward": happened}
        return observations, rewards, terminated, truncated, infos


class Episode(NamedTuple):
    """One finished episode: its returns and its length."""

    true_return: float
    learned_return: float
    length: int


@final
class VecLearnedReward(VecEnvWrapper):
    """Pay a reward function in SB3's vectorised environments: one batched call a step.

    Args:
        venv: Environments to wrap.
        reward_function: None pays the true reward.
        scale: Factor of the rewards that the algorithm gets; an episode's learned return doesn't include it.

    Attributes:
        reward_function: May be replaced, but only between rollouts, so that no advantage mixes two rewards.
        zero: Subtracted from every reward; may be changed likewise.
        unit: Divides the difference; may be changed likewise.
    """

    def __init__(self, venv: VecEnv, reward_function: RewardFunction | None = None, *, scale: float = 1.0) -> None:
        super().__init__(venv)
        self.reward_function = reward_function
        self.scale = scale
        self.zero, self.unit = 0.0, 1.0
        self._episodes: list[Episode] = []
        self._returns = np.zeros((3, self.num_envs))  # true return, learned return, length

    def reset(self) -> VecEnvObs:
        """Start new episodes."""
        self._observations = self.venv.reset()
        self._returns[:] = 0
        return self._observations

    @property
    def returns_so_far(self) -> list[list[float]]:
        """True return, learned return and length of each running episode, three rows of (n_envs,)."""
        return self._returns.tolist()

    def go_on(self, observations: Array, same: Array, returns: Sequence[Sequence[float]]) -> None:
        """Continue episodes that were running, instead of a reset.

        Args:
            observations: The latest observations, shape (n_envs, *obs).
            same: Whether each episode continues, bool, shape (n_envs,); the others have just begun.
            returns: Value of :attr:`returns_so_far` when they were interrupted.
        """
        self._observations, self._returns = observations, np.where(same, np.array(returns, np.float64), 0.0)

    def step_async(self, actions: Array) -> None:
        """Remember the actions and pass them on."""
        self._actions = np.array(actions)  # a copy: the environments may change them
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Make one step of all environments, paid by the reward function."""
        observations, true_rewards, dones, infos = self.venv.step_wait()
        rewards = np.array(true_rewards)
        if self.reward_function is not None:
            next_observations, terminated = endings(observations, dones, infos)  # type: ignore[arg-type]
            paid = self.reward_function(self._observations, self._actions, next_observations, terminated)  # type: ignore[arg-type]
            rewards = np.array(paid, np.float32)  # a copy: SB3's PPO adds to the array it is given
            _check_rewards(rewards, self.num_envs)
        rewards = self._scaled(rewards)
        infos = [_without_episode(info) if "episode" in info else info for info in infos]
        for info, true_reward in zip(infos, true_rewards.tolist(), strict=True):
            info["true_reward"] = true_reward
        self._observations = observations
        self._returns[0] += true_rewards
        self._returns[1] += rewards
        self._returns[2] += 1
        for i in np.flatnonzero(dones) if any(dones.tolist()) else ():
            true_return, learned_return, length = self._returns[:, i].tolist()
            self._episodes.append(Episode(true_return, learned_return, int(length)))
            infos[i]["episode"] = {"r": true_return, "l": int(length)}  # where SB3 looks for what it logs
            self._returns[:, i] = 0
        return observations, self._given(rewards), dones, infos

    def given(self, rewards: Array) -> Array:
        """Convert a reward function's rewards to those the algorithm gets: `scale` (reward - `zero`) / `unit`."""
        return self._given(self._scaled(rewards))

    def pay_again(self, trajectories: Sequence[Trajectory | Segment]) -> list[Array]:
        """Compute the rewards that are paid now for earlier steps, shape (L,) of each trajectory."""
        if self.reward_function is None:
            return [self.given(t.rewards) for t in trajectories]
        steps = [(t.observations[:-1], t.actions, t.observations[1:], _terminated(t)) for t in trajectories]
        paid = self.reward_function(*(np.concatenate(arrays) for arrays in zip(*steps, strict=True)))
        rewards = self.given(np.array(paid, np.float32))
        return np.split(rewards, np.cumsum([len(t.actions) for t in trajectories])[:-1])

    def _scaled(self, rewards: Array) -> Array:
        if (self.zero, self.unit) == (0, 1):
            return rewards
        return np.asarray((rewards - np.float32(self.zero)) / np.float32(self.unit))

    def _given(self, scaled: Array) -> Array:
        return scaled if self.scale == 1 else np.asarray(scaled * np.float32(self.scale))

    def pop_episodes(self) -> list[Episode]:
        """Return the episodes finished since the last call."""
        episodes, self._episodes = self._episodes, []
        return episodes


def _check_rewards(rewards: Array, n: int) -> None:
    """Refuse rewards that aren't one finite number for each of `n` environments."""
    if rewards.shape != (n,):
        raise BadInput(
            f"the reward function returned shape {rewards.shape} for {n} steps; expected one real number per step, "
            f"shape ({n},)"
        )
    if not (finite := np.isfinite(rewards)).all():
        raise BadInput(
            f"the reward function returned {rewards[~finite][0]} for a step in environment {int(np.argmin(finite))}; "
            "expected finite numbers: correct the function, or the reward model in it"
        )


def _without_episode(info: dict[str, Any]) -> dict[str, Any]:
    """Leave out an environment's own `episode`, which SB3 would take for the figures of a finished one."""
    return {name: value for name, value in info.items() if name != "episode"}


def _terminated(trajectory: Trajectory | Segment) -> Array:
    """Whether each step ended the episode for good, shape (L,)."""
    terminated = np.zeros(len(trajectory.actions), bool)
    terminated[-1] = trajectory.terminated
    return terminated

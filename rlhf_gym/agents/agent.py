"""The interface of an agent, which learns a policy by a Stable-Baselines3 algorithm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat
from stable_baselines3.common.utils import FloatSchedule, LinearSchedule, safe_mean, set_random_seed
from stable_baselines3.common.vec_env import VecEnvWrapper, unwrap_vec_wrapper
from torch.utils.tensorboard import SummaryWriter

from rlhf_gym.agents.anew import Weights, put_back, weights_now
from rlhf_gym.agents.jax_state import in_jax, write_arrays
from rlhf_gym.agents.state import POLICY, go_on, restore_state, weights, write_state
from rlhf_gym.agents.unpickled import PACKAGES
from rlhf_gym.diverging import are_numbers, is_out_of_range
from rlhf_gym.envs import RewardFunction, VecLearnedReward
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Segment, Trajectory
from rlhf_gym.trust import digest, trust

Schedule = Literal["constant", "linear"]
REPLAY_SETTINGS = ("replay_buffer_class", "replay_buffer_kwargs")  # excluded, so that SB3 alone can load policy.zip


class Agent(ABC):
    """An unmodified Stable-Baselines3 algorithm, trained in portions.

    Args:
        sb3: The algorithm, whose learning rate must be a number.
        total_timesteps: Environment steps of training in total, rounded down to a whole number of portions.
        schedule: Schedule of the learning rate; `linear` lowers it towards 0 over `total_timesteps`.

    Attributes:
        sb3: The algorithm.
    """

    def __init__(self, sb3: BaseAlgorithm, *, total_timesteps: int, schedule: Schedule) -> None:
        self.sb3, self._schedule = sb3, schedule
        self._kept: Weights | None = None
        self._learning_rate = float(sb3.learning_rate)  # type: ignore[arg-type]
        self.learn_for(total_timesteps)
        self.log_to(None)

    def learn_for(self, total_timesteps: int) -> None:
        """Let schedules end after `total_timesteps` environment steps in total, rounded down to whole portions."""
        self._total = total_timesteps // self.portion * self.portion
        self._least = 0.5 * self.portion / max(self._total, self.portion) if self._schedule == "linear" else 0.0

    @property
    @abstractmethod
    def portion(self) -> int:
        """Environment steps between two updates, summed over all environments; training runs for multiples of it."""

    @property
    def generators(self) -> dict[str, np.random.Generator]:
        """Random generators of the agent itself, besides those of SB3; none by default."""
        return {}

    @property
    def seen_space(self) -> spaces.Space[Any]:
        """Observation space of its environments, as segments store it (SB3's policies have image channels first).

        Raises:
            BadInput: If no VecLearnedReward wraps the agent's environments.
        """
        return self._payer().observation_space

    @property
    def steps(self) -> int:
        """Environment steps it has learned from."""
        return self.sb3.num_timesteps

    def improve(self, steps: int) -> None:
        """Train for `steps` more environment steps.

        SB3 measures a schedule's progress relative to the end of the current call of `learn`, so a linear schedule
        would fall to 0 in every portion. The schedule given to SB3 therefore ends at the value that the whole run's
        schedule has at the end of this call. SB3 sets the rate after a rollout, which would be 0 for the run's last
        update; that update uses the value at the middle of its portion instead.

        Raises:
            BadInput: If `steps` is not a multiple of `portion`, or the policy's weights have become nan or infinite.
        """
        if steps < 1 or steps % self.portion:
            name = type(self.sb3).__name__
            raise BadInput(f"steps is {steps} but {name} moves in {self.portion} steps; use a multiple of them")
        end = self.steps + steps
        left = 1 - end / max(self._total, self.portion) if self._schedule == "linear" else 1.0
        self.sb3.lr_schedule = falling(self._learning_rate, left, self._least)
        callback = self._prepare(end, left)
        # The caller writes the log, because TensorBoard's thread delays the next update after each write.
        try:
            self.sb3.learn(steps, callback, reset_num_timesteps=False, log_interval=None)  # type: ignore[arg-type]
        except (ValueError, RuntimeError) as error:
            self._check_weights(error)
            if is_out_of_range(error):  # a standard deviation overflowed before the weights did
                raise self._diverged() from error
            raise
        self._check_weights()

    def _check_weights(self, error: Exception | None = None) -> None:
        """Refuse to train on with nan or infinite weights, from which a policy can't recover.

        Raises:
            BadInput: If a weight is nan or infinite.
        """
        if in_jax(type(self.sb3)):
            finite = all(np.isfinite(array).all() for array in weights(self.sb3).values())
        else:
            finite = are_numbers(self.sb3.policy.parameters())
        if not finite:
            raise self._diverged() from error

    def _diverged(self) -> BadInput:
        return BadInput(
            f"the weights of {type(self.sb3).__name__}'s policy are nan or infinite after {self.steps} steps; use "
            "a lower learning_rate or max_grad_norm in agent.options, or an environment with smaller observations "
            "and rewards"
        )

    @abstractmethod
    def _prepare(self, end: int, left: float) -> BaseCallback | None:
        """Set the algorithm's other schedules for the coming call of `learn`.

        Args:
            end: Environment steps when the training ends.
            left: Share of its initial value that a falling schedule then has.

        Returns:
            Callback for `learn`, or None.
        """

    def predict(self, observations: Array, *, deterministic: bool = True) -> tuple[Array, Any]:
        """Choose actions for one observation or a batch, as SB3's `predict` does.

        Args:
            observations: Shape (*obs) or (n, *obs).
            deterministic: Whether to act without exploring.

        Returns:
            Actions, shape (*act) or (n, *act), and a recurrent state, which isn't used.
        """
        return self.sb3.predict(observations, deterministic=deterministic)

    def explore(self, observations: Array) -> Array:
        """Choose actions as in training, with all of the algorithm's own noise.

        Args:
            observations: Shape (n, *obs).

        Returns:
            Actions in the action space, shape (n, *act).
        """
        return self.predict(observations, deterministic=False)[0]

    @abstractmethod
    def act(self, observations: Array, noise: Array, *, rng: np.random.Generator) -> Array:
        """Choose actions with more or less exploration noise than the policy's own.

        Args:
            observations: Shape (n, *obs).
            noise: Factor of each observation's noise, shape (n,): 0 acts without exploring, 1 is the policy's own.
            rng: Source of the noise; SB3's generators aren't used.

        Returns:
            Actions in the action space, shape (n, *act).

        Raises:
            BadInput: If the algorithm explores in a way that can't be scaled.
        """

    def pay(self, reward_function: RewardFunction | None, zero: float = 0.0, unit: float = 1.0) -> None:
        """Pay (reward - zero) / unit from the next step on.

        Call it only between calls of :meth:`improve`, so that no advantage mixes two rewards.

        Args:
            reward_function: Computes the reward; None pays the environment's own.
            zero: Subtracted from the reward.
            unit: Divides the difference.

        Raises:
            BadInput: If no VecLearnedReward wraps the agent's environments.
        """
        payer = self._payer()
        payer.reward_function, payer.zero, payer.unit = reward_function, zero, unit

    def reward_changed(self, trajectories: Sequence[Trajectory | Segment]) -> None:
        """Adapt to a newly fitted reward function; does nothing by default.

        Args:
            trajectories: The policy's latest trajectories.
        """
        return None

    def pop_figures(self) -> dict[str, float]:
        """Return the agent's figures since the last call, for a round's report; none by default."""
        return {}

    def reset_critic(self) -> None:
        """Reinitialise the value function, learned from another reward, and keep the policy unless (DQN) both are one.

        Raises:
            BadInput: If the algorithm has no value function.
        """
        raise BadInput(f"agent.explore_steps is set and {type(self.sb3).__name__} has no value function; use 0")

    def seed(self, seed: int) -> None:
        """Seed the generators that it explores and trains with: Python's, NumPy's, torch's and its action space's."""
        set_random_seed(seed)
        self.sb3.action_space.seed(seed)

    def keep_weights(self) -> None:
        """Keep a copy of its present weights and optimizers, from which :meth:`restart` begins anew.

        Raises:
            BadInput: If its networks are JAX's.
        """
        if in_jax(type(self.sb3)):
            raise BadInput(
                f"agent.restart_steps is set and {type(self.sb3).__name__} has networks of JAX, which can't begin "
                "anew; use 0, or an algorithm of Stable-Baselines3"
            )
        self._kept = weights_now(self.sb3)

    def restart(self) -> None:
        """Begin anew with the weights and optimizers that were kept; steps, schedules and replay buffer go on.

        A policy that learned from wrong rewards at first may be stuck where an untrained one isn't: resetting it, once
        the rewards are better, is the remedy of Nikishin et al. 2022 for such a primacy bias.

        Raises:
            BadInput: If none were kept.
        """
        if self._kept is None:
            raise BadInput("the agent has kept no weights to begin anew with; use keep_weights before it is trained")
        put_back(self.sb3, self._kept)

    def _payer(self) -> VecLearnedReward:
        payer = unwrap_vec_wrapper(self.sb3.env, VecLearnedReward) if isinstance(self.sb3.env, VecEnvWrapper) else None
        if payer is None:
            raise BadInput(f"venv is a {type(self.sb3.env).__name__}, which pays no reward function; "
                             "use VecLearnedReward(venv)")  # fmt: skip
        return payer

    def save(self, path: str | Path) -> None:
        """Write the policy as SB3's own file, for its class's `load`; arrays of one in JAX go into a file beside it."""
        self._write(path)
        if type(self.sb3).__module__.partition(".")[0] not in PACKAGES:  # the file pickles its classes
            trust([digest(Path(path))])

    def _write(self, path: str | Path) -> None:
        self.sb3.save(path, exclude=REPLAY_SETTINGS)
        if in_jax(type(self.sb3)):
            write_arrays(self.sb3, Path(path).parent)

    def save_state(self, folder: Path) -> None:
        """Write what :meth:`restore` and :meth:`go_on` need: policy, optimizers, counters, generators."""
        self._write(folder / POLICY)
        write_state(self.sb3, folder, self.generators)

    def restore(self, folder: Path) -> None:
        """Restore in place what :meth:`save_state` wrote, or what `policy.zip` holds if only that is there.

        Episodes start over unless :meth:`go_on` follows. The reward function and the log don't change.

        Raises:
            BadInput: If a file is missing, damaged or of another algorithm.
        """
        restore_state(self.sb3, folder)

    def go_on(self, folder: Path, observations: Array, same: Array) -> None:
        """Continue the episodes that were running at :meth:`save_state`; call :meth:`restore` first.

        Args:
            folder: The folder that it wrote.
            observations: The latest observation of each environment, shape (n_envs, *obs).
            same: Whether each environment continues that episode, bool, shape (n_envs,); the others begin a new one.
        """
        go_on(self.sb3, folder, self.generators, observations, same)

    def log_to(self, folder: str | Path | None, *, after: int | None = None) -> None:
        """Log to a TensorBoard file in a folder from now on; None logs nothing.

        TensorBoard then ignores earlier files' entries for steps greater than `after`, which will be written again.
        """
        writers: list[KVWriter] = [TensorBoardOutputFormat(str(folder))] if folder and after is None else []
        if folder and after is not None:
            writers = [_GoingOn(folder, after)]
        self.sb3.set_logger(Logger(None, writers))

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Write figures under their names, with the mean return and length of the latest episodes, as SB3 would."""
        for name, value in figures.items():
            self.sb3.logger.record(name, value)
        for name, key in (("ep_rew_mean", "r"), ("ep_len_mean", "l")):
            episodes = self.sb3.ep_info_buffer or ()
            self.sb3.logger.record(f"rollout/{name}", safe_mean([episode[key] for episode in episodes]))
        self.sb3.logger.dump(step)

    def close(self) -> None:
        """Close the log; the environments are the caller's."""
        self.sb3.logger.close()


@final
class _GoingOn(TensorBoardOutputFormat):
    """A further TensorBoard file, which replaces the entries of earlier files after a given step."""

    def __init__(self, folder: str | Path, after: int) -> None:
        self.writer = SummaryWriter(str(folder), purge_step=after + 1)
        self._is_closed = False


def falling(start: float, left: float, least: float = 0.0) -> FloatSchedule:
    """Make a schedule that falls from `start` to `left * start` at the end of `learn`, or at least `least * start`."""
    if left >= least:
        return FloatSchedule(LinearSchedule(start, start * left, 1.0))
    return FloatSchedule(LinearSchedule(start, start * least, (1 - least) / (1 - left)))

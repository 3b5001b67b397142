"""The agent: what the loop needs of a learner of policies."""

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
from stable_baselines3.common.utils import FloatSchedule, LinearSchedule, safe_mean
from stable_baselines3.common.vec_env import VecEnvWrapper, unwrap_vec_wrapper
from torch.utils.tensorboard import SummaryWriter

from rlhf_gym.agents.jax_state import in_jax, write_arrays
from rlhf_gym.agents.state import POLICY, go_on, restore_state, weights, write_state
from rlhf_gym.agents.unpickled import PACKAGES
from rlhf_gym.diverging import are_numbers, is_out_of_range
from rlhf_gym.envs import RewardFunction, VecLearnedReward
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Segment, Trajectory
from rlhf_gym.trust import digest, trust

Schedule = Literal["constant", "linear"]
REPLAY_SETTINGS = ("replay_buffer_class", "replay_buffer_kwargs")  # ours: policy.zip loads with SB3 alone


class Agent(ABC):
    """An unmodified Stable-Baselines3 algorithm, trained in portions.

    Args:
        sb3: The algorithm, made with a number as its learning rate.
        total_timesteps: Environment steps of all portions together, at most; what makes no whole portion is left out.
        schedule: Of the learning rate; `linear` takes it to 0 over `total_timesteps`.

    Attributes:
        sb3: The algorithm.
    """

    def __init__(self, sb3: BaseAlgorithm, *, total_timesteps: int, schedule: Schedule) -> None:
        self.sb3, self._schedule = sb3, schedule
        self._learning_rate = float(sb3.learning_rate)  # type: ignore[arg-type]
        self.learn_for(total_timesteps)
        self.log_to(None)

    def learn_for(self, total_timesteps: int) -> None:
        """Let schedules end after so many environment steps of learning, of all portions together, at most."""
        self._total = total_timesteps // self.portion * self.portion
        self._least = 0.5 * self.portion / max(self._total, self.portion) if self._schedule == "linear" else 0.0

    @property
    @abstractmethod
    def portion(self) -> int:
        """Environment steps, of all environments together, between two updates; it trains for multiples of them."""

    @property
    def generators(self) -> dict[str, np.random.Generator]:
        """Generators of its own, beside those that SB3 draws from; by itself, an agent has none."""
        return {}

    @property
    def seen_space(self) -> spaces.Space[Any]:
        """What its environments observe, as segments keep it: SB3 puts the channels of images first for its policy.

        Raises:
            BadInput: If no VecLearnedReward lies among the agent's environments.
        """
        return self._payer().observation_space

    @property
    def steps(self) -> int:
        """Environment steps it has learned from."""
        return self.sb3.num_timesteps

    def improve(self, steps: int) -> None:
        """Train on for `steps` environment steps.

        SB3 measures a schedule's progress by the end of the current call, so that one which falls to 0 over the whole
        run would saw-tooth to 0 in every portion. A linear schedule is therefore cut to the value it has where this
        call ends. SB3 sets a rate once a rollout has ended, at which the last one's would be 0 and all its steps in
        vain: the last update has the value from the middle of its own.

        Raises:
            BadInput: If `steps` is not a multiple of `portion`, or the policy's weights are no numbers any more.
        """
        if steps < 1 or steps % self.portion:
            name = type(self.sb3).__name__
            raise BadInput(f"steps is {steps} but {name} moves in {self.portion} steps; use a multiple of them")
        end = self.steps + steps
        left = 1 - end / max(self._total, self.portion) if self._schedule == "linear" else 1.0
        self.sb3.lr_schedule = falling(self._learning_rate, left, self._least)
        callback = self._prepare(end, left)
        # The caller writes the log: TensorBoard's thread holds up the next update whenever it is given something.
        try:
            self.sb3.learn(steps, callback, reset_num_timesteps=False, log_interval=None)  # type: ignore[arg-type]
        except (ValueError, RuntimeError) as error:
            self._check_weights(error)
            if is_out_of_range(error):  # a standard deviation has overflowed, and the weights not yet
                raise self._diverged() from error
            raise
        self._check_weights()

    def _check_weights(self, error: Exception | None = None) -> None:
        """Refuse to go on with a policy whose weights are nan or infinite: it has learned nothing, and never will.

        Raises:
            BadInput: If they are.
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
        """Cut the algorithm's further schedules before it trains.

        Args:
            end: Environment steps when the training ends.
            left: Share of its start that a falling schedule then has.

        Returns:
            What SB3 calls while it trains.
        """

    def predict(self, observations: Array, *, deterministic: bool = True) -> tuple[Array, Any]:
        """Choose actions for one observation or a batch, as SB3's `predict` does.

        Args:
            observations: Shape (*obs) or (n, *obs).
            deterministic: Whether to act without exploring.

        Returns:
            Actions, shape (*act) or (n, *act), and a state that isn't used.
        """
        return self.sb3.predict(observations, deterministic=deterministic)

    @abstractmethod
    def act(self, observations: Array, noise: Array, *, rng: np.random.Generator) -> Array:
        """Choose actions with more or less exploration noise than the policy's own.

        Args:
            observations: Shape (n, *obs).
            noise: A factor of the noise for each, shape (n,): 0 acts without exploring, 1 is the policy's own.
            rng: Source of the noise; what SB3 draws doesn't change.

        Returns:
            Actions in the action space, shape (n, *act).

        Raises:
            BadInput: If the algorithm explores in a way that can't be scaled.
        """

    def pay(self, reward_function: RewardFunction | None, zero: float = 0.0, unit: float = 1.0) -> None:
        """Pay (reward - zero) / unit from the next step on.

        Call it between two calls of :meth:`improve`: no advantage may mix two rewards.

        Args:
            reward_function: Gives the reward; None is the environment's own.
            zero: Subtracted from it.
            unit: Then it is divided by this.

        Raises:
            BadInput: If no VecLearnedReward lies among the agent's environments.
        """
        payer = self._payer()
        payer.reward_function, payer.zero, payer.unit = reward_function, zero, unit

    def reward_changed(self, trajectories: Sequence[Trajectory | Segment]) -> None:
        """Adapt to the reward function, which has just been replaced by a new fit's; by itself, an agent needn't.

        Args:
            trajectories: The policy's latest ones.
        """
        return None

    def pop_figures(self) -> dict[str, float]:
        """Give figures of what it did since the last call, for a round's report; by itself, an agent has none."""
        return {}

    def reset_critic(self) -> None:
        """Begin its value function anew, as it was of another reward; the policy stays as far as it is no part of it.

        Raises:
            BadInput: If it has none.
        """
        raise BadInput(f"agent.explore_steps is set and {type(self.sb3).__name__} has no value function; use 0")

    def _payer(self) -> VecLearnedReward:
        payer = unwrap_vec_wrapper(self.sb3.env, VecLearnedReward) if isinstance(self.sb3.env, VecEnvWrapper) else None
        if payer is None:
            raise BadInput(f"venv is a {type(self.sb3.env).__name__}, which pays no reward function; "
                             "use VecLearnedReward(venv)")  # fmt: skip
        return payer

    def save(self, path: str | Path) -> None:
        """Write the policy as SB3's own file, which its class's `load` reads; beside it, the arrays of one in JAX."""
        self._write(path)
        if type(self.sb3).__module__.partition(".")[0] not in PACKAGES:  # its classes are in the file
            trust([digest(Path(path))])

    def _write(self, path: str | Path) -> None:
        self.sb3.save(path, exclude=REPLAY_SETTINGS)
        if in_jax(type(self.sb3)):
            write_arrays(self.sb3, Path(path).parent)

    def save_state(self, folder: Path) -> None:
        """Write what :meth:`restore` and :meth:`go_on` go on from: policy, optimizers, counters, generators."""
        self._write(folder / POLICY)
        write_state(self.sb3, folder, self.generators)

    def restore(self, folder: Path) -> None:
        """Take up what :meth:`save_state` wrote, in place; with `policy.zip` alone, what that holds.

        Episodes begin anew, unless :meth:`go_on` follows. Reward function and log stay as they are.

        Raises:
            BadInput: If a file is missing, damaged or of another algorithm.
        """
        restore_state(self.sb3, folder)

    def go_on(self, folder: Path, observations: Array, same: Array) -> None:
        """Go on with the episodes that were running when :meth:`save_state` wrote a folder, restored from it.

        Args:
            folder: Where it was written.
            observations: The latest of each environment, shape (n_envs, *obs).
            same: Whether each environment has that episode under way, bool, shape (n_envs,), or else begins another.
        """
        go_on(self.sb3, folder, self.generators, observations, same)

    def log_to(self, folder: str | Path | None, *, after: int | None = None) -> None:
        """Log to a TensorBoard file in a folder from now on; None logs nothing.

        What files already there say of steps `after` the given one no longer counts, as it will be written again.
        """
        writers: list[KVWriter] = [TensorBoardOutputFormat(str(folder))] if folder and after is None else []
        if folder and after is not None:
            writers = [_GoingOn(folder, after)]
        self.sb3.set_logger(Logger(None, writers))

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Write figures under their names, with the means of the last episodes that SB3 itself would write."""
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
    """A further file of a log, which takes the place of what earlier ones say of the steps after one."""

    def __init__(self, folder: str | Path, after: int) -> None:
        self.writer = SummaryWriter(str(folder), purge_step=after + 1)
        self._is_closed = False


def falling(start: float, left: float, least: float = 0.0) -> FloatSchedule:
    """Make a schedule that falls from `start` to its share `left` over one call of `learn`, but not below `least`."""
    if left >= least:
        return FloatSchedule(LinearSchedule(start, start * left, 1.0))
    return FloatSchedule(LinearSchedule(start, start * least, (1 - least) / (1 - left)))

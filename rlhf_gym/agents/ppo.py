"""Stable-Baselines3's PPO, unmodified, trained in portions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from stable_baselines3 import PPO
from stable_baselines3.common.utils import FloatSchedule, LinearSchedule, set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from rlhf_gym.agents.normalisation import NormalizedObservations, UpdateStatistics

OPTIMIZER = {"eps": 1e-5, "fused": True}  # Adam as SB3 has it; fused, its step takes a third of the time


def make_ppo(
    venv: VecEnv,
    *,
    seed: int,
    net_arch: Sequence[int] = (64, 64),
    log_std_init: float = 0.0,
    normalize_observations: bool = False,
    **settings: Any,
) -> PPO:
    """A PPO with a multi-layer perceptron, on the CPU.

    Args:
        venv: What it learns in, the learned reward included.
        seed: Of its weights and actions. SB3 draws them from the global generators of NumPy, Python and torch, which
            are seeded here; the environments are not, as their episodes have seeds of their own.
        net_arch: Hidden units of policy and value networks.
        log_std_init: Log standard deviation of continuous actions at the start.
        normalize_observations: Have the policy normalise what it is given (:class:`NormalizedObservations`).
        **settings: As SB3's PPO takes them.
    """
    set_random_seed(seed)
    policy_kwargs: dict[str, Any] = {
        "net_arch": list(net_arch),
        "log_std_init": log_std_init,
        "optimizer_kwargs": dict(OPTIMIZER),
    }
    if normalize_observations:
        policy_kwargs["features_extractor_class"] = NormalizedObservations
    return PPO("MlpPolicy", venv, device="cpu", policy_kwargs=policy_kwargs, **settings)


def improve(
    ppo: PPO, *, timesteps: int, total_timesteps: int, schedule: Literal["constant", "linear"], clip_range: float
) -> None:
    """Train on for whole rollouts.

    SB3 measures a schedule's progress by the end of the current call, so that one which falls to 0 over the whole run
    would saw-tooth to 0 in every portion. A linear schedule is therefore cut to the value it has where this portion
    ends.

    Args:
        ppo: From :func:`make_ppo`.
        timesteps: Environment steps of this portion, a multiple of the rollout.
        total_timesteps: Of all portions together.
        schedule: Of learning rate and clip range.
        clip_range: Its value at the start of the run; the learning rate's is the agent's own.
    """
    left = max(0.0, 1 - (ppo.num_timesteps + timesteps) / total_timesteps) if schedule == "linear" else 1.0
    start = float(ppo.learning_rate)  # type: ignore[arg-type]
    ppo.lr_schedule = FloatSchedule(LinearSchedule(start, start * left, 1.0))
    ppo.clip_range = FloatSchedule(LinearSchedule(clip_range, clip_range * left, 1.0))
    normalizes = isinstance(ppo.policy.features_extractor, NormalizedObservations)
    callback = UpdateStatistics() if normalizes else None
    # Whoever calls this writes the log: TensorBoard's thread holds up the next update whenever it is given something.
    ppo.learn(timesteps, callback, reset_num_timesteps=False, log_interval=None)  # type: ignore[arg-type]

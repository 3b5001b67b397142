"""Actions with more or less exploration noise than a policy's own, a factor for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution, DiagGaussianDistribution
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, VectorizedActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlhf_gym.agents.jax_state import in_jax
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array

IN_JAX = "has networks of JAX, whose noise isn't scaled; use an algorithm of Stable-Baselines3"


@torch.no_grad()
def act_on_policy(sb3: OnPolicyAlgorithm, observations: Array, noise: Array, rng: np.random.Generator) -> Array:
    """Sample actions with a Gaussian's standard deviation, or a softmax's temperature, multiplied by a factor.

    Args:
        sb3: The algorithm.
        observations: Shape (n, *obs).
        noise: Factors, shape (n,); 0 is the deterministic policy, 1 its own distribution.
        rng: Source of the noise.

    Returns:
        Actions in the action space, as SB3 clips them, shape (n, *act).

    Raises:
        BadInput: If the policy has another distribution, or networks of JAX.
    """
    if in_jax(type(sb3)):
        raise _unscalable(sb3, IN_JAX)
    policy: Any = sb3.policy
    distribution = policy.get_distribution(policy.obs_to_tensor(observations)[0])
    space = sb3.action_space
    if type(distribution) is DiagGaussianDistribution and isinstance(space, spaces.Box):
        mean, std = distribution.distribution.mean.numpy(), distribution.distribution.stddev.numpy()
        actions = (mean + noise[:, None] * std * _normal(rng, mean)).reshape(-1, *space.shape)
        return np.asarray(np.clip(actions, space.low, space.high), space.dtype)
    if type(distribution) is CategoricalDistribution:
        logits = distribution.distribution.logits.numpy()
        # The largest of logits plus Gumbel noise is a draw from their softmax (Gumbel 1954).
        return np.asarray((logits + noise[:, None] * rng.gumbel(size=logits.shape)).argmax(axis=1))
    raise _unscalable(sb3, f"explores by a {type(distribution).__name__}; set no use_sde")


@torch.no_grad()
def act_off_policy(sb3: OffPolicyAlgorithm, observations: Array, noise: Array, rng: np.random.Generator) -> Array:
    """Choose actions with the algorithm's own exploration multiplied by a factor.

    The factor multiplies DQN's epsilon (up to 1), the standard deviation of SAC's Gaussian before squashing, or the
    Gaussian `action_noise` of a deterministic policy (TD3). Before `learning_starts`, actions with a factor above 0 are
    uniformly random. Arguments are those of :func:`act_on_policy`.

    Raises:
        BadInput: If the algorithm explores in none of these ways.
    """
    space, policy = sb3.action_space, sb3.policy
    early = sb3.num_timesteps < sb3.learning_starts
    if isinstance(space, spaces.Discrete):
        if not hasattr(sb3, "exploration_rate"):
            raise _unscalable(sb3, "explores by no epsilon; use dqn")
        random = rng.random(len(noise)) < (noise > 0 if early else noise * sb3.exploration_rate)
        greedy = policy.predict(observations, deterministic=True)[0]
        return np.where(random, rng.integers(space.n, size=len(noise)), greedy)
    assert isinstance(space, spaces.Box)
    actions = policy.unscale_action(_scaled(sb3, observations, noise, rng))
    if early:
        random = (noise > 0).reshape(-1, *[1] * len(space.shape))
        actions = np.where(random, rng.uniform(space.low, space.high, size=actions.shape), actions)
    return np.asarray(actions, space.dtype)


def _scaled(sb3: OffPolicyAlgorithm, observations: Array, noise: Array, rng: np.random.Generator) -> Array:
    """Choose actions scaled to [-1, 1]."""
    if in_jax(type(sb3)):
        raise _unscalable(sb3, IN_JAX)
    policy: Any = sb3.policy
    policy.set_training_mode(False)  # as predict does; CrossQ normalises by batch
    tensor = policy.obs_to_tensor(observations)[0]
    if hasattr(policy.actor, "get_action_dist_params") and not policy.actor.use_sde:
        mean, log_std, _ = policy.actor.get_action_dist_params(tensor)
        own = log_std.exp() * torch.from_numpy(_normal(rng, mean))
        actions = torch.tanh(mean + torch.from_numpy(noise)[:, None] * own).numpy()
    elif isinstance(gaussian := of_one(sb3.action_noise), NormalActionNoise):
        mean = policy.actor(tensor).numpy()
        centre, sigma = (np.float32(each).reshape(-1) for each in (gaussian._mu, gaussian._sigma))
        own = centre + sigma * _normal(rng, mean)
        actions = np.clip(mean + noise[:, None] * own, -1, 1)
    else:
        raise _unscalable(sb3, "has no noise that can be scaled; set agent.options.action_noise to a number")
    return np.asarray(actions.reshape(-1, *sb3.action_space.shape))  # type: ignore[misc]


def of_one(noise: ActionNoise | None) -> ActionNoise | None:
    """Return the noise of a single environment, which SB3 wraps in a vector when it starts to learn in several."""
    return noise.base_noise if isinstance(noise, VectorizedActionNoise) else noise


def _normal(rng: np.random.Generator, like: Any) -> Array:
    return np.asarray(rng.standard_normal(like.shape, np.float32))


def _unscalable(sb3: object, reason: str) -> BadInput:
    return BadInput(f"query.shown is above 0 and {type(sb3).__name__} {reason}, or leave query.shown at 0")

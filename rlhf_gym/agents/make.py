"""Agents by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from rlhf_gym.agents.agent import Agent, Schedule
from rlhf_gym.agents.critic import CriticAfterFit
from rlhf_gym.agents.images import are_images
from rlhf_gym.agents.jax_state import in_jax
from rlhf_gym.agents.off_policy import RESERVED_HERE, OffPolicyAgent
from rlhf_gym.agents.on_policy import POLICY_OPTIONS, OnPolicyAgent
from rlhf_gym.agents.options import CNN, MLP, check_observations, check_options, takes_actions
from rlhf_gym.agents.reference import Closeness
from rlhf_gym.agents.return_statistics import StatisticsAfterFit
from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.images import LEAST, Images, convolved
from rlhf_gym.registry import AGENTS, load


def make_agent(
    algo: str,
    venv: VecEnv,
    *,
    seed: int,
    total_timesteps: int,
    schedule: Schedule = "constant",
    net_arch: Sequence[int] | None = None,
    images: Images | None = None,
    normalize_observations: bool | None = None,
    normalize_rewards: bool = False,
    return_statistics: StatisticsAfterFit = "keep",
    critic_after_fit: CriticAfterFit = "keep",
    closeness: Closeness | None = None,
    options: Mapping[str, Any] | None = None,
) -> Agent:
    """Make the agent for an algorithm of SB3.

    Args:
        algo: A registered name, or `module:Class` of an OnPolicyAlgorithm or OffPolicyAlgorithm.
        venv: The environments it learns in, wrapped in the learned reward.
        seed: Seed of its weights and actions.
        total_timesteps: Environment steps of training in total.
        schedule: Schedule of the learning rate and, if the algorithm has one, the clip range.
        net_arch: Hidden units of the networks; None is the algorithm's default, or no hidden layer after convolutions.
        images: Whether image observations go to SB3's CnnPolicy (`cnn`) or its MlpPolicy (`flat`); None is `cnn` for
            images of at least 36 pixels a side if the algorithm has one and `normalize_observations` isn't on.
        normalize_observations: Whether an on-policy algorithm's policy normalises its observations; None does so,
            except for SBX's algorithms and for images, which SB3 divides by 255.
        normalize_rewards: Whether an on-policy algorithm divides its rewards by the standard deviation of the return.
        return_statistics: What happens to that standard deviation when the reward function changes.
        critic_after_fit: What then happens to an on-policy algorithm's value function.
        closeness: How close an on-policy algorithm's policy stays to a reference; None uses no reference.
        options: SB3's own keywords.

    Raises:
        BadInput: On an unknown name, a class that is no such algorithm, an option it doesn't take, or actions it can't
            take.
    """
    sb3_class = load_algorithm(algo)
    check_observations(venv)
    if not takes_actions(sb3_class, venv):
        able = [name for name in AGENTS if takes_actions(load_algorithm(name), venv)]
        remedy = f"use {' or '.join(able)}" if able else "no registered algorithm can"
        raise BadInput(f"algo is {algo}, which can't take the actions {venv.action_space}; {remedy}")
    arguments: dict[str, Any] = {"seed": seed, "total_timesteps": total_timesteps, "schedule": schedule}
    policy = _policy(sb3_class, venv, images, normalized=bool(normalize_observations))
    arguments |= {"options": options, "policy": policy}
    if net_arch is not None or policy == CNN:  # SB3 puts no hidden layer after its convolutions
        arguments |= {"net_arch": net_arch or ()}
    if issubclass(sb3_class, OnPolicyAlgorithm):
        normalizes = normalize_observations
        if normalizes is None:  # SB3 divides images by 255
            normalizes = not (in_jax(sb3_class) or are_images(venv.observation_space))
        arguments |= {"normalize_observations": normalizes}
        arguments |= {"normalize_rewards": normalize_rewards, "return_statistics": return_statistics}
        return OnPolicyAgent(sb3_class, venv, critic_after_fit=critic_after_fit, closeness=closeness, **arguments)
    if closeness is not None:
        raise BadInput(f"kl is set and algo is {algo}, which is not on-policy; use ppo or a2c, or no kl and reference")
    for name, value in (("return_statistics", return_statistics), ("critic_after_fit", critic_after_fit)):
        if value != "keep":
            raise BadInput(f"{name} is {value} and algo is {algo}, which is not on-policy; use keep")
    if normalize_rewards:
        raise BadInput(f"normalize_rewards is on and algo is {algo}, which replays rewards paid long ago; turn it off")
    if normalize_observations:
        raise BadInput(
            f"normalize_observations is on and algo is {algo}, whose replayed observations would change under it; "
            "turn it off"
        )
    return OffPolicyAgent(sb3_class, venv, **arguments)  # type: ignore[arg-type]


def _policy(sb3_class: type[BaseAlgorithm], venv: VecEnv, images: Images | None, *, normalized: bool) -> str:
    """Choose SB3's CnnPolicy or MlpPolicy.

    Raises:
        BadInput: If `images` asks for a CnnPolicy that can't be used.
    """
    picture = convolved("agent.images", images, venv.observation_space, least=LEAST)
    able = CNN in sb3_class.policy_aliases and not in_jax(sb3_class)
    if picture and images and (normalized or not able):
        wrong = f"algo {sb3_class.__name__} has no CnnPolicy here" if not able else "normalize_observations is on"
        raise BadInput(f"agent.images is cnn and {wrong}; use flat" + ", or leave them as they are" * able)
    return CNN if picture and able and not normalized else MLP


def load_policy(path: str | Path, algo: str = "ppo") -> BaseAlgorithm:
    """Load a policy to predict with.

    Args:
        path: A policy.zip; its pickled parts are executed, so use only one that you trust.
        algo: The name of its algorithm.

    Raises:
        BadInput: If the file is missing or damaged.
    """
    sb3_class = load_algorithm(algo)
    room: dict[str, Any] = (
        {"buffer_size": 1} if issubclass(sb3_class, OffPolicyAlgorithm) else {}
    )  # nothing will be replayed
    try:
        return sb3_class.load(path, device="cpu", **room)
    except (OSError, RuntimeError, *UNREADABLE) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path} can't be read: {reason}; use the directory of a whole run of {algo}") from error


def replays(algo: str) -> bool:
    """Test whether an algorithm learns from a replay buffer."""
    return issubclass(load_algorithm(algo), OffPolicyAlgorithm)


def load_algorithm(algo: str) -> type[BaseAlgorithm]:
    """Load the SB3 class for a name.

    Raises:
        BadInput: If it is neither registered nor a `module:Class` that is an SB3 algorithm.
    """
    found = load("algo", algo)
    if not (isinstance(found, type) and issubclass(found, OnPolicyAlgorithm | OffPolicyAlgorithm)):
        raise BadInput(
            f"algo is {algo!r}, which is no algorithm of Stable-Baselines3; use a subclass of its OnPolicyAlgorithm or "
            "OffPolicyAlgorithm"
        )
    algorithm: type[BaseAlgorithm] = found
    return algorithm


def check_algorithm_options(algo: str, options: Mapping[str, Any]) -> None:
    """Refuse options that an algorithm doesn't take, before there are environments to make an agent for.

    One that isn't installed here isn't checked: a run elsewhere may have it.

    Raises:
        BadInput: As its agent raises it.
    """
    try:
        sb3_class = load_algorithm(algo)
    except BadInput as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            return
        raise
    if issubclass(sb3_class, OffPolicyAlgorithm):
        check_options(sb3_class, options, reserved=RESERVED_HERE)
    else:
        check_options(sb3_class, options, also=POLICY_OPTIONS)

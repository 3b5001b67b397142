"""Check an algorithm's options, which are SB3's own keywords, before it is made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from rlhf_gym.errors import BadInput

MLP, CNN = "MlpPolicy", "CnnPolicy"  # SB3's names
Algorithm = TypeVar("Algorithm", bound=BaseAlgorithm)

RESERVED = {
    "policy": "it is a multi-layer perceptron, or sees images by convolutions; set net_arch and images",
    "env": "the agent learns in the environments of the run",
    "seed": "it is the run's; set seed",
    "device": "networks this small are fastest on the CPU",
    "policy_kwargs": "set net_arch, normalize_observations, and for on-policy algorithms the option log_std_init",
    "tensorboard_log": "the run's own log has it",
    "verbose": "the run reports its rounds itself",
    "_init_setup_model": "the agent is always set up",
    "replay_buffer_class": "it is the one that relabels rewards",
    "replay_buffer_kwargs": "the replay buffer is the one that relabels rewards",
    "rollout_buffer_class": "the rollout buffer is SB3's own",
    "rollout_buffer_kwargs": "the rollout buffer is SB3's own",
    "optimize_memory_usage": "the reward function has to know a termination from a time limit",
}


def check_options(
    sb3_class: type[BaseAlgorithm],
    options: Mapping[str, Any],
    *,
    also: Sequence[str] = (),
    reserved: Mapping[str, str] = RESERVED,
) -> None:
    """Refuse an option that an algorithm doesn't take, or that the agent sets itself.

    Args:
        sb3_class: The algorithm.
        options: Options by name.
        also: Further names that are allowed.
        reserved: Names that the agent sets, with the reason.

    Raises:
        BadInput: Naming the option, and the allowed one closest to it.
    """
    parameters = inspect.signature(sb3_class).parameters
    known = [name for name in (*parameters, *also) if name not in reserved]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in options:
        if name in reserved:
            raise BadInput(f"option {name} of {sb3_class.__name__} can't be set: {reserved[name]}; leave it out")
        if name not in known and not takes_any:
            near = get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}"
            raise BadInput(f"algo {sb3_class.__name__} has no option {name}; {remedy}")
    if callable(options.get("learning_rate")):
        raise BadInput("option learning_rate is a function; use a number, and the agent's schedule")


def check_observations(venv: VecEnv) -> None:
    """Refuse observations that aren't a single array.

    Raises:
        BadInput: On a Dict or Tuple space.
    """
    if isinstance(venv.observation_space, spaces.Dict | spaces.Tuple):
        raise BadInput(
            f"observations are {venv.observation_space}; use an environment whose observation is one array, or wrap it "
            "in gymnasium.wrappers.FlattenObservation"
        )


def takes_actions(sb3_class: type[BaseAlgorithm], venv: VecEnv) -> bool:
    """Test whether an algorithm can act in environments, which SB3 asserts in its constructor."""
    check_policy(sb3_class)
    try:
        sb3_class("MlpPolicy", venv, device="cpu", _init_setup_model=False)  # type: ignore[call-arg]
    except AssertionError:
        return False
    return True


def check_policy(sb3_class: type[BaseAlgorithm]) -> None:
    """Refuse an algorithm that masks actions, or has no MlpPolicy, such as one with a recurrent policy.

    Raises:
        BadInput: Saying which, and naming the policies that it has.
    """
    if "use_masking" in inspect.signature(sb3_class.learn).parameters:
        raise BadInput(
            f"{sb3_class.__name__} asks environments which actions are allowed, which nobody answers here; use another "
            "algorithm"
        )
    known = sb3_class.policy_aliases
    if known and "MlpPolicy" not in known:
        raise BadInput(
            f"{sb3_class.__name__} has no MlpPolicy, only {', '.join(known)}, which can't be used here; use another "
            "algorithm"
        )


def build(sb3_class: type[Algorithm], venv: VecEnv, *, policy: str = MLP, **settings: Any) -> Algorithm:
    """Make an algorithm on the CPU, initialised from the current global random state.

    Args:
        sb3_class: The algorithm.
        venv: The environments it learns in.
        policy: SB3's name of the policy.
        **settings: The algorithm's own keywords.

    Raises:
        BadInput: If it can't act in the environments, or refuses a setting.
    """
    check_observations(venv)
    if not takes_actions(sb3_class, venv):
        raise BadInput(f"{sb3_class.__name__} can't take the actions {venv.action_space}; use another algorithm")
    try:
        return sb3_class(policy, venv, device="cpu", **settings)
    except BadInput:
        raise
    except (AssertionError, TypeError, ValueError, ArithmeticError) as error:
        reason = str(error).strip() or "no reason given"
        raise BadInput(f"{sb3_class.__name__} refuses its options: {reason.splitlines()[0]}") from error

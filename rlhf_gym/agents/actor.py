"""The policy alone, out of a file that any algorithm of SB3 wrote."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file

from rlhf_gym.errors import BadInput

Actor = BasePolicy
"""A policy alone: it predicts, and has the spaces that it was learned in."""
DAMAGED = (OSError, ValueError, KeyError, AttributeError, RuntimeError, TypeError, ImportError, EOFError)


def load_actor(path: str | Path) -> Actor:
    """Load a policy to predict with, without knowing by which algorithm it was learned.

    Args:
        path: A policy.zip of a run, or what SB3's `save` wrote; its pickled parts are run: use only one whose origin
            you know. What normalised the observations outside of the policy (VecNormalize) is in neither.

    Returns:
        The policy, on the CPU, with the spaces that it was learned in.

    Raises:
        BadInput: If the file is missing, damaged, or holds no policy.
    """
    try:
        settings, parameters, _ = load_from_zip_file(path, device="cpu")
        whole = (settings or {}).get("policy")  # SBX's file has it as it is, its weights included
        policy = whole if isinstance(whole, BasePolicy) else _policy(settings or {}, parameters["policy"])
    except (*DAMAGED, BadZipFile, UnpicklingError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else (str(error).splitlines() or ["empty"])[0]
        raise BadInput(f"{path} can't be read as a policy: {reason}; use a file of Stable-Baselines3's save") from error
    policy.set_training_mode(False)
    return policy


def _policy(settings: dict[str, Any], weights: Any) -> BasePolicy:
    """Make the policy as the algorithm's own `_setup_model` does."""
    kind, options = settings["policy_class"], dict(settings["policy_kwargs"])
    if issubclass(kind, ActorCriticPolicy):  # SB3's off-policy algorithms keep it among the options
        options["use_sde"] = settings["use_sde"]
    policy: BasePolicy = kind(settings["observation_space"], settings["action_space"], lambda _: 0.0, **options)
    policy.load_state_dict(weights)
    return policy

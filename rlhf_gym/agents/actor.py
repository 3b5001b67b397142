"""Load the policy alone from a file that any algorithm of SB3 wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file

from rlhf_gym.agents.archive import check_layers, check_unpacked_size
from rlhf_gym.agents.unpickled import Strange, settings_in
from rlhf_gym.errors import BadInput
from rlhf_gym.trust import digest, is_trusted

Actor = BasePolicy
"""A policy without its algorithm, which predicts and has the spaces it was trained with."""
SETTINGS = ("policy_class", "policy_kwargs", "observation_space", "action_space", "use_sde")


def load_actor(path: str | Path, *, trust: bool = False) -> Actor:
    """Load a policy to predict with, whichever algorithm trained it.

    Only classes of Stable-Baselines3, torch, Gymnasium and this package are unpickled; a file that names others needs
    `trust`, unless a run of this user wrote it.

    Args:
        path: A policy.zip of a run, or a file of SB3's `save`. Neither holds the statistics of a VecNormalize outside
            the policy.
        trust: Whether to run whatever its pickled parts name; only for files that you trust.

    Returns:
        The policy, on the CPU, with the spaces it was trained with.

    Raises:
        BadInput: If the file is missing, damaged, holds no policy, or needs `trust`.
    """
    path = Path(path)
    try:
        check_unpacked_size(path)
        try:
            settings = settings_in(path, SETTINGS)
            check_layers(settings["policy_kwargs"].get("net_arch"), path)
            _, parameters, _ = load_from_zip_file(path, load_data=False, device="cpu")
            policy = _policy(settings, parameters)
        except Strange as strange:
            policy = _whole(path, strange, trust=trust)
    except BadInput:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        reason = f"it lacks {error}" if isinstance(error, KeyError) else (str(error).splitlines() or ["empty"])[0]
        raise BadInput(f"{path} can't be read as a policy: {reason}; use a file of Stable-Baselines3's save") from error
    policy.set_training_mode(False)
    return policy


def _whole(path: Path, strange: Strange, *, trust: bool) -> BasePolicy:
    """Let SB3 unpickle the whole file, if it is trusted."""
    if not (trust or is_trusted(digest(path))):
        raise BadInput(
            f"{path} holds code beside the policy, {strange}, which would be run; if you know whose it is, say --trust "
            "(in Python RLHF_GYM_TRUST=1)"
        )
    settings, parameters, _ = load_from_zip_file(path, device="cpu")
    whole = (settings or {}).get("policy")  # SBX's file pickles the policy with its weights
    return whole if isinstance(whole, BasePolicy) else _policy(settings or {}, parameters)


def _policy(settings: dict[str, Any], parameters: dict[str, Any]) -> BasePolicy:
    """Make the policy as the algorithm's own `_setup_model` does."""
    weights = parameters["policy"]
    kind, options = settings["policy_class"], dict(settings["policy_kwargs"])
    if issubclass(kind, ActorCriticPolicy):  # SB3's off-policy algorithms have it in policy_kwargs
        options["use_sde"] = settings["use_sde"]
    policy: BasePolicy = kind(settings["observation_space"], settings["action_space"], lambda _: 0.0, **options)
    policy.load_state_dict(weights)
    return policy

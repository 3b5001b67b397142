"""Tuned settings: a YAML file per family of environments, and one for algorithms other than PPO."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any

import yaml

from rlhf_gym.config.mappings import merge
from rlhf_gym.config.named import DEFAULTS

ASKED_WITHIN = "asked_within"
"""What a preset has beside settings: the steps within which a longer run asks for all labels, instead of ever later."""


def preset(env_id: str, algo: str | None = None, total_timesteps: Any = None) -> dict[str, Any]:
    """Read the tuned settings of an environment, and of an algorithm in it.

    Args:
        env_id: Gymnasium id; a leading dot marks shared parts.
        algo: The algorithm, registered or dotted; None is PPO. The `agent` settings of an environment are PPO's, so
            another algorithm gets none of them; the entry ENVIRONMENT/ALGORITHM is laid over the rest.
        total_timesteps: Steps of the run; None takes the preset's own.

    Returns:
        Settings, nested, empty where there are none.
    """
    found = deepcopy(_by_name().get(str(env_id), {}))
    within = found.pop(ASKED_WITHIN, None)
    if algo in (None, DEFAULTS["algo"]):
        longer = within and isinstance(total_timesteps, int) and total_timesteps > found["total_timesteps"]
        return _asked_within(within, found, total_timesteps) if longer else found
    found.pop("agent", None)
    own = deepcopy(_by_name().get(f"{env_id}/{algo}", {}))
    return merge(found, {"algo": algo, **own})


def has_preset(env_id: str, algo: str) -> bool:
    """Test whether an algorithm has tuned settings in an environment."""
    return (env_id if algo == DEFAULTS["algo"] else f"{env_id}/{algo}") in _by_name()


def _asked_within(within: int, found: dict[str, Any], total_timesteps: int) -> dict[str, Any]:
    """Ask for all labels within as many steps of a longer run, in rounds as long as the preset's own."""
    rounds = round(found["query"]["rounds"] * total_timesteps / found["total_timesteps"])
    options = {"by": within / total_timesteps}
    return merge(found, {"query": {"rounds": rounds, "schedule": "front_loaded", "schedule_options": options}})


@cache
def _by_name() -> dict[str, dict[str, Any]]:
    """Read every file once per process, because YAML is slow and an experiment has hundreds of configurations."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".yaml")]
    return {name: found for file in files for name, found in yaml.safe_load(file.read_text()).items()}

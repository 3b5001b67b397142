"""Tuned settings: a YAML file per family of environments, and one for algorithms other than PPO."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any

import yaml

from rlhf_gym.config.mappings import merge
from rlhf_gym.config.named import DEFAULTS

LONGER = "longer"
"""What a preset has beside settings: others, laid over them in a run of more steps than its own."""
ABOVE = "above"
"""What these may have beside settings: the number of steps that a run has to exceed, if that isn't the preset's own."""
ASKED_WITHIN = "asked_within"
"""What these have beside settings: the steps within which such a run asks for all labels, instead of ever later."""


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
    if isinstance(total_timesteps, float) and total_timesteps.is_integer():  # 1e6, which settings take as a million
        total_timesteps = int(total_timesteps)
    found = deepcopy(_by_name().get(str(env_id), {}))
    longer = found.pop(LONGER, None)
    if algo in (None, DEFAULTS["algo"]):
        above = longer.pop(ABOVE, found["total_timesteps"]) if longer else 0
        is_longer = longer and isinstance(total_timesteps, int) and total_timesteps > above
        return _for_longer(found, longer, total_timesteps) if is_longer else found
    found.pop("agent", None)
    own = deepcopy(_by_name().get(f"{env_id}/{algo}", {}))
    return merge(found, {"algo": algo, **own})


def has_preset(env_id: str, algo: str) -> bool:
    """Test whether an algorithm has tuned settings in an environment."""
    return (env_id if algo == DEFAULTS["algo"] else f"{env_id}/{algo}") in _by_name()


def _for_longer(found: dict[str, Any], longer: dict[str, Any], total_timesteps: int) -> dict[str, Any]:
    """Lay settings for longer runs over a preset's, and ask for all labels in time, in rounds as long as its own."""
    rounds = round(found["query"]["rounds"] * total_timesteps / found["total_timesteps"])
    options = {"by": longer.pop(ASKED_WITHIN) / total_timesteps}
    asked = {"query": {"rounds": rounds, "schedule": "front_loaded", "schedule_options": options}}
    return merge(merge(found, asked), longer)


@cache
def _by_name() -> dict[str, dict[str, Any]]:
    """Read every file once per process, because YAML is slow and an experiment has hundreds of configurations."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".yaml")]
    return {name: found for file in files for name, found in yaml.safe_load(file.read_text()).items()}

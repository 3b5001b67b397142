"""Tuned settings, a YAML file per family of environments."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml


def preset(env_id: str) -> dict[str, Any]:
    """Read the tuned settings of an environment, empty where there are none; a leading dot marks shared parts."""
    for file in sorted(resources.files("rlhf_gym.config.presets").iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".yaml"):
            found: dict[str, Any] | None = yaml.safe_load(file.read_text()).get(str(env_id))
            if found is not None:
                return found
    return {}

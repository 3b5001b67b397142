"""Tuned settings, a YAML file per family of environments."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any

import yaml


def preset(env_id: str) -> dict[str, Any]:
    """Read the tuned settings of an environment, empty where there are none; a leading dot marks shared parts."""
    return deepcopy(_by_environment().get(str(env_id), {}))


@cache
def _by_environment() -> dict[str, dict[str, Any]]:
    """Read every file, once a process: YAML is read slowly, and an experiment has hundreds of configurations."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".yaml")]
    return {env_id: found for file in files for env_id, found in yaml.safe_load(file.read_text()).items()}

"""Tell whether an environment's id is known everywhere, or in this process alone."""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import entry_points

import gymnasium
import gymnasium.envs


def tell_if_only_here(env_id: str) -> None:
    """Warn on stderr if only this process knows an id, as a script or notebook registered it, and say what to do."""
    if told := only_here(env_id):
        print(told, file=sys.stderr)


def only_here(env_id: str) -> str | None:
    """Say in one line what won't work with an id that this process's own code has registered.

    Returns:
        The line; None for an id of Gymnasium or its plugins, one that names its module, or an unknown one.
    """
    if ":" in env_id or env_id not in gymnasium.registry or f'"{env_id}"' in inspect.getsource(gymnasium.envs):
        return None
    made_by = gymnasium.registry[env_id].entry_point
    module = made_by.partition(":")[0] if isinstance(made_by, str) else str(getattr(made_by, "__module__", None))
    plugins = {plugin.module.partition(".")[0] for plugin in entry_points(group="gymnasium.envs")}
    if module.partition(".")[0] in plugins:
        return None
    remedy = f"name the module that registers it, as in env_id {module}:{env_id}"
    if module in ("__main__", "None", "builtins") or module.startswith("gymnasium."):
        remedy = f"register it in a file of its own, such as my_envs.py, and use env_id my_envs:{env_id}"
    return (
        f"env_id {env_id} is known to this process alone, and neither to clips nor to rlhf-gym evaluate, watch, label "
        f"and resume: {remedy}"
    )


def class_without_id(env_id: str) -> str | None:
    """Say how to register `module:Name` if that is no id but an attribute of the module; None if it isn't one."""
    module, _, name = env_id.rpartition(":")
    if not hasattr(sys.modules.get(module), name):
        return None
    return (
        f"{module} has it, and registers no id: add gymnasium.register(id='{name}-v0', entry_point='{env_id}', "
        f"max_episode_steps=1000) to it, and use {module}:{name}-v0"
    )

"""Hash the code that a run's result depends on.

Rows keep the hash beside their commit. The commit says when a row was made; the hash says, without git's history,
whether today's code would make the same row. Comments, docstrings, layout and modules that don't affect the result are
left out.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from experiments.harness.checkout import ROOT
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.named import get
from rlhf_gym.registry import TABLES, names_in, source_entry

CODE = "code"  # the column of runs.csv with the hash
HOUSE = "rlhf_gym"
START = (f"{HOUSE}.rlhf", f"{HOUSE}.evaluation")
WITHOUT_PART = (
    "config",  # each setting is a column of the row
    "registry",  # the modules that it names for this run are included
    *("store", "runs", "labelling", "quality", "contracts", "verbs", "plots", "errors"),  # they store, show and check
    *("envs.clips", "envs.replay", "envs.opengl", "envs.mujoco_warnings"),  # they draw
)
TEACHING = ("rewards", "queries", "teachers", "kinds", "answers", "asking", "preferences")
"""Modules that a run on the true reward or a constant doesn't use, except those in :data:`PAYING`."""
PAYING = ("rewards.sources", "rewards.paid", "teachers.goals")
"""Modules within :data:`TEACHING` that such a run does use."""
UNUSED: Sequence[tuple[tuple[str, ...], Callable[[RLHFConfig], object]]] = (
    (
        ("agents.off_policy", "agents.relabelling", "agents.q_networks", "agents.replay_memory"),
        lambda c: c.algo not in ("ppo", "a2c"),  # another package's algorithm may use a replay buffer
    ),
    (("agents.reference", "agents.staying"), lambda c: c.agent.reference),
    (("agents.cloning", "agents.copying"), lambda c: c.agent.start or c.agent.reference),
    (("demonstrators",), lambda c: c.agent.start or c.agent.reference or c.feedback.demonstrator),
    (("agents.exploring",), lambda c: c.query.shown),
    (("rewards.state_entropy",), lambda c: c.agent.explore_steps),
)
"""Modules that every run imports and only some settings use; a test checks that other runs never call them."""
LEARNING_BY = ("reward.source", "reward.source_options", "query.rounds", "query.warm_up_steps", "feedback.goal")
"""Settings of reward learning that affect the result even of a run without answers."""
NORMALISED_BY = ("reward.shift", "query.memory_steps")
"""Further ones that do if the true reward is normalised."""


def code_of(config: RLHFConfig, measures: Collection[Callable[..., Any]] = ()) -> str:
    """Hash every module that a run's result depends on.

    Args:
        config: The run's settings; registered parts that they name are included, others aren't.
        measures: Functions of its episodes; their modules are included, too.

    Returns:
        16 hexadecimal digits.
    """
    named = [(module, name) for setting, module, name in _named(config) if has_part(setting, config)]
    modules = {module for start in (*START, *(module for module, _ in named)) for module in _reached(start)}
    unused = [rooms for rooms, used in UNUSED if not used(config)]
    modules = {m for m in modules if not any(_in(m, rooms) for rooms in unused) or m in dict(named)}
    if paid_without_answers(config):
        modules = {m for m in modules if not _in(m, TEACHING) or _in(m, PAYING) or m in dict(named)}
    texts = [f"{module} {_module(module)}" for module in sorted(modules)]
    texts += [f"{module}:{name} {_definition(module, name)}" for module, name in sorted(named)]
    texts += [f"{module} {_module(module)}" for module in sorted({measure.__module__ for measure in measures})]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def has_part(setting: str, config: RLHFConfig) -> bool:
    """Test whether a setting (dotted name) affects the result; without answers, those of reward learning don't."""
    if not paid_without_answers(config) or setting in LEARNING_BY:
        return True
    if config.reward.source == "normalised_true" and setting in NORMALISED_BY:
        return True
    group = setting.partition(".")[0]
    return group not in ("reward", "query", "feedback", "teacher", "teacher_options", "kind", "segment_length")


def paid_without_answers(config: RLHFConfig) -> bool:
    """Test whether a run is paid the true reward, the goal or a constant, and asks nothing."""
    source = source_entry(config.reward.source)
    return source.true or config.reward.source == "constant"


def _named(config: RLHFConfig) -> Iterator[tuple[str, str, str]]:
    """List every part of the package that the settings name, as setting, module and attribute."""
    for setting, table in TABLES.items():
        value = get(config, setting)
        for name in names_in(setting, value if isinstance(value, Mapping) else str(value)):
            module, _, attribute = (table[name].target if name in table else name).partition(":")
            if module.startswith(f"{HOUSE}."):
                yield setting, module, attribute


def _in(module: str, rooms: Collection[str]) -> bool:
    inside = module.partition(f"{HOUSE}.")[2]
    return any(inside == room or inside.startswith(f"{room}.") for room in rooms)


@cache
def _reached(start: str) -> frozenset[str]:
    """List the modules that a module imports, directly or not, and itself, without those in :data:`WITHOUT_PART`."""
    found: set[str] = set()
    todo = [start]
    while todo:
        module = todo.pop()
        if module not in found and not _in(module, WITHOUT_PART):
            found.add(module)
            todo += _imported(module)
    return frozenset(found)


@cache
def _imported(module: str) -> tuple[str, ...]:
    """List the package's modules that a module imports directly."""
    found: list[str] = []
    for node in ast.walk(_parsed(module)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found += [name for name in names if name.startswith(f"{HOUSE}.") and _path(name)]
    return tuple(found)


def _path(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    found = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in found if file.exists()), None)


@cache
def _parsed(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise ValueError(f"{module} is no module of {ROOT}")
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _module(module: str) -> str:
    """Write down a module without its registered definitions, on which only runs that name them depend."""
    registered = {e.target.partition(":")[2] for table in TABLES.values() for e in table.values() if _of(e, module)}
    return canonical([node for node in _parsed(module).body if getattr(node, "name", None) not in registered])


def _of(entry: Any, module: str) -> bool:
    return bool(entry.target.partition(":")[0] == module)


@cache
def _definition(module: str, name: str) -> str:
    return canonical([node for node in _parsed(module).body if getattr(node, "name", None) == name])


def canonical(node: Any) -> str:
    """Write down a syntax tree the same way under every version of Python, without docstrings."""
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields)
        return f"{type(node).__name__}({','.join(f'{n}={canonical(v)}' for n, v in fields if v not in (None, []))})"
    if isinstance(node, list):
        return f"[{','.join(canonical(item) for item in node if not _is_docstring(item))}]"
    return repr(node)


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

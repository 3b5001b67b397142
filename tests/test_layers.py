"""Imports go one way: segments <- envs, queries, store, teachers, rewards <- agents <- rlhf <- cli."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rlhf_gym"

# What each room may import from the house, besides itself. Configuration stops at RLHF: below it, only what keeps a
# run's files and draws them (runs, plots) knows RLHFConfig.
MAY_IMPORT = {
    "errors": set(),
    "moved": set(),
    "feedback": {"moved"},
    "generators": set(),
    "images": {"errors"},
    "diverging": set(),
    "files": {"errors"},
    "registry": {"errors"},
    "trust": {"registry", "files", "errors"},
    "segments": {"errors"},
    "preferences": {"segments", "errors"},
    "arrays": {"segments", "errors"},
    "spaces": {"arrays", "errors"},
    "stats": {"errors"},
    "config": {"registry", "errors", "files"},
    "kinds": {"segments", "preferences", "arrays", "registry", "trust", "errors"},
    "envs": {"segments", "registry", "trust", "errors", "generators"},
    "store": {"segments", "preferences", "kinds", "arrays", "spaces", "errors", "files"},
    "teachers": {"segments", "preferences", "kinds", "envs", "store", "registry", "errors", "generators"},
    "quality": {"segments", "preferences", "queries", "errors"},
    "queries": {"segments", "preferences", "registry", "errors"},
    "rewards": {"segments", "preferences", "spaces", "images", "registry", "trust", "diverging", "errors"},
    "agents": {"diverging", "segments", "images", "envs", "registry", "trust", "errors", "generators"},
    "demonstrators": {"segments", "preferences", "envs", "teachers", "agents", "errors"},
    "methods": {"segments", "preferences", "rewards", "agents", "diverging", "errors"},
    "contracts": {
        "segments",
        "preferences",
        "kinds",
        "envs",
        "store",
        "teachers",
        "queries",
        "rewards",
        "agents",
        "registry",
    },
    "labelling": {"segments", "preferences", "kinds", "envs", "store", "quality", "errors"},
    "evaluation": {"segments", "envs", "teachers"},
    "runs": {"segments", "preferences", "config", "registry", "envs", "store", "methods", "errors", "files", "trust"},
    "titles": {"config", "registry", "runs"},
    "plots": {"stats", "titles", "runs", "errors"},
    "standing": {"preferences", "kinds"},
    "answers": {"preferences", "standing", "store", "teachers", "errors"},
    "asking": {"preferences", "teachers", "answers", "errors"},
    "parts": {
        "segments",
        "preferences",
        "kinds",
        "config",
        "errors",
        "envs",
        "queries",
        "teachers",
        "methods",
        "runs",
        "answers",
        "asking",
    },
    "taught_by": {
        "preferences",
        "config",
        "registry",
        "trust",
        "errors",
        "envs",
        "store",
        "teachers",
        "rewards",
        "runs",
    },
    "teaching": {
        "segments",
        "preferences",
        "kinds",
        "config",
        "registry",
        "errors",
        "envs",
        "store",
        "teachers",
        "demonstrators",
        "queries",
        "methods",
        "parts",
    },
    "starting": {
        "segments",
        "preferences",
        "kinds",
        "config",
        "errors",
        "envs",
        "agents",
        "demonstrators",
        "teaching",
    },
    "assembly": {
        "taught_by",
        "teaching",
        "starting",
        "segments",
        "preferences",
        "config",
        "registry",
        "errors",
        "envs",
        "store",
        "teachers",
        "queries",
        "rewards",
        "agents",
        "methods",
        "runs",
        "answers",
        "asking",
        "parts",
    },
    "reporting": {
        "segments",
        "preferences",
        "kinds",
        "config",
        "envs",
        "registry",
        "evaluation",
        "teachers",
        "queries",
        "quality",
        "rewards",
        "runs",
        "parts",
    },
    "saved_policy": {"agents", "assembly", "config", "envs", "errors"},
    "reward_report": {
        "diverging",
        "files",
        "kinds",
        "trust",
        "saved_policy",
        "segments",
        "preferences",
        "config",
        "registry",
        "errors",
        "envs",
        "store",
        "teachers",
        "rewards",
        "agents",
        "runs",
        "plots",
        "evaluation",
        "assembly",
        "reporting",
        "rlhf",
    },
    "resuming": {"segments", "errors", "generators", "rewards", "runs", "teachers", "answers", "parts"},
    "rlhf": {
        "segments",
        "preferences",
        "config",
        "moved",
        "queries",
        "rewards",
        "runs",
        "assembly",
        "reporting",
        "resuming",
    },
    "__init__": {"segments", "preferences", "config", "rlhf", "runs"},
    "option_flags": {"config", "errors"},
    "flags": {"config", "option_flags", "errors"},
    "sweeps": {"config", "registry", "agents", "runs", "rlhf", "stats", "errors"},
    "verbs": {
        "files",
        "sweeps",
        "trust",
        "saved_policy",
        "segments",
        "preferences",
        "config",
        "registry",
        "errors",
        "envs",
        "store",
        "teachers",
        "labelling",
        "evaluation",
        "agents",
        "runs",
        "plots",
        "rlhf",
        "rewards",
        "reward_report",
    },
    "cli": {"flags", "verbs", "trust", "errors"},
}
DRAWERS = {"utils", "util", "common", "core", "base", "helpers", "misc"}


def imported_rooms(module: tuple[str, ...], source: str) -> Iterator[str]:
    """Rooms that a module imports, wherever in it; `module` is its path in the package, `('envs', 'make')`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ("rlhf_gym", *module)[: -node.level] if node.level else ()
            origin = ".".join([*above, *filter(None, [node.module])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            if first == "rlhf_gym":
                # A name that isn't a room, as in `from rlhf_gym import RLHF`, comes from the front door.
                yield rest[0] if rest and rest[0] in MAY_IMPORT else "__init__"
            elif first in ("experiments", "tests"):
                yield first


def crossings(module: tuple[str, ...], source: str) -> list[str]:
    """Every import that goes the wrong way, as 'from -> to'."""
    room = module[0]
    allowed = MAY_IMPORT[room] | {room}
    return [f"{'.'.join(module)} -> {to}" for to in imported_rooms(module, source) if to not in allowed]


def modules() -> list[tuple[str, ...]]:
    return [path.relative_to(PACKAGE).with_suffix("").parts for path in sorted(PACKAGE.rglob("*.py"))]


def imports_sb3(source: str) -> bool:
    """Whether a module imports Stable-Baselines3, wherever in it."""
    names = [
        name
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    return any(name.partition(".")[0] == "stable_baselines3" for name in names)


def test_every_room_has_its_place_in_the_order() -> None:
    assert {module[0] for module in modules()} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", modules(), ids=".".join)
def test_imports_go_one_way(module: tuple[str, ...]) -> None:
    assert crossings(module, PACKAGE.joinpath(*module).with_suffix(".py").read_text()) == []


@pytest.mark.parametrize("module", modules(), ids=".".join)
def test_only_agents_and_vectorised_environments_know_sb3(module: tuple[str, ...]) -> None:
    source = PACKAGE.joinpath(*module).with_suffix(".py").read_text()
    assert module[0] in ("agents", "envs") or not imports_sb3(source)


def test_the_checker_sees_sb3_wherever_it_is_imported() -> None:
    assert imports_sb3("def f():\n    from stable_baselines3.common import utils")
    assert imports_sb3("import numpy, stable_baselines3 as sb3") and imports_sb3("from stable_baselines3 import PPO")
    assert not imports_sb3("from rlhf_gym.agents import Agent\nimport stable_baselines")


@pytest.mark.parametrize("module", modules(), ids=".".join)
def test_no_module_is_a_drawer(module: tuple[str, ...]) -> None:
    assert not DRAWERS & set(module)


def test_the_order_itself_has_no_circle() -> None:
    left = dict(MAY_IMPORT)
    while left:
        lowest = {room for room, below in left.items() if not below & set(left)}
        assert lowest, f"these import each other: {sorted(left)}"
        left = {room: below for room, below in left.items() if room not in lowest}


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("segments", "from rlhf_gym.envs import make_env", ["segments -> envs"]),
        ("queries.selection", "from rlhf_gym.rewards.model import RewardModel", ["queries.selection -> rewards"]),
        ("queries.selection", "from ..rewards import RewardModel", ["queries.selection -> rewards"]),
        ("queries.selection", "from .schedules import constant\nfrom .. import segments", []),
        ("queries.__init__", "from .selection import uniform\nfrom ..cli import main", ["queries.__init__ -> cli"]),
        ("agents.ppo", "def f():\n    import rlhf_gym.config", ["agents.ppo -> config"]),
        ("rewards.model", "from rlhf_gym import config, segments", ["rewards.model -> config"]),
        ("rewards.model", "from rlhf_gym import RLHF", ["rewards.model -> __init__"]),
        ("evaluation", "import rlhf_gym", ["evaluation -> __init__"]),
        ("rlhf", "import experiments.run", ["rlhf -> experiments"]),
        ("parts", "import numpy\nfrom torch import nn\nfrom rlhf_gym.methods.method import Method", []),
    ],
)
def test_the_checker_sees_a_wrong_import(module: str, source: str, found: list[str]) -> None:
    assert crossings(tuple(module.split(".")), source) == found


def test_the_command_line_loads_nothing_heavy_before_a_verb_runs() -> None:
    files = [PACKAGE / "cli.py", *PACKAGE.glob("verbs/*.py")]
    at_once = [
        ast.unparse(node)
        for file in files
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert set(imported_rooms(("cli",), "\n".join(at_once))) == {
        "config",
        "errors",
        "files",
        "flags",
        "registry",
        "trust",
        "verbs",
    }

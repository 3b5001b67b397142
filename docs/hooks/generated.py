"""Pages made from the code while the site is built: every setting, every registered name, the public API."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from rlhf_gym.config import RLHFConfig
from rlhf_gym.registry import OFFERED, TABLES

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"^<!-- (settings|names|presets|api)(?:: (.*))? -->$", re.MULTILINE)
ROLE = re.compile(r":(?:func|class|meth|mod|attr|data|exc):(?=`|<code>)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put in what a page marks."""
    makers = {"settings": settings, "names": names, "presets": presets, "api": api}
    return MARK.sub(lambda match: makers[match[1]](match[2] or ""), markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Take Sphinx's roles out of docstrings."""
    return ROLE.sub("", content)


def settings(group: str) -> str:
    """List the settings of a group ("" is the top level): flag, default, docstring."""
    config = next((f.default_factory for f in fields(RLHFConfig) if f.name == group), RLHFConfig)
    docs = _field_docs(config.__name__)
    prefix = f"{group}." if group else ""
    return "\n\n".join(
        f"### `{prefix}{field.name}`\n\n*Default: {_default(field)}*\n\n{_plain(docs[field.name])}"
        for field in fields(config)
        if not is_dataclass(field.default_factory)
    )


def names(setting: str) -> str:
    """Tabulate the names that a setting takes, those of one thing in one row, with its first line and any options."""
    found = [(f"`{name}`", *_described(setting, name, entry.target)) for name, entry in TABLES[setting].items()]
    rows = [(", ".join(name for name, *_ in same), *what) for what, same in groupby(found, key=lambda row: row[1:])]
    head = "| name | what it is |"
    if any(options for *_, options in rows):
        return _table(f"{head} options |", [f"| {name} | {doc} | {options} |" for name, doc, options in rows])
    return _table(head, [f"| {name} | {doc} |" for name, doc, _ in rows])


def presets(_: str) -> str:
    """List the environments that have tuned settings, with the algorithms."""
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "rlhf_gym/config/presets").glob("*.yaml")):
        for name in yaml.safe_load(file.read_text()):
            env_id, _, algo = name.partition("/")
            if not name.startswith("."):
                found.setdefault(env_id, []).append(algo or "ppo")
    rows = [f"| `{env_id}` | {', '.join(sorted(algos))} |" for env_id, algos in sorted(found.items())]
    return _table("| environment | algorithms |", rows)


def api(module: str) -> str:
    """Show a package's docstring, and document the names in its `__all__`."""
    tree = ast.parse(_source(module).read_text(encoding="utf-8"))
    public = next(
        ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and _names(n) == ["__all__"]
    )
    intro = ROLE.sub("", ast.get_docstring(tree) or "").replace("::\n", ":\n")
    return "\n\n".join([intro, *(f"::: {module}.{name}" for name in public)])


def _table(head: str, rows: list[str]) -> str:
    """Write a table whose rows stand under each other where there is little room."""
    rule = "|---" * (head.count("|") - 1) + "|"
    return "\n".join(['<div class="stack" markdown>', "", head, rule, *rows, "", "</div>"])


def _described(setting: str, name: str, target: str) -> tuple[str, str]:
    """Read the first line of what a name stands for, and its options with their defaults, without importing it."""
    module, _, attribute = target.partition(":")
    if not module.startswith("rlhf_gym"):
        return f"{attribute} of {module}", ""
    tree = ast.parse(_source(module).read_text(encoding="utf-8"))
    node = next((n for n in tree.body if getattr(n, "name", None) == attribute), None)
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return _first_line(tree), ""
    function = node
    if isinstance(node, ast.ClassDef):
        inits = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        function = inits[0] if inits else None
    options = _options(function.args, setting) if function and setting not in ("feedback.goal", "metric") else ()
    return _first_line(node), ", ".join(options)


def _options(args: ast.arguments, setting: str) -> Iterator[str]:
    given = OFFERED | ({"model"} if setting == "reward.more" else set())
    plain = args.posonlyargs + args.args
    defaults = [None] * (len(plain) - len(args.defaults)) + args.defaults
    for arg, default in zip(plain + args.kwonlyargs, defaults + args.kw_defaults, strict=True):
        if arg.arg not in given:
            yield f"`{arg.arg}`" if default is None else f"`{arg.arg}={ast.unparse(default)}`"


def _first_line(node: Any) -> str:
    text = (ast.get_docstring(node) or "").split("\n\n")[0]
    return _plain(text).rstrip(".").replace("|", "\\|")


def _plain(text: str) -> str:
    return ROLE.sub("", " ".join(text.split()))


def _default(field: Field[Any]) -> str:
    if field.default is not MISSING:
        return f"`{field.default!r}`"
    return "none" if field.default_factory in (dict, list, tuple) else f"`{field.default_factory()!r}`"


@cache
def _field_docs(name: str) -> dict[str, str]:
    """Read the docstring below each field of a config class."""
    tree = ast.parse((ROOT / "rlhf_gym/config/settings.py").read_text(encoding="utf-8"))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name).body
    return {
        field.target.id: doc.value.value
        for field, doc in zip(body, body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant)
    }


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _source(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

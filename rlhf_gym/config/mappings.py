"""Settings as nested mappings: read from YAML, laid over one another, turned into typed dataclasses and back."""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from rlhf_gym.errors import BadInput

# Evaluating annotations is most of what a configuration costs.
types_of: Callable[..., dict[str, Any]] = cache(get_type_hints)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a mapping from a YAML file.

    Raises:
        BadInput: If there is no such file, or it holds something else.
    """
    try:
        settings = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(f"config {path} can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise BadInput(f"config {path} holds {type(settings).__name__}; expected settings as `name: value` lines")
    return settings


def merge(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `changes` over `settings`, groups merged name by name; `env_kwargs` is one value, and so are no options."""
    merged = dict(settings)
    for name, value in changes.items():
        if is_dataclass(value) and not isinstance(value, type):
            value = asdict(value)
        one_value = name == "env_kwargs" or (str(name).endswith(("options", "more")) and not value)
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping) and not one_value
        merged[name] = merge(merged[name], value) if both else value
    return merged


def unknown_name(name: str, known: list[str], prefix: str = "") -> str:
    """Tell of a misspelt setting in one line, with the nearest known name or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"unknown setting {prefix}{name}; " + (
        f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(known)}"
    )


def build(cls: type, settings: Mapping[str, Any], prefix: str = "") -> Any:
    """Build an instance of a dataclass, its groups included.

    Args:
        cls: The dataclass.
        settings: Values of its fields, nested as they are.
        prefix: Of names in error messages.

    Raises:
        BadInput: On an unknown name (with a suggestion) or a value of the wrong type.
    """
    if not isinstance(settings, Mapping):
        raise BadInput(f"{prefix.rstrip('.')} is {settings!r}; expected a group of settings")
    types_, known = types_of(cls), [f.name for f in fields(cls)]
    values = {}
    for name, value in settings.items():
        if name not in known:
            raise BadInput(unknown_name(str(name), known, prefix))
        values[name] = convert(value, types_[name], prefix + name)
    return cls(**values)


def convert(value: Any, wanted: Any, name: str) -> Any:
    """Convert `value` to the annotated type, or raise a ValueError that says what was expected."""
    if is_dataclass(wanted):
        return value if isinstance(value, wanted) else build(wanted, value, name + ".")  # type: ignore[arg-type]
    origin, args = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        return convert(value, args[0], name)
    if origin in (Union, types.UnionType):
        return None if value is None else convert(value, next(a for a in args if a is not type(None)), name)
    if origin is Literal:
        if value in args:
            return value
        raise BadInput(f"{name} is {value!r}; use one of {', '.join(map(str, args))}")
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(convert(item, args[0], name) for item in value)
    if origin is dict and isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if wanted is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
        raise BadInput(f"{name} is {value}; use a finite number")
    if wanted is str and isinstance(value, (str, Path)):
        return str(value)
    if wanted is bool and isinstance(value, bool):
        return value
    if wanted is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BadInput(f"{name} is {value!r}; expected {getattr(wanted, '__name__', wanted)}")


def check_types(config: Any, prefix: str = "") -> None:
    """Check every field's value against its annotation and the bounds in it: Python takes anything for a field."""
    for name, wanted in types_of(type(config), include_extras=True).items():
        value = getattr(config, name)
        if is_dataclass(value):
            check_types(value, f"{prefix}{name}.")
            continue
        convert(value, wanted, prefix + name)
        for bound in getattr(wanted, "__metadata__", ()):
            if hasattr(bound, "check"):
                bound.check(prefix + name, value)


def plain(value: Any) -> Any:
    """Turn a value's tuples into lists, so that YAML stays readable."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

"""Settings as nested mappings: read from YAML, laid over one another, turned into typed dataclasses and back."""

from __future__ import annotations

import difflib
import math
import reprlib
import types
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from rlhf_gym.config.yaml_limits import load_yaml
from rlhf_gym.config.yaml_text import Loader
from rlhf_gym.errors import UNREADABLE, BadInput

# Cached, because evaluating annotations takes most of the time of making a configuration.
types_of: Callable[..., dict[str, Any]] = cache(get_type_hints)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a mapping from a YAML file.

    Raises:
        BadInput: If the file can't be read, or holds no mapping.
    """
    try:
        settings = load_yaml(Path(path).read_text(encoding="utf-8"), Loader)
    except IsADirectoryError as error:
        raise BadInput(f"{path} is a folder; use a file of settings, such as {Path(path) / 'config.yaml'}") from error
    except (OSError, yaml.YAMLError, *UNREADABLE) as error:  # also for an invalid date or number, or no text
        why = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())
        raise BadInput(f"{path} can't be read: {why}") from error
    if not isinstance(settings, dict):
        raise BadInput(f"{path} holds {type(settings).__name__}; expected settings as `name: value` lines")
    return settings


def merge(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `changes` over `settings`, merging groups by name; `env_kwargs` and empty options replace the old value."""
    merged = dict(settings)
    for name, value in changes.items():
        if is_dataclass(value) and not isinstance(value, type):
            value = asdict(value)
        one_value = name == "env_kwargs" or (str(name).endswith(("options", "more")) and not value)
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping) and not one_value
        merged[name] = merge(merged[name], value) if both else value
    return merged


def unknown_name(name: str, known: list[str], prefix: str = "") -> str:
    """Describe an unknown setting in one line, with the nearest known name or all of them."""
    name = name if len(name) < 100 else f"{name[:97]}..."  # finding near names is slow for long ones
    near = difflib.get_close_matches(name, known, n=1)
    return f"unknown setting {prefix}{name}; " + (
        f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(known)}"
    )


def build(cls: type, settings: Mapping[str, Any], prefix: str = "") -> Any:
    """Build an instance of a dataclass, its groups included.

    Args:
        cls: The dataclass.
        settings: Values of its fields, nested as they are.
        prefix: Prefix of names in error messages.

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
    """Convert `value` to the annotated type, or raise a BadInput that says what was expected."""
    if is_dataclass(wanted):
        return value if isinstance(value, wanted) else build(wanted, value, name + ".")  # type: ignore[arg-type]
    value = _number(value)
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
        options = {key: plain(item) for key, item in value.items()}
        return keepable(options, name) if name == "env_kwargs" else options
    if wanted is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        number = _as_float(value)
        if math.isfinite(number):
            return number
        raise BadInput(f"{name} is {number}; use a finite number")
    if wanted is str and isinstance(value, (str, Path)):
        return str(value)
    if wanted is bool and isinstance(value, bool):
        return value
    if wanted is int and isinstance(value, float) and value.is_integer():  # 1e6 is how people write a million
        value = int(value)
    if wanted is int and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) < 2**63:
            return value
        raise BadInput(f"{name} is {_as_float(value):g}; use a whole number below 2**63")
    raise BadInput(f"{name} is {value!r}; expected {getattr(wanted, '__name__', wanted)}")


def check_types(config: Any, prefix: str = "") -> None:
    """Check every field's value against its annotation and the bounds in it, which Python doesn't do.

    Values that need converting, such as 1e6 steps to a whole number, are converted in place.
    """
    for name, wanted in types_of(type(config), include_extras=True).items():
        value = getattr(config, name)
        if is_dataclass(value):
            check_types(value, f"{prefix}{name}.")
            continue
        object.__setattr__(config, name, value := convert(value, wanted, prefix + name))
        for bound in getattr(wanted, "__metadata__", ()):
            if hasattr(bound, "check"):
                bound.check(prefix + name, value)


def plain(value: Any) -> Any:
    """Turn a value's tuples into lists, NumPy's numbers into Python's, and paths into text, since YAML lacks them."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else _number(value)


def _as_float(value: float) -> float:
    """Convert a number to a float; one that is too large becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _number(value: Any) -> Any:
    """Turn a NumPy scalar into the Python number that it equals; return anything else unchanged."""
    is_numpys = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    return value.item() if is_numpys else value


def keepable(value: Any, name: str) -> Any:
    """Return a plain value, or refuse one that changes when it is written as YAML or JSON and read back.

    Raises:
        BadInput: Naming the part that can't be written.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise BadInput(f"{name} has the name {key!r}, which is no text; use texts as names, such as '{key}'")
            keepable(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            keepable(item, f"{name}[{i}]")
    elif value is not None and (type(value) not in (bool, int, float, str) or value != value):
        shown = " ".join(reprlib.repr(value).split())
        remedy = "its tolist()" if hasattr(value, "tolist") else "numbers, texts, lists and mappings of them"
        raise BadInput(f"{name} is {shown}, which can't be written down and read again; use {remedy}")
    return value

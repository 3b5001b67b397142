"""Parse command-line flags into a verb's dataclass with tyro; errors fit one line."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import asdict, dataclass
from functools import partial, reduce
from pathlib import Path
from textwrap import dedent
from typing import Any, get_origin

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import plain, read_yaml, types_of
from rlhf_gym.config.named import get
from rlhf_gym.config.places import from_home
from rlhf_gym.config.settings import laid_over
from rlhf_gym.errors import BadInput
from rlhf_gym.option_flags import HOLDERS, take_options

REGISTRY = ConstructorRegistry()
EXAMPLE = '{"gravity": 5}'


def read_flags(kind: type, args: Sequence[str], *, prog: str, **options: Any) -> Any:
    """Make an instance of a dataclass from flags.

    Args:
        kind: The dataclass.
        args: Words of the command line.
        prog: Name of the command, for help and errors.
        **options: Further arguments of `tyro.cli`.

    Raises:
        BadInput: On an unknown flag, or a value that doesn't fit; the message is one line.
        SystemExit: After showing help.
    """
    with redirect_stderr(io.StringIO()) as said:
        try:
            return tyro.cli(kind, args=args, prog=prog, registry=REGISTRY, **options)
        except SystemExit as stop:
            if stop.code:
                raise BadInput(f"{_unbox(said.getvalue(), args)} see {prog} --help") from None
            raise


@dataclass(frozen=True)
class _First:
    """The flags that decide the defaults of all others."""

    env_id: str | None = None
    config: Path | None = None
    total_timesteps: str | None = None  # an error in it is for the flag itself to report


def settings_before_flags(args: Sequence[str], *, prog: str) -> tuple[RLHFConfig, Path | None, list[str]]:
    """Lay settings over each other: default < preset of the environment and algorithm < file; flags come last.

    Args:
        args: Words of the command line; of them only ``--env-id``, ``--algo``, ``--config``, ``--total-timesteps`` and
            options of named parts count here.
        prog: Name of the command, for errors.

    Returns:
        The settings, the file they come from, if any, and the words that are still to be read. Among these are all
        options of each part whose options change, as one flag, so that all settings are checked together.

    Raises:
        BadInput: If the file can't be read, or a setting is invalid.
    """
    left, changes = take_options(args)
    first, _ = read_flags(_First, left, prog=prog, return_unknown_args=True, add_help=False)
    settings = read_yaml(first.config) if first.config else {}
    if first.env_id is not None:
        settings["env_id"] = first.env_id
    steps = None
    with suppress(TypeError, ValueError):
        steps = _read_whole_number(first.total_timesteps)
    config = RLHFConfig.over_preset(settings, algo=changes[0].get("algo"), total_timesteps=steps)
    changed = reduce(laid_over, changes, asdict(config))
    for holder in HOLDERS:
        options = get(changed, holder) or {}
        if options != get(config, holder):
            left += [f"--{holder.replace('_', '-')}", json.dumps(plain(options), default=str)]
    return config, first.config, left


def _unbox(box: str, args: Sequence[str]) -> str:
    """Extract the text of the box that tyro draws around an error: message, rule, hints, rule, ..."""
    plain = re.sub(r"\x1b\[[\d;]*m|[│╭╮╰╯]", " ", box)
    _title, message, hints, *_ = [*re.split("[─-]{5,}", plain), "", ""]
    message = " ".join(message.partition("Got errors:")[0].split()).rstrip(".")
    message = re.sub(r"^Error parsing (?:[A-Z]\w+: )?", "", message)  # drops a dataclass's name, keeps a flag's
    message = re.sub(r": (?:invalid literal for int|could not convert string to float).*: (?='.*'$)", " is ", message)
    message = re.sub(r": (?:no type matching|Could not find).* (?:from|arguments:) \[['\"](.*)['\"]\]$", _is, message)
    message = re.sub(r"invalid choice (.*) for argument '(--\S+)'\. Expected one of \((.*)\)", _none_of, message)
    found = re.finditer(r"^( +)--.*(?:\n\1[^ -].*)*", hints, re.MULTILINE)  # a long one continues with equal indent
    helps = "Argument helptext" in hints  # help breaks between words, a list of names anywhere
    flags = [(" " if helps else "").join(map(str.strip, flag[0].splitlines())) for flag in found]
    if helps:
        explained = (re.sub(r"^(--\S+ (?:\{.*?\}\|\{.*?\}|\[\S+ \[.*?\]\]|\S+)) ", r"\1: ", flag) for flag in flags)
        return f"{message}; expected {', '.join(explained)};"
    if flags:
        return f"{message}; did you mean {', '.join(flags)}?"
    if (left := re.match(r"Unrecognized options: ([^-]\S*)", message)) and left[1] in args[1:]:
        before = args[args.index(left[1], 1) - 1]
        message += f"; {before} takes no value" * before.startswith("--")
    return message + ";"


def _is(came: re.Match[str]) -> str:
    words = came[1].replace("', '", " ")
    return f" is {words!r}"


def _none_of(choice: re.Match[str]) -> str:
    """Rewrite tyro's message about an invalid choice, with the choices sorted and None last."""
    known = sorted(re.findall("'([^']*)'", choice[3]), key=lambda name: (name == "None", name))
    return f"{choice[2]} is {choice[1]}; expected one of {', '.join(known)}"


def _one_word(
    metavar: str, read: Callable[[str], Any], fits: Callable[[Any], bool], write: Callable[[Any], str] = str
) -> PrimitiveConstructorSpec[Any]:
    """Make a spec of values that are one word: how to read them, recognise them, and show them as defaults."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=fits,
        str_from_instance=lambda value: [write(value)],
    )


@REGISTRY.primitive_rule
def _whole_number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
    """Parse an int, which may be written as 3e5, as in a file of settings."""
    if info.type is not int:
        return None
    return _one_word("INT", _read_whole_number, lambda value: isinstance(value, int) and not isinstance(value, bool))


@REGISTRY.primitive_rule
def _path(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
    """Parse a path; ``--output=~/clip.gif`` means the home folder."""
    if info.type is not Path:
        return None
    return _one_word("PATH", lambda word: Path(from_home(word)), lambda value: isinstance(value, Path))


def _read_whole_number(text: str) -> int:
    with suppress(ValueError, OverflowError):
        if (number := float(text)).is_integer() and "e" in text.lower():
            return int(number)
    return int(text)


@REGISTRY.primitive_rule
def _json_object(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[dict[str, Any]] | None:
    """Parse a dict of anything, which tyro has no flag for, as one JSON object."""
    if get_origin(info.type) is not dict:
        return None
    return _one_word("JSON", _read_json_object, lambda value: isinstance(value, Mapping), json.dumps)


def _read_json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadInput(f"{text} is no JSON object such as {EXAMPLE}")
    return value


@REGISTRY.struct_rule
def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Split a dataclass into fields as tyro does, but with help of our own, whose lines are joined."""
    kind = info.type
    if not dataclasses.is_dataclass(kind):
        return None
    types = types_of(kind, include_extras=True)
    specs = [
        StructFieldSpec(field.name, types[field.name], _default(field, info.default), partial(_help, kind, field.name))
        for field in dataclasses.fields(kind)
    ]
    return StructConstructorSpec(kind, tuple(specs))


def _default(field: dataclasses.Field[Any], instance: Any) -> Any:
    """Find a field's default: that of the instance, if there is one."""
    if dataclasses.is_dataclass(instance):
        return getattr(instance, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING_NONPROP if field.default is dataclasses.MISSING else field.default


def _help(kind: type, name: str) -> str | None:
    """Read the docstring of a dataclass's field, its lines joined."""
    for cls in kind.__mro__[:-1]:
        body = ast.parse(dedent(inspect.getsource(cls))).body[0].body  # type: ignore[attr-defined]
        for field, after in zip(body, body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and field.target.id == name:  # type: ignore[union-attr]
                said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and after.value.value
                return " ".join(said.split()) if isinstance(said, str) else None
    return None

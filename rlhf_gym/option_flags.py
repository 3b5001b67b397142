"""Flags that tyro doesn't know: single options of the part that a setting names, and flags of earlier versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rlhf_gym.config.earlier import RENAMED, RENAMED_VALUES, put
from rlhf_gym.config.named import BY_NAME, OPTIONS_OF
from rlhf_gym.errors import BadInput

HOLDERS = (*OPTIONS_OF.values(), *BY_NAME)
EXAMPLE = '{"beta": 1}'
HELP = "-h"
LISTS = ("reward.network_options.hidden",)  # one number is a list of one


def take_options(args: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Take options such as ``--agent.options.gamma 0.9`` out of the words of a command line.

    Args:
        args: The words.

    Returns:
        The words that are left, earlier flags renamed, and nested settings to lay over each other: first the names that
        options belong to, then the options of each flag, in the order given.

    Raises:
        BadInput: If an option has no value, or all options of a part come as something other than a JSON object.
    """
    left: list[str] = []
    names: dict[str, Any] = {}
    options: list[dict[str, Any]] = []
    for flag, values in _grouped(args):
        name = RENAMED.get(_plain(flag), _plain(flag))
        if name in OPTIONS_OF and values:
            values = [_today(name, values[0]), *values[1:]]
            put(names, name.split("."), values[0], over=True)  # of two equal flags the last counts
        if name in HOLDERS or name.startswith(tuple(f"{holder}." for holder in HOLDERS)):
            options.append({})
            put(options[-1], name.split("."), _object(flag, values) if name in HOLDERS else _value(flag, name, values))
        else:
            left += [f"--{name.replace('_', '-')}" if _plain(flag) in RENAMED else flag, *values]
    return left, [names, *options]


def _grouped(args: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Group each flag with the words up to the next one; words before the first flag are a group."""
    group: list[str] = []
    for word in args:
        if (word.startswith("--") or word == HELP) and group:
            yield group[0], group[1:]
            group = []
        flag, equals, value = word.partition("=")
        group += [flag, value] if word.startswith("--") and equals else [word]
    if group:
        yield group[0], group[1:]


def _plain(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_") if flag.startswith("--") else flag


def _today(name: str, value: str) -> str:
    group, _, inner = name.partition(".")
    return RENAMED_VALUES.get((group, inner, value), value)


def _object(flag: str, words: Sequence[str]) -> dict[str, Any]:
    """Read all options of a part, which are one JSON object."""
    text = " ".join(words)
    value = _read(text)
    if not isinstance(value, dict):
        raise BadInput(f"{flag} is {text!r}; expected one JSON object in quotes, such as '{EXAMPLE}'")
    return value


def _value(flag: str, name: str, words: Sequence[str]) -> Any:
    if not words and name.rpartition(".")[0] in BY_NAME:  # a name, which may come without options
        return {}
    if not words:
        raise BadInput(f"{flag} has no value; expected {flag} VALUE")
    values = [_read(word) for word in words]
    if name in LISTS and not (len(values) == 1 and isinstance(values[0], list)):
        return values
    return values[0] if len(values) == 1 else values


def _read(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(word, word)

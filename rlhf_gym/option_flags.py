"""Flags that tyro doesn't know: single options of the part that a setting names, and flags of earlier versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rlhf_gym.config.earlier import RENAMED, RENAMED_VALUES, put
from rlhf_gym.config.named import BY_NAME, OPTIONS_OF
from rlhf_gym.errors import BadInput

LISTS = ("reward.network_options.hidden",)  # one number is a list of one


def take_options(args: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Take options such as ``--agent.options.gamma 0.9`` out of the words of a command line.

    Args:
        args: The words.

    Returns:
        The words that are left, earlier flags renamed, and nested settings: options taken and names they belong to.

    Raises:
        BadInput: If an option has no value.
    """
    left: list[str] = []
    settings: dict[str, Any] = {}
    for flag, values in _grouped(args):
        name = RENAMED.get(_plain(flag), _plain(flag))
        if name in OPTIONS_OF and values:
            values = [_today(name, values[0]), *values[1:]]
            put(settings, name.split("."), values[0], over=True)  # of two equal flags the last counts
        if any(name.startswith(f"{options}.") for options in (*OPTIONS_OF.values(), *BY_NAME)):
            alone = name.rpartition(".")[0] in BY_NAME  # a name, which may come without options
            if not (values or alone):
                raise BadInput(f"{flag} has no value; expected {flag} VALUE")
            put(settings, name.split("."), _value(name, values) if values else {}, over=bool(values))
        else:
            left += [f"--{name.replace('_', '-')}" if _plain(flag) in RENAMED else flag, *values]
    return left, settings


def _grouped(args: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Group each flag with the words up to the next one; words before the first flag are a group."""
    group: list[str] = []
    for word in args:
        if word.startswith("--") and group:
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


def _value(name: str, words: Sequence[str]) -> Any:
    values = [_read(word) for word in words]
    if name in LISTS and not (len(values) == 1 and isinstance(values[0], list)):
        return values
    return values[0] if len(values) == 1 else values


def _read(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(word, word)

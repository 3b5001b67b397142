"""Names of an earlier version, found in their new modules, with a warning that says what to write."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def moved(module: str, now_in: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a module whose names have moved.

    Args:
        module: Name of the module.
        now_in: The module that has each name now.
    """

    def find(name: str) -> Any:
        if name not in now_in:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_of(f"{module}.{name}", f"{now_in[name]}.{name}")
        return getattr(import_module(now_in[name]), name)

    return find


def warn_of(earlier: str, today: str) -> None:
    """Warn the caller's caller that the next version drops a name."""
    warnings.warn(
        f"{earlier} is {today} now; write that, as the next version won't know {earlier}",
        DeprecationWarning,
        stacklevel=3,
    )

"""Names of an earlier version: found where they are now, with a warning that says what to write."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def moved(module: str, now_in: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a module whose names are elsewhere now.

    Args:
        module: Its name.
        now_in: By name, the module that has it now.
    """

    def find(name: str) -> Any:
        if name not in now_in:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_of(f"{module}.{name}", f"{now_in[name]}.{name}")
        return getattr(import_module(now_in[name]), name)

    return find


def warn_of(earlier: str, today: str) -> None:
    """Warn whoever called the caller that a name goes with the next version."""
    warnings.warn(
        f"{earlier} is {today} now; write that, as the next version won't know {earlier}",
        DeprecationWarning,
        stacklevel=3,
    )

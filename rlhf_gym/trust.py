"""Trust in code: what somebody else's run directory, export or database names doesn't run until this user allows it.

Code that a user names on the command line or in Python is trusted. Its name and the file of its module are kept in
``$XDG_STATE_HOME/rlhf_gym/trusted`` (``~/.local/state``). Of the code that a file names, only what is listed there is
run; ``--trust``, ``trust=True`` or ``RLHF_GYM_TRUST=1`` runs the rest, and adds it to the list.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rlhf_gym.errors import BadInput
from rlhf_gym.files import sha256
from rlhf_gym.registry import find_here

VARIABLE = "RLHF_GYM_TRUST"
NOWHERE = "nowhere"
_IN_A_MODULE = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w./-]*")
_known: set[str] = set()  # trusted in this process, in case the list can't be written


def trust(names: Iterable[str]) -> None:
    """Trust code for this user from now on.

    Args:
        names: Names as files have them: `module:attribute`, the URL of a database, or :func:`digest` of a file.
    """
    new = [line for line in dict.fromkeys(map(_placed, names)) if line not in _kept()]
    _known.update(new)
    if new:
        with suppress(OSError):  # the home can't be written: later processes ask again
            _file().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _file().open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in new))


def is_trusted(name: str) -> bool:
    """Test whether this user trusts a name at its module's present place; a missing module can't run, so it passes."""
    if os.environ.get(VARIABLE) == "1":
        trust([name])
        return True
    placed = _placed(name)
    return placed.startswith(NOWHERE) or placed in _kept()


def check_trusted(named: Mapping[str, str], whose: str) -> None:
    """Refuse to run code that a file names and that this user doesn't trust.

    Args:
        named: The names, by the settings that have them.
        whose: The file, for the message.

    Raises:
        BadInput: Showing what would be run.
    """
    if strange := {setting: name for setting, name in named.items() if not is_trusted(name)}:
        shown = ", ".join(f"{setting} {name!r}" for setting, name in strange.items())
        raise BadInput(
            f"{whose} names {shown}, which nobody has run here before under this account; if you know whose it is, "
            f"say --trust (in Python trust=True, or {VARIABLE}=1)"
        )


def check_import(setting: str, name: str, whose: str) -> None:
    """Refuse to import a module that a file names and this user doesn't trust, unless it is imported already.

    Args:
        setting: The setting that has the name.
        name: `module:attribute` or `module:Id`; other names are let through.
        whose: The file, or what was read, for the message.

    Raises:
        BadInput: Showing what would be run.
    """
    module, colon, _ = name.rpartition(":")
    if colon and module not in sys.modules:
        check_trusted({setting: name}, whose)


@contextmanager
def trusting(yes: bool) -> Iterator[None]:
    """Trust whatever files name, in this context and in processes started in it, if `yes`."""
    before = os.environ.get(VARIABLE)
    if yes:
        os.environ[VARIABLE] = "1"
    try:
        yield
    finally:
        if yes and before is None:
            del os.environ[VARIABLE]
        elif yes:
            os.environ[VARIABLE] = str(before)


def digest(file: Path) -> str:
    """Name a file by the SHA-256 of its content."""
    return f"sha256 {sha256(file)}"


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "rlhf_gym" / "trusted"


def _kept() -> set[str]:
    try:
        return _known | set(_file().read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError, RuntimeError):  # RuntimeError: an account without a home
        return _known


def _placed(name: str) -> str:
    """Prefix a name by the place of its module, so that another module of the same name isn't taken for it."""
    place = f"{_place(re.split('[.:]', name)[0])} " if _IN_A_MODULE.fullmatch(name) and "//" not in name else ""
    return f"{place}{name}".replace("\n", " ")


def _place(module: str) -> str:
    find_here()
    try:  # without importing it
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # ValueError: a module made by hand, such as __main__
        spec = None
    return str(spec.origin or list(spec.submodule_search_locations or ())) if spec else NOWHERE

"""Files that are written whole or not at all, checks of output places, and paths of SQLite files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rlhf_gym.errors import BadInput


@contextmanager
def written_beside(path: str | Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to, and then replace `path` by it in one step, on the disk too.

    If anything interrupts the writing, a full disk or a power cut included, `path` stays as it was.
    """
    path = Path(path)
    new = path.with_name(f".{path.name}.new")
    try:
        yield new
        to_disk(new)
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    to_disk(path.parent)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with written_beside(path) as new:
        new.write_text(text, encoding="utf-8")


def move_files(source: Path, place: Path) -> None:
    """Move every file of a folder and its subfolders to the same place in another; then remove the folder."""
    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    for file in files:
        to_disk(file)
    for file in files:
        target = place / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
    for folder in sorted((path for path in source.rglob("*") if path.is_dir()), reverse=True):
        folder.rmdir()
    source.rmdir()
    to_disk(place)


def sha256(file: Path) -> str:
    """Compute a file's SHA-256 in hexadecimal digits, reading a megabyte at a time."""
    found = hashlib.sha256()
    with file.open("rb") as opened:
        while part := opened.read(2**20):
            found.update(part)
    return found.hexdigest()


def check_output(name: str, path: Path, *, folder: bool = False) -> None:
    """Refuse an output place that can't be written, before the output is made.

    Args:
        name: Name of the argument.
        path: Path of the output; neither it nor its folder need exist.
        folder: Whether the output is a folder.

    Raises:
        BadInput: If a file is where a folder should be, or the folder can't be written.
    """
    place = path.absolute()
    there = next(one for one in (place / "in it" if folder else place).parents if one.exists())
    if not there.is_dir():
        raise BadInput(f"{name} is {path}, and {there} is no folder; use another place")
    if not os.access(there, os.W_OK):
        raise BadInput(f"{name} is {path}, in a folder that can't be written; use another place")


def to_disk(path: Path) -> None:
    """Flush a file, or the names in a folder, so that they outlast a power cut, where the system can do so."""
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        if not path.is_dir():  # Windows opens no folders, and not every file system syncs them
            raise


def sqlite_file(url: str | None) -> str | None:
    """Find the path of the SQLite file in a database URL; None for any other database."""
    from sqlalchemy import make_url  # slow to import, and only stores need it
    from sqlalchemy.exc import ArgumentError

    try:
        found = make_url(url) if url else None
    except (ArgumentError, ValueError):  # refused where it is opened
        return None
    if found is None or found.get_backend_name() != "sqlite":
        return None
    path = found.database or ":memory:"
    return None if path == ":memory:" or path.startswith("file:") else path

"""CSV files that only grow: rows and columns are added, and existing values are never changed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read all rows, as text; none if there is no such file.

    Raises:
        ValueError: If the file is empty, damaged or cut short, or a row doesn't fit the header.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:  # newline="" keeps "\r\n" in a value
            text = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}); restore it from a copy, or move it away") from error
    if not text:
        raise ValueError(f"{path} is empty; remove it")
    if not text.endswith("\n"):
        raise ValueError(f"{path} ends in the middle of a line; remove that line")
    header, *lines = csv.reader(io.StringIO(text))
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise ValueError(f"{path}, row {number}, has {len(line)} values under {len(header)} columns; remove it")
    return [dict(zip(header, line, strict=True)) for line in lines]


def as_text(value: Any) -> str:
    """Write a value as a CSV file holds it."""
    return "" if value is None else str(value)


def read_header(path: Path) -> list[str] | None:
    """Read the names of the columns; None if there is no such file."""
    if not path.exists():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def check_header(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Check that rows, if there are any, have the columns of the file, if there is one.

    Raises:
        ValueError: If they have others.
    """
    header = read_header(path)
    if rows and header is not None and header != list(rows[0]):
        raise ValueError(refusal(path, header, rows[0]))


def append_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows in one write, after a header if the file is new; without rows nothing is written.

    Raises:
        ValueError: If the file has another header; it is left as it is.
    """
    if not rows:
        return
    check_header(path, rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    if not path.exists():
        writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        file.write(buffer.getvalue())


def widen(path: Path, header: Sequence[str], fill: Callable[[Mapping[str, str]], Mapping[str, Any]]) -> None:
    """Add new columns to the rows of a file; existing values stay as they are.

    Args:
        path: The file; replaced as a whole, or not at all.
        header: All columns, in order.
        fill: Returns values of a row's new columns; those it doesn't name are empty.

    Raises:
        ValueError: If the file has a column that the header lacks.
    """
    rows = read_rows(path)
    if gone := [name for name in read_header(path) or [] if name not in header]:
        raise ValueError(f"{path} has {', '.join(gone)}, which this code doesn't write; move the file away")
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    append_rows(new, [dict.fromkeys(header, "") | {**fill(row), **row} for row in rows])
    new.replace(path)


def refusal(path: Path, header: Collection[str], wanted: Collection[str]) -> str:
    """Say in one line how a header differs from the one to be written."""
    missing = [name for name in wanted if name not in header]
    extra = [name for name in header if name not in wanted]
    what = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(extra) or 'the same names in another order'}"
    return (
        f"the header of {path} isn't the one this code writes: it {what}; "
        f"nothing was written: move the file away, or use another folder"
    )

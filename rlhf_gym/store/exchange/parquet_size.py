"""What a Parquet file takes in memory, before it is read: 20 kB of it can be gigabytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from rlhf_gym.errors import BadInput

SPARE = 64 * 2**20
"""Bytes that any file may take."""
RATIO = 200
"""Beyond that, how many times its own size; arrays of mostly equal numbers pack a hundredfold."""
_LOOK = """
import sys
sys.path[:] = sys.argv[2:]
from pyarrow import parquet
metadata = parquet.read_metadata(sys.argv[1])
for group in range(metadata.num_row_groups):
    for i in range(metadata.num_columns):
        metadata.row_group(group).column(i)
"""
_BYTES = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}


def text_columns(metadata: Any) -> list[str]:
    """List the columns of text, by their paths."""
    columns = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def check_columns(path: Path) -> None:
    """Refuse a file whose columns' metadata pyarrow can't read: of some damage it ends the process that looks (26.0.1).

    So another one looks first, which takes some 0.3 s.

    Raises:
        BadInput: If that process ends so.
    """
    looked = subprocess.run([sys.executable, "-c", _LOOK, str(path.absolute()), *sys.path], capture_output=True)
    if looked.returncode < 0:  # by a signal; what Python can tell of it comes later
        raise BadInput(" ".join(looked.stderr.decode(errors="replace").split())[-300:])


def check_numbers(metadata: Any, path: Path) -> None:
    """Refuse a file whose numbers take much more than the file.

    Args:
        metadata: Of the file.
        path: Where it is.

    Raises:
        BadInput: Saying how much.
    """
    size = 0
    for group in range(metadata.num_row_groups):
        for i in range(metadata.num_columns):
            chunk, described = metadata.row_group(group).column(i), metadata.schema.column(i)
            size += max(chunk.total_uncompressed_size, chunk.num_values * _width(described))
    check_size(size, path)


def text_size(table: Any) -> int:
    """Bytes of a table's texts, read as numbers into a dictionary, when they are written out."""
    return sum(map(_texts, table.columns))


def check_size(size: int, path: Path) -> None:
    """Refuse a file that takes so many bytes in memory, if they are much more than its own."""
    there = path.stat().st_size
    if size > SPARE + RATIO * there:
        raise BadInput(
            f"it has {there} bytes and takes {size} in memory; import the .jsonl beside it, or write it again with "
            "less compression"
        )


def as_texts(kind: Any) -> Any:
    """Make of a column's type the one with its dictionaries written out."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(as_texts(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(as_texts(kind.value_type)))
    return kind


def _width(described: Any) -> int:
    """Bytes of a column's number in memory; of a text at least 4, for where it begins."""
    logical = str(described.logical_type)
    if logical.startswith("Int(bitWidth=8"):
        return 1
    return int(described.length) if described.physical_type == "FIXED_LEN_BYTE_ARRAY" else _BYTES.get(
        described.physical_type, 4
    )  # fmt: skip


def _texts(column: Any) -> int:
    import pyarrow as pa
    from pyarrow import compute

    size, chunks = 0, list(column.chunks) if isinstance(column, pa.ChunkedArray) else [column]
    for chunk in chunks:
        if pa.types.is_dictionary(chunk.type):
            lengths = compute.binary_length(chunk.dictionary).take(chunk.indices)
            size += compute.sum(lengths).as_py() or 0
        elif pa.types.is_struct(chunk.type):
            size += sum(map(_texts, chunk.flatten()))
        elif pa.types.is_list(chunk.type):
            size += _texts(chunk.flatten())
    return size

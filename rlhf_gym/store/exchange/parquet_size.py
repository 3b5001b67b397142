"""Checks of the memory that a Parquet file takes, before it is read: 20 kB can become gigabytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from rlhf_gym.errors import BadInput

SPARE = 64 * 2**20
"""Bytes of memory that any file may take."""
RATIO = 200
"""Multiple of its own size that a file may take beyond that; mostly equal numbers compress a hundredfold."""
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
    """Refuse a file whose columns' metadata is damaged in a way that crashes pyarrow (26.0.1).

    Another process reads it first, which takes some 0.3 s.

    Raises:
        BadInput: If that process crashes.
    """
    looked = subprocess.run([sys.executable, "-c", _LOOK, str(path.absolute()), *sys.path], capture_output=True)
    if looked.returncode < 0:  # killed by a signal; an error that Python can raise comes later
        raise BadInput(" ".join(looked.stderr.decode(errors="replace").split())[-300:])


def check_numbers(metadata: Any, path: Path) -> None:
    """Refuse a file whose numbers take much more memory than the file's size.

    Args:
        metadata: Metadata of the file.
        path: Path of the file.

    Raises:
        BadInput: Naming both sizes.
    """
    size = 0
    for group in range(metadata.num_row_groups):
        for i in range(metadata.num_columns):
            chunk, described = metadata.row_group(group).column(i), metadata.schema.column(i)
            size += max(chunk.total_uncompressed_size, chunk.num_values * _width(described))
    check_size(size, path)


def text_size(table: Any) -> int:
    """Count the bytes that a table's texts take once their dictionaries are written out."""
    return sum(map(_texts, table.columns))


def check_size(size: int, path: Path) -> None:
    """Refuse a file that takes `size` bytes in memory, if they are much more than its own."""
    there = path.stat().st_size
    if size > SPARE + RATIO * there:
        raise BadInput(
            f"it has {there} bytes and takes {size} in memory; import the .jsonl beside it, or write it again with "
            "less compression"
        )


def as_texts(kind: Any) -> Any:
    """Return a column's type with its dictionaries written out."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(as_texts(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(as_texts(kind.value_type)))
    return kind


def _width(described: Any) -> int:
    """Return the bytes of one value of a column in memory; of a text only the 4 of its offset."""
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

"""Preferences as Parquet, in batches: a row each, with arrays as nested lists of their own type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds.made import ARRAYS
from rlhf_gym.preferences import Preference
from rlhf_gym.segments import Array
from rlhf_gym.store.batches import AT_ONCE
from rlhf_gym.store.exchange.parquet_size import (
    as_texts,
    check_columns,
    check_numbers,
    check_size,
    text_columns,
    text_size,
)
from rlhf_gym.store.exchange.records import (
    PLAIN,
    SIDES,
    Record,
    as_format_2,
    damage,
    preference_to_record,
    record_to_preference,
)

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as error:
    raise ImportError(
        "Parquet needs pyarrow: pip install 'rlhf-gym[exchange]', or go without: --no-parquet, in Python parquet=False"
    ) from error

_TYPES = {
    name: {str: pa.string(), float: pa.float64(), int: pa.int64()}[(get_args(kind) or (kind,))[0]]
    for name, kind in PLAIN.items()
}


class ParquetWriter:
    """Writes preferences, a row group for each batch; a context manager.

    Args:
        path: Path of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None
        self._kinds: dict[str, str] = {}

    def write(self, preferences: Sequence[Preference]) -> None:
        """Write a batch.

        Raises:
            BadInput: If an array's dtype or inner shape differs between queries.
        """
        table = _table(preferences, self._kinds)
        # Without dictionaries, which merge different NaNs, and 0.0 with -0.0.
        how = {"use_dictionary": False, "compression": "zstd", "write_page_checksum": True}
        self._writer = self._writer or parquet.ParquetWriter(self._path, table.schema, **how)
        self._writer.write_table(table)

    def __enter__(self) -> ParquetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer:
            self._writer.close()


def read_parquet(path: Path) -> Iterator[Preference]:
    """Read what :class:`ParquetWriter` wrote, in this format or in format 1, in batches.

    Raises:
        BadInput: If it is damaged.
    """
    with damage(str(path)), _pyarrow_explained():
        metadata = parquet.read_metadata(path)
        check_columns(path)
        check_numbers(metadata, path)
        how = {"page_checksum_verification": True, "read_dictionary": text_columns(metadata)}
        texts = 0
        with parquet.ParquetFile(path, **how) as file:
            for group in range(file.num_row_groups):  # pyarrow 26 can't join nested columns of two groups
                for batch in file.iter_batches(AT_ONCE, row_groups=[group]):
                    table = pa.Table.from_batches([batch])
                    check_size(texts := texts + text_size(table), path)
                    yield from _preferences(table)


@contextmanager
def _pyarrow_explained() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:  # OSError: a checksum, or a header, is wrong
        raise BadInput(error) from error


def _preferences(table: Any) -> Iterator[Preference]:
    table = table.cast(pa.schema([field.with_type(as_texts(field.type)) for field in table.schema]))
    columns = _unpack_options(table)
    columns |= {name: table.column(name).to_pylist() for name in _TYPES if name in table.column_names}
    for row in zip(*columns.values(), strict=True):
        yield record_to_preference(as_format_2(dict(zip(columns, row, strict=True))))


def _unpack_options(table: Any) -> dict[str, list[Any]]:
    """Turn the column of options, or those of left and right, into lists of records."""
    if "options" not in table.column_names:
        return {side: _unpack_segments(table.column(side)) for side in SIDES}
    column = table.column("options").combine_chunks()
    if not pa.types.is_list(column.type) or column.null_count:
        raise BadInput(f"options are {column.null_count} times missing among {column.type}; expected lists")
    ends = np.diff(column.offsets.to_numpy()).cumsum().tolist()
    segments = _unpack_segments(column.flatten())
    return {"options": [segments[start:end] for start, end in zip([0, *ends], ends, strict=False)]}


def _table(preferences: Sequence[Preference], kinds: dict[str, str]) -> Any:
    """Make a table of one row for each preference.

    Args:
        preferences: At least one.
        kinds: Dtype and inner shape of each array, by name; missing ones are added.

    Raises:
        BadInput: If an array has another dtype or inner shape.
    """
    records = [preference_to_record(preference) for preference in preferences]
    options = _pack_segments([option for record in records for option in record["options"]], kinds)
    ends = np.cumsum([len(record["options"]) for record in records])
    columns = {"options": pa.ListArray.from_arrays(pa.array([0, *ends.tolist()], pa.int32()), options)}
    columns |= {name: pa.array([record[name] for record in records], kind) for name, kind in _TYPES.items()}
    return pa.table(columns)


def _pack_segments(segments: Sequence[Record], kinds: dict[str, str]) -> Any:
    columns = {}
    for name in ARRAYS:
        arrays = [segment[name] for segment in segments]
        for array in arrays:
            _check_kind(name, array, kinds)
        columns[name] = _pack(arrays)
    columns["terminated"] = pa.array([segment["terminated"] for segment in segments], pa.bool_())
    columns["origin"] = pa.array([segment["origin"] for segment in segments], pa.string())
    return pa.StructArray.from_arrays(list(columns.values()), list(columns))


def _check_kind(name: str, array: Array, kinds: dict[str, str]) -> None:
    kind = f"{array.dtype} of shape {('n', *array.shape[1:])}"
    if kind != (first := kinds.setdefault(name, kind)):
        raise BadInput(
            f"{name} are {first} here and {kind} there, and a column of Parquet is of one kind; go without Parquet "
            f"(--no-parquet, in Python parquet=False), or keep a store to one environment"
        )


def _pack(arrays: Sequence[Array]) -> Any:
    """Pack arrays that differ only in length into one column, from their memory: Python's numbers would lose bits."""
    packed = pa.array(np.concatenate([array.reshape(-1) for array in arrays]))
    for size in reversed(arrays[0].shape[1:]):
        packed = pa.FixedSizeListArray.from_arrays(packed, size)
    ends = np.cumsum([len(array) for array in arrays])
    return pa.ListArray.from_arrays(pa.array([0, *ends.tolist()], pa.int32()), packed)


def _unpack_segments(column: Any) -> list[Record]:
    segments = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_struct(segments.type) or segments.null_count:
        raise BadInput(f"segments are {segments.null_count} times missing among {segments.type}; expected structs")
    columns = [_unpack(segments.field(name)) for name in ARRAYS]
    columns += [segments.field(name).to_pylist() for name in ("terminated", "origin")]
    return [dict(zip((*ARRAYS, "terminated", "origin"), row, strict=True)) for row in zip(*columns, strict=True)]


def _unpack(column: Any) -> list[Array]:
    if not pa.types.is_list(column.type):
        raise BadInput(f"arrays are {column.type}; expected lists")
    ends, packed, shape = np.diff(column.offsets.to_numpy()).cumsum(), column.flatten(), []
    missing = column.null_count
    while pa.types.is_fixed_size_list(packed.type):
        missing += packed.null_count
        shape.append(packed.type.list_size)
        packed = packed.flatten()
    flat = packed.to_numpy(zero_copy_only=False)
    if missing + packed.null_count or flat.dtype.kind not in "biuf":
        raise BadInput(f"numbers are missing, or no numbers: {packed.type}, {missing + packed.null_count} missing")
    flat = flat.reshape(-1, *shape)
    return [part.copy() for part in np.split(flat, ends[:-1])]  # a view would keep all of them alive

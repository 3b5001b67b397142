"""Preferences as Parquet: a row each, arrays as lists of lists, of the type that they have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds.made import ARRAYS
from rlhf_gym.preferences import Preference
from rlhf_gym.segments import Array
from rlhf_gym.store.exchange.parquet_size import as_texts, check_columns, check_numbers, check_texts, text_columns
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


def to_table(preferences: Sequence[Preference]) -> Any:
    """Make a table of one row for each preference.

    Raises:
        BadInput: If an array has another dtype or inner shape in one query than in another.
    """
    records = [preference_to_record(preference) for preference in preferences]
    options = _pack_segments([option for record in records for option in record["options"]])
    ends = np.cumsum([len(record["options"]) for record in records])
    columns = {"options": pa.ListArray.from_arrays(pa.array([0, *ends.tolist()], pa.int32()), options)}
    columns |= {name: pa.array([record[name] for record in records], kind) for name, kind in _TYPES.items()}
    return pa.table(columns)


def write_parquet(table: Any, path: Path) -> None:
    """Write what :func:`to_table` made."""
    # Without dictionaries, which take one NaN, or one zero, for another.
    parquet.write_table(table, path, use_dictionary=False, compression="zstd", write_page_checksum=True)


def read_parquet(path: Path) -> list[Preference]:
    """Read what :func:`write_parquet` wrote, in this format or in format 1.

    Raises:
        BadInput: If it is damaged.
    """
    with damage(str(path)):
        try:
            metadata = parquet.read_metadata(path)
            check_columns(path)
            check_numbers(metadata, path)
            texts = text_columns(metadata)
            table = parquet.read_table(path, page_checksum_verification=True, read_dictionary=texts)
            if table.num_rows == 0:
                return []
            check_texts(table, path)
            table = table.cast(pa.schema([field.with_type(as_texts(field.type)) for field in table.schema]))
            columns = _unpack_options(table)
            columns |= {name: table.column(name).to_pylist() for name in _TYPES if name in table.column_names}
        except (pa.ArrowException, OSError) as error:  # OSError: a checksum, or a header, is wrong
            raise BadInput(error) from error
        records = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        return [record_to_preference(as_format_2(record)) for record in records]


def _unpack_options(table: Any) -> dict[str, list[Any]]:
    """The column of options, or those of left and right, as lists of records."""
    if "options" not in table.column_names:
        return {side: _unpack_segments(table.column(side)) for side in SIDES}
    column = table.column("options").combine_chunks()
    if not pa.types.is_list(column.type) or column.null_count:
        raise BadInput(f"options are {column.null_count} times missing among {column.type}; expected lists")
    ends = np.diff(column.offsets.to_numpy()).cumsum().tolist()
    segments = _unpack_segments(column.flatten())
    return {"options": [segments[start:end] for start, end in zip([0, *ends], ends, strict=False)]}


def _pack_segments(segments: Sequence[Record]) -> Any:
    columns = {name: _pack([segment[name] for segment in segments], name) for name in ARRAYS}
    columns["terminated"] = pa.array([segment["terminated"] for segment in segments], pa.bool_())
    columns["origin"] = pa.array([segment["origin"] for segment in segments], pa.string())
    return pa.StructArray.from_arrays(list(columns.values()), list(columns))


def _pack(arrays: Sequence[Array], name: str) -> Any:
    """Arrays that differ in length alone as one column, by way of their memory: Python's numbers would lose bits."""
    kinds = {f"{array.dtype} of shape {('n', *array.shape[1:])}": None for array in arrays}
    if len(kinds) > 1:
        raise BadInput(
            f"{name} are {' here and '.join(list(kinds)[:2])} there, and a column of Parquet is of one kind; "
            f"go without Parquet (--no-parquet, in Python parquet=False), or keep a store to one environment"
        )
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

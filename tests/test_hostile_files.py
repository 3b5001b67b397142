"""Whatever a file holds, reading it ends in what it holds or in one line: no traceback, no hang, no full memory."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from gymnasium import spaces
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from safetensors.numpy import save_file

from rlhf_gym import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.rewards import RewardModel
from rlhf_gym.runs import metrics_so_far, read_run
from rlhf_gym.spaces import space_from_json, space_to_json
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.exchange import import_preferences, read_preferences
from tests.hostile import ANY, TARGETS, Target, make_whole, saved_runs

SECONDS = float(os.environ.get("RLHF_GYM_FUZZ_SECONDS", "60"))
"""Of the long fuzzer, for each kind of file."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, and an export beside it."""
    place = tmp_path_factory.mktemp("whole")
    make_whole(place)
    return place


QUICK = settings(max_examples=15, database=None, derandomize=True, phases=[Phase.generate], **ANY)


def fuzz(target: Target, place: Path, profile: settings) -> None:
    @profile
    @given(st.data())
    def one(data: st.DataObject) -> None:
        target(place, data)

    one()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", TARGETS, ids=[target.__name__ for target in TARGETS])
def test_reading_ends_in_what_is_there_or_in_one_line(target: Target, whole: Path) -> None:
    fuzz(target, whole, QUICK)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", [*TARGETS, saved_runs], ids=[target.__name__ for target in [*TARGETS, saved_runs]])
def test_reading_does_so_for_long(target: Target, whole: Path) -> None:
    long = settings(max_examples=200, phases=[Phase.reuse, Phase.generate, Phase.shrink], **ANY)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        fuzz(target, whole, long)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghijklmno", "bcdefghijklmnop", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "its aliases write it out to .* values"),
        ("a: &a [*a]\n", "its aliases write it out to inf values"),
        ("a: " + "[" * 100_000, "nested too deep"),
        ("labels: " + "9" * 10_000, "can't be read"),
        ("a: 2001-99-99", "can't be read"),
        ("query: {checks: " + "9" * 400 + "}", "query.checks is inf; use a finite number"),
        ("seed: 1" + "0" * 30, r"seed is 1e\+30; use a whole number below 2\*\*63"),
        ("seed: -1e30", r"seed is -1e\+30; use a whole number below 2\*\*63"),
        ("x" * 2_000_000, "settings have 1000000 at most"),
    ],
)
def test_settings_cost_no_more_than_their_size(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(BadInput, match=reason) as refused:
        RLHFConfig.from_yaml(tmp_path / "config.yaml")
    assert "\n" not in str(refused.value)


def test_aliases_that_repeat_little_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("env_kwargs: {a: &a [1, 2], b: *a}\n")
    assert RLHFConfig.from_yaml(tmp_path / "config.yaml").env_kwargs == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("dtype", [",", "3f4", "V-1", "(", "float32,", "1" * 5000])
def test_a_space_of_no_dtype_is_refused_in_one_line(dtype: str) -> None:
    described = space_to_json(spaces.Box(0, 1, (2,))) | {"dtype": dtype}
    with pytest.raises(BadInput) as refused:
        space_from_json(described)
    assert "\n" not in str(refused.value)


def test_so_many_people_that_they_cannot_be_counted_are_refused_in_one_line(whole: Path, tmp_path: Path) -> None:
    shutil.copy(whole / "run" / "preferences.db", tmp_path / "some.db")
    with closing(sqlite3.connect(tmp_path / "some.db")) as database, database:
        database.execute("UPDATE queries SET people = 1e999 WHERE rowid = (SELECT min(rowid) FROM queries)")
    with closing(PreferenceStore(tmp_path / "some.db")) as store:
        for read in (store.pending, store.counts):
            with pytest.raises(BadInput, match="some.db") as refused:
                read()
            assert "\n" not in str(refused.value)


@pytest.mark.parametrize("what", ["numbers", "texts"])
def test_a_small_table_that_is_large_in_memory_is_not_read(what: str, tmp_path: Path) -> None:
    if what == "numbers":
        segments = [{"observations": np.zeros(20_000_000, np.float32)}]
        table = pa.table({"left": segments, "right": segments})
    else:
        table = pa.table({"id": pa.array(["x" * 200_000] * 2_000)})
    parquet.write_table(table, tmp_path / "small.parquet", compression="zstd")
    assert (tmp_path / "small.parquet").stat().st_size < 50_000
    before = pa.total_allocated_bytes()
    with pytest.raises(BadInput, match=r"it has \d+ bytes and takes \d{9} in memory"):
        read_preferences(tmp_path / "small.parquet")
    del table
    assert pa.total_allocated_bytes() <= before


ENDS = """
import sys
from pyarrow import parquet
content = open(sys.argv[1], "rb").read()
for at in range(len(content) - 8 - int.from_bytes(content[-8:-4], "little"), len(content) - 8):
    for value in (0x15, 0x19):
        open(sys.argv[2], "wb").write(content[:at] + bytes([value]) + content[at + 1:])
        try:
            metadata = parquet.read_metadata(sys.argv[2])
            for i in range(metadata.num_columns):
                metadata.row_group(0).column(i)
        except Exception:
            pass
"""
"""Damages a table's last part, byte by byte, until pyarrow ends the process."""


def test_a_table_that_pyarrow_ends_a_process_for_is_refused_in_one_line(whole: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.parquet"
    there = [sys.executable, "-c", ENDS, whole / "export" / "preferences.parquet", damaged]
    if subprocess.run(there, capture_output=True).returncode >= 0:
        pytest.skip("this pyarrow bears any byte there")
    with pytest.raises(BadInput, match="damaged.parquet can't be read: .*ParquetException.*; restore it") as refused:
        read_preferences(damaged)
    assert "\n" not in str(refused.value)


def test_a_model_of_more_than_its_file_holds_is_not_made(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "run" / "reward_model", tmp_path / "model")
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    for size in (-1, "3"):
        (tmp_path / "model" / "model.json").write_text(json.dumps(described | {"ensemble_size": size}))
        with pytest.raises(BadInput, match="is damaged: ensemble_size is"):
            RewardModel.load(tmp_path / "model")
    for change in ({"ensemble_size": 10**9}, {"options": {"hidden": [10**5, 10**5]}}):
        (tmp_path / "model" / "model.json").write_text(json.dumps(described | change))
        with pytest.raises(BadInput, match=r"holds \d+ numbers, fewer than"):
            RewardModel.load(tmp_path / "model")


def test_rows_that_can_never_be_fitted_are_refused_before_any_is_stored(whole: Path, tmp_path: Path) -> None:
    rows = [json.loads(row) for row in (whole / "export" / "preferences.jsonl").read_text().splitlines()]
    rows[1]["options"][1]["observations"]["values"][2][0] = "NaN"
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with PreferenceStore() as store:
        with pytest.raises(BadInput, match="preference 2, query '0-1': option 2 has NaN or infinity among its observ"):
            import_preferences(tmp_path / "mine.jsonl", store)
        assert store.counts().asked == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row.pop("answer"), "line 2 of .* can't be read: it lacks 'answer'; mend the line"),
        (lambda row: row["options"][1].pop("rewards"), "line 2 of .*: option 2 lacks rewards; mend the line"),
        (lambda row: row.update(answer="lft"), "line 2 of .*'lft' is none; use left, right"),
        (lambda row: row.update(policy_step=2**64), "policy_step"),
        (lambda row: row.update(teacher="\ud800"), "teacher"),
        (lambda row: row.update(shown_at=10**400), "shown_at|line 2"),
    ],
)
def test_an_error_in_a_line_written_by_hand_is_named(
    change: Callable[[dict[str, Any]], Any], reason: str, whole: Path, tmp_path: Path
) -> None:
    rows = [json.loads(row) for row in (whole / "export" / "preferences.jsonl").read_text().splitlines()]
    change(rows[1])
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with PreferenceStore() as store:
        with pytest.raises(BadInput, match=reason) as refused:
            import_preferences(tmp_path / "mine.jsonl", store)
        assert "damaged" not in str(refused.value) and "\n" not in str(refused.value) and not store.counts().asked


def test_arrays_of_a_row_are_of_a_dtype_that_is_kept(tmp_path: Path) -> None:
    from rlhf_gym.store.packing import Damaged, unpack

    for dtype, kept in (("<f8", "|S0"), ("S1000000000", "<f8"), ("<f8", "|O"), (["f8"], "<f8")):
        header = json.dumps([["observations", dtype, kept, [10**6]]]).encode()
        with pytest.raises(Damaged, match="can't be read"):
            unpack(header + b"\n" + bytes(64))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[0] + "\x0b" + text[1:], None),  # where Python ends a line, and csv doesn't
        (lambda text: text[:-1] + ",1\n", "a row isn't as its header"),
        (lambda text: text + "x" * 200_000 + "\n", "a row isn't as its header .*field larger than"),
        (lambda text: text + "x\n", "could not convert string to float"),
    ],
)
def test_damaged_rounds_are_told_alike_of_a_run_that_is_finished_and_of_one_that_goes_on(
    change: Callable[[str], str], reason: str | None, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole / "run", run)
    (run / "metrics.csv").write_text(change((run / "metrics.csv").read_text()))
    if reason is None:
        assert str(read_run(run).metrics) == str(metrics_so_far(run))  # nan is no nan
        return
    for read in (read_run, metrics_so_far):
        with pytest.raises(BadInput, match=reason) as refused:
            read(run)
        assert "metrics.csv" in str(refused.value) and "\n" not in str(refused.value)


def test_weights_of_another_shape_are_refused(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "run" / "reward_model", tmp_path / "model")
    save_file({"input_mean": np.zeros(3, np.float32)}, tmp_path / "model" / "model.safetensors")
    with pytest.raises(BadInput, match="is damaged: it lacks 'output_scale'"):
        RewardModel.load(tmp_path / "model")

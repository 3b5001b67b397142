"""Files as somebody else might have written them: kinds of file, altered by whatever draws, and what reads them.

Two engines share them: hypothesis, in `test_hostile_files.py`, and atheris, in `fuzz_by_coverage.py`.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from hypothesis import HealthCheck
from hypothesis import strategies as st
from pyarrow import parquet

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents import load_actor
from rlhf_gym.contracts import example_queries
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Answer
from rlhf_gym.rewards import RewardModel
from rlhf_gym.runs import metrics_so_far, read_run
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.exchange import export, import_preferences, read_preferences, read_spaces

SMALL: dict[str, Any] = {
    "env_id": "CartPole-v1",
    "labels": 8,
    "total_timesteps": 456,
    "segment_length": 10,
    "query": {"rounds": 2, "warm_up_steps": 200},
    "reward": {"network_options": {"hidden": [8]}, "steps": 2, "batch_size": 4},
    "agent": {"n_envs": 4, "net_arch": [8], "options": {"n_steps": 32, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 2},
}
Target = Callable[[Path, st.DataObject], None]

NUMBERS = st.integers() | st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([0, -1, 10**30, 10**400, 2**63])
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\ud800", "\0", "skip", "left", "7/5", "[0,0]", "{}", "comparison", "ranking", "demonstration", "NaN", "os:system",
     "0x7fc00001", "float64", "O", "<f8", "given:x", "../..", "/etc/passwd", "minari:x", "1e999"]
)  # fmt: skip
PLAIN = st.none() | st.booleans() | NUMBERS | TEXTS
ANYTHING = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


def altered(data: st.DataObject, value: Any) -> Any:
    """The value with something in it that is something else, missing, or twice there."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        name = data.draw(st.sampled_from(sorted(value)))
        how = data.draw(st.sampled_from(["in it", "in it", "in it", "gone", "more"]))
        if how == "gone":
            return {key: inner for key, inner in value.items() if key != name}
        if how == "more":
            return {**value, data.draw(TEXTS): data.draw(ANYTHING)}
        return {**value, name: altered(data, value[name])}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        i = data.draw(st.integers(0, len(value) - 1))
        return [*value[:i], *([altered(data, value[i])] * data.draw(st.integers(0, 2))), *value[i + 1 :]]
    return data.draw(ANYTHING)


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """Bytes with some of them changed, cut, or put in."""
    at = data.draw(st.integers(0, len(content)))
    new = data.draw(st.binary(max_size=8) | st.sampled_from([b"\n", b",", b'"', b"\xff\xfe", b"[" * 5000, b"9" * 5000]))
    return content[:at] + new + content[at + data.draw(st.integers(0, len(new) + 2)) :]


def either(data: st.DataObject, file: Path) -> None:
    """Alter a JSON file in its values or in its bytes."""
    content = file.read_bytes()
    if data.draw(st.booleans()):
        file.write_bytes(json.dumps(altered(data, json.loads(content))).encode())
    else:
        file.write_bytes(damaged(data, content))


@contextmanager
def one_line() -> Iterator[None]:
    """Nothing, or a refusal in one line that any screen takes."""
    try:
        yield
    except BadInput as refused:
        assert str(refused) and "\n" not in str(refused) and len(str(refused)) < 2000
        str(refused).encode()


def make_whole(place: Path) -> None:
    """Write a finished run, and an export beside it, into a folder."""
    rlhf = RLHF(RLHFConfig.from_dict({**SMALL, "run_dir": str(place / "run")}))
    rlhf.learn()
    rlhf.close()
    with PreferenceStore() as store:
        store.post(example_queries(3, box=True))
        for i, answer in enumerate([Answer.LEFT, Answer.TIE, Answer.SKIP]):
            store.record(f"0-{i}", answer, teacher="ann", shown_at=i + 0.1, answered_at=i + 0.7)
        export(store, place / "export")


def lines(place: Path, data: st.DataObject) -> None:
    """An import of JSON Lines."""
    rows = (place / "export" / "preferences.jsonl").read_text().splitlines()
    i = data.draw(st.integers(0, len(rows) - 1))
    if data.draw(st.booleans()):
        rows[i] = json.dumps(altered(data, json.loads(rows[i])))
        content = "\n".join(rows).encode()
    else:
        content = damaged(data, "\n".join(rows).encode())
    (place / "alone.jsonl").write_bytes(content)
    with one_line(), PreferenceStore() as store:
        import_preferences(place / "alone.jsonl", store)
        assert store.preferences()


def tables(place: Path, data: st.DataObject) -> None:
    """An import of Parquet."""
    file = place / "alone.parquet"
    shutil.copy(place / "export" / "preferences.parquet", file)
    if data.draw(st.booleans()):
        file.write_bytes(damaged(data, file.read_bytes()))
    else:
        rows = parquet.read_table(file).to_pylist()
        i = data.draw(st.integers(0, len(rows) - 1))
        try:
            parquet.write_table(pa.Table.from_pylist([altered(data, rows[i])]), file)
        except (pa.ArrowException, OverflowError, TypeError, ValueError, AttributeError, KeyError):
            return  # no table at all
    with one_line(), PreferenceStore() as store:
        import_preferences(file, store)


def folders(place: Path, data: st.DataObject) -> None:
    """An export's manifest."""
    shutil.copytree(place / "export", place / "other", dirs_exist_ok=True)
    either(data, place / "other" / "manifest.json")
    with one_line():
        read_spaces(place / "other")
    with one_line():
        read_preferences(place / "other")


def databases(place: Path, data: st.DataObject) -> None:
    """A store with another value somewhere."""
    file = place / "some.db"
    shutil.copy(place / "run" / "preferences.db", file)
    value = data.draw(st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXTS | st.binary(max_size=30))
    if isinstance(value, str):
        value = value.encode(errors="ignore").decode()
    with closing(sqlite3.connect(file)) as database, database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = data.draw(st.sampled_from([name for name in names if not name.startswith("sqlite")]))
        column = data.draw(st.sampled_from([row[1] for row in database.execute(f"PRAGMA table_info({table})")]))
        if data.draw(st.booleans()):
            old = database.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()
            if old and isinstance(old[0], (str, bytes)):
                kind = type(old[0])
                value = damaged(data, old[0] if kind is bytes else old[0].encode())
                value = value.decode(errors="replace") if kind is str else value
        try:
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT min(rowid) FROM {table})", [value])
        except (sqlite3.Error, OverflowError):
            return  # SQLite itself takes no such value there
    with one_line(), PreferenceStore(file) as store:
        for read in (store.preferences, store.pending, store.history, store.counts, store.answers_since):
            with one_line():
                read()


def configs(place: Path, data: st.DataObject) -> None:
    """Settings."""
    file = place / "config.yaml"
    content = (place / "run" / "config.yaml").read_bytes()
    if data.draw(st.booleans()):
        try:
            file.write_text(yaml.safe_dump(altered(data, yaml.safe_load(content))), encoding="utf-8")
        except (UnicodeError, TypeError):
            return
    else:
        file.write_bytes(damaged(data, content))
    with one_line():
        RLHFConfig.from_yaml(file)


def directories(place: Path, data: st.DataObject) -> None:
    """A file of a finished run that its readers open."""
    name = data.draw(st.sampled_from(["summary.json", "metrics.csv", "provenance.json"]))
    changed_in_run(place, name, data, lambda run: (read_run(run), metrics_so_far(run)))


def models(place: Path, data: st.DataObject) -> None:
    """A reward model."""
    name = data.draw(st.sampled_from(["reward_model/model.json", "reward_model/model.safetensors"]))
    changed_in_run(place, name, data, lambda run: RewardModel.load(run / "reward_model"))


def policies(place: Path, data: st.DataObject) -> None:
    """A policy's file, as a whole or in its settings."""
    file = place / "policy.zip"
    with zipfile.ZipFile(place / "run" / "policy.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(members)))
    if name == "data" and data.draw(st.booleans()):
        members[name] = json.dumps(altered(data, json.loads(members[name]))).encode()
    else:
        members[name] = damaged(data, members[name])
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    if data.draw(st.booleans()):
        file.write_bytes(damaged(data, file.read_bytes()))
    with one_line():
        load_actor(file)


def saved_runs(place: Path, data: st.DataObject) -> None:
    """A run that is loaded."""
    there = [file for file in sorted((place / "run").rglob("*")) if file.is_file()]
    files = [str(file.relative_to(place / "run")) for file in there if file.suffix in (".json", ".zip", ".safetensors")]
    name = data.draw(st.sampled_from([name for name in files if "checkpoints" not in name]))
    changed_in_run(place, name, data, lambda run: RLHF.load(run).close())


def changed_in_run(place: Path, name: str, data: st.DataObject, read: Callable[[Path], Any]) -> None:
    """Read the run with one of its files altered, and put the file back."""
    file = place / "run" / name
    content = file.read_bytes()
    try:
        if file.suffix == ".json":
            either(data, file)
        else:
            file.write_bytes(damaged(data, content))
        with one_line():
            read(place / "run")
    finally:
        file.write_bytes(content)


TARGETS: list[Target] = [lines, tables, folders, databases, configs, directories, models, policies]
ANY = {"deadline": None, "suppress_health_check": list(HealthCheck)}

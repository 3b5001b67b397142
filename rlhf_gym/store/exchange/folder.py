"""A folder of exported preferences: `preferences.jsonl`, `preferences.parquet`, `README.md` and `manifest.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

from gymnasium import Space

from rlhf_gym.errors import BadInput
from rlhf_gym.files import move_files, sha256
from rlhf_gym.preferences import Preference
from rlhf_gym.spaces import space_from_json, space_to_json
from rlhf_gym.store.batches import batches
from rlhf_gym.store.exchange.card import Contents, data_card
from rlhf_gym.store.exchange.fit import Wanted, check_fit, wanted_by_others
from rlhf_gym.store.exchange.json_lines import LinesWriter, read_json_lines
from rlhf_gym.store.exchange.records import damage
from rlhf_gym.store.preference_store import PreferenceStore

LINES, PARQUET, CARD, MANIFEST = "preferences.jsonl", "preferences.parquet", "README.md", "manifest.json"
FORMAT = 2
READ = (1, 2)

Spaces = tuple[Space[Any], Space[Any]]
"""Spaces of observations, and of actions."""


def export(store: PreferenceStore, directory: str | Path, *, spaces: Spaces | None = None, parquet: bool = True) -> int:
    """Write every preference of a store in each format; existing files are never overwritten.

    Args:
        store: The store.
        directory: Created if missing. Hugging Face's `datasets` loads it: `load_dataset(directory)`.
        spaces: Spaces of the environment's observations and actions; None leaves them out.
        parquet: False leaves Parquet out, which needs pyarrow and arrays of one kind.

    Returns:
        Number of preferences.

    Raises:
        BadInput: If there are none, the directory holds an export, or Parquet can't hold them.
        ImportError: If pyarrow isn't installed.
    """
    directory = Path(directory)
    if held := [name for name in (LINES, PARQUET, CARD, MANIFEST) if (directory / name).exists()]:
        raise BadInput(f"{directory} already holds an export ({', '.join(held)}); name another directory")
    described = None if spaces is None else [space_to_json(space) for space in spaces]
    place = directory if directory.is_dir() else directory.parent
    place.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=place, prefix=".export-") as temporary:
        written = Path(temporary) / "export"
        written.mkdir()
        contents = _write(store.each_preference(), written, _writers(parquet))
        names = [LINES, PARQUET] if parquet else [LINES]
        (written / CARD).write_text(data_card(contents, names[-1]), encoding="utf-8")
        manifest = {
            "format": FORMAT,
            "preferences": contents.n,
            "spaces": described,
            "sha256": {name: sha256(written / name) for name in names},
        }
        (written / MANIFEST).write_text(json.dumps(manifest) + "\n", encoding="utf-8")
        move_files(written, directory)
    return contents.n


def import_preferences(path: str | Path, store: PreferenceStore) -> int:
    """Read preferences into a store: all of them, or none if one is refused; stored ones are left as they are.

    Args:
        path: As :func:`read_preferences` takes it.
        store: Where they go.

    Returns:
        Number of new answers.

    Raises:
        BadInput: If they can't be read, contradict stored ones (:meth:`PreferenceStore.add`), or can't be fitted with
            them: NaN, another length of segments, another environment.
        ImportError: If the file is Parquet and pyarrow isn't installed.
    """
    return add_preferences(Exported(path), store).new


class Added(NamedTuple):
    """Numbers of preferences that were new, and that were stored already."""

    new: int
    known: int


def add_preferences(preferences: Iterable[Preference], store: PreferenceStore, wanted: Wanted | None = None) -> Added:
    """Add preferences to a store: all of them, or none if one can't be fitted with the stored ones.

    Args:
        preferences: Not an iterator: they are read twice, and all are checked before any is stored.
        store: Where they go.
        wanted: Their requirements; None is those of the stored ones.

    Raises:
        BadInput: As :func:`import_preferences`.
    """
    ids = store.open_ids(1) or [answer.query_id for answer in store.answers_since()[:1]]
    n = check_fit(preferences, wanted or wanted_by_others(store.queries(ids)))
    new = store.add(preferences)
    return Added(new, n - new)


class Exported(Iterable[Preference]):
    """Exported preferences, bit for bit, in order of answering; each iteration reads the file again, in batches.

    Args:
        path: A folder that :func:`export` wrote, or a .jsonl or .parquet file of its kind, which is checked against the
            manifest beside it, if there is one.

    Raises:
        BadInput: If there is no such file; and while they are read, if there are none, or they are damaged.
        ImportError: If the file is Parquet and pyarrow isn't installed.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self._file = next((path / name for name in (LINES, PARQUET) if (path / name).exists()), path)
        if not self._file.is_file() or self._file.suffix not in (".jsonl", ".parquet"):
            what = "holds no preferences" if path.exists() else "isn't there"
            raise BadInput(f"{path} {what}; use a folder that export wrote, or a .jsonl or .parquet file")

    def __iter__(self) -> Iterator[Preference]:
        _check(self._file)
        if self._file.suffix == ".jsonl":
            read = read_json_lines(self._file)
        else:
            from rlhf_gym.store.exchange.parquet import read_parquet

            read = read_parquet(self._file)
        first = next(read, None)
        if first is None:
            raise BadInput(f"{self._file} is empty; restore it from a copy")
        yield first
        yield from read


def read_preferences(path: str | Path) -> list[Preference]:
    """Read all preferences of an export; see :class:`Exported`, which reads them in batches."""
    return list(Exported(path))


def read_spaces(path: str | Path) -> Spaces:
    """Read the spaces of observations and actions of an export.

    Args:
        path: The folder.

    Raises:
        BadInput: If the export names none, or they are damaged.
    """
    described = _manifest(Path(path)).get("spaces")
    if described is None:
        raise BadInput(f"{path} doesn't say which spaces it is about; export it with spaces, or make them by hand")
    with damage(str(Path(path) / MANIFEST)):
        observation, action = map(space_from_json, described)
        return observation, action


class _Writer(Protocol):
    """Writes a file of an export, a batch of preferences at a time."""

    def write(self, preferences: Sequence[Preference]) -> None:
        """Write a batch."""

    def __enter__(self) -> _Writer: ...

    def __exit__(self, *_: object) -> None: ...


def _writers(parquet: bool) -> dict[str, Callable[[Path], _Writer]]:
    if not parquet:
        return {LINES: LinesWriter}
    from rlhf_gym.store.exchange.parquet import ParquetWriter

    return {LINES: LinesWriter, PARQUET: ParquetWriter}


def _write(
    preferences: Iterable[Preference], directory: Path, writers: Mapping[str, Callable[[Path], _Writer]]
) -> Contents:
    """Write all formats in one pass.

    Raises:
        BadInput: If there is nothing to write.
    """
    contents = Contents()
    with ExitStack() as stack:
        files = [stack.enter_context(make(directory / name)) for name, make in writers.items()]
        for batch in batches(preferences):
            contents.count(batch)
            for file in files:
                file.write(batch)
    if not contents.n:
        raise BadInput("the store has no answers to export; answer some queries first")
    return contents


def _manifest(directory: Path) -> dict[str, Any]:
    """Read `manifest.json`, empty if there is none."""
    file = directory / MANIFEST
    if not file.exists():
        return {}
    with damage(str(file)):
        manifest = json.loads(file.read_bytes())
        if not isinstance(manifest, dict) or not isinstance(manifest["sha256"], dict):
            raise BadInput("it is no manifest")
    if manifest.get("format") not in READ:
        raise BadInput(
            f"{file} is of format {manifest.get('format')} and this rlhf_gym reads {' and '.join(map(str, READ))}; use "
            "the one that wrote it"
        )
    return manifest


def _check(file: Path) -> None:
    expected = _manifest(file.parent).get("sha256", {}).get(file.name)
    if expected is not None and expected != sha256(file):
        raise BadInput(
            f"{file} isn't what was exported (its sha256 differs from {MANIFEST}'s); restore it from a copy, or, if "
            f"it was changed on purpose, move it elsewhere"
        )

"""A folder of exported preferences: `preferences.jsonl`, `preferences.parquet`, `README.md` and `manifest.json`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from gymnasium import Space

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Preference
from rlhf_gym.spaces import space_from_json, space_to_json
from rlhf_gym.store.exchange.card import data_card
from rlhf_gym.store.exchange.fit import check_fit, wanted_by_others
from rlhf_gym.store.exchange.json_lines import read_json_lines, write_json_lines
from rlhf_gym.store.exchange.records import damage
from rlhf_gym.store.preference_store import PreferenceStore

LINES, PARQUET, CARD, MANIFEST = "preferences.jsonl", "preferences.parquet", "README.md", "manifest.json"
FORMAT = 2
READ = (1, 2)

Spaces = tuple[Space[Any], Space[Any]]
"""Of observations and of actions."""


def export(store: PreferenceStore, directory: str | Path, *, spaces: Spaces | None = None, parquet: bool = True) -> int:
    """Write every preference of a store in each format; what is there already is never overwritten.

    Args:
        store: Where they are.
        directory: Made if it is missing. Hugging Face's `datasets` loads it: `load_dataset(directory)`.
        spaces: Of the environment's observations and actions; None leaves them out.
        parquet: False leaves Parquet out, which needs pyarrow and arrays of one kind.

    Returns:
        How many.

    Raises:
        BadInput: If there are none, the directory holds an export, or Parquet can't hold them.
        ImportError: If pyarrow isn't installed.
    """
    directory, preferences = Path(directory), store.preferences()
    if not preferences:
        raise BadInput("the store has no answers to export; answer some queries first")
    if held := [name for name in (LINES, PARQUET, CARD, MANIFEST) if (directory / name).exists()]:
        raise BadInput(f"{directory} already holds an export ({', '.join(held)}); name another directory")
    described = None if spaces is None else [space_to_json(space) for space in spaces]
    table = _table(preferences) if parquet else None
    directory.mkdir(parents=True, exist_ok=True)
    write_json_lines(preferences, directory / LINES)
    if table is not None:
        from rlhf_gym.store.exchange.parquet import write_parquet

        write_parquet(table, directory / PARQUET)
    names = [LINES, PARQUET] if parquet else [LINES]
    (directory / CARD).write_text(data_card(preferences, names[-1]), encoding="utf-8")
    manifest = {
        "format": FORMAT,
        "preferences": len(preferences),
        "spaces": described,
        "sha256": {name: _sha256(directory / name) for name in names},
    }
    (directory / MANIFEST).write_text(json.dumps(manifest) + "\n", encoding="utf-8")
    return len(preferences)


def import_preferences(path: str | Path, store: PreferenceStore) -> int:
    """Read preferences into a store: all of them, or none if one is refused; known ones are left alone.

    Args:
        path: As :func:`read_preferences` takes it.
        store: Where they go.

    Returns:
        How many were new.

    Raises:
        BadInput: If they can't be read, contradict what is there (:meth:`PreferenceStore.add`), or can't be fitted with
            it: NaN, another length of segments, another environment.
        ImportError: If the file is Parquet and pyarrow isn't installed.
    """
    return add_preferences(read_preferences(path), store)


def add_preferences(preferences: list[Preference], store: PreferenceStore) -> int:
    """Add preferences to a store: all of them, or none if one couldn't be fitted with what is there.

    Returns:
        How many were new.

    Raises:
        BadInput: As :func:`import_preferences`.
    """
    ids = store.open_ids(1) or [answer.query_id for answer in store.answers_since()[:1]]
    check_fit(preferences, wanted_by_others(store.queries(ids)))
    return store.add(preferences)


def read_preferences(path: str | Path) -> list[Preference]:
    """Read exported preferences, bit for bit, in order of answering.

    Args:
        path: A folder that :func:`export` wrote, or a .jsonl or .parquet file of its kind, which is held against the
            manifest beside it, if there is one.

    Raises:
        BadInput: If there are none, or they are damaged.
        ImportError: If the file is Parquet and pyarrow isn't installed.
    """
    path = Path(path)
    file = next((path / name for name in (LINES, PARQUET) if (path / name).exists()), path)
    if not file.is_file() or file.suffix not in (".jsonl", ".parquet"):
        raise BadInput(f"{path} holds no preferences; use a folder that export wrote, or a .jsonl or .parquet file")
    _check(file)
    if file.suffix == ".jsonl":
        preferences = list(read_json_lines(file))
    else:
        from rlhf_gym.store.exchange.parquet import read_parquet

        preferences = read_parquet(file)
    if not preferences:
        raise BadInput(f"{file} is empty; restore it from a copy")
    return preferences


def read_spaces(path: str | Path) -> Spaces:
    """Read the spaces of observations and actions of an export.

    Args:
        path: The folder.

    Raises:
        BadInput: If it names none, or they are damaged.
    """
    described = _manifest(Path(path)).get("spaces")
    if described is None:
        raise BadInput(f"{path} doesn't say which spaces it is about; export it with spaces, or make them by hand")
    with damage(str(Path(path) / MANIFEST)):
        observation, action = map(space_from_json, described)
        return observation, action


def _table(preferences: list[Preference]) -> Any:
    from rlhf_gym.store.exchange.parquet import to_table

    return to_table(preferences)


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
    if expected is not None and expected != _sha256(file):
        raise BadInput(
            f"{file} isn't what was exported (its sha256 differs from {MANIFEST}'s); restore it from a copy, or, if "
            f"it was changed on purpose, move it elsewhere"
        )


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(2**20):
            digest.update(part)
    return digest.hexdigest()

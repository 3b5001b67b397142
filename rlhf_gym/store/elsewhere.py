"""Reading of preferences from another run, an export or a database."""

from __future__ import annotations

from pathlib import Path

from rlhf_gym.errors import BadInput
from rlhf_gym.files import sqlite_file
from rlhf_gym.preferences import Preference
from rlhf_gym.store.exchange import read_preferences
from rlhf_gym.store.preference_store import PreferenceStore

DATABASES = (".db", ".sqlite", ".sqlite3")


def preferences_at(place: str) -> list[Preference]:
    """Read every current answer with its query.

    Args:
        place: A run directory, a folder or file that an export wrote, a store's file, or its database URL.

    Raises:
        BadInput: If the place is missing, can't be read, or is a store of several runs.
    """
    if "://" in place:
        return _from_url(place)
    path = Path(place)
    file = path if path.suffix in DATABASES else path / "preferences.db"
    return _from_store(file) if file.is_file() else read_preferences(path)


def _from_url(url: str) -> list[Preference]:
    file = sqlite_file(url)
    if file and not Path(file).is_file():
        raise BadInput(f"preferences are to come from {url}, a file that isn't there; name the one that holds them")
    return _from_store(url)


def _from_store(place: str | Path) -> list[Preference]:
    with PreferenceStore(place) as store:
        store.check_one_run()
        return store.preferences()

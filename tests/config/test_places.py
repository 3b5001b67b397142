"""Places in settings: which text names a file, and from where."""

from pathlib import Path
from typing import Any

import pytest

from rlhf_gym.cli import parse
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.passwords import command_without_passwords
from rlhf_gym.config.places import absolute_paths
from rlhf_gym.files import sqlite_file


def test_relative_places_are_completed_where_there_is_such_a_file_and_words_never(tmp_path: Path) -> None:
    for name in ("run", "best", "start"):
        (tmp_path / name).mkdir()
    settings: dict[str, Any] = {"agent": {"start": "best", "reference": "start"}, "query": {"trajectories": "run"}}
    found = absolute_paths(settings, tmp_path)
    assert found == settings | {"query": {"trajectories": str(tmp_path / "run")}}
    assert absolute_paths({"agent": {"start": "nowhere"}}, tmp_path) == {"agent": {"start": "nowhere"}}


def test_a_tilde_is_the_home_folder_in_settings_and_in_paths_of_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = RLHFConfig.for_env("CartPole-v1", run_dir="~/run", agent={"start": "~/policy.zip"})
    assert (config.run_dir, config.agent.start) == (f"{tmp_path}/run", f"{tmp_path}/policy.zip")
    assert RLHFConfig.for_env("CartPole-v1", run_dir="a~b/~").run_dir == "a~b/~"
    assert parse(["watch", "run", "--output=~/clip.gif"]).output == tmp_path / "clip.gif"
    assert RLHFConfig.for_env("CartPole-v1").replace(run_dir="~/run").run_dir == f"{tmp_path}/run"


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////a/b.db?timeout=20", "/a/b.db"),
        ("sqlite+pysqlite:///b.db", "b.db"),
        ("sqlite://", None),
        ("sqlite:///file:b.db?uri=true", None),
        ("postgresql+psycopg://ann@host/name", None),
        ("no url", None),
        ("postgresql://host:port/name", None),
        (None, None),
    ],
)
def test_the_file_of_a_database_url(url: str | None, file: str | None) -> None:
    assert sqlite_file(url) == file


@pytest.mark.parametrize(
    ("url", "blotted"),
    [
        ("postgresql://ann:secret@h/db", "'postgresql://ann:***@h/db'"),
        ("postgresql://ann:se cret@h/db", "'postgresql://ann:***@h/db'"),
        ("postgresql://h/db?password=it's x&user=ann", "'postgresql://h/db?password=***&user=ann'"),
        ('postgresql://ann:se"cret@h/db?password=a"b', "'postgresql://ann:***@h/db?password=***'"),
        ('{"a": "http://x:1/", "b": "me@x"}', """'{"a": "http://x:1/", "b": "me@x"}'"""),
        ("postgresql://ann@my:secret@h/db", "'postgresql://ann@my:***@h/db'"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
    ],
)
def test_passwords_are_blotted_out_of_a_command(url: str, blotted: str) -> None:
    assert command_without_passwords(["rlhf-gym", "--store", url]) == f"rlhf-gym --store {blotted}"

"""Where a result comes from."""

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rlhf_gym.runs import provenance as module
from rlhf_gym.runs.provenance import peak_rss_mb, provenance


def test_provenance_names_versions_commit_machine_and_command() -> None:
    found = provenance("rlhf-gym train --seed 1")
    assert set(found) == {"versions", "python", "commit", "machine", "command"}
    assert found["command"] == "rlhf-gym train --seed 1"
    assert found["python"] == platform.python_version()
    assert platform.machine() in found["machine"]
    assert found["versions"]["torch"] == metadata.version("torch")
    assert found["versions"]["stable_baselines3"] == metadata.version("stable_baselines3")
    assert found["versions"]["numpy"] == np.__version__


def test_without_a_command_it_is_the_one_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["rlhf-gym", "train"])
    assert provenance()["command"] == "rlhf-gym train"


def test_a_command_is_kept_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = ["postgresql+psycopg://me:s3cret@there/db", "postgresql+psycopg://me@/db?password=s3cret&host=there"]
    monkeypatch.setattr(sys, "argv", ["rlhf-gym", "train", *(word for url in urls for word in ("--store", url))])
    command = provenance()["command"]
    assert "s3cret" not in command and "me:***@there" in command and "password=***&host=there" in command


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("numpy", "no_such_package_anywhere"))
    assert provenance("")["versions"] == {"numpy": np.__version__, "no_such_package_anywhere": None}


def test_peak_memory_is_in_megabytes_and_never_falls() -> None:
    before = peak_rss_mb()
    held = np.ones(2**24)  # 128 MB
    after = peak_rss_mb()
    assert held.all() and 20 < before <= after < 2**15


Git = Callable[..., str]


@pytest.fixture
def checkout(tmp_path: Path) -> tuple[ModuleType, Git]:
    """A copy of the module in a repository where something else was committed, and git in there."""
    if shutil.which("git") is None:
        pytest.skip("needs git")

    def git(*words: str) -> str:
        plain = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *plain, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    copied = tmp_path / "package" / "room" / "where.py"
    copied.parent.mkdir(parents=True)
    shutil.copy(module.__file__, copied)
    (tmp_path / "package" / "another_room").mkdir()
    (tmp_path / "package" / "another_room" / "what.py").write_text("")
    (tmp_path / "notes.txt").write_text("mine")
    git("init")
    git("add", "notes.txt")
    git("commit", "-m", "Notes")
    spec = importlib.util.spec_from_file_location("where", copied)
    assert spec is not None and spec.loader is not None
    there = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(there)
    return there, git


def test_the_commit_is_that_of_the_code_with_a_mark_if_the_code_was_changed_since(
    checkout: tuple[ModuleType, Git], tmp_path: Path
) -> None:
    there, git = checkout
    git("add", "package")
    git("commit", "-m", "Package")
    commit = git("rev-parse", "HEAD")
    assert there.provenance("")["commit"] == commit
    (tmp_path / "notes.txt").write_text("changed")
    assert there.provenance("")["commit"] == commit  # which isn't the code
    for changed in ("room/where.py", "another_room/what.py"):
        with (tmp_path / "package" / changed).open("a") as file:
            file.write("# changed\n")
        assert there.provenance("")["commit"] == commit + "+dirty"
        git("checkout", f"package/{changed}")


def test_code_that_only_lies_in_somebody_elses_checkout_has_no_commit(checkout: tuple[ModuleType, Git]) -> None:
    there, _ = checkout
    assert there.provenance("")["commit"] is None


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance("")["commit"] is None

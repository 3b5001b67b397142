"""Files that are whole or not there, and folders whose damage is seen."""

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rlhf_gym.files import move_files, write_text, written_beside
from rlhf_gym.runs.checksums import SUMS, find_damage, write_checksums


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "summary.json"
    write_text(place, "old")
    with written_beside(place) as new:
        new.write_text("half")
        assert place.read_text() == "old"
        new.write_text("whole")
    assert place.read_text() == "whole" and os.listdir(tmp_path) == ["summary.json"]


def test_a_file_stays_as_it_was_where_the_disk_is_full(tmp_path: Path) -> None:
    place = tmp_path / "summary.json"
    write_text(place, "old")
    with pytest.raises(OSError, match="No space left"), written_beside(place) as new:
        new.write_text("ha")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert place.read_text() == "old" and os.listdir(tmp_path) == ["summary.json"]


def test_a_file_is_on_the_disk_before_it_takes_its_place_and_its_name_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, seen = tmp_path / "config.yaml", []
    monkeypatch.setattr("rlhf_gym.files.to_disk", lambda path: seen.append((path.name, place.exists())))
    write_text(place, "text")
    assert seen == [(".config.yaml.new", False), (tmp_path.name, True)]


def test_files_of_a_folder_are_moved_over_those_of_another_and_others_stay(tmp_path: Path) -> None:
    new, place = tmp_path / "new", tmp_path / "run"
    for folder, text in ((new, "new"), (place, "old")):
        (folder / "reward_model" / "a").mkdir(parents=True)
        for name in ("policy.zip", "reward_model/model.json", "reward_model/a/model.json"):
            (folder / name).write_text(text)
    (place / "reward_model" / "notes.txt").write_text("mine")
    move_files(new, place)
    assert not new.exists() and (place / "reward_model" / "notes.txt").read_text() == "mine"
    names = ("policy.zip", "reward_model/model.json", "reward_model/a/model.json")
    assert [(place / name).read_text() for name in names] == ["new"] * 3


# Checksums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files of several kinds and their checksums."""
    folder = tmp_path / "000003"
    (folder / "reward_model").mkdir(parents=True)
    (folder / "state.json").write_text('{"env_steps": 3}')
    (folder / "empty.json").write_text("")
    save_file({"weights": np.arange(8.0)}, folder / "reward_model" / "model.safetensors")
    write_checksums(folder)
    return folder


def cut(path: Path, share: float = 0.5) -> None:
    path.write_bytes(path.read_bytes()[: int(len(path.read_bytes()) * share)])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def with_nan(path: Path) -> None:
    arrays = load_file(path)
    arrays["weights"][3] = np.nan
    save_file(arrays, path)


def replaced_by_a_file(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    folder.write_text("")


def emptied(folder: Path) -> None:
    replaced_by_a_file(folder)
    folder.unlink()
    folder.mkdir()


MODEL = "reward_model/model.safetensors"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda folder: cut(folder / MODEL), f"{MODEL} has changed"),
    "cut to nothing": (lambda folder: cut(folder / "state.json", 0), "state.json has changed"),
    "last byte lost": (lambda folder: cut(folder / "state.json", 0.95), "state.json has changed"),
    "a bit flipped": (lambda folder: flip(folder / MODEL), f"{MODEL} has changed"),
    "nan": (lambda folder: with_nan(folder / MODEL), f"{MODEL} has changed"),
    "zeros": (lambda folder: (folder / "state.json").write_bytes(bytes(16)), "state.json has changed"),
    "another type": (lambda folder: (folder / "state.json").write_text("[]"), "state.json has changed"),
    "a file is missing": (lambda folder: (folder / "state.json").unlink(), "state.json is missing"),
    "an empty file is missing": (lambda folder: (folder / "empty.json").unlink(), "empty.json is missing"),
    "checksums are cut": (lambda folder: cut(folder / SUMS, 0.9), "is missing"),
    "checksums are empty": (lambda folder: cut(folder / SUMS, 0), f"{SUMS} is empty"),
    "checksums are no text": (lambda folder: (folder / SUMS).write_bytes(b"\xff" * 80), f"{SUMS} can't be read"),
    "a bit of the checksums flipped": (lambda folder: flip(folder / SUMS), "is missing|has changed"),
    "the folder is empty": (emptied, "it is empty"),
    "the folder is a file": (replaced_by_a_file, "it is no folder"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_and_told_in_a_line(damage: Callable[[Path], object], said: str, folder: Path) -> None:
    assert find_damage(folder) is None
    damage(folder)
    found = find_damage(folder)
    assert found and re.search(said, found) and "\n" not in found


def test_a_folder_of_an_earlier_version_has_no_checksums_and_no_damage(folder: Path) -> None:
    (folder / SUMS).unlink()
    assert find_damage(folder) is None


def test_checksums_are_read_by_the_usual_program_too(folder: Path) -> None:

    if shutil.which("sha256sum") is None:
        pytest.skip("needs sha256sum")
    check = ["sha256sum", "--check", "--strict", SUMS]
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 0
    flip(folder / MODEL)
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 1

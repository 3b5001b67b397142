"""Checksums of the files in a folder, as `sha256sum --check SHA256SUMS` reads them."""

from __future__ import annotations

from pathlib import Path

from rlhf_gym.files import sha256, to_disk

SUMS = "SHA256SUMS"


def write_checksums(folder: Path) -> None:
    """Write the checksum of every file in a folder, subfolders included, and flush all of them to the disk."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    lines = [f"{sha256(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    for file in (*files, folder / SUMS):
        to_disk(file)


def find_damage(folder: Path) -> str | None:
    """Say how a folder differs from what :func:`write_checksums` wrote; None if it doesn't, or has no checksums."""
    if not folder.is_dir():
        return "it is no folder"
    if not any(folder.iterdir()):
        return "it is empty"
    if not (folder / SUMS).exists():  # an earlier version wrote it
        return None
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        for line in lines:
            written, _, name = line.partition("  ")
            if not (folder / name).is_file():
                return f"{name or repr(line)} is missing"
            if sha256(folder / name) != written:
                return f"{name} has changed"
    except (OSError, ValueError) as error:
        return f"{SUMS} can't be read: {error}"
    return None if lines else f"{SUMS} is empty"

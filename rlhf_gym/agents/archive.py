"""Check the size of a policy.zip before it is read, so that a small file can't unpack to a huge one."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import ZipFile

from rlhf_gym.errors import BadInput

SPARE = 1_000_000
"""Bytes by which the contents may exceed the file, for compressed text; arrays are stored uncompressed."""


def check_unpacked_size(path: str | Path) -> None:
    """Refuse an archive that unpacks to much more than its size, itself or in the archives of its weights.

    Raises:
        BadInput: Saying how much.
        OSError: If the file is missing.
        BadZipFile: If it, or one of the weights, is no archive.
    """
    with ZipFile(path) as archive:
        _check(archive, path)
        for name in archive.namelist():
            if name.endswith(".pth"):
                with archive.open(name) as weights, ZipFile(weights) as inner:
                    _check(inner, path)


def check_layers(net_arch: Any, path: str | Path) -> None:
    """Refuse layers that have more weights than the file has bytes.

    Args:
        net_arch: Hidden units, as SB3 takes them: a list of numbers, or lists by name.
        path: The policy.zip.

    Raises:
        BadInput: Naming the layers.
    """
    lists = net_arch.values() if isinstance(net_arch, dict) else [net_arch or ()]
    pairs = [(a, b) for units in lists for a, b in zip(units[:-1], units[1:], strict=True)]
    if (weights := sum(a * b for a, b in pairs)) > Path(path).stat().st_size:
        raise BadInput(f"{path} isn't as large as net_arch {net_arch} says, which has {weights} weights; restore both")


def _check(archive: ZipFile, path: str | Path) -> None:
    size = Path(path).stat().st_size
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > size + SPARE:
        raise BadInput(f"{path} has {size} bytes and unpacks to {unpacked}; SB3's save packs nothing: restore it")

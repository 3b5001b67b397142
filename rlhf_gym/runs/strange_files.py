"""Entries of a run directory that are no files of it: links that lead out of it, pipes, devices."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from rlhf_gym.errors import BadInput
from rlhf_gym.trust import is_trusted


def check_entries(run_dir: str | Path) -> None:
    """Refuse a run directory with untrusted links out of it, or entries other than files and folders.

    Raises:
        BadInput: Naming the first such entry.
    """
    top = Path(run_dir).resolve()
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                if _leads_to_itself(path):
                    raise BadInput(f"{path} is a link to itself; remove it")
                target = path.resolve()
                if not target.is_relative_to(top) and not is_trusted(f"link to {target}"):
                    raise BadInput(
                        f"{path} is a link to {os.readlink(path)}, out of the run directory; put what it leads to in "
                        "its place, or, if you made it, say --trust (in Python RLHF_GYM_TRUST=1)"
                    )
            elif not (path.is_file() or path.is_dir()) and path.exists():
                raise BadInput(f"{path} is neither a file nor a folder; remove it")


def _leads_to_itself(link: Path) -> bool:
    try:
        link.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False

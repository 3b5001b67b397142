"""The virtual environment that imitation runs in: made once, kept outside git, remade when a pin changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NEEDED = "3.11"


def interpreter(folder: Path) -> Path:
    """Get the path of a virtual environment's Python."""
    return folder.absolute() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def installed(folder: Path) -> bool:
    """Test whether a virtual environment was made with today's requirements."""
    marker = folder / "requirements.txt"
    return interpreter(folder).exists() and marker.exists() and marker.read_text() == REQUIREMENTS.read_text()


def ensure(folder: Path, python: str = sys.executable) -> Path:
    """Make the virtual environment unless it is there with today's requirements.

    Args:
        folder: Where it is kept.
        python: The Python it is made with.

    Returns:
        Its own Python.

    Raises:
        ValueError: If that Python can't be run, or isn't the version that the pins are for.
        RuntimeError: If the pins can't be installed; the message is pip's.
    """
    if not installed(folder):
        found = version(python)
        if found != NEEDED:
            raise ValueError(f"python is {python}, which is Python {found}; imitation's pins need {NEEDED}")
        print(f"installing imitation into {folder}", flush=True)
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        command = [str(interpreter(folder)), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        (folder / "requirements.txt").write_text(REQUIREMENTS.read_text())
    return interpreter(folder)


def version(python: str) -> str:
    """Get the major and minor version of a Python.

    Raises:
        ValueError: If it can't be run.
    """
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(f"python is {python}, which can't be run: {error}") from error

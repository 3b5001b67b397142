"""Build the wheel, and try it on each Python that is found, without the checkout, with three sets of dependencies.

    python -m tests.packaging.wheel                                  # needs uv and build; `make wheel` sees to both
    python -m tests.packaging.wheel --python 3.10 3.13 --dependencies lowest --day

pinned is what constraints.txt says; lowest has each dependency that setup.cfg names in the lowest release that it
allows and that has a wheel for that Python; newest is what the index has today. torch is constraints.txt's in all
three: a release of it is gigabytes. A Python is found as python3.N on PATH (pyenv: PYENV_VERSION=3.10.13:3.12.1).
pip's PIP_FIND_LINKS counts for uv, too. With --extras it is only told whether each extra resolves.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SETS = ("pinned", "lowest", "newest")
WITH = ("web", "exchange")
CORE = (
    "tests/test_segments.py",
    "tests/config/test_written_and_read.py",
    "tests/kinds/test_new_kinds.py",
    "tests/queries/test_choosing.py",
    "tests/teachers/test_teachers.py",
    "tests/store/test_database.py",
    "tests/store/test_exchange.py",
    "tests/rewards/test_fitting.py",
    "tests/rewards/test_recovery.py",
    "tests/agents/test_on_policy.py",
    "tests/envs/test_recorder.py",
    "tests/envs/test_replay.py",
    "tests/runs/test_runs.py",
    "tests/labelling/test_desk.py",
)
"""What is run of the suite: a file or two of each room, and nothing that needs more than the package and `WITH`."""
BINARY = ("--only-binary", ":all:")


def main() -> int:
    """Try what is asked for; 1 where something failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", nargs="+", default=PYTHONS, choices=PYTHONS)
    parser.add_argument("--dependencies", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--day", action="store_true", help="live a day with each, too: train, label, resume, watch")
    parser.add_argument("--extras", action="store_true", help="only tell whether each extra resolves")
    asked = parser.parse_args()
    os.environ.setdefault("UV_FIND_LINKS", os.environ.get("PIP_FIND_LINKS", "").replace(" ", ","))
    found = {name: path for name in asked.python if (path := find_python(name))}
    print(f"found Python {', '.join(found) or 'none'}; not {', '.join(set(asked.python) - set(found)) or 'any other'}")
    with tempfile.TemporaryDirectory(prefix="wheel-") as made:
        place = Path(made)
        wheel = build(place)
        print(wheel.name)
        tried = [
            resolve(place, python, dependencies)
            if asked.extras
            else attempt(place, wheel, python, dependencies, day=asked.day)
            for python in found.values()
            for dependencies in asked.dependencies
        ]
    return 0 if tried and all(tried) else 1


def find_python(name: str) -> str | None:
    """Find the interpreter; a shim that knows of none doesn't count."""
    path = shutil.which(f"python{name}")
    return path if path and subprocess.run([path, "-V"], capture_output=True).returncode == 0 else None


def build(place: Path) -> Path:
    """Build the wheel from the source distribution, of a copy, so that nothing stale gets in; lay the tests beside."""
    copy = place / "checkout"
    for folder in ("rlhf_gym", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    subprocess.run(
        [sys.executable, "-m", "build", "--installer", "uv", "--outdir", place, copy],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.copytree(copy / "tests", place / "beside/tests")
    shutil.copy(ROOT / "setup.cfg", place / "beside")  # pytest's settings
    return next(place.glob("*.whl"))


def constraints(place: Path, python: str, dependencies: str, extras: tuple[str, ...]) -> Path:
    """Write the constraints file of a set."""
    file = place / f"{dependencies}.txt"
    pinned = (ROOT / "constraints.txt").read_text()
    torch = next(line for line in pinned.splitlines() if line.startswith("torch=="))
    file.write_text(pinned if dependencies == "pinned" else f"{torch}\n")
    if dependencies == "lowest":
        wanted = place / "wanted.in"
        wanted.write_text("\n".join(requirements(extras)))
        command = ["uv", "pip", "compile", "--resolution", "lowest-direct", *BINARY, "--python", python, "-c", file]
        said = subprocess.run([*command, "--no-annotate", "-q", wanted], check=True, stdout=subprocess.PIPE, text=True)
        # torch's line is left as it is: the lowest build of a release may be another than this machine has.
        direct = [line for line in said.stdout.splitlines() if not line.startswith("torch==")]
        file.write_text("\n".join([*direct, torch, ""]))
    return file


def setup() -> ConfigParser:
    """Read setup.cfg."""
    told = ConfigParser()
    told.read(ROOT / "setup.cfg")
    return told


def requirements(extras: tuple[str, ...]) -> list[str]:
    """What setup.cfg asks for, with some extras."""
    told = setup()
    lists = [told["options"]["install_requires"], *(told["options.extras_require"][extra] for extra in extras)]
    return [line for each in lists for line in each.split("\n") if line]


def resolve(place: Path, python: str, dependencies: str) -> bool:
    """Tell of each extra whether it resolves."""
    good = True
    for extra in setup()["options.extras_require"]:
        try:
            limits = constraints(place, python, dependencies, (extra,))
            (place / "wanted.in").write_text("\n".join(requirements((extra,))))
            command = ["uv", "pip", "compile", "-q", *BINARY, "--python", python, "-c", limits, place / "wanted.in"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            print(f"{Path(python).name} {dependencies} [{extra}] resolves", flush=True)
        except subprocess.CalledProcessError:
            good = False
            print(f"{Path(python).name} {dependencies} [{extra}] DOES NOT RESOLVE", flush=True)
    return good


def attempt(place: Path, wheel: Path, python: str, dependencies: str, *, day: bool) -> bool:
    """Install the wheel in a fresh environment and run the core there; tells how it went."""
    began, home = time.monotonic(), place / "venv"
    try:
        subprocess.run(["uv", "venv", "-q", "--clear", "--python", python, home], check=True)
        limits = constraints(place, python, dependencies, WITH)
        install = ["uv", "pip", "install", "-q", *BINARY, "--python", home / "bin/python"]
        subprocess.run([*install, "-c", limits, f"{wheel}[{','.join(WITH)}]", "pytest", "hypothesis"], check=True)
        run(home, place, "-c", "import rlhf_gym, sys; sys.exit(not rlhf_gym.__file__.startswith(sys.prefix))")
        # Old releases warn of newer ones: no warning is an error here.
        run(
            home,
            place,
            "-m",
            "pytest",
            "-q",
            "-o",
            "filterwarnings=",
            "-p",
            "no:cacheprovider",
            "--disable-warnings",
            *CORE,
        )
        if day:
            run(home, place, "tests/packaging/life.py", home / "bin/rlhf-gym", tempfile.mkdtemp(dir=place))
        good = True
    except subprocess.CalledProcessError as error:
        good = False
        print(f"{error}", file=sys.stderr)
    how = "works" if good else "FAILS"
    print(f"{Path(python).name} {dependencies} {how}, {time.monotonic() - began:.0f} s", flush=True)
    return good


def run(home: Path, place: Path, *words: str | Path) -> None:
    """Run the environment's Python beside the tests, where the checkout isn't."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([home / "bin/python", *words], cwd=place / "beside", env=kept, check=True)


if __name__ == "__main__":
    sys.exit(main())

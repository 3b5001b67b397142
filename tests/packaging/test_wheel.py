"""What the wheel holds, and whether a version says the same wherever it stands."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.packaging import lock, wheel

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "rlhf_gym"


def told(section: str, name: str) -> str:
    """What setup.cfg says."""
    return wheel.setup()[section][name]


def files() -> list[Path]:
    return [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_the_wheel_takes_every_file_that_is_no_python() -> None:
    taken = {
        path
        for package, patterns in wheel.setup()["options.package_data"].items()
        for pattern in patterns.split()
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    assert [str(path) for path in files() if path.suffix != ".py" and path not in taken] == []


def test_every_folder_of_modules_is_a_package() -> None:
    assert [str(path) for path in files() if path.suffix == ".py" and not (path.parent / "__init__.py").exists()] == []


def test_the_version_stands_in_the_changelog_and_the_citation_as_in_setup_cfg() -> None:
    version = told("metadata", "version")
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)\]? - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert released[0] == (version, str(cited["date-released"])) and cited["version"] == version
    assert cited["license"] == told("metadata", "license") and cited["abstract"] == told("metadata", "description")


def test_every_pin_is_locked_with_its_hashes() -> None:
    locked = lock.blocks(lock.LOCK.read_text())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in locked)
    names = {block.split(" \\")[0].strip().lower().split(" ;")[0] for block in locked}
    pins = re.findall(r"^([A-Za-z][^#\s;]+==[^\s;]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert {pin.lower() for pin in pins if not lock.UNLOCKED.match(pin)} <= names


def test_the_lowest_dependencies_tried_are_those_of_setup_cfg() -> None:
    wanted = wheel.requirements(("web",))
    assert "numpy>=1.26" in wanted and "fastapi>=0.115" in wanted and "pyarrow>=15.0" not in wanted


def test_the_core_that_is_run_beside_the_wheel_exists_and_needs_no_checkout() -> None:
    for path in wheel.CORE:
        held = (ROOT / path).read_text()
        assert "parents[2]" not in held, path  # the tests are copied, the checkout's other files aren't
        tree = ast.walk(ast.parse(held))
        origins = {(node.module or "").split(".")[0] for node in tree if isinstance(node, ast.ImportFrom)}
        assert not origins & {"experiments", "examples"}, path


@pytest.mark.slow
def test_a_day_with_nothing_but_the_wheel() -> None:
    """In a fresh environment: train, label on the page, be stopped, resume, evaluate, watch."""
    tried = f"--python 3.{sys.version_info.minor} --dependencies pinned --day"
    subprocess.run(["make", "wheel", f"PYTHON={sys.executable}", f"TRY={tried}"], cwd=ROOT, check=True)

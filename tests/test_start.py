"""What is imported when: nobody waits for what isn't needed."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rlhf_gym import envs, labelling

PACKAGE = Path(__file__).parents[1] / "rlhf_gym"
IMPORTED = """
import sys
import rlhf_gym.labelling.drawing
print(*sys.modules)
import rlhf_gym.labelling.page, rlhf_gym.labelling.desk
print(*sys.modules)
"""


def test_clips_are_drawn_without_torch_and_without_the_store_and_shown_without_torch() -> None:
    said = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True).stdout
    drawing, page = (set(line.split()) for line in said.splitlines())
    assert "gymnasium" in drawing and "fastapi" in page
    assert not drawing & {"torch", "stable_baselines3", "sqlalchemy", "scipy"}
    assert not page & {"torch", "stable_baselines3"}


def test_the_parts_of_scipy_that_take_long_to_import_are_imported_where_they_are_used() -> None:
    long = re.compile(r"^(?:from|import) scipy\.(?:signal|stats|optimize|spatial)\b", re.MULTILINE)
    at_once = {str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py") if long.search(file.read_text())}
    figures = {f"rewards/metrics/{name}.py" for name in ("coverage", "dard", "spearman")}  # imported by name
    assert at_once == figures


@pytest.mark.parametrize("room", [envs, labelling], ids=["envs", "labelling"])
def test_every_public_name_is_there_when_it_is_asked_for_and_no_other_one(room: ModuleType) -> None:
    assert all(hasattr(room, name) for name in room.__all__)
    with pytest.raises(AttributeError, match=f"module '{room.__name__}' has no attribute 'nothing'"):
        _ = room.nothing

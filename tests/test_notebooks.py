"""Every notebook runs from top to bottom, and what is committed shows its outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
# Cells run the same with fewer steps, which is most of their time; what they learn is seen in the committed outputs.
SHORTER = {
    "01_quickstart": ("labels=50,", "labels=50, total_timesteps=10_000,"),
    "03_be_the_teacher": ("total_timesteps=40_000", "total_timesteps=6_000"),
    "04_is_the_reward_any_good": ("STEPS = 30_000", "STEPS = 6_000"),
    "05_your_own_environment": ("STEPS = 30_000", "STEPS = 6_000"),
    "06_offline": ("STEPS = 40_000", "STEPS = 6_000"),
}
LONG = ("01_quickstart", "04_is_the_reward_any_good", "06_offline")


def test_there_are_notebooks():
    assert {path.stem for path in NOTEBOOKS} >= set(SHORTER)


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.slow] * (path.stem in LONG), id=path.stem) for path in NOTEBOOKS]
)
def test_a_notebook_runs_and_its_outputs_are_committed(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code) and any(cell.outputs for cell in code)
    if path.stem in SHORTER:
        long, short = SHORTER[path.stem]
        assert sum(cell.source.count(long) for cell in code) == 1, f"{path.name} no longer says {long}"
        for cell in code:
            cell.source = cell.source.replace(long, short)
    NotebookClient(notebook, timeout=400, resources={"metadata": {"path": str(tmp_path)}}).execute()

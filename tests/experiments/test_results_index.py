"""The pages that are written by hand say what the rows say."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from experiments.harness.records import read_rows
from experiments.harness.results import read_results
from experiments.harness.settings import names
from experiments.measurements.bench import of_commit
from rlhf_gym.stats import interquartile_mean

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
NUMBER = r"(−?[\d.,]+)"
FIGURE = re.compile(rf"(?<![\w.]){NUMBER} \({NUMBER} to {NUMBER}\)")


def reached(values, middle=interquartile_mean):
    return middle(values), min(values), max(values)


def figures_of_rows():
    """Every middle, lowest and highest over seeds that rows give: measures, last rounds, peers and pairs."""
    found = []
    for name in names():
        results = read_results(name, results_dir=RESULTS)
        for setting, rows in results.runs.items():
            for measure in ("true_return_mean", *results.settings[setting].measures):
                found.append(reached([float(row[measure]) for row in rows]))
            last = {row["seed"]: float(row["true_return"]) for row in results.curves if row["setting"] == setting}
            found.append(reached(list(last.values())))
    peers = [row for row in read_rows(RESULTS / "peers" / "runs.csv") if not row["error"]]
    for task, who in {(row["task"], row["who"]) for row in peers}:
        returns = [float(row["true_return_mean"]) for row in peers if (row["task"], row["who"]) == (task, who)]
        found.append(reached(returns, lambda values: sum(values) / len(values)))
    pairs = RESULTS / "bench" / "pairs.csv"
    timed = of_commit(pairs, read_rows(pairs)[-1]["commit"])
    for task in {row["env_id"] for row in timed}:
        ratios = sorted(row["ratio"] for row in timed if row["env_id"] == task)
        found.append(reached(ratios, lambda values: (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2))
    return found


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_every_figure_with_a_range_is_one_of_the_rows(page):
    told = FIGURE.findall((ROOT / page).read_text(encoding="utf-8"))
    known = figures_of_rows()
    assert len(told) >= 20
    for texts in told:
        numbers = [float(text.replace("−", "-").replace(",", "")) for text in texts]
        half = 0.5 * 10.0 ** -max(len(text.partition(".")[2]) for text in texts) + 1e-9
        assert any(all(abs(a - b) <= half for a, b in zip(numbers, row, strict=True)) for row in known), texts


def test_the_index_names_pages_pictures_and_commands_that_exist():
    text = (RESULTS / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"\]\(([\w./]+)\)", text)
    assert len(named) >= 10 and not [name for name in named if not (RESULTS / name).exists()]
    modules = re.findall(r"python -m\s(experiments[\w.]+)", text)
    assert len(modules) >= 5 and all(find_spec(module) for module in modules)


@pytest.mark.parametrize("page", sorted(RESULTS.glob("**/README.md")), ids=lambda path: path.parent.name)
def test_every_page_of_results_begins_with_its_answer(page):
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line and not line.startswith("<!--")]
    assert lines[0].startswith("# ") and lines[1].startswith("**")

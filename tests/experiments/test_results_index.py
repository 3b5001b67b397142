"""The pages that are written by hand say what the rows say."""

import re
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from statistics import median

import pytest

from experiments.harness.older import listed_older
from experiments.harness.results import read_results
from experiments.harness.settings import names
from experiments.measurements.bench import of_commit
from experiments.measurements.relearned.page import WHO, by_task
from experiments.measurements.relearned.parts import learned
from rlhf_gym.stats import interquartile_mean
from rlhf_gym.sweeps.records import read_rows

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
NUMBER = r"(−?[\d.,]+)"
FIGURE = re.compile(rf"(?<![\w.]){NUMBER} \({NUMBER} to {NUMBER}\)")


def reached(values, middle=interquartile_mean):
    return middle(values), min(values), max(values)


def figures_of_rows():
    """Every middle, lowest and highest over seeds that rows give, apart by whether they are of the present code."""
    found, older = {True: [], False: []}, listed_older(RESULTS)
    for name in names():
        if (RESULTS / name / "runs.csv").exists():
            results = read_results(name, results_dir=RESULTS)
            for key, family in results.families.items():
                found[f"{name}/{key}" not in older] += figures_of(results, family)
    found["peers" not in older] += figures_of_peers()
    found["bench" not in older] += figures_of_pairs()
    found["relearned" not in older] += figures_of_relearned()
    return found


def figures_of(results, family):
    for setting in results.of(family):
        rows = results.runs[setting]
        for measure in ("true_return_mean", *results.settings[setting].measures):
            yield reached([float(row[measure]) for row in rows])
        last = {row["seed"]: float(row["true_return"]) for row in results.curves if row["setting"] == setting}
        if not any(map(isnan, last.values())):  # in some last rounds no episode ends
            yield reached(list(last.values()))


def figures_of_peers():
    peers = [row for row in read_rows(RESULTS / "peers" / "runs.csv") if not row["error"]]
    for task, who in {(row["task"], row["who"]) for row in peers}:
        returns = [float(row["true_return_mean"]) for row in peers if (row["task"], row["who"]) == (task, who)]
        yield reached(returns, lambda values: sum(values) / len(values))


def figures_of_pairs():
    pairs = RESULTS / "bench" / "pairs.csv"
    timed = of_commit(pairs, read_rows(pairs)[-1]["commit"])
    for task in {row["env_id"] for row in timed}:
        for ratio in ("ratio", "fused_ratio"):
            ratios = sorted(row[ratio] for row in timed if row["env_id"] == task and row[ratio] != "")
            if ratios:
                yield reached(ratios, median)


def figures_of_relearned():
    rows = read_rows(RESULTS / "relearned" / "runs.csv")
    for of in by_task(list(learned(rows, RESULTS))).values():
        yield from (reached([getattr(one, who) for one in of]) for who in WHO)


def known_in(texts, rows):
    numbers = [float(text.replace("−", "-").replace(",", "")) for text in texts]
    half = 0.5 * 10.0 ** -max(len(text.partition(".")[2]) for text in texts) + 1e-9
    return any(all(abs(a - b) <= half for a, b in zip(numbers, row, strict=True)) for row in rows)


PAGES = ["README.md", "results/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_figure_with_a_range_is_one_of_the_rows(page):
    told = FIGURE.findall((ROOT / page).read_text(encoding="utf-8"))
    known = [row for rows in figures_of_rows().values() for row in rows]
    assert len(told) >= 20
    for texts in told:
        assert known_in(texts, known), texts


@pytest.mark.parametrize("page", PAGES)
def test_what_is_of_older_code_has_a_dagger_beside_it_that_the_page_explains(page):
    text, fresh = (ROOT / page).read_text(encoding="utf-8"), figures_of_rows()[True]
    for block in text.split("\n\n"):
        older = [texts for texts in FIGURE.findall(block) if not known_in(texts, fresh)]
        assert "†" in block or not older, f"of older code, and says so nowhere: {older[0]}"
    assert "†" not in text or re.search(r"^† .*older than the present code.*older\.txt", text, flags=re.MULTILINE)


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

"""The page on how cost grows says what its rows say."""

import pytest

from experiments.harness.checkout import ROOT
from experiments.measurements.growth import (
    ASKED,
    PARTS,
    SIZES,
    SWEEPS,
    USUAL,
    answer,
    draw,
    exponent,
    measure,
    of_sweep,
    sizes,
    table,
)

ENSEMBLE = next(sweep for sweep in SWEEPS if sweep.changed == "ensemble")


def row(seconds, **size):
    """A row whose parts all take so many seconds."""
    return {**USUAL, **size, **dict.fromkeys(PARTS, seconds), "memory_mb": 100, "store_mb": 10}


ROWS = [row(0.1, answers=100), row(0.1), row(0.2, answers=10_000), row(0.5, ensemble=50)]
ROWS = [{name: str(value) for name, value in one.items()} for one in [*ROWS, row(0.4, answers=10_000)]]


def test_every_size_is_measured_once_and_differs_from_the_usual_in_one_number():
    assert all(USUAL[sweep.changed] in sweep.values for sweep in SWEEPS)
    asked_for = {(*{**USUAL, **sweep.beside, sweep.changed: n}.items(),) for sweep in SWEEPS for n in sweep.values}
    assert sorted(map(sorted, asked_for)) == sorted(sorted(size.items()) for size in sizes())
    for size in sizes():
        changed = {name for name, usual in USUAL.items() if size[name] != usual}
        assert len(changed - {"linear"}) <= 1 or changed == {"answers", "said"}


def test_a_sweep_has_the_rows_of_one_number_in_order_and_of_two_alike_the_last():
    assert [(one["answers"], one["fit"]) for one in of_sweep(ROWS, SWEEPS[0])] == [
        (100, 0.1),
        (1000, 0.1),
        (10_000, 0.4),
    ]
    assert [one["ensemble"] for one in of_sweep(ROWS, ENSEMBLE)] == [3, 50]


def test_what_grows_in_proportion_has_exponent_1_and_what_stays_0():
    rows = [{"answers": 10.0, "fit": 0.2, "ask": 0.1}, {"answers": 1000.0, "fit": 20.0, "ask": 0.1}]
    assert exponent(rows, "answers", "fit") == pytest.approx(1)
    assert exponent(rows, "answers", "ask") == 0


def test_the_page_tells_the_rows(tmp_path):
    assert "From 100 to 10,000 answers" in answer(ROWS) and "from 0.5 to 2.0 s" in answer(ROWS)
    assert "an answer takes 10 kB of memory" in answer(ROWS)
    assert "| 10,000 |" in table(ROWS) and "| 50 |" in table(ROWS) and "Still to be measured: 64, 1,024." in table(ROWS)
    changed = [row(0.1, answers=100_000, said=said) | {"memory_mb": memory} for said, memory in ((1, 900), (10, 990))]
    told = answer([*ROWS, *({name: str(value) for name, value in one.items()} for one in changed)])
    assert "answered 10 times each, 1,000,000 rows, take 1.10 times the memory" in told
    assert "answers that stand" not in answer(ROWS)
    draw(ROWS, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_row_is_measured():
    found = measure(**USUAL | {"answers": 2 * ASKED, "ensemble": 1, "steps": 5, "memory": 4096, "linear": 1})
    assert set(found) == {*PARTS, *SIZES} and found["fit"] > 0 and found["store_mb"] > 0


def test_the_page_is_listed_among_the_results():
    assert "(growth/README.md)" in (ROOT / "results" / "README.md").read_text(encoding="utf-8")

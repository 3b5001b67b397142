"""The page on what a machine can do says what its rows say."""

import pytest

from experiments.measurements.machine import answer, by, draw, measure, table


def row(speed, environments=1, processes=1, memory=400):
    """One row as its table has it."""
    found = {"environments": environments, "processes": processes, "cores": 2, "steps": 1000, "seconds": 1000 / speed}
    return {name: str(value) for name, value in {**found, "steps_per_second": speed, "memory_mb": memory}.items()}


ROWS = [row(900), row(1000), row(3000, environments=4), row(2500, environments=16), row(1900, processes=2)]


def test_a_sweep_has_the_rows_of_one_number_in_order_and_of_two_alike_the_last():
    assert [(one["environments"], one["steps_per_second"]) for one in by(ROWS, "environments")] == [
        (1, 1000),
        (4, 3000),
        (16, 2500),
    ]
    assert [one["processes"] for one in by(ROWS, "processes")] == [1, 2]


def test_the_page_tells_the_rows(tmp_path):
    said = answer(ROWS)
    assert "1,000 steps a second, with 4 in its process 3,000. On 2 cores, 2 runs at once make 1.9 times" in said
    assert "a process takes 400 MB" in said
    assert "| 16 | 2,500 | 0.4 | 400 |" in table(ROWS) and "| 2 | 1,900 |" in table(ROWS)
    draw(ROWS, tmp_path / "machine.png")
    assert (tmp_path / "machine.png").stat().st_size > 5_000


@pytest.mark.slow
def test_a_row_is_measured():
    found = measure(environments=4, processes=2, steps=8192)
    assert found["steps"] == 2 * 8192 and found["steps_per_second"] > 0 and found["memory_mb"] > 100

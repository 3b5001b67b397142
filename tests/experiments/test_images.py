"""The measurement of rewards that see images: its environment, and a page that says what its rows say."""

from pathlib import Path

import numpy as np

from experiments.harness.checkout import ROOT
from experiments.measurements.images import Square, measure, page
from rlhf_gym.sweeps.records import append_rows

WHERE = {"machine": "a machine", "commit": "c0", "python": "3.11", "jobs": "2", "date": "2026-11-26"}


def row(seen: str, seconds: float, by_segment: float, **other: str) -> dict[str, object]:
    of = {"size": 36, "channels": 3, "labels": 50, "images": seen, "seed": 0}
    return of | {"seconds": seconds, "memory_mb": 9, "by_step": 0.4, "by_segment": by_segment} | WHERE | other


def test_the_square_is_paid_for_being_in_the_middle_and_grey_frames_are_stacked() -> None:
    env = Square(16, 4)
    env.reset(seed=0)
    env.at = np.array([0.5, 0.5])
    observed, reward, *_ = env.step(0)
    assert reward > 0.8 and observed.shape == (16, 16, 4) and observed[6:10, 6:10, -1].max() == 255
    assert np.array_equal(env.step(1)[0][..., :-1], observed[..., 1:])


def test_a_row_is_measured() -> None:
    found = measure(size=8, channels=3, labels=2, images="flat", seed=0)
    assert found["seconds"] > 0 and -1 <= found["by_segment"] <= 1


def test_the_page_says_what_the_rows_of_the_last_commit_say(tmp_path: Path) -> None:
    rows = [row("cnn", 99, 0.1, commit="older"), row("cnn", 16.3, 0.82), row("flat", 7.6, 0.62)]
    append_rows(tmp_path / "runs.csv", rows)
    written = page(tmp_path / "runs.csv")
    assert "a fit takes 16 s and 9 MB by convolutions, 8 s and 9 MB flat" in written
    assert "correlate with the true ones by 0.82 and 0.62" in written and "99" not in written
    assert "--seeds 1 --jobs 2" in written and "Means over 1 seed (lowest to highest). a machine" in written


def test_the_page_is_named_where_results_are_listed() -> None:
    assert "(images/README.md)" in (ROOT / "results" / "README.md").read_text(encoding="utf-8")

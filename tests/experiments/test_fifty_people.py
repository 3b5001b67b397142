"""The measurement of many people at once counts what is lost or doubled, and its page says it."""

import pytest

from experiments.measurements.fifty_people.__main__ import OVER_TIME, PERCENTILES, answer, differences, measure, table
from experiments.measurements.fifty_people.clients import Tally
from experiments.measurements.fifty_people.watching import size_mb
from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore

WAITS = {f"{name}_{key}_ms": "7" for name in ("answer", "next") for key in PERCENTILES}
COUNTED = {"lost": "0", "unknown": "0", "twice": "0", "labels_stored": "990", "labels_used": "990"}
ROW = {"people": "50", "minutes": "60.0", "acknowledged": "1000", **COUNTED, **WAITS}
SAMPLES = [
    dict.fromkeys(OVER_TIME, "100") | {"minute": str(i), "answers": str(10 * i), "trainer_mb": str(200 + i)}
    for i in range(0, 101, 5)
]


def test_an_answer_that_is_not_stored_and_one_that_nobody_was_told_of_are_counted():
    tally = Tally(acknowledged={"ann": [("0-0", "left"), ("0-0", None), ("0-0", "tie")], "bob": [("0-1", "left")]})
    with PreferenceStore() as store:
        store.post(example_queries(3))
        for said in (Answer.LEFT, None, Answer.TIE):
            store.record("0-0", said, teacher="ann")
        assert differences(tally, store) == (1, 0)
        store.record("0-1", Answer.RIGHT, teacher="bob")  # another one than was acknowledged
        assert differences(tally, store) == (1, 1)


def test_the_page_says_what_was_lost_and_what_grew():
    told = answer(ROW, SAMPLES)
    assert "Of 1,000 answers that 50 people gave in 60 minutes none is lost, none is doubled" in told
    assert "the trainer from 225 to 300 MB, 100.0 kB for each answer" in told
    assert "3 differ from what is stored" in answer(ROW | {"lost": "1", "unknown": "2"}, SAMPLES)
    assert "989 labels were used" in answer(ROW | {"labels_used": "989"}, SAMPLES)
    assert len(table(SAMPLES).splitlines()) == 2 + 12


def test_the_size_of_a_folder_counts_what_its_name_begins_with(tmp_path):
    (tmp_path / "clips" / "a").mkdir(parents=True)
    (tmp_path / "clips" / "a" / "left.jpg").write_bytes(bytes(3000))
    (tmp_path / "preferences.db-wal").write_bytes(bytes(2000))
    assert size_mb(tmp_path, "clips") == 0.003 and size_mb(tmp_path, "preferences.db") == 0.002


@pytest.mark.slow
def test_three_people_at_a_trainer_and_its_page_make_a_row():
    row, over_time = measure(minutes=0.4, n=3, pace=(0.5, 1.5), store=None)
    assert row["acknowledged"] > 0 and (row["lost"], row["unknown"], row["twice"]) == (0, 0, 0)
    assert row["labels_stored"] == row["labels_used"] and row["answer_p50_ms"] > 0
    assert over_time[-1]["page_mb"] > 0 and over_time[-1]["trainer_mb"] > 0

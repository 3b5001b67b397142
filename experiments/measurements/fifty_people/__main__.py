"""Do fifty people at once lose an answer or fill memory? `python -m experiments.measurements.fifty_people`.

`rlhf-gym train --async-labels` trains a run on CartPole in one process, and `rlhf-gym label --web` serves its page in
another. Over this machine's loopback, fifty clients send the requests of the page's own script: for the next query, its
clips and those of the one after it, and then, after a pause as long as a person's, an answer. One answer in fifty is a
skip, and one in fifty is taken back and given again. The run wants more labels than come in the time. When the time is
over, the clients stop, and the trainer gets a SIGTERM and writes its checkpoint.

Then the answers that the page acknowledged are compared one by one with what is stored, and the number of labels stored
with the number that the run, resumed from its checkpoint, fits its reward to. *Acknowledged* is how long sending an
answer takes; the wait for the next pair lasts from then until all its pictures have come. Memory is resident memory,
read from /proc, so on Linux alone.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from experiments.measurements.fifty_people.clients import Tally, people
from experiments.measurements.fifty_people.watching import Samples, interrupt, training, until, watched
from experiments.measurements.page_waits import serving
from rlhf_gym import RLHF
from rlhf_gym.preferences import Answer
from rlhf_gym.runs.provenance import provenance
from rlhf_gym.store import PreferenceStore
from rlhf_gym.sweeps.records import append_rows, read_rows
from rlhf_gym.verbs.interrupts import interrupted_by_signals

OVER_TIME = {
    "minute": "minute",
    "answers": "answers",
    "trainer_mb": "trainer, MB",
    "page_mb": "page, MB",
    "drawer_mb": "drawing process, MB",
    "store_mb": "store, MB",
    "clips_mb": "clips, MB",
}
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "longest": 1.0}


def measure(*, minutes: float, n: int, pace: tuple[float, float], store: str | None) -> tuple[dict[str, Any], Samples]:
    """Make one row, and the samples over time."""
    tally, seconds = Tally(), 60 * minutes
    rounds = max(4, round(4 * minutes))
    labels = int(n * seconds / pace[0]) + n  # more than will be answered
    asked_for = {"labels": labels, "rounds": rounds, "outstanding": 3 * n + 2 * labels // rounds}
    with tempfile.TemporaryDirectory() as directory:
        run_dir = Path(directory) / "run"
        with training(run_dir, **asked_for, store=store) as trainer:
            until((run_dir / "config.yaml").exists, trainer)
            place = store or run_dir / "preferences.db"
            until(lambda: asked(place), trainer)
            with serving(run_dir) as served, people(n, served.port, pace, tally):
                over_time = watched(trainer, served, run_dir, tally, seconds=seconds)
            interrupt(trainer)
        with closing(RLHF.resume(run_dir)) as rlhf:
            used = len(rlhf.answers.choices)
        with PreferenceStore(place) as there:
            lost, unknown = differences(tally, there)
            stored, twice = there.counts().labels, doubled(there)
    row = {
        "people": n,
        "minutes": over_time[-1]["minute"],
        "thinking_s": f"{pace[0]:g} to {pace[1]:g}",
        "store": "PostgreSQL" if store else "SQLite",
        "acknowledged": tally.answers,
        "lost": lost,
        "unknown": unknown,
        "twice": twice,
        "labels_stored": stored,
        "labels_used": used,
        "refused": tally.refused.total(),
        "refusals": "; ".join(f"{what}: {times}" for what, times in sorted(tally.refused.items())),
    }
    for name, found in (("answer", tally.answer_ms), ("next", tally.next_ms)):
        row |= {f"{name}_{key}_ms": round(float(np.quantile(found, q)), 1) for key, q in PERCENTILES.items()}
    return row, over_time


def asked(place: str | Path) -> bool:
    """Test whether a store is there and has queries."""
    if isinstance(place, Path) and not place.exists():
        return False
    with PreferenceStore(place) as store:
        return store.number_asked() > 0


def differences(tally: Tally, store: PreferenceStore) -> tuple[int, int]:
    """Count the answers that were acknowledged and aren't stored, and those that are stored and weren't acknowledged.

    An answer whose acknowledgement didn't reach its client counts among the latter.
    """
    stored: Counter[tuple[str, str, str | None]] = Counter()
    for given in store.history():
        said = given.answer.value if isinstance(given.answer, Answer) else None
        stored[given.who, given.query_id, said] += 1
    told = Counter((who, *said) for who, mine in tally.acknowledged.items() for said in mine)
    return (told - stored).total(), (stored - told).total()


def doubled(store: PreferenceStore) -> int:
    """Count the queries with more than one answer in effect."""
    return sum(times > 1 for times in Counter(preference.query.id for preference in store.preferences()).values())


def at(samples: Sequence[dict[str, str]], share: float) -> dict[str, float]:
    """Find the sample nearest to a share of the time."""
    numbers = [{name: float(value) for name, value in row.items() if name in OVER_TIME} for row in samples]
    return min(numbers, key=lambda row: abs(row["minute"] - share * numbers[-1]["minute"]))


def answer(row: dict[str, str], samples: Sequence[dict[str, str]]) -> str:
    """Say whether an answer was lost, how long people waited, and what grew after the first quarter of the time."""
    early, late = at(samples, 0.25), at(samples, 1.0)
    new = late["answers"] - early["answers"]
    lost, twice = int(row["lost"]) + int(row["unknown"]), int(row["twice"])
    whole = not lost and not twice and row["labels_stored"] == row["labels_used"]
    said = (
        "none is lost, none is doubled, and the run is fitted to every label"
        if whole
        else f"**{lost} differ from what is stored**, {twice} are doubled, {row['labels_used']} labels were used"
    )
    return (
        f"Of {int(row['acknowledged']):,} answers that {row['people']} people gave in {float(row['minutes']):.0f} "
        f"minutes {said}. Half are acknowledged within {float(row['answer_p50_ms']):.0f} ms and 99 in 100 within "
        f"{float(row['answer_p99_ms']):.0f} ms; the next pair is in view after {float(row['next_p50_ms']):.0f} and "
        f"{float(row['next_p99_ms']):.0f} ms. From a quarter of the time to its end the page grows from "
        f"{early['page_mb']:.0f} to {late['page_mb']:.0f} MB and the trainer from {early['trainer_mb']:.0f} to "
        f"{late['trainer_mb']:.0f} MB, {1000 * (late['trainer_mb'] - early['trainer_mb']) / new:.1f} kB for each "
        f"answer; the store grows by {1000 * (late['store_mb'] - early['store_mb']) / new:.1f} kB an answer, and the "
        f"clips take {late['clips_mb']:.0f} of at most 268 MB."
    )


def table(samples: Sequence[dict[str, str]]) -> str:
    """Write memory and disk at about twelve moments, from the first to the last."""
    lines = ["| " + " | ".join(OVER_TIME.values()) + " |", "|---" * len(OVER_TIME) + "|"]
    chosen = dict.fromkeys(round(i) for i in np.linspace(0, len(samples) - 1, 12))
    for row in (samples[i] for i in chosen):
        lines.append("| " + " | ".join(f"{float(row[name]):,.{name == 'minute':d}f}" for name in OVER_TIME) + " |")
    return "\n".join(lines)


def page(folder: Path) -> str:
    """Make the text of the page from the row measured last."""
    row = read_rows(folder / "runs.csv")[-1]
    samples = [one for one in read_rows(folder / "over_time.csv") if one["began"] == row["began"]]
    how = (__doc__ or "").partition("\n\n")[2]
    waits = "\n".join(
        f"| {what} | " + " | ".join(f"{float(row[f'{name}_{key}_ms']):.0f}" for key in PERCENTILES) + " |"
        for name, what in (("answer", "acknowledged, ms"), ("next", "next pair, ms"))
    )
    refused = f"The page refused {row['refused']} requests" + (f" ({row['refusals']})." if row["refusals"] else ".")
    return (
        f"<!-- Made by `python -m experiments.measurements.fifty_people`. -->\n# Fifty people at once\n\n"
        f"**{answer(row, samples)}**\n\n{how}\n"
        f"```\npython -m experiments.measurements.fifty_people --people {row['people']} --minutes "
        f"{row['asked_minutes']}\n```\n\n"
        f"| | median | 90 % | 99 % | longest |\n|---|---|---|---|---|\n{waits}\n\n{table(samples)}\n\n"
        f"Thinking takes {row['thinking_s']} s, drawn uniformly; the store is {row['store']}. {refused} "
        f"{int(row['labels_stored']):,} labels are stored, and the reward is fitted to {int(row['labels_used']):,}; "
        f"skips and answers taken back are acknowledged, too. Load average before: {row['load']}. {row['machine']}; "
        f"Python {row['python']}; commit {row['commit']}; {row['began'][:10]}.\n"
    )


def main(
    minutes: float = 60.0,
    people: int = 50,
    thinking: tuple[float, float] = (6.0, 18.0),
    store: str | None = None,
    results_dir: Path = Path("results"),
) -> None:
    """Measure, and write the page.

    Args:
        minutes: How long people answer, about; 0 only writes the page.
        people: Number of people at once.
        thinking: Least and most seconds that they look at a pair.
        store: URL of an empty PostgreSQL database; None is the run's own file.
        results_dir: A row is appended to `fifty_people/runs.csv` in it, and samples to `fifty_people/over_time.csv`;
            `fifty_people/README.md` is rewritten.
    """
    results = results_dir / "fifty_people"
    if minutes:
        made, began, load = provenance(""), datetime.now(timezone.utc).isoformat(timespec="seconds"), os.getloadavg()[0]
        row, samples = measure(minutes=minutes, n=people, pace=thinking, store=store)
        kept = {name: made[name] for name in ("machine", "commit", "python")}
        row |= {"asked_minutes": f"{minutes:g}", "load": round(load, 2), "began": began} | kept
        append_rows(results / "runs.csv", [row])
        append_rows(results / "over_time.csv", [{"began": began} | one for one in samples])
    written = page(results)
    (results / "README.md").write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    with interrupted_by_signals():  # or the trainer would go on alone
        tyro.cli(main)

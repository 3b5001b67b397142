"""How do time, memory and disk of a round grow? `python -m experiments.measurements.growth`.

A new run is given synthetic answers, all at once, about segments with the shapes of a task. Then the parts of one more
round are timed, in CPU seconds of this process, which other work on the machine changes little: 10 queries are chosen,
posted and answered, the reward model is fitted, its figures are reported, and a checkpoint is written. The policy's
training is left out, because it doesn't depend on the number of answers. Of two such rounds the second counts, because
the first encodes every segment. Each row is measured in its own process, and its memory is what the process's peak
grows by from the first step on.

Changed one at a time are the answers, the networks of the ensemble, the numbers observed in a step, the steps of a
segment, and the steps remembered, from which queries are cut (`query.memory_steps`, all filled). The answers are
changed a second time with a part that is quadratic in what is observed (`--reward.linear quadratic`), as in the presets
of MuJoCo's tasks. 100,000 queries are also answered ten times each, as by people who change their minds: a million
rows, of which the last to each query stands. Parts that grow faster than what is changed have an exponent above 1.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import tyro
from gymnasium import spaces
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from tqdm import tqdm

from experiments.harness.checkout import figures_from
from experiments.harness.made import measured_columns, measured_last
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.plots import COLOURS, INK, dress
from rlhf_gym.preferences import Answer, Query
from rlhf_gym.reporting import report_round
from rlhf_gym.rewards import RewardFit
from rlhf_gym.runs.provenance import peak_rss_mb
from rlhf_gym.segments import Origin, Segment
from rlhf_gym.sweeps.records import append_rows

USUAL = {"answers": 1000, "ensemble": 3, "observed": 4, "steps": 25, "memory": 16_384, "linear": 0, "said": 1}


class Sweep(NamedTuple):
    """A sweep over one number, and which other numbers aren't as usual."""

    changed: str
    """Column of the number that is changed."""
    what: str
    """Description of that number."""
    values: Sequence[int]
    beside: Mapping[str, int] = MappingProxyType({})


SWEEPS = (
    Sweep("answers", "answers", (100, 1000, 10_000, 100_000, 1_000_000)),
    Sweep("answers", "answers, with a quadratic part", (100, 1000, 10_000, 100_000), MappingProxyType({"linear": 1})),
    Sweep("said", "answers to a query, of 100,000 queries", (1, 10), MappingProxyType({"answers": 100_000})),
    Sweep("ensemble", "networks of the ensemble", (3, 10, 50)),
    Sweep("observed", "numbers observed in a step", (4, 64, 1024)),
    Sweep("steps", "steps of a segment", (25, 100, 400)),
    Sweep("memory", "steps remembered", (16_384, 131_072, 1_048_576)),
)
PARTS = {"choose": "choose", "ask": "post and answer", "fit": "fit", "report": "report", "checkpoint": "checkpoint"}
SIZES = {"memory_mb": "memory, MB", "store_mb": "store, MB"}
ASKED, POSTED = 10, 1000  # queries of a round; queries posted at once


class Synthetic(gymnasium.Env[Any, Any]):
    """Observations drawn at random in every step; the first number is the reward."""

    def __init__(self, observed: int = 4) -> None:
        self.observation_space = spaces.Box(-math.inf, math.inf, (observed,), np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        return self._observed(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Draw an observation."""
        observed = self._observed()
        return observed, float(observed[0]), False, False, {}

    def _observed(self) -> Any:
        return self.np_random.standard_normal(self.observation_space.shape, np.float32)


ENV_ID = "rlhf_gym/Growth-v0"
gymnasium.register(ENV_ID, entry_point=f"{Synthetic.__module__}:Synthetic", max_episode_steps=500)


def queries(n: int, *, observed: int, steps: int, rng: np.random.Generator) -> list[Query]:
    """Make comparisons of segments that begin 100 steps into an episode."""

    def segment() -> Segment:
        origin = Origin(ENV_ID, int(rng.integers(2**31)), {"observed": observed})
        observations = rng.standard_normal((steps + 1, observed), np.float32)
        actions, earlier = rng.integers(2, size=steps), rng.integers(2, size=100)
        return Segment(observations, actions, observations[1:, 0].copy(), steps, False, earlier, origin)

    return [Query((segment(), segment()), id=rng.bytes(16).hex()) for _ in range(n)]


def answered(asked: Sequence[Query]) -> list[Answer]:
    """Prefer the segment with the higher true return."""
    return [Answer.LEFT if query.left.true_return > query.right.true_return else Answer.RIGHT for query in asked]


def one_round(rlhf: RLHF, number: int) -> dict[str, float]:
    """Measure the CPU seconds of each part of a round."""
    parts = rlhf._parts
    rlhf.answers.begin_round()
    kept: list[Query] = []
    fits: list[RewardFit] = []

    def choose() -> None:
        kept.extend(parts.choose(ASKED))

    def ask() -> None:
        rlhf.answers.post(kept)
        rlhf.answers.tell(kept, answered(kept))

    def fit() -> None:
        fits.append(rlhf.fit_reward())

    def report() -> None:
        report_round(parts, number, fits[0], rlhf.stopwatch)

    def checkpoint() -> None:
        about = number + 1, rlhf.method, parts.recorders, rlhf.stopwatch
        rlhf._checkpoints.save(*about, rest=rlhf._rest, last=True)

    steps: dict[str, Callable[[], Any]] = {
        "choose": choose,
        "ask": ask,
        "fit": fit,
        "report": report,
        "checkpoint": checkpoint,
    }
    found = {}
    for name, do in steps.items():
        began = time.process_time()
        do()
        found[name] = time.process_time() - began
    return found


def measure(
    *, answers: int, ensemble: int, observed: int, steps: int, memory: int, linear: int, said: int
) -> dict[str, Any]:
    """Make one row."""
    config = RLHFConfig().replace(
        env_id=ENV_ID,
        env_kwargs={"observed": observed},
        labels=answers + 2 * ASKED,
        total_timesteps=2 * memory,
        segment_length=steps,
        teacher="store",
        reward={"ensemble_size": ensemble, "linear": "quadratic" if linear else None},
        query={"warm_up_steps": memory, "memory_steps": memory},
    )
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as directory:
        run_dir = Path(directory) / "run"
        with closing(RLHF(config.replace(run_dir=str(run_dir)))) as rlhf:
            before = peak_rss_mb()
            rlhf.collect()
            for start in range(0, answers, POSTED):
                posted = queries(min(POSTED, answers - start), observed=observed, steps=steps, rng=rng)
                rlhf.answers.post(posted)
                told = answered(posted)
                for still in reversed(range(said)):
                    rlhf.answers.tell(posted, [answer.mirrored for answer in told] if still % 2 else told)
                    rlhf.answers.begin_round()  # reads the answers, as a round does
            rlhf.fit_reward()
            seconds = [one_round(rlhf, number) for number in range(2)][-1]
            sizes = {"memory_mb": peak_rss_mb() - before, "store_mb": mb(run_dir.glob("preferences.db*"))}
    return {name: round(seconds[name], 4) for name in PARTS} | {name: round(size, 2) for name, size in sizes.items()}


def mb(files: Iterable[Path]) -> float:
    """Sum the sizes of files, in MB."""
    return sum(file.stat().st_size for file in files) / 1e6


def in_fresh_process(size: dict[str, int]) -> dict[str, Any]:
    """Make one row in a new process."""
    return figures_from([sys.executable, "-m", "experiments.measurements.growth", "--one", json.dumps(size)])


def sizes() -> list[dict[str, int]]:
    """List the sizes to measure, sorted by answers: the usual ones with one number changed."""
    found = [USUAL | dict(sweep.beside) | {sweep.changed: value} for sweep in SWEEPS for value in sweep.values]
    return sorted((size for i, size in enumerate(found) if size not in found[:i]), key=lambda size: size["answers"])


def of_sweep(rows: Sequence[dict[str, str]], sweep: Sweep) -> list[dict[str, float]]:
    """List the rows of a sweep, sorted by the number that changes; of equal ones the last."""
    found, name, wanted = {}, sweep.changed, USUAL | dict(sweep.beside)
    for row in rows:
        if all(int(row[other]) == value for other, value in wanted.items() if other != name):
            found[int(row[name])] = {key: float(row[key]) for key in (name, *PARTS, *SIZES)}
    return [found[value] for value in sorted(found)]


def exponent(rows: Sequence[dict[str, float]], by: str, of: str) -> float:
    """Compute the exponent of growth between the last two rows: 1 is in proportion, 0 is no growth."""
    before, last = rows[-2:]
    return math.log(max(last[of], 1e-4) / max(before[of], 1e-4)) / math.log(last[by] / before[by])


def answer(rows: Sequence[dict[str, str]]) -> str:
    """Say how a round grows with the answers, and what grows most."""
    grown = of_sweep(rows, SWEEPS[0])
    seconds = [sum(row[part] for part in PARTS) for row in (grown[0], grown[-1])]
    part = max(PARTS, key=lambda name: grown[-1][name] - grown[0][name])
    most = grown[-1]
    return (
        f"From {grown[0]['answers']:,.0f} to {most['answers']:,.0f} answers the CPU time of a round, without the "
        f"policy's training, grows from {seconds[0]:.1f} to {seconds[1]:.1f} s; what grows most is {PARTS[part]} "
        f"({grown[0][part]:.2f} to {most[part]:.2f} s, exponent {exponent(grown, 'answers', part):.1f}). At the end an "
        f"answer takes {1000 * most['memory_mb'] / most['answers']:.0f} kB of memory and "
        f"{1000 * most['store_mb'] / most['answers']:.1f} kB of the store; nothing failed up to there."
        f"{said_again(rows)}"
    )


def said_again(rows: Sequence[dict[str, str]]) -> str:
    """Say what repeated answers to the same queries cost; empty if that wasn't measured."""
    sweep = next(sweep for sweep in SWEEPS if sweep.changed == "said")
    swept = of_sweep(rows, sweep)
    if len(swept) < len(sweep.values):
        return ""
    once, often = swept[0], swept[-1]
    asked, said = sweep.beside["answers"], int(often["said"])
    return (
        f" Memory depends on the answers that stand: {asked:,} queries answered {said} times each, {asked * said:,} "
        f"rows, take {often['memory_mb'] / once['memory_mb']:.2f} times the memory of the same queries answered once."
    )


def table(rows: Sequence[dict[str, str]]) -> str:
    """Make a table for each sweep, with one line per size."""
    names = PARTS | SIZES
    heads = [f"{text}, s" if name in PARTS else text for name, text in names.items()]
    parts = []
    for sweep in SWEEPS:
        name = sweep.changed
        lines = [f"| {sweep.what} | " + " | ".join(heads) + " |", "|---" * (len(names) + 1) + "|"]
        swept = of_sweep(rows, sweep)
        for row in swept:
            cells = [f"{row[key]:.3f}" if key in PARTS else f"{row[key]:.0f}" for key in names]
            lines.append(f"| {row[name]:,.0f} | " + " | ".join(cells) + " |")
        if len(swept) > 1:
            lines.append("| exponent | " + " | ".join(f"{exponent(swept, name, key):.1f}" for key in names) + " |")
        if missing := sorted(set(sweep.values) - {int(row[name]) for row in swept}):
            lines.append(f"\nStill to be measured: {', '.join(f'{value:,}' for value in missing)}.")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def draw(rows: Sequence[dict[str, str]], path: Path) -> None:
    """Draw seconds above and megabytes below, a column for each number that is changed."""
    figure = Figure(figsize=(17, 6), layout="constrained")
    axes = figure.subplots(2, len(SWEEPS), sharey="row")
    for column, sweep in zip(axes.T, SWEEPS, strict=True):
        swept, name = of_sweep(rows, sweep), sweep.changed
        for axis, names in zip(column, (PARTS, SIZES), strict=True):
            for (key, text), colour in zip(names.items(), COLOURS, strict=False):
                xs, ys = ([row[one] for row in swept] for one in (name, key))
                axis.plot(xs, ys, color=colour, marker="o", markersize=4, label=text)
            dress(axis)
            axis.set(xscale="log", yscale="log")
            axis.set_xticks([row[name] for row in swept])
            axis.xaxis.set_major_formatter(EngFormatter(places=0, sep=""))
            axis.minorticks_off()
            axis.grid(color="#e6e6e6", linewidth=0.8)
        column[1].set_xlabel(sweep.what.replace(", ", ",\n"))
    axes[0, 0].set_ylabel("CPU seconds of a round")
    axes[1, 0].set_ylabel("MB")
    for axis in axes[:, -1]:
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, labelcolor=INK)
    for axis in axes[:, 0]:
        axis.yaxis.label.set_color(INK)
    figure.savefig(path, dpi=110)


def page(path: Path) -> str:
    """Make the text of the page from the rows of the commit measured last."""
    rows = measured_last(path)
    last = rows[-1]
    how = (__doc__ or "").partition("\n\n")[2]
    usual = ", ".join(f"{USUAL[sweep.changed]:,} {sweep.what}" for sweep in SWEEPS if not sweep.beside)
    return (
        f"<!-- Made by `python -m experiments.measurements.growth`. -->\n# How cost grows\n\n**{answer(rows)}**\n\n"
        f"![CPU seconds and megabytes by answers, networks, observation and segment](growth.png)\n\n{how}\n"
        f"```\npython -m experiments.measurements.growth\n```\n\n{table(rows)}\n\n"
        f"What isn't changed has its usual value: {usual}. The exponent is that between the last two rows; {ASKED} "
        "queries are asked in a round. "
        f"{last['machine']}; Python {last['python']}; commit {last['commit']}; {last['date']}.\n"
    )


def main(most: int = 1_000_000, one: str | None = None, results_dir: Path = Path("results")) -> None:
    """Measure, and write the page and its picture.

    Args:
        most: Largest number of answers; 0 only writes the page. A million come last, and need about 9 GB of memory.
        one: Measure one size only, given as JSON, and print its figures.
        results_dir: Each row is appended to `growth/runs.csv` in it; `growth/README.md` and `growth.png` are rewritten.
    """
    if one is not None:
        print(json.dumps(measure(**json.loads(one))))
        return
    results, made = results_dir / "growth", measured_columns()
    for size in tqdm([size for size in sizes() if size["answers"] <= most], unit="row"):
        row = size | in_fresh_process(size) | made
        append_rows(results / "runs.csv", [row])
    written = page(results / "runs.csv")
    (results / "README.md").write_text(written, encoding="utf-8")
    draw(measured_last(results / "runs.csv"), results / "growth.png")
    print(written)


if __name__ == "__main__":
    tyro.cli(main)

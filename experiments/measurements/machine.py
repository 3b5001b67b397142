"""How fast is a run, by its environments and by the runs beside it? `python -m experiments.measurements.machine`.

A run on HalfCheetah-v5 with 50 labels makes 16,384 steps, in rollouts of 2,048 steps and batches of 64, whatever the
number of environments in its process. First that number is changed, with no other run beside it. Then several runs
begin together, each in its own process with one thread and one environment. Speed is the number of steps of all runs
divided by the seconds of the slowest, without imports; memory is the peak of the largest process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tyro
from matplotlib.figure import Figure
from tqdm import tqdm

from experiments.harness.checkout import figures_from
from experiments.harness.made import measured_columns, measured_last
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.plots import COLOURS, INK, dress
from rlhf_gym.runs.provenance import peak_rss_mb
from rlhf_gym.sweeps.records import append_rows

ENV_ID = "HalfCheetah-v5"
STEPS, ROLLOUT = 16_384, 2048
ENVIRONMENTS = (1, 4, 16, 64)
PROCESSES = (1, 2, 4, 8)


def one_run(environments: int, steps: int) -> dict[str, float]:
    """Measure the seconds and peak memory of one run in this process."""
    options = {"n_steps": ROLLOUT // environments, "batch_size": 64}
    config = RLHFConfig.for_env(
        ENV_ID, labels=50, total_timesteps=steps, agent={"n_envs": environments, "options": options}
    )
    began = time.perf_counter()
    RLHF(config).learn()
    return {"seconds": time.perf_counter() - began, "memory_mb": peak_rss_mb()}


def measure(*, environments: int, processes: int, steps: int = STEPS) -> dict[str, Any]:
    """Make one row, from `processes` runs at once."""
    command = [sys.executable, "-m", "experiments.measurements.machine", "--one", str(environments), str(steps)]
    with ThreadPoolExecutor(processes) as pool:
        runs = list(pool.map(figures_from, [command] * processes))
    seconds = max(run["seconds"] for run in runs)
    return {
        "environments": environments,
        "processes": processes,
        "cores": os.cpu_count(),
        "steps": steps * processes,
        "seconds": round(seconds, 2),
        "steps_per_second": round(steps * processes / seconds),
        "memory_mb": round(max(run["memory_mb"] for run in runs)),
    }


def by(rows: Sequence[dict[str, str]], name: str) -> list[dict[str, float]]:
    """List the rows in which the other number is 1, sorted by `name`; of equal ones the last."""
    [other] = {"environments", "processes"} - {name}
    found = {}
    for row in rows:
        if row[other] == "1":
            figures = ("steps_per_second", "seconds", "memory_mb")
            found[int(row[name])] = {key: float(row[key]) for key in (name, *figures)}
    return [found[value] for value in sorted(found)]


def answer(rows: Sequence[dict[str, str]]) -> str:
    """Say how speed changes with environments in one process, and with processes."""
    inside, beside = by(rows, "environments"), by(rows, "processes")
    best, one, last = max(inside, key=lambda row: row["steps_per_second"]), beside[0], beside[-1]
    times = [f"{row['steps_per_second'] / one['steps_per_second']:.1f}" for row in beside[1:]]
    counts = [f"{row['processes']:.0f}" for row in beside[1:]]
    return (
        f"With one environment a run makes {one['steps_per_second']:,.0f} steps a second, with "
        f"{best['environments']:.0f} in its process {best['steps_per_second']:,.0f}. On {rows[-1]['cores']} cores, "
        f"{', '.join(counts)} runs at once make {', '.join(times)} times as many "
        f"together; a process takes {last['memory_mb']:.0f} MB."
    )


def table(rows: Sequence[dict[str, str]]) -> str:
    """Write both tables."""
    parts = []
    for name, what in (("environments", "environments in one process"), ("processes", "processes at once")):
        lines = [f"| {what} | steps a second | seconds | memory of a process, MB |", "|---|---|---|---|"]
        for row in by(rows, name):
            cells = (row[name], row["steps_per_second"], row["seconds"], row["memory_mb"])
            lines.append("| {:.0f} | {:,.0f} | {:.1f} | {:.0f} |".format(*cells))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def draw(rows: Sequence[dict[str, str]], path: Path) -> None:
    """Draw steps a second, by environments and by processes."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, name, what in zip(
        axes, ("environments", "processes"), ("environments in one process", "processes at once"), strict=True
    ):
        found = by(rows, name)
        axis.plot(
            [row[name] for row in found], [row["steps_per_second"] for row in found], color=COLOURS[0], marker="o"
        )
        dress(axis)
        axis.set_xscale("log", base=2)
        axis.set_xticks([row[name] for row in found], [f"{row[name]:.0f}" for row in found])
        axis.minorticks_off()
        axis.set_xlabel(what)
        axis.set_ylim(0, 1.1 * max(float(row["steps_per_second"]) for row in rows))
        axis.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes[0].set_ylabel("steps a second, all together", color=INK)
    figure.savefig(path, dpi=110)


def page(path: Path) -> str:
    """Make the text of the page from the rows of the commit measured last."""
    rows = measured_last(path)
    last = rows[-1]
    how = (__doc__ or "").partition("\n\n")[2]
    return (
        "<!-- Made by `python -m experiments.measurements.machine`. -->\n# What a machine can do\n\n"
        f"**{answer(rows)}**\n\n![Steps a second by environments and by processes](machine.png)\n\n{how}\n"
        f"```\npython -m experiments.measurements.machine\n```\n\n{table(rows)}\n\n"
        f"{last['machine']}; Python {last['python']}; commit {last['commit']}; {last['date']}.\n"
    )


def main(
    steps: int = STEPS, one: tuple[int, int] | None = None, results_dir: Path = Path("results"), write: bool = True
) -> None:
    """Measure, and write the page and its picture.

    Args:
        steps: Environment steps of each run.
        one: Do one run only and print its figures: environments, steps.
        results_dir: Each row is appended to `machine/runs.csv` in it; `machine/README.md` and `machine.png` are
            rewritten.
        write: Whether to measure; if not, only the page is rewritten.
    """
    if one is not None:
        print(json.dumps(one_run(*one)))
        return
    results, made = results_dir / "machine", measured_columns()
    sizes = [(number, 1) for number in ENVIRONMENTS] + [(1, number) for number in PROCESSES[1:]]
    for environments, processes in tqdm(sizes if write else [], unit="row"):
        row = measure(environments=environments, processes=processes, steps=steps)
        append_rows(results / "runs.csv", [row | made])
    written = page(results / "runs.csv")
    (results / "README.md").write_text(written, encoding="utf-8")
    draw(measured_last(results / "runs.csv"), results / "machine.png")
    print(written)


if __name__ == "__main__":
    tyro.cli(main)

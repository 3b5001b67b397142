"""Do the runs of the comparison that have no row yet, one after the other, and keep them in `runs.csv`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.harness.checkout import figures_from
from experiments.harness.made import made_columns
from experiments.measurements.peers.settings import EVALUATION_SEED, TASKS, TESTING, Run, Task
from rlhf_gym import RLHFConfig
from rlhf_gym.config.mappings import unknown_name
from rlhf_gym.sweeps.records import append_rows
from rlhf_gym.sweeps.runner import alone, missing, run_missing

FIGURES = (
    "agent_steps", "sampling_steps", "true_return_mean", "true_return_std", "n_eval_episodes",
    "wall_seconds", "cpu_seconds", "wall_seconds_reward", "wall_seconds_sampling", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One run to do."""

    task: str
    who: str
    seed: int
    repeat: int = 0
    testing: bool = False

    @property
    def run(self) -> Run:
        """The way in which it runs the task."""
        return tasks(self.testing)[self.task].runs[self.who]

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"{self.task} {self.who} seed {self.seed}"

    @property
    def key(self) -> dict[str, str]:
        """The columns by which its row is found."""
        return {"task": self.task, "who": self.who, "seed": str(self.seed), "repeat": str(self.repeat)}

    @property
    def command(self) -> str:
        """The command that does this run alone."""
        flags = f" --repeat {self.repeat}" * (self.repeat > 0) + " --testing" * self.testing
        chosen = f"--only {self.task} --who {self.who} --seeds {self.seed}"
        return f"python -m experiments.measurements.peers {chosen}{flags}"

    @property
    def settings(self) -> str:
        """Every setting, as JSON."""
        if self.run.stack == "imitation":
            return json.dumps({**self.run.settings, "seed": self.seed, "evaluation_seed": EVALUATION_SEED + self.seed})
        settings = asdict(self.run.config(self.seed))
        del settings["run_dir"]
        return json.dumps(settings)


DEFAULTS = json.loads(json.dumps(asdict(RLHFConfig())))

Execute = Callable[[Job], Mapping[str, Any]]
"""Does a run; returns its figures, or an `error`, with versions."""


def tasks(testing: bool) -> Mapping[str, Task]:
    """List the tasks, or their short versions for tests."""
    return TESTING if testing else TASKS


def in_fresh_process(job: Job, *, peer_python: Path) -> dict[str, Any]:
    """Do a run in a new Python process with one thread.

    Raises:
        RuntimeError: If the process fails; the message is what it printed.
    """
    if job.run.stack == "imitation":  # isolated: neither PYTHONPATH nor the folder of the script is searched
        command = [str(peer_python), "-I", str(Path(__file__).with_name("peer.py"))]
    else:
        command = [sys.executable, "-m", "experiments.measurements.peers.ours", job.task, job.who, str(job.seed)]
        command += ["--testing"] * job.testing
    return figures_from(command, job.settings)


def chosen(
    *, only: Sequence[str] = (), who: Sequence[str] = (), seeds: Sequence[int] = (), repeat: int = 0, testing: bool
) -> list[Job]:
    """List the runs asked for. Those of a task and seed follow each other, in reverse order for odd seeds.

    Raises:
        ValueError: On a name or seed that isn't there.
    """
    known = tasks(testing)
    for name in only:
        if name not in known:
            raise ValueError(unknown_name(name, list(known)))
    all_who = list(dict.fromkeys(name for task in known.values() for name in task.runs))
    for name in who:
        if name not in all_who:
            raise ValueError(unknown_name(name, all_who))
    all_seeds = sorted({seed for task in known.values() for seed in task.seeds})
    if unknown := sorted(set(seeds) - set(all_seeds)):
        raise ValueError(f"seeds has {unknown[0]}; the seeds are {', '.join(map(str, all_seeds))}")
    return [
        Job(name, runner, seed, repeat, testing)
        for seed in seeds or all_seeds
        for name, task in known.items()
        if seed in task.seeds and (name in only or not only)
        for runner in (list(task.runs) if seed % 2 == 0 else list(task.runs)[::-1])
        if runner in who or not who
    ]


def without_row(jobs: Sequence[Job], path: Path) -> list[Job]:
    """Find the runs without a row.

    Raises:
        ValueError: If one has a row of other settings.
    """

    def check(job: Job, row: Mapping[str, str]) -> None:
        if not same_settings(json.loads(row["settings"]), json.loads(job.settings), DEFAULTS):
            raise ValueError(
                f"{path} has {job.title} with other settings than today's; "
                f"use --repeat {job.repeat + 1} or another --results-dir"
            )

    return missing(jobs, path, check)


def same_settings(then: Any, now: Any, default: Any) -> bool:
    """Test whether a row's settings equal today's; a setting newer than the row must have its default."""
    if not isinstance(now, dict) or not isinstance(then, dict):
        return bool(then == now)
    default = default if isinstance(default, dict) else {}
    return then.keys() <= now.keys() and all(
        same_settings(then.get(name, default.get(name)), value, default.get(name)) for name, value in now.items()
    )


def row(job: Job, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Make a run's row; figures that a failed run lacks stay empty."""
    return {
        "task": job.task,
        "who": job.who,
        "seed": job.seed,
        "repeat": job.repeat,
        "env_id": job.run.env_id,
        "labels": figures.get("labels", ""),
        **{name: figures.get(name, "") for name in FIGURES},
        **made_columns(job.command, figures["versions"], figures["python"]),
        "settings": job.settings,
    }


def run(jobs: Sequence[Job], folder: Path, execute: Execute) -> dict[Job, str]:
    """Do the runs without a row, one after the other, and append each as it ends.

    Returns:
        The runs whose process failed, each with its error.

    Raises:
        ValueError: If stored rows have other settings than today's.
    """

    def keep(job: Job, figures: Mapping[str, Any]) -> str:
        done = row(job, figures)
        append_rows(folder / "runs.csv", [done])
        return str(done["error"]) or f"true return {done['true_return_mean']:.1f}, {done['wall_seconds']:.0f} s"

    with alone(folder):
        todo = without_row(jobs, folder / "runs.csv")
        print(f"peers: {len(todo)} runs to do, {len(jobs) - len(todo)} already there", flush=True)
        return run_missing(todo, execute, keep)

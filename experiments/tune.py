"""Tune an algorithm's settings for an environment: `python -m experiments.tune ENV [--algo dqn] [--trials 40]`."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import optuna
import tyro
from tyro.conf import Positional

from experiments.harness.checkout import process_here
from experiments.tuning.page import as_preset, best_settings, keep_checked, keep_finals, keep_trials, write_page
from experiments.tuning.spaces import SPACES
from experiments.tuning.study import UNSEEN, Tuning, open_study, play_finals, score, try_some
from rlhf_gym.errors import BadInput

WORKER = [sys.executable, "-m", "experiments.tuning.worker"]


def main(
    env_id: Positional[str],
    /,
    algo: str = "ppo",
    paid: Literal["labels", "true"] = "labels",
    trials: int = 40,
    workers: int = 2,
    labels: int | None = None,
    total_timesteps: int | None = None,
    check: bool = True,
    out: Path = Path("results/tuning"),
) -> int:
    """Tune settings on seeds 100 to 108, and compare the best with the preset on seeds 200 to 209.

    The preset itself is the first trial. Each trial runs three seeds; the best four trials are run on six more.

    The study is kept in a database, studies.db in the folder: the command continues it when repeated, and several
    commands may work on it at once. Trials are rows of trials.csv, their finals of finals.csv, and the comparison of
    checked.csv; the page is README.md.

    Args:
        env_id: Gymnasium id.
        algo: ppo, a2c, dqn or sac.
        paid: What policies learn from: a teacher's labels, or the environment's own reward.
        trials: Trials of the study in all, including those ended early.
        workers: Processes that run trials at the same time.
        labels: Answers of each run; None is the preset's.
        total_timesteps: Steps of each run; None is the preset's.
        check: Play the finals, and run their winner and the preset on unseen seeds.
        out: Folder of the tables.
    """
    given: dict[str, Any] = {"labels": labels, "total_timesteps": total_timesteps}
    tuning = Tuning(env_id, algo, paid, {name: value for name, value in given.items() if value is not None})
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        _check(tuning, trials, workers)
        study = _tried(tuning, out / "studies.db", trials, workers)
        command = _command(tuning, trials, workers)
        keep_trials(out, tuning, study, command)
        if check:
            play_finals(tuning, study)
            keep_finals(out, tuning, study, command)
            unseen = replace(tuning, seeds=UNSEEN)
            tried = json.loads(best_settings(study))
            keep_checked(out, unseen, study, {"tuned": score(unseen, tried), "preset": score(unseen, {})}, command)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    write_page(out)
    print(f"{as_preset(tuning, study, command)}trials in {out / 'trials.csv'}, page in {out / 'README.md'}")
    return 0


def _check(tuning: Tuning, trials: int, workers: int) -> None:
    """Refuse arguments that no trial can be made from."""
    if tuning.algo not in SPACES:
        raise BadInput(f"algo is {tuning.algo!r}; use one that has a space: {', '.join(SPACES)}")
    for name, value in (("trials", trials), ("workers", workers)):
        if value < 1:
            raise BadInput(f"{name} is {value}; use at least 1")
    tuning.config({}, tuning.seeds[0])


def _tried(tuning: Tuning, database: Path, trials: int, workers: int) -> optuna.Study:
    """Run the trials in this process, or in `workers` processes."""
    if workers == 1:
        return try_some(tuning, database, trials)
    open_study(tuning, database)  # before the workers race to make it
    told = json.dumps({"tuning": asdict(tuning), "database": str(database.resolve()), "trials": trials})
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(process_here, WORKER, told) for _ in range(workers)]:
            done.result()
    return open_study(tuning, database)


def _words(tuning: Tuning) -> list[str]:
    flags = {"--algo": tuning.algo, "--paid": tuning.paid}
    flags |= {f"--{name.replace('_', '-')}": str(value) for name, value in tuning.settings.items()}
    return [tuning.env_id, *(word for flag in flags.items() for word in flag)]


def _command(tuning: Tuning, trials: int, workers: int) -> str:
    return " ".join(["python -m experiments.tune", *_words(tuning), f"--trials {trials} --workers {workers}"])


if __name__ == "__main__":
    sys.exit(tyro.cli(main))

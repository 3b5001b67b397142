"""Write what a study found: rows of its trials, rows of the check on unseen seeds, and the page made from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from optuna.study import Study

from experiments.harness.made import made_columns
from experiments.tuning.study import FURTHER, Tuning, best_trial, finals_of
from rlhf_gym.stats import bootstrap_interval, interquartile_mean
from rlhf_gym.sweeps.records import append_rows, read_rows

TRIALS, FINALS, CHECKED, PAGE = "trials.csv", "finals.csv", "checked.csv", "README.md"
HOW = """\
A trial tries one choice of the algorithm's settings, laid over the preset, on the tuning seeds. The first trial is the
preset itself, and the next seven keep about two thirds of it. A trial is scored by the mean true return of the
deterministic policies, and ends early if it is worse than the median of the others at the same point. Then the best
four run on further seeds, the finals, because the best of many trials on three seeds was partly lucky. The winner of
the finals and the preset are run on seeds that no trial saw and no result has. A preset says *tuned here* of a value
only if this table has its study."""


def keep_trials(folder: Path, tuning: Tuning, study: Study, command: str) -> None:
    """Append the trials that have ended and aren't in the table yet."""
    known = {(row["study"], row["trial"]) for row in read_rows(folder / TRIALS)}
    made = made_columns(command)
    rows = [
        {
            "study": tuning.name,
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "score": "" if trial.value is None else trial.value,
            "returns": trial.user_attrs.get("returns", ""),
            "settings": trial.user_attrs.get("settings", ""),
            "shared": json.dumps(dict(tuning.settings), sort_keys=True),
            "seeds": json.dumps(list(tuning.seeds)),
            **made,
        }
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and (tuning.name, str(trial.number)) not in known
    ]
    if rows:
        append_rows(folder / TRIALS, rows)


def keep_finals(folder: Path, tuning: Tuning, study: Study, command: str) -> None:
    """Append the finals that aren't in the table yet, one row per seed."""
    known = {(row["study"], row["trial"]) for row in read_rows(folder / FINALS)}
    rows = [
        {"study": tuning.name, "trial": number, "seed": seed, "true_return_mean": value, **made_columns(command)}
        for number, returns in finals_of(study).items()
        if (tuning.name, str(number)) not in known
        for seed, value in zip(FURTHER, returns, strict=True)
    ]
    if rows:
        append_rows(folder / FINALS, rows)


def keep_checked(folder: Path, tuning: Tuning, study: Study, found: dict[str, list[float]], command: str) -> None:
    """Append the returns of the best trial and of the preset, one row per seed."""
    append_rows(
        folder / CHECKED,
        [
            {
                "study": tuning.name,
                "trials": sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)),
                "settings": best_settings(study),
                "who": who,
                "seed": seed,
                "true_return_mean": value,
                **made_columns(command),
            }
            for who, returns in found.items()
            for seed, value in zip(tuning.seeds, returns, strict=True)
        ],
    )


def best_settings(study: Study) -> str:
    """Get the settings that the best trial tried, as JSON."""
    return str(best_trial(study).user_attrs["settings"])


def as_preset(tuning: Tuning, study: Study, command: str) -> str:
    """Write the best trial as a preset's YAML, with the command and the study that it is from."""
    key = tuning.env_id if tuning.algo == "ppo" else f"{tuning.env_id}/{tuning.algo}"
    tried = json.loads(best_settings(study))
    text = yaml.safe_dump({key: {**tuning.settings, **tried}}, sort_keys=False)
    return f"# tuned here: {command} (study {tuning.name}, trial {best_trial(study).number})\n{text}"


def write_page(folder: Path) -> None:
    """Write the page from the three tables."""
    trials, finals, checked = (read_rows(folder / table) for table in (TRIALS, FINALS, CHECKED))
    studies = list(dict.fromkeys(row["study"] for row in trials))
    lines = [
        "<!-- Made by `python -m experiments.tune`. -->",
        "# Tuned presets",
        "",
        f"**{' '.join(_answer(study, checked) for study in studies)}**",
        "",
        HOW,
        "",
        *(line for study in studies for line in _section(study, trials, finals, checked)),
    ]
    (folder / PAGE).write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _answer(study: str, checked: Sequence[Any]) -> str:
    tuned, before = (_returns(study, who, checked) for who in ("tuned", "preset"))
    if not tuned:
        return f"{study} isn't checked on unseen seeds yet."
    reached = f"{interquartile_mean(tuned):.1f} on unseen seeds"
    return f"{study}: {reached}, where the preset of then reached {interquartile_mean(before):.1f}."


def _returns(study: str, who: str, checked: Sequence[Any]) -> list[float]:
    """Get the true returns of `tuned` or `preset` in the last check of a study."""
    rows = [row for row in checked if row["study"] == study and row["who"] == who]
    return [float(row["true_return_mean"]) for row in rows if row["settings"] == rows[-1]["settings"]]


def _section(study: str, trials: Sequence[Any], finals: Sequence[Any], checked: Sequence[Any]) -> Iterator[str]:
    own = [row for row in trials if row["study"] == study]
    whole = [row for row in own if row["state"] == "complete"]
    yield f"## {study}\n"
    yield f"```\n{own[-1]['command']}\n```\n"
    pruned = sum(row["state"] == "pruned" for row in own)
    played = [row for row in finals if row["study"] == study]
    early = f"{pruned} of them ended early" + ("" if played else "; no finals")
    yield f"{len(own)} trials on seeds {own[-1]['seeds']}, {early}."
    yield f"Settings that all trials share: `{own[-1]['shared']}`.\n"
    yield "| best trials | mean true return | each seed | finals, each seed | settings |\n|---|---|---|---|---|"
    for row in sorted(whole, key=lambda row: -float(row["score"]))[:5]:
        further = [float(final["true_return_mean"]) for final in played if final["trial"] == row["trial"]]
        of_finals = f"mean {sum(further) / len(further):.1f}: {_each(further)}" if further else ""
        each = _each(json.loads(row["returns"]))
        yield f"| {row['trial']} | {float(row['score']):.1f} | {each} | {of_finals} | `{row['settings']}` |"
    if tuned := _returns(study, "tuned", checked):
        yield "\n| on unseen seeds | interquartile mean | 95 % interval | each seed |\n|---|---|---|---|"
        for who, values in (("tuned", tuned), ("preset", _returns(study, "preset", checked))):
            low, high = bootstrap_interval(values, seed=0)
            yield f"| {who} | {interquartile_mean(values):.1f} | {low:.1f} to {high:.1f} | {_each(values)} |"
    made = [*own, *played, *(row for row in checked if row["study"] == study)]
    machines = "; or ".join(sorted({row["machine"] for row in made}))
    commits = "; or ".join(sorted({row["commit"] or "unknown" for row in made}))
    yield f"\n{machines}; commit {commits}.\n"


def _each(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)

"""What a run began with and what it resumes with: settings that may change, and its successive budgets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.earlier import as_written
from rlhf_gym.config.mappings import plain, read_yaml
from rlhf_gym.config.places import absolute_paths, lost_store
from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.registry import source_entry, teacher_entry
from rlhf_gym.runs.directory import RunDirectory, is_finished, unfinished_run

PROVENANCE, CONFIG, SUMMARY, STORE = "provenance.json", "config.yaml", "summary.json", "preferences.db"
BUDGET = ("labels", "total_timesteps")
MAY_CHANGE = (
    *BUDGET,
    "run_dir",
    "keep_checkpoints",
    "evaluation.",
    "env.step_seconds",
    "agent.torch_threads",
    "feedback.store",
    "feedback.instructions",
    "feedback.levels",
    "feedback.draw",
    "feedback.async_labels",
    "feedback.outstanding",
    "feedback.refit_answers",
    "feedback.stale_rounds",
)
"""Settings, or prefixes of their names, that may change when a run is resumed."""


class Budget(NamedTuple):
    """What a run may spend from some round on."""

    labels: int
    """Labels in all, including those of earlier rounds, but not those that the run began with."""
    total_timesteps: int
    """Environment steps in all, including those of earlier rounds."""
    round: int = 0
    """First round that it holds for."""


def began_with(run: RunDirectory, config: RLHFConfig) -> dict[str, Any]:
    """Collect what `provenance.json` says of a run's beginning: its settings, budget and working folder."""
    settings = read_yaml(run / CONFIG)  # as written, so without a password
    return {"settings": settings, "budgets": [Budget(config.labels, config.total_timesteps)], "folder": os.getcwd()}


def run_to_resume(path: str | Path, *, labels: int | None = None, total_timesteps: int | None = None) -> RLHFConfig:
    """Read the settings of a run to resume.

    Args:
        path: Its directory.
        labels: A new budget; None keeps that of `config.yaml`.
        total_timesteps: Likewise.

    Raises:
        BadInput: If there is no run, its store is missing, a setting outside `MAY_CHANGE` has changed, or it is
            finished and has no new budget, no answer to wait for, or no checkpoint.
    """
    path, given = Path(path), {"labels": labels, "total_timesteps": total_timesteps}
    config = unfinished_run(path, finished_too=True)
    began = _provenance(path)
    if began and config.feedback.store is None and not (path / STORE).is_file():
        raise BadInput(f"the answers of {path} were in {path / STORE}, which isn't there; bring it back")
    if "settings" in began:
        if not isinstance(began["settings"], dict) or not isinstance(began.get("folder", ""), str):
            raise BadInput(
                f"{path / PROVENANCE} is damaged: expected a group of settings and a folder's name; bring it back, or "
                "begin another run with its answers (--preferences)"
            )
        folder = Path(began.get("folder") or os.getcwd())
        was = RLHFConfig.from_dict(absolute_paths(as_written(began["settings"]), folder))
        config = RLHFConfig.from_dict(absolute_paths(plain(asdict(config)), folder))
        _check_unchanged(path, was, config)
    if lost := lost_store(config.feedback.store):
        raise BadInput(
            f"feedback.store of the run in {path} is {config.feedback.store}, and there is no {lost}; resume where the "
            f"run began, or write the whole path into {path / CONFIG}"
        )
    config = config.replace(**{name: value for name, value in given.items() if value is not None})
    if is_finished(path):
        last = budgets_so_far(path)[-1]
        if (config.labels, config.total_timesteps) == last[:2] and not _taken_back(path, config):
            return unfinished_run(path)  # which refuses
        if not any((path / "checkpoints").glob("[0-9]*")):
            raise BadInput(
                f"the run in {path} is finished, and has no checkpoint to go on from; begin another one with its "
                f"answers: --preferences {path}"
            )
    return config


def _taken_back(path: Path, config: RLHFConfig) -> bool:
    """Test whether people had taken answers back when a run ended: only then does it have fewer than its budget."""
    if not (teacher_entry(config.teacher).people and source_entry(config.reward.source).labels):
        return False
    labels = json.loads((path / SUMMARY).read_text(encoding="utf-8")).get("labels")
    return type(labels) is int and labels < _provenance(path).get("labels_before", 0) + config.labels


def budgets_so_far(path: str | Path) -> list[Budget]:
    """Read the budgets of a run in order; runs of earlier versions had one."""
    if found := _provenance(Path(path)).get("budgets"):
        with suppress(*UNREADABLE):
            budgets = [Budget(*one) for one in found]
            if all(type(number) is int for budget in budgets for number in budget):
                return budgets
        raise BadInput(
            f"budgets in {Path(path) / PROVENANCE} are {found}; expected lists of labels and total_timesteps: bring it "
            "back, or begin another run with its answers (--preferences)"
        )
    config = RLHFConfig.from_run(Path(path) / CONFIG)
    return [Budget(config.labels, config.total_timesteps)]


def budgets_of(config: RLHFConfig, finished: int) -> list[Budget]:
    """List the budgets of a resumed run, including its new one if it has one.

    Args:
        config: Its settings now.
        finished: Number of finished rounds.
    """
    budgets = budgets_so_far(str(config.run_dir))
    if (config.labels, config.total_timesteps) != budgets[-1][:2]:
        budgets.append(Budget(config.labels, config.total_timesteps, finished))
    return budgets


def write_budgets(run: RunDirectory, config: RLHFConfig, budgets: Sequence[Budget], finished: int) -> None:
    """Record a resumed run's new budget, if it has one; an earlier summary is kept under another name.

    Args:
        run: Its directory.
        config: Its settings now.
        budgets: From :func:`budgets_of`.
        finished: Number of finished rounds.
    """
    new = list(budgets) != budgets_so_far(run.path)
    if new:
        config.to_yaml(run / CONFIG)
    if is_finished(run.path):
        (run / SUMMARY).replace(run / f"summary_after_{finished}_rounds.json")
    if new:  # last: until it is written, config.yaml shows that the budget is new
        run.write_json(PROVENANCE, _provenance(run.path) | {"budgets": list(budgets)})


def _provenance(path: Path) -> dict[str, Any]:
    try:
        found = json.loads((path / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, *UNREADABLE):
        return {}
    return found if isinstance(found, dict) else {}


def _check_unchanged(path: Path, was: RLHFConfig, now: RLHFConfig) -> None:
    """Refuse a setting that has changed since the run began, unless it is in `MAY_CHANGE`."""
    before, after = flat(was), flat(now)
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name) and not name.startswith(MAY_CHANGE):
            raise BadInput(
                f"{name} was {before.get(name)!r} when the run in {path} began, and is {after.get(name)!r} in "
                f"{CONFIG}; put that back, or begin another run (labels, total_timesteps, evaluation and how people "
                "are asked may change)"
            )


def flat(config: RLHFConfig) -> dict[str, Any]:
    """List settings by their dotted names."""
    return _flat(plain(asdict(config)), "")


def _flat(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        group = isinstance(value, Mapping) and value
        found |= _flat(value, f"{prefix}{name}.") if group else {f"{prefix}{name}": value}
    return found

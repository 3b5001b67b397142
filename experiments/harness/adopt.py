"""Refuse tables that lack columns of today's settings, measures or rounds, or widen them on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from experiments.harness.fingerprint import CODE
from experiments.harness.settings import Setting, known_columns, measure_names
from rlhf_gym.runs import Round
from rlhf_gym.sweeps.records import read_header, refusal, widen

CURVES = ("setting", "seed", *(field.name for field in fields(Round)))
"""The columns of `curves.csv`, in order: the run's setting and seed, then the columns of `metrics.csv`."""
ADVICE = "(--results-dir), or, where rows are only older than a setting, widen them with --adopt"


def check_headers(name: str, settings: Mapping[str, Setting], folder: Path) -> None:
    """Refuse tables that today's rows can't be appended to, before any run starts.

    Raises:
        ValueError: If `runs.csv` lacks a setting, a measure or the code, or `curves.csv` has other columns.
    """
    runs, curves = read_header(folder / "runs.csv"), read_header(folder / "curves.csv")
    wanted = [*_settings_columns(name, settings), *measure_names(settings), CODE]
    if runs is not None and not set(wanted) <= set(runs):
        raise ValueError(f"{refusal(folder / 'runs.csv', runs, wanted)} {ADVICE}")
    if curves is not None and curves != list(CURVES):
        raise ValueError(f"{refusal(folder / 'curves.csv', curves, CURVES)} {ADVICE}")


def adopt_new_columns(name: str, settings: Mapping[str, Setting], folder: Path) -> None:
    """Add the columns of new settings and measures to `runs.csv`, and those of new figures of a round to `curves.csv`.

    Old rows get today's values of new settings; new measures and figures stay empty in them.
    """

    def known(row: Mapping[str, str]) -> dict[str, Any]:
        setting = settings.get(row["setting"])
        return known_columns(name, row["setting"], setting.run_config(int(row["seed"]))) if setting else {}

    if header := read_header(folder / "runs.csv"):
        first, measures = _settings_columns(name, settings), measure_names(settings)
        rest = [column for column in header if column not in [*first, *measures, CODE]]
        at = rest.index("versions")  # measures and code come before it
        widen(folder / "runs.csv", [*first, *rest[:at], *measures, CODE, *rest[at:]], known)
    if read_header(folder / "curves.csv"):
        widen(folder / "curves.csv", CURVES, lambda row: {})


def _settings_columns(name: str, settings: Mapping[str, Setting]) -> list[str]:
    """List the columns known before a run; they are the same for every setting."""
    key, setting = next(iter(settings.items()))
    return list(known_columns(name, key, setting.run_config(setting.seeds[0])))

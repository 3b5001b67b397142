"""The columns of a run's row: its settings, its summary and its provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime, timezone
from typing import Any

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.passwords import url_without_password
from rlhf_gym.runs.provenance import provenance


def setting_columns(config: RLHFConfig) -> dict[str, Any]:
    """List every setting of a run by its dotted name.

    Groups and lists become JSON. Where the run was kept doesn't affect its result: `run_dir` and the run's name in the
    store are left out, and so are passwords in URLs.
    """
    columns: dict[str, Any] = {"seed": config.seed}
    for name, value in asdict(config).items():
        grouped = is_dataclass(getattr(config, name))
        columns |= {f"{name}.{inner}": v for inner, v in value.items()} if grouped else {name: value}
    del columns["run_dir"], columns["feedback.run"]
    for name in ("feedback.store", "feedback.preferences"):
        columns[name] = columns[name] and url_without_password(columns[name])
    return {name: _cell(value) for name, value in columns.items()}


def summary_columns(known: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    """List a summary's figures; a name that is a setting's too, such as `labels`, becomes `summary.labels`."""
    return {f"summary.{name}" if name in known else name: value for name, value in summary.items()}


def made_columns(
    command: str, versions: Mapping[str, str] | None = None, python: str | None = None
) -> dict[str, str | None]:
    """Make the last columns of a run's row: versions, commit, machine, command, date.

    Args:
        command: Command that does only this run.
        versions: Versions by package, if the run had others than this process.
        python: Version of Python, likewise.
    """
    made: dict[str, Any] = provenance(command)
    found = made["versions"] if versions is None else versions
    return {
        "versions": "; ".join(f"{package} {version}" for package, version in found.items()),
        "python": made["python"] if python is None else python,
        "commit": made["commit"],
        "machine": made["machine"],
        "command": made["command"],
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _cell(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list | tuple) else value

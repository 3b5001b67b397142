"""The runs of a sweep, each setting with each seed, from a YAML file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import merge, plain, read_yaml, unknown_name
from rlhf_gym.config.named import without_foreign_options
from rlhf_gym.errors import BadInput
from rlhf_gym.sweeps.columns import setting_columns
from rlhf_gym.sweeps.options import check_part_options
from rlhf_gym.sweeps.runner import OfSetting

PARTS = ("shared", "settings", "seeds")


@dataclass(frozen=True)
class SweepRun(OfSetting):
    """One run of a sweep.

    Args:
        setting: Name of its setting in the file.
        seed: Seed of the run.
        config: All settings, as JSON.
        command: Command that does only this run.
        run_dir: Path of its run directory; None keeps none.
    """

    setting: str
    seed: int
    config: str
    command: str
    run_dir: str | None = None

    @property
    def known(self) -> dict[str, Any]:
        """The columns of its row that are known before it runs."""
        return {"setting": self.setting} | setting_columns(RLHFConfig.over_preset(json.loads(self.config)))


def read_plan(file: Path, *, out: Path, keep_runs: bool = True) -> list[SweepRun]:
    """Read a sweep's file.

    ::

        shared: {env_id: Pendulum-v1, labels: 50}     # defaults of each setting, but no options of a part it replaces
        settings:
          comparisons: {}
          rankings: {kind: ranking}
        seeds: [0, 1, 2]

    Args:
        file: YAML.
        out: The sweep's folder.
        keep_runs: Whether to keep run directories, in the folder `runs` of `out`.

    Returns:
        Every run: all settings of the first seed, then of the next.

    Raises:
        BadInput: On an unknown name, settings that don't fit, or none at all.
    """
    plan = read_yaml(file)
    for name in plan:
        if name not in PARTS:
            raise BadInput(f"sweep {file}: {unknown_name(str(name), list(PARTS))}")
    settings, shared, seeds = plan.get("settings"), plan.get("shared") or {}, _seeds(file, plan.get("seeds"))
    if not isinstance(settings, Mapping) or not settings:
        raise BadInput(f"sweep {file} has settings {settings!r}; name at least one, as `name: {{labels: 50}}`")
    if not isinstance(shared, Mapping):
        raise BadInput(f"sweep {file} has shared {shared!r}; expected a group of settings")
    return [
        SweepRun(name, seed, _config(file, name, shared, own, seed), _command(file, out, name, seed), kept)
        for seed in seeds
        for name, own in settings.items()
        for kept in [str((out / "runs" / f"{name}_seed{seed}").resolve()) if keep_runs else None]
    ]


def _seeds(file: Path, seeds: Any) -> list[int]:
    """Check the list of seeds."""
    whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or not 0 < len(set(seeds)) == len(seeds):
        raise BadInput(f"sweep {file} has seeds {seeds!r}; list whole numbers from 0 on, each once, as [0, 1, 2]")
    return list(seeds)


def _config(file: Path, name: Any, shared: Mapping[str, Any], own: Any, seed: int) -> str:
    """Check the settings of one run, and return all of them as JSON."""
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
        raise BadInput(
            f"sweep {file} has a setting named {name!r}; use letters, digits, - and _, with quotes around a number"
        )
    if not isinstance(own or {}, Mapping):
        raise BadInput(f"sweep {file}: settings.{name} is {own!r}; expected a group of settings")
    given = merge(without_foreign_options(shared, own or {}), own or {})
    if taken := {"seed", "run_dir"} & set(given):
        raise BadInput(f"sweep {file}: setting {name} has {min(taken)}; leave it out: the sweep gives each run its own")
    try:
        config = RLHFConfig.over_preset(merge(given, {"seed": seed}))
        check_part_options(config)
    except BadInput as error:
        raise BadInput(f"sweep {file}, setting {name}: {error}") from error
    if config.feedback.run is not None:
        raise BadInput(f"sweep {file}: setting {name} has feedback.run; leave it out: the sweep gives each run its own")
    return json.dumps(plain(asdict(config)))


def _command(file: Path, out: Path, name: str, seed: int) -> str:
    return shlex.join(["rlhf-gym", "sweep", str(file), "--out", str(out), "--only", name, "--seeds", str(seed)])

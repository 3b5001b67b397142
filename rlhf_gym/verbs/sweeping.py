"""The verb that does many runs: sweep.

What a verb needs (torch, Stable-Baselines3, Matplotlib) is imported when it runs: ``--help`` shouldn't wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from rlhf_gym.errors import BadInput
from rlhf_gym.files import check_output
from rlhf_gym.verbs.interrupts import interrupted_by_signals


@dataclass(frozen=True)
class Sweep:
    """Do many runs, settings times seeds of a YAML file, and gather them in one table.

    The file has `settings`, each a name and its settings, `seeds`, and may have `shared`, which is laid under each
    setting. Given again, the command does what is missing; a run that was interrupted goes on.
    """

    file: Annotated[Path, Positional, arg(metavar="FILE")]
    """YAML file of settings and seeds."""
    out: Path | None = None
    """Folder of the table and the run directories; None is sweeps/ and the file's name."""
    only: tuple[str, ...] = ()
    """Settings to run, by name or pattern ('*_50'); all if left out."""
    seeds: tuple[int, ...] = ()
    """Seeds to run; all if left out."""
    jobs: int = 2
    """Number of runs at the same time, each with one core; an existing cluster runs as many as it has cores."""
    on: str = "processes"
    """Where to run: processes of this machine; ray, a cluster of this machine alone; or ray://ADDRESS of a cluster."""
    keep_runs: bool = True
    """Keep run directories, each on the machine where it was made, after their rows are written."""

    def run(self) -> None:
        """Run what is missing, and print what each setting reached.

        Raises:
            BadInput: If runs failed, after all others were done and kept.
        """
        from rlhf_gym.sweeps.sweep import reached, sweep

        out = self.out or Path("sweeps") / self.file.stem
        check_output("out", out, folder=True)
        with interrupted_by_signals():
            failed = sweep(
                self.file,
                out=out,
                only=self.only,
                seeds=self.seeds,
                jobs=self.jobs,
                on=self.on,
                keep_runs=self.keep_runs,
            )
        if (out / "runs.csv").exists():
            print(*reached(out), f"rows in {out / 'runs.csv'}, rounds in {out / 'curves.csv'}", sep="\n")
        if failed:
            raise BadInput(f"{len(failed)} runs failed, as said above; the command given again does them again")

"""One run of a sweep in one process of its own: `python -m rlhf_gym.sweeps.worker OUTPUT <settings.json`."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import Run, read_run
from rlhf_gym.sweeps.columns import made_columns, setting_columns, summary_columns
from rlhf_gym.sweeps.fresh_process import fresh_process, stop_in_order
from rlhf_gym.sweeps.plan import SweepRun


def in_fresh_process(job: SweepRun) -> dict[str, Any]:
    """Do a run in a new Python process with one thread.

    Returns:
        `run`, its row, and `curves`, a row per round.

    Raises:
        RuntimeError: If the process fails; the message is its output.
    """
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "rows.json"
        named = f"{job.setting}_seed{job.seed}"
        told = json.dumps({"config": json.loads(job.config), "run_dir": job.run_dir, "name": named})
        fresh_process([sys.executable, "-m", "rlhf_gym.sweeps.worker", str(output)], told)
        run, metrics = json.loads(output.read_text())
    return {
        "run": {"setting": job.setting} | run | made_columns(job.command),
        "curves": [{"setting": job.setting, "seed": job.seed} | row for row in metrics],
    }


def done(config: RLHFConfig, run_dir: Path) -> Run:
    """Do a run, or resume it if it was interrupted, and read it; a finished run is only read."""
    if not (run_dir / "summary.json").exists():
        begun = (run_dir / "config.yaml").exists()
        with closing(RLHF.resume(run_dir) if begun else RLHF(config.replace(run_dir=str(run_dir)))) as rlhf:
            rlhf.learn()
    return read_run(run_dir)


def main(output: Path) -> None:
    """Do the run that standard input describes, and write its figures as JSON."""
    told = json.load(sys.stdin)
    config = RLHFConfig.over_preset(told["config"])
    with ExitStack() as stack:
        kept = told["run_dir"] or f"{stack.enter_context(tempfile.TemporaryDirectory())}/{told['name']}"
        run = done(config, Path(kept))
    known = setting_columns(config)
    output.write_text(json.dumps([known | summary_columns(known, run.summary), run.metrics]))


if __name__ == "__main__":
    stop_in_order()
    try:
        main(Path(sys.argv[1]))
    except BadInput as error:
        sys.exit(str(error))

"""Run trials in one process: `python -m experiments.tuning.worker <tuning.json`."""

import json
import sys
from pathlib import Path

import optuna

from experiments.tuning.study import Tuning, try_some

if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    told = json.load(sys.stdin)
    try_some(Tuning(**told["tuning"]), Path(told["database"]), told["trials"])

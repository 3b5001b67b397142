"""Do the missing runs of an experiment: `python -m experiments.run NAME [--jobs 2]`."""

import sys

import tyro

from experiments.harness.run import main
from rlhf_gym.verbs.interrupts import interrupted_by_signals

if __name__ == "__main__":
    try:
        with interrupted_by_signals():
            sys.exit(tyro.cli(main))
    except KeyboardInterrupt as stop:  # the rows so far are kept
        sys.exit(getattr(stop, "status", 130))

"""Run what is missing of an experiment: `python -m experiments.run NAME [--jobs 2]`."""

import sys

import tyro

from experiments.harness.run import main

if __name__ == "__main__":
    sys.exit(tyro.cli(main))

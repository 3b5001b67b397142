"""Write the page of an experiment from its rows: `python -m experiments.report NAME`."""

import sys

import tyro

from experiments.harness.report import main

if __name__ == "__main__":
    sys.exit(tyro.cli(main))

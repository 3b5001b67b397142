"""Fast and gentle: how much of one for how much of the other, from one set of answers.

`python -m experiments.measurements.pareto` does the runs that `results/pareto/runs.csv` lacks, and draws.
"""

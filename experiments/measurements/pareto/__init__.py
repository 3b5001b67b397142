"""Fast or gentle: trade one for the other by weights, from one set of answers.

`python -m experiments.measurements.pareto` does the runs that `results/pareto/runs.csv` lacks, and writes the page.
"""

"""Over-optimisation: true and learned return of policies that are trained for long on a frozen, learned reward.

`python -m experiments.measurements.overoptimisation` does the runs that `results/overoptimisation` lacks, and draws.
"""

"""Experiments on the package: a harness, the questions that it runs, and measurements of other kinds.

`python -m experiments.run NAME` does the missing runs of a question; `experiments.report NAME` writes its page.
"""

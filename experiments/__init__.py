"""How the package is tried: a harness, the questions that it runs, and measurements of other kinds.

`python -m experiments.run NAME` runs what is missing of a question; `experiments.report NAME` writes its page.
"""

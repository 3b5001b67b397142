"""Questions put to the package: one folder each, with its settings as data and how to read the answer.

`python -m experiments.run NAME` runs what is missing; `python -m experiments.report NAME` writes its page.
"""

"""Questions put to the package: one folder each, with its settings as data and how to read the answer."""

"""Tuning of presets with Optuna: what is tried, how it is scored, and whether it holds on seeds it never saw."""

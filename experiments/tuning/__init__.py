"""Tune presets with Optuna: search spaces, scores of trials, and a check on unseen seeds."""

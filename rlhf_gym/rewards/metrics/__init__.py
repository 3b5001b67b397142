"""Metrics that compare a learned reward with the true one on given trajectories, one per file."""

"""Metrics of a learned reward, a file each: how it compares with the true one on given trajectories."""

"""Sweeps of runs over settings and seeds, on this machine or a cluster, collected in one table row by row."""

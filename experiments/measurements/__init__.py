"""Measurements beside the questions: cost, waiting, a peer, and how far labels go on all tasks together."""

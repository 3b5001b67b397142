"""Tuned settings, a YAML file per family of environments."""

"""Policies in files, which show what they do."""

from tests.demonstrators.conftest import balancing

__all__ = ["balancing"]

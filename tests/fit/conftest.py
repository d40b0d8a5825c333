"""Fixtures of the tests of what happens inside a cell."""

from training_spy import training_data

__all__ = ["training_data"]

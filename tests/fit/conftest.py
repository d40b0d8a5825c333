"""Fixtures of the tests of what happens inside a cell."""

from training_spy import heard

__all__ = ["heard"]

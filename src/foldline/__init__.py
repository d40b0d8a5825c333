"""foldline: the engine. Everything it does is a map over cells, or a reduction of what they leave (docs/design.md)."""

__version__ = "0.1.0"

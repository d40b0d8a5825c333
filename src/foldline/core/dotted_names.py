"""Nested tables as one: {"train": {"lr": 0.1}} is {"train.lr": 0.1}."""

from __future__ import annotations

from typing import Any


def flat(value: Any, prefix: str = "", numbered: bool = False) -> dict[str, Any]:
    """Flatten nested tables to dotted names.

    Args:
        numbered: whether an element of a list of tables goes by its number, too. Otherwise such a list is one value.
    """
    if numbered and isinstance(value, list) and value and isinstance(value[0], dict):
        value = {str(number): item for number, item in enumerate(value)}
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, item in value.items()
        for name, leaf in flat(item, f"{prefix}.{key}" if prefix else key, numbered).items()
    }

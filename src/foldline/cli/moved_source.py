"""data.source=DIR, the only key that verbs on a finished experiment take: its files may lie elsewhere by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from foldline.core.errors import UserError
from foldline.core.overrides import parse_override
from foldline.data.roles import DataConfig


def moved(data: DataConfig, overrides: Sequence[str], rule: str) -> DataConfig:
    """Return [data] as recorded, with the folder that data.source=DIR gives.

    rule: why no other key can be given, the start of a sentence.

    Raises:
        UserError: another key is given.
    """
    for text in overrides:
        key, value = parse_override(text)
        if key != ["data", "source"]:
            raise UserError(f"{rule}; only data.source=DIR can be given, but got {text!r}.")
        data = replace(data, source=str(value))
    return data

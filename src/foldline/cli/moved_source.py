"""What verbs on a finished experiment take: data.source=DIR, as its files may lie elsewhere by now.

`infer` takes the keys of [executor], too: the cells predict the same wherever they run, and a cluster may be gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from foldline.core import strict_tables
from foldline.core.errors import UserError
from foldline.core.overrides import parse_override, with_overrides
from foldline.data.roles import DataConfig
from foldline.run.executor_config import ExecutorConfig


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


def run_elsewhere(executor: ExecutorConfig, overrides: Sequence[str]) -> tuple[ExecutorConfig, list[str]]:
    """Return [executor] as recorded with what executor.KEY=VALUE changes, and the other overrides.

    Raises:
        UserError: there is no such key, or it can't have that value.
    """
    own = [text for text in overrides if parse_override(text)[0][0] == "executor"]
    table = with_overrides({"executor": strict_tables.plain(executor)}, own)["executor"]
    others = [text for text in overrides if text not in own]
    return strict_tables.build(ExecutorConfig, table, "executor"), others

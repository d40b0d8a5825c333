"""The largest values of a model's table: absurd ones are refused when a config is read.

What lies above them ends in a library's own error, or in all memory of the machine, and often only after hours. The
bounds are generous: below them a network is still measured against the memory (fit/network_size.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from foldline.core.errors import UserError

WIDTH = 65_536, "one linear map of that width alone has more than 4 billion weights"
DEPTH = 256, "gradients don't pass through more layers"
DILATED = 16, "each layer doubles the dilation, so that 16 layers reach back over 65,536 steps"
WINDOW = 65_536, "a window of that many steps is longer than any series that fits into memory"
LIST = 1000, "no model has that many parts"
RATE = 10, "one step of that size leaves every sensible weight"
OTHER = 1_000_000_000, "no setting of a model is of that size"
LARGEST: dict[str, tuple[float, str]] = {  # key of a model, block or head -> its largest value, and why
    **dict.fromkeys(("width", "channels", "align", "embed", "waves", "buckets", "entity_size"), WIDTH),
    **dict.fromkeys(("recurrent", "ffn", "stacks", "bottleneck"), DEPTH),
    **dict.fromkeys(("kernel", "kernels", "kernel_size", "context", "window", "dilations", "season"), WINDOW),
    **dict.fromkeys(("steps", "differences"), WINDOW),
    **dict.fromkeys(("patch", "stride", "pool_kernel_size", "freq_downsample", "history", "horizon"), WINDOW),
    **dict.fromkeys(("per_channel", "per_step"), WIDTH),
    "layers": DEPTH,
    "heads": (1024, "a head of attention needs some of the width for itself"),
    "paths": (100_000, "that many paths don't fit into memory, and more than 1,000 change no digit"),
    "rounds": (1_000_000, "boosting has stopped to learn long before, and the model's file would be of many GiB"),
    "num_leaves": (131_072, "LightGBM allows no more"),
    "min_data_in_leaf": (2**31 - 1, "LightGBM allows no more"),
    "learning_rate": RATE,
}
KERNELS = 1_000_000, "each makes eight features"
OF_KIND: dict[tuple[str, str], tuple[float, str]] = {  # the same for keys that mean something else in one kind
    ("wavenet", "layers"): DILATED,
    ("tcn", "levels"): DILATED,
    ("se-resnet", "units"): DEPTH,
    ("unet", "levels"): (16, "a step in the middle stands for 65,536 then"),
    ("unet", "growth"): (16, "each level is that many times wider than the one above"),
    ("rocket", "kernels"): KERNELS,
    ("hydra", "groups"): (65_536, "each has features at every dilation"),
    ("hydra", "kernels"): (1024, "that many of a group never win"),
    ("quant", "trees"): (100_000, "more trees than some hundred change no digit"),
    ("catboost", "depth"): (16, "CatBoost allows no more"),
    ("xgboost", "max_depth"): (30, "a tree of that depth alone may have a billion leaves"),
}


def check(name: str, params: dict[str, Any], where: str) -> None:
    """Refuse a model's table with an absurd number in it. name: of the model; params: its table, as plain values.

    Raises:
        UserError: with the bound and its reason.
    """
    for place, value, largest, why in _numbers(name, params, where):
        if abs(value) > largest:
            raise UserError(f"{place} must be at most {largest:,}, but is {value:,}: {why}.")


def _numbers(kind: str, table: dict[str, Any], where: str) -> Iterator[tuple[str, float, float, str]]:
    """Yield the numbers of a table, of its inner tables, and lengths of lists: (place, number, largest, reason)."""
    for key, value in table.items():
        yield from _of_value(kind, key, value, f"{where}.{key}")


def _of_value(kind: str, key: str, value: Any, where: str) -> Iterator[tuple[str, float, float, str]]:
    if isinstance(value, dict):
        yield from _numbers(str(value.get("kind", kind)), value, where)
    elif isinstance(value, list | tuple):
        yield (f"{where}: the number of entries", len(value), *LIST)
        for number, item in enumerate(value):
            yield from _of_value(kind, key, item, f"{where}[{number}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield (where, value, *OF_KIND.get((kind, key), LARGEST.get(key, OTHER)))

"""What columns can't be called, and roles that must name columns of others."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from foldline.features.family import KNOWN_STEPS, LENGTH, MOMENT, SERIES, STEP

FOLD = "fold"  # column of a fold file, beside the key
HELPERS = (LENGTH, SERIES, STEP, KNOWN_STEPS, MOMENT)  # columns that features are computed with


def check(names: Sequence[str]) -> None:
    """Refuse names that polars or the features' helper columns read as something else.

    Raises:
        ValueError
    """
    for name in names:
        if not name or name == "*" or (name.startswith("^") and name.endswith("$")):
            raise ValueError(
                f"a column can't be called {name!r}: it is empty or reads as a pattern. Rename it in the files"
            )
        if name in HELPERS:
            raise ValueError(f"a column can't be called {name!r}: the features have a column of their own by it")


def check_written(key: str, written: Sequence[str]) -> None:
    """Refuse names that the files which foldline writes can't have. written: names of their columns.

    Raises:
        ValueError
    """
    if key == FOLD:
        raise ValueError(
            f"key can't be {FOLD!r}: a fold file has a column of its own by it. Rename the column in the files"
        )
    quoted = [name for name in written if '"' in name or "\n" in name]
    if quoted:
        raise ValueError(
            f"id, key and target are written to files, so that no name of them can hold a quote or a line's end, "
            f"but {quoted[0]!r} does. Rename the column in the files"
        )


def check_among(role: str, names: Sequence[str], known: Collection[str], what: str) -> None:
    """Refuse a role that names other columns than it may. what: these are, for the message.

    Raises:
        ValueError
    """
    odd = [name for name in names if name not in known]
    if odd:
        raise ValueError(f"{role} must name {what}, but has {odd[0]!r}")

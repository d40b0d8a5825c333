"""What the files of a competition say of themselves: the role of each column, with the evidence for it.

Nothing is guessed in silence: where the files leave two readings, the likelier one is taken and a sentence says so.
"""

from __future__ import annotations

import json

import polars as pl

from foldline.data import inspected_answers, inspected_forecast, inspected_known, target_kind
from foldline.data.findings import Findings, changing

FEW_LEVELS = 50  # different values of a static column or of a text at most; of more, it is none that is written
CLOCKS = {"time", "timestamp", "date", "second", "seconds", "sec", "step", "t", "seq", "frame", "minute", "day"}


def inspect(
    train: pl.DataFrame, test: pl.DataFrame, sample: pl.DataFrame | None, labels: tuple[str, pl.DataFrame] | None = None
) -> Findings:
    """Find the roles of the columns.

    Args:
        train, test: the tables with all their columns. sample: the sample submission, if there is one.
        labels: name and content of a file with the targets of the training series, if there is one.
    """
    found = Findings()
    shared = [name for name in train.columns if name in test.columns]
    if not _pairs(train, shared):
        train, test = inspected_forecast.in_order(train, test, shared)
    _find_series(found, train, test, shared)
    targets = inspected_answers.find_targets(found, train, test, sample, labels)
    inspected_answers.find_answers(found, test, sample, shared)
    if targets is not None and found.target:
        inspected_known.find_column_beside(found, train, test)
        inspected_answers.find_windows(found, train, test)
        inspected_answers.find_kind(found, targets, sample)
    _find_inputs(found, train, test, shared)
    _separate(found, shared)
    return found


def _separate(found: Findings, names: list[str]) -> None:
    """Give the order a name of its own where its column names the rows of the submission, too."""
    if found.order and found.order == found.id:
        second = f"{found.order}_order"
        while second in names:
            second += "_"
        found.copies[second], found.order = found.order, second
        found.by_time = second if found.by_time == found.id else found.by_time
        found.evidence["copies"] = f"{found.id} has two roles, and a column has one"


# ---------------------------------------------------------------- series


def _find_series(found: Findings, train: pl.DataFrame, test: pl.DataFrame, shared: list[str]) -> None:
    """Find what names a series, and what orders its rows."""
    pairs = _pairs(train, shared)
    if not pairs:
        found.unclear.append(
            "No two columns fit as key and order: a column whose values name series, and a number or time that "
            "increases from row to row inside each. Write both into the config, or make them from others; where the "
            "file has its rows in no order, sort them first."
        )
        return
    found.key = max(pairs, key=lambda name: train[name].n_unique())
    orders = sorted(pairs[found.key], key=lambda name: _order_rank(train, name))
    found.order, series = orders[0], train[found.key].n_unique()
    found.evidence["key"] = f"{series:,} values in train, and {found.order} increases inside each"
    known = train[found.key].unique().sort().is_in(test[found.key].unique().sort().implode()).sum()
    found.evidence["key"] += ", none of them in test" if not known else ""
    found.forecast = inspected_forecast.of(train, test, found.key, found.order)
    if found.forecast is not None:
        found.evidence["forecast"] = found.forecast.evidence
        found.unclear.append(found.forecast.unclear)
    elif known:
        found.unclear.append(
            f"{known:,} of the {series:,} values of {found.key} are in test, too, where they don't lie behind those of "
            "train: foldline wants other series there, or, of a forecast, their future."
        )
    else:
        # numbers of people look like days, but for their name
        named = [name for name in shared if _is_clock(name) or not _is_group(train, test, name, found.key)]
        _suggest_time_folds(found, train, test, named)
    lengths = train.group_by(found.key, maintain_order=True).len()["len"]
    found.evidence["order"] = f"increases in every series; {lengths.min()!s} to {lengths.max()!s} rows each"
    if len(orders) > 1:
        found.unclear.append(f"{', '.join(orders[1:])} would do as order, too.")


def _suggest_time_folds(found: Findings, train: pl.DataFrame, test: pl.DataFrame, shared: list[str]) -> None:
    """Suggest folds by time where test lies after train, by its order or another column of times; or may do so."""
    others = [name for name in shared if name != found.order and _may_be_time(train, name, found.key)]
    for name in [found.order, *others]:
        if bool((test[name] > train[name].max()).fill_null(False).all()):
            found.by_time = name
            found.unclear.append(
                f"All of test lies after train ({name} from {test[name].min()!s} on): let folds go by time "
                f'(kind = "time"{"" if name == found.order else f", by = {json.dumps(name)}"}), unless that is chance: '
                "docs/how-to/time-folds.md."
            )
            return
    if train[found.order].dtype.is_temporal():
        found.unclear.append(
            f"{found.order} holds dates, and test does not lie after train: where later series are asked for, folds "
            'may go by time (kind = "time", docs/how-to/time-folds.md).'
        )


def _may_be_time(train: pl.DataFrame, name: str, key: str) -> bool:
    """Whether a column may say when series are: times, or whole numbers that several series share, as days do."""
    column, series = train[name], train[key].n_unique()
    return column.dtype.is_temporal() or (column.dtype.is_integer() and 3 <= column.n_unique() <= series / 2)


def _pairs(train: pl.DataFrame, shared: list[str]) -> dict[str, list[str]]:
    """List what may name series, each with the columns that increase inside them."""
    return {key: orders for key in shared if _may_be_key(train, key) and (orders := _orders_in(train, key, shared))}


def _may_be_key(train: pl.DataFrame, name: str) -> bool:
    """Whether a column may name series: text or whole numbers, each value in one run, of two rows on average."""
    column = train[name]
    if not (column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical)) or column.null_count():
        return False
    values, runs = column.n_unique(), 1 + int((column != column.shift(1)).sum())
    return 1 < values <= train.height / 2 and runs == values


def _orders_in(train: pl.DataFrame, key: str, shared: list[str]) -> list[str]:
    """List the columns that strictly increase inside each series."""
    first = (train[key] != train[key].shift(1)).fill_null(True)
    found = []
    for name in shared:
        column = train[name]
        ordered = column.dtype.is_numeric() or column.dtype.is_temporal()
        if name != key and ordered and not column.null_count() and bool(((column > column.shift(1)) | first).all()):
            found.append(name)
    return found


def _order_rank(train: pl.DataFrame, name: str) -> tuple[bool, bool, int]:
    """Rank candidates for the order: a name of a clock first; what differs in every row of the file may be its id."""
    different = train[name].n_unique()
    return (not _is_clock(name), different == train.height, different)


def _is_clock(name: str) -> bool:
    return any(word in CLOCKS for word in name.lower().replace("-", "_").split("_"))


# ---------------------------------------------------------------- inputs


def _find_inputs(found: Findings, train: pl.DataFrame, test: pl.DataFrame, shared: list[str]) -> None:
    """Find groups, static columns and inputs among the columns that both tables have."""
    left = [name for name in shared if name not in (found.key, found.order, found.id, *found.target, *found.known)]
    altered = set(changing(train, found.key, left)) if found.key else set(left)
    groups = [name for name in left if name not in altered and _is_group(train, test, name, found.key)]
    if groups:
        found.group = max(groups, key=lambda name: train[name].n_unique())
        found.evidence["group"] = (
            f"constant in a series, {train[found.group].n_unique():,} values in train, several series each, none of "
            "them in test"
        )
    for name in left:
        if name != found.group:
            missing = train[name].null_count() + test[name].null_count()
            _add(found, train[name], constant=name not in altered, missing=missing)
    only_test = [name for name in test.columns if name not in (*train.columns, found.id)]
    if only_test:
        found.unclear.append(f"Only test has {', '.join(only_test)}: not used.")


def _add(found: Findings, column: pl.Series, constant: bool, missing: int) -> None:
    """Take a column as input or as static. constant: inside each series. missing: values, in both tables."""
    name, numeric = column.name, column.dtype.is_numeric() or column.dtype == pl.Boolean
    few = column.n_unique() <= FEW_LEVELS and not column.dtype.is_float()
    if column.null_count() == len(column):
        found.unclear.append(f"{name} is empty in all rows of train: not used.")
    elif constant and few:
        found.static.append(name)
        found.evidence[f"static {name}"] = f"constant in a series: {target_kind.values_of(column)}"
    elif numeric:
        found.inputs.append(name)
        gaps = f", {missing:,} missing" if missing else ""
        found.evidence[f"inputs {name}"] = f"{column.dtype}{', constant in a series' if constant else ''}{gaps}"
    elif not constant and column.dtype == pl.String and column.n_unique() <= FEW_LEVELS:
        found.inputs.append(name)
        found.categorical.append(name)
        found.evidence[f"inputs {name}"] = f"categories that change inside a series: {target_kind.values_of(column)}"
    else:
        how = f"with {column.n_unique():,} values" if constant else "that changes inside a series"
        keys = "static" if constant else "inputs and categorical"
        way_in = f"; as a category it would stand under {keys}" if column.dtype == pl.String else ""
        found.unclear.append(f"{name} holds {column.dtype} {how}: not used{way_in}.")


def _is_group(train: pl.DataFrame, test: pl.DataFrame, name: str, key: str) -> bool:
    """Whether a column that is constant in a series names groups: several series each, and others in test."""
    column = train[name]
    if column.dtype.is_float() or column.null_count() or not key:
        return False
    several = 1 < column.n_unique() < train[key].n_unique()
    return several and not column.unique().is_in(test[name].unique().sort().implode()).any()

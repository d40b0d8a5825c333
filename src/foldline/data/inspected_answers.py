"""What is asked: the targets, their level and kind, and the rows and columns of the submission (see inspection.py)."""

from __future__ import annotations

import polars as pl

from foldline.data import identity, inspected_known, target_kind
from foldline.data.findings import Findings, changing
from foldline.data.name_template import STEP

SIGNS = ("_", "-", ":")  # between the parts of an id


def find_targets(
    found: Findings,
    train: pl.DataFrame,
    test: pl.DataFrame,
    sample: pl.DataFrame | None,
    labels: tuple[str, pl.DataFrame] | None,
) -> pl.DataFrame | None:
    """Find the targets; return the frame that holds them."""
    if labels is not None and found.key in labels[1].columns:
        name, frame = labels
        found.labels, found.level = name, "series"
        beside = [column for column in frame.columns if column != found.key]
        asked = [column for column in beside if sample is not None and column in sample.columns]
        found.target = asked or beside
        found.evidence["labels"] = f"{name} has {frame.height:,} rows, one a series"
        found.evidence["target"] = (
            f"in {name} and in the sample submission" if asked else f"what {name} has beside {found.key}"
        )
        left = [column for column in beside if column not in found.target]
        if left:
            found.unclear.append(f"{name} has {', '.join(left)}, too, which the sample does not ask for: not used.")
        return frame
    only = [name for name in train.columns if name not in test.columns]
    wanted = [] if sample is None else [name for name in only if name in sample.columns]
    given = [] if only else inspected_known.own_columns(train, test, sample)
    if given:
        found.target = found.known = given
        found.evidence["target"] = "the sample submission asks for it; train has it whole, test here and there"
        found.evidence["known"] = "test has it in some rows"
    elif wanted:
        found.target = wanted
        found.evidence["target"] = "in train and in the sample submission, not in test"
    elif len(only) == 1:
        found.target = only
        found.evidence["target"] = "the only column of train that test has not"
    else:
        named = [] if sample is None else [name for name in only if target_kind.names_classes(train[name], sample)]
        found.target = named[:1]
        if named:
            found.evidence["target"] = "the sample submission has a column for each of its labels"
    left = [name for name in only if name not in found.target]
    if not found.target:
        found.unclear.append(f"Which column is the target? Only train has: {', '.join(only) or 'none'}.")
    elif left:
        found.unclear.append(f"Only train has {', '.join(left)}, which the sample does not ask for: not used.")
    return train if found.target else None


def find_windows(found: Findings, train: pl.DataFrame, test: pl.DataFrame) -> None:
    """Find whether series of train are to be cut: the target changes inside them, and each of test has one answer."""
    if found.level != "series" or found.labels or not found.key:
        return
    altered = changing(train, found.key, found.target)
    rows, longest = (frame.group_by(found.key, maintain_order=True).len()["len"] for frame in (test, train))
    if not altered or int(rows.max()) > int(longest.max()):  # type: ignore[arg-type]
        return
    found.level, found.length = "window", int(rows.max())  # type: ignore[arg-type]
    found.evidence["level"] += f"; {altered[0]} changes inside the series of train, which are cut into windows"
    found.unclear.append(
        f"A window has {found.length:,} rows, as the longest test series: is its answer {altered[0]} of its last row?"
    )


def find_kind(found: Findings, frame: pl.DataFrame, sample: pl.DataFrame | None) -> None:
    """Find the kind of the targets in a frame."""
    if found.level == "series" and not found.labels and found.key:
        for name in changing(frame, found.key, found.target):
            found.unclear.append(f"{name} changes inside a series, though one answer is asked for each.")
    seen = target_kind.of(frame.select(found.target), sample)
    found.kind, found.classes, found.evidence["kind"] = seen.kind, list(seen.classes), seen.why
    found.unclear += seen.unclear


def find_answers(found: Findings, test: pl.DataFrame, sample: pl.DataFrame | None, shared: list[str]) -> None:
    """Find the level, and what names a row of the submission."""
    series = test[found.key].n_unique() if found.key else 0
    if sample is None:
        unique = [name for name in shared if test[name].n_unique() == test.height and test[name].dtype.is_integer()]
        found.id = next((name for name in unique if name not in (found.key, found.order)), "")
        found.unclear.append("There is no sample submission, which would show its columns and rows.")
        return
    first, found.asks_labels = sample.columns[0], bool(found.target) and found.target[0] in sample.columns
    names_series = first == found.key and bool(_texts(sample[first]).is_in(_texts(test[first]).implode()).all())
    if names_series or (first not in test.columns and series and sample.height == series):
        found.level = "series"
        found.evidence["level"] = f"the sample submission has {sample.height:,} rows, one for each {found.key} of test"
    made = _template(found, test, sample[first]) if first != found.key and not names_series else ""
    if made:
        found.id, found.template = first, made
        found.evidence["id"] = "the first column of the sample submission"
        found.evidence["id_template"] = f"makes its ids, such as {sample[first][0]}"
    elif first in test.columns and (first != found.key or names_series):
        found.id = first
        found.evidence["id"] = "the first column of the sample submission"
    else:
        found.unclear.append(
            f"The ids of the sample submission ({first}, such as {sample[first][0]!r}) are no column of test: "
            "docs/how-to/tasks.md says how they are made of others."
        )
    _find_column(found, sample)
    if found.level == "step":
        found.evidence["level"] = f"the sample submission has {sample.height:,} rows, test {test.height:,}"
        if sample.height < test.height:
            found.unclear.append(
                "The sample submission asks for some rows only: if a condition on the inputs says which, write it as "
                "scored."
            )


def _find_column(found: Findings, sample: pl.DataFrame) -> None:
    """Find the column of the submission where it is called otherwise than the only target."""
    names = sample.columns[1:]
    if len(found.target) == 1 and len(names) == 1 and names[0] != found.target[0]:
        found.column = names[0]
        found.evidence["column_template"] = f"the only other column of the sample submission, for {found.target[0]}"


def _template(found: Findings, test: pl.DataFrame, ids: pl.Series) -> str:
    """Return the template that makes a sample's ids of a series and a step; empty where none of the usual ones does.

    One row a series: the ids are the series' names, in a column that is called otherwise.
    """
    if not found.key or ids.name in test.columns:
        return ""
    if found.level == "series" and _texts(ids).sort().equals(
        _texts(test[found.key].unique(maintain_order=True)).sort()
    ):
        return f"{{{found.key}}}"
    if not found.order or len(ids) != test.height:
        return ""
    step = test.select(pl.int_range(pl.len()).over(found.key)).to_series()
    wanted = _texts(ids).sort()
    for second, values in ((found.order, test[found.order]), (STEP, step)):
        for sign in SIGNS:
            made = _texts(test[found.key]) + sign + _texts(values)
            if made.sort().equals(wanted):
                return f"{{{found.key}}}{sign}{{{second}}}"
    return ""


def _texts(column: pl.Series) -> pl.Series:
    """Return names as texts, dates as they are printed."""
    names = column.cast(pl.String) if column.dtype.is_temporal() else identity.texts(column)
    return names.alias("name")

"""What is no mistake in the tables, but good to know: missing inputs, values that training has not, no sample."""

from __future__ import annotations

import polars as pl

from foldline.core.console import Terminal
from foldline.core.errors import shortened
from foldline.data.loading import Levels
from foldline.data.sample_submission import lays_out_itself
from foldline.data.submission_layout import Layout
from foldline.data.table import Table

SHOWN = 5  # columns or values that a note lists, at most


def print_notes(
    test: Table, sample: pl.DataFrame | None, levels: Levels, terminal: Terminal, train: Table | None = None
) -> None:
    """Print what is no mistake but good to know: no sample submission, values that no training series has, or none.

    levels: of the training table. train: that table; None: it was not read.
    """
    if train is not None and train.cut:
        terminal.say(train.cut)
    if train is not None and (sentence := static_columns(train, levels)):
        terminal.say(sentence)
    for table in (train, test):
        for sentence in () if table is None else table.notes:
            terminal.say(sentence)
        if table is not None and table.missing:
            terminal.say(missing_inputs(table))
    if test.empty:
        several = f"{len(test.empty)} files of {test.path} have" if test.empty[1:] else f"{test.empty[0]} has"
        terminal.say(f"{several} a header but no rows, so that no series comes of {'them' if test.empty[1:] else 'it'}")
    if sample is None and not lays_out_itself(test.data):
        columns = ", ".join(Layout.of(test, None).order)
        terminal.say(
            f"no sample_submission: the submission gets the rows of {test.path.name}, in its order, and the columns "
            f"{columns}"
        )
    if sentence := missing_in_test_only(test):
        terminal.warn(sentence)
    for sentence in unseen_levels(test, levels):
        terminal.warn(sentence)


def static_columns(table: Table, levels: Levels) -> str:
    """Say which static columns are numbers and which are categories; empty where all are text.

    table: the training table.
    """
    if not any(table.frame[name].dtype.is_numeric() for name in table.data.static):
        return ""
    numbers = [f"{name} ({table.frame[name].n_unique():,} values)" for name in table.facts.numbers]
    codes = [f"{name} ({len(levels[name]):,})" for name in table.categories]
    kinds = [f"numbers: {shortened(numbers)}"] if numbers else []
    kinds += [f"categories: {shortened(codes)}"] if codes else []
    lacking = [f"{name} {table.frame[name].null_count():,}" for name in table.data.static]
    gaps = [text for text in lacking if not text.endswith(" 0")]
    return "static " + "; ".join(kinds) + (f"; rows without a value: {shortened(gaps)}" if gaps else "")


def missing_inputs(table: Table) -> str:
    """Say in which inputs values are missing, and how many."""
    rows = table.frame.height
    most = sorted(table.missing.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {count:,}" for name, count in most[:SHOWN])
    more = f" and {len(most) - SHOWN} more columns" if len(most) > SHOWN else ""
    return f"missing inputs of {table.path.name}, of {rows:,} rows: {shown}{more}"


def missing_in_test_only(test: Table) -> str:
    """Say which inputs are missing in test, but nowhere in training; empty where none are."""
    new = [name for name in test.missing if name not in test.facts.missing]
    if not new:
        return ""
    shown = ", ".join(new[:SHOWN]) + (f" and {len(new) - SHOWN} more" if len(new) > SHOWN else "")
    return (
        f"inputs that are missing in test, but nowhere in training: {shown}. Models see the middle of the known values "
        "there. Where a sensor may be absent, name its inputs in data.channels, and train with "
        "train.augment.drop_channels."
    )


def unseen_levels(test: Table, levels: Levels) -> list[str]:
    """Say for each static column which values of test series no training series has, a sentence each."""
    sentences = []
    for name, known in levels.items():
        if not known:  # a number: each value is itself
            continue
        familiar = {None, *known}
        if name in test.data.categorical:
            values = test.frame[name]  # of codes that are whole: Float64, where training has Int64
            rows = values.is_in(pl.Series(known, dtype=values.dtype).implode()).fill_null(True)
            if name in test.data.inputs and not rows.all():
                count = int((~rows).sum())
                sentences.append(f"{count} test rows have a {name} that training has not; it is treated as unknown.")
                continue
        new = [value for value in test.frame[name].gather(test.starts).to_list() if value not in familiar]
        if new:
            several = [f"{value:.15g}" if isinstance(value, float) else str(value) for value in sorted(set(new))]
            shown = ", ".join(several[:5]) + (f" and {len(several) - 5} more" if len(several) > 5 else "")
            sentences.append(
                f"{len(new)} of {len(test.lengths)} test series have a {name} that no training series has: {shown}; "
                "it is treated as unknown."
            )
    return sentences

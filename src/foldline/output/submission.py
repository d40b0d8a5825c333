"""Submissions: their layout, the gate that checks each file, and its entry into the ledger."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.errors import Finding
from foldline.data import identity
from foldline.data.roles import DataConfig
from foldline.data.target_range import TargetRange, is_coarse
from foldline.run.ledger import Origin, add_entry, ledger_path

RANGE_SLACK = 0.5  # of the training range: predictions may leave it by that much; beyond, something is wrong


def build(
    data: DataConfig,
    test: pl.DataFrame,
    predictions: np.ndarray,
    sample: pl.DataFrame | None,
    file_rows: np.ndarray | None = None,
) -> pl.DataFrame:
    """Lay predictions out as a submission: columns and row order of the sample, or of the test file without a sample.

    Args:
        test: rows with their ids.
        predictions: (rows, K), in the order of `test`.
        file_rows: (rows,) the position of each row of `test` in its file; None: they are in the file's order.
    """
    table = pl.DataFrame({data.id: test[data.id]} | {name: predictions[:, k] for k, name in enumerate(data.target)})
    if sample is None:
        return table if file_rows is None else table[np.argsort(file_rows)]
    rows = table[identity.places(sample[data.id], test[data.id])].with_columns(sample[data.id])  # ids as it prints them
    return rows.select(rows[name] for name in sample.columns)


def check(data: DataConfig, path: Path, sample: pl.DataFrame | None, expected: list[TargetRange]) -> None:
    """Read a written submission back and check its layout and its values.

    Args:
        expected: (K,) range and digits of each target in training.

    Raises:
        Finding: naming each rule that is broken.
    """
    problems = _layout(data, path, sample)
    if not problems:
        table = _written(data, path.read_bytes())
        pairs = zip(data.target, expected, strict=True)
        problems = [text for name, target in pairs for text in _values(table, name, sample, target)]
    if problems:
        listed = "\n".join(f"  - {text}" for text in problems)
        raise Finding(f"{path} is refused by the submission gate:\n{listed}")


def _layout(data: DataConfig, path: Path, sample: pl.DataFrame | None) -> list[str]:
    raw = path.read_bytes()
    if raw.startswith(b"\xef\xbb\xbf"):
        return ["it starts with a byte order mark; write plain UTF-8"]
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return [f"it is not UTF-8 ({error.reason} at byte {error.start})"]
    table = _written(data, raw)
    wanted = sample.columns if sample is not None else [data.id, *data.target]
    if table.columns != wanted:
        return [f"its columns must be {','.join(wanted)}, but are {','.join(table.columns)}"]
    problems = []
    if table[data.id].n_unique() != table.height:
        problems.append(f"{data.id} must be unique, but {table.height - table[data.id].n_unique()} rows repeat one")
    if sample is not None and table[data.id].to_list() != sample[data.id].cast(pl.String).to_list():
        problems.append(
            f"its {data.id}s must be the sample's {sample.height}, in the sample's order, but are {table.height} others"
        )
    for name in data.target:
        if not table[name].dtype.is_numeric():
            problems.append(f"{name} must be numeric, but is {table[name].dtype}")
        elif table[name].null_count() or not table[name].cast(pl.Float64).is_finite().all():
            problems.append(f"{name} must be finite in every row")
    return problems


def _written(data: DataConfig, raw: bytes) -> pl.DataFrame:
    """Parse a submission; ids are texts, so that 0007 is not 7."""
    return pl.read_csv(io.BytesIO(raw), infer_schema_length=None, schema_overrides={data.id: pl.String})


def _values(table: pl.DataFrame, name: str, sample: pl.DataFrame | None, target: TargetRange) -> list[str]:
    values = table[name].cast(pl.Float64).to_numpy()
    slack = RANGE_SLACK * (target.high - target.low)
    lowest, highest = float(values.min()), float(values.max())
    problems = []
    if lowest == highest and len(values) > 1:
        problems.append(f"{name} must not be constant, but is {lowest:g} in every row")
    if sample is not None and np.array_equal(values, sample[name].cast(pl.Float64).to_numpy()):
        problems.append(f"{name} must not equal the sample submission")
    if lowest < target.low - slack or highest > target.high + slack:
        known = f"[{target.low:g}, {target.high:g}]"
        problems.append(f"{name} must lie near the training range {known}, but goes from {lowest:g} to {highest:g}")
    if is_coarse(values) and not target.coarse:
        problems.append(f"{name} must have enough digits, but three print every value")
    return problems


def publish(
    data: DataConfig,
    origin: Origin,
    draft: Path,
    table: pl.DataFrame,
    sample: pl.DataFrame | None,
    expected: list[TargetRange],
) -> Path:
    """Write a submission, check it at the gate, and enter it into the ledger.

    Args:
        draft: where it is written; one of real data is then copied to submissions/.

    Returns:
        its path: of the copy for real data, else of the draft.

    Raises:
        Finding: the gate refused it; the draft stays for inspection, nothing else is written.
    """
    with files.atomic(draft) as stream:
        table.write_csv(stream)
    check(data, draft, sample, expected)
    hashed, path = files.sha256(draft), draft
    if not origin.simulated:
        path = files.home() / "submissions" / f"{origin.config}-{hashed[:8]}.csv"
        with files.atomic(path) as stream:
            stream.write(draft.read_bytes())
    add_entry(
        ledger_path(origin.simulated),
        {
            "sha256": hashed,
            "config": origin.config,
            "config_hash": origin.config_hash,
            "experiment": origin.experiment,
            "cells": origin.cells,
            "test": origin.test,
            "metric": data.metric,
            "out_of_fold": f"{origin.out_of_fold:.6g}",
            "rows": str(table.height),
        },
    )
    return path

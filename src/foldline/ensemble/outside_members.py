"""Members from outside: an out-of-fold and a test file of models that were trained elsewhere, checked against our rows.

    [[blend.outside]]                      or   ./run.sh blend sample --outside friend=oof.csv,test.csv
    name = "friend"
    oof = "friend/oof.csv"                 # laid out as a submission: ids and numbers, of all training rows (or series)
    test = "friend/test.parquet"           # the same of all test rows
    fold = "fold"                          # a column of oof: which fold held the row out; may be left out

Of several classes there is a column for each, named by its label, with its probability; of binary and of ordinal
targets one by the name of the target, with the probability of the second class, or the expected rank.

Predictions that pass are copied to runs/outside, under the hash of their values: `infer` and `report` read the copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import readers
from foldline.data.folds import Folds
from foldline.data.loading import Competition
from foldline.data.metrics.losses import SLACK
from foldline.data.metrics.options import CLASSES
from foldline.data.submission_addresses import Addresses
from foldline.data.submission_layout import NOWHERE, Layout
from foldline.data.table import Table
from foldline.data.task import SHARES
from foldline.ensemble import members
from foldline.ensemble.blend_config import OutsideConfig
from foldline.ensemble.members import Member


def load_all(
    configs: Sequence[OutsideConfig], competition: Competition, folds: Folds, terminal: Terminal
) -> list[Member]:
    """Read each member; warn where no column shows by which folds its rows were held out."""
    loaded = [load(config, competition, folds) for config in configs]
    for unchecked in (config for config in configs if not config.fold):
        terminal.warn(
            f"{unchecked.name}: nothing shows by which folds {unchecked.oof} was held out; if they are not ours, its "
            "score and its weight are too good. Name the column of it that holds the fold, if it has one."
        )
    return loaded


def load(config: OutsideConfig, competition: Competition, folds: Folds) -> Member:
    """Read and check both files of a member, and copy them to runs/outside.

    Raises:
        UserError: a file is missing, has other rows than ours or a value that is no finite number, or has other folds.
    """
    where = f"member {config.name!r} from outside"
    train, test = competition.train, competition.test
    held_out = np.repeat(folds.assignment >= 0, train.answers_of_series)
    oof, theirs = _read(Path(config.oof), train, where, config.fold, held_out)
    if theirs is not None:
        _check_folds(theirs, train, folds, Path(config.oof))
    values = [oof, _read(Path(config.test), test, where)[0]]
    source = files.digest_arrays(*values)
    folder = files.runs() / "outside" / f"{source}-{test.fingerprint}"
    mark = folder / artefacts.CHECKSUMS
    if why := artefacts.damage(mark):
        if mark.exists():
            artefacts.say(folder, why, "it is written again")
        for name, rows in ((members.OUT_OF_FOLD, values[0]), ("test.npy", values[1])):
            files.write_array(folder / name, rows)
        artefacts.seal(mark, [folder / members.OUT_OF_FOLD, folder / "test.npy"])
    return Member(config.name, source=source, rows=values[0], tests={test.fingerprint: folder / "test.npy"})


def parse(text: str, where: str) -> OutsideConfig:
    """Parse `NAME=OOF_FILE,TEST_FILE[,FOLD_COLUMN]`. where: the option, for messages."""
    name, _, rest = text.partition("=")
    parts = rest.split(",")
    if not name or len(parts) not in (2, 3) or not all(parts):
        raise UserError(
            f"{where} must have the form NAME=OOF_FILE,TEST_FILE or NAME=OOF_FILE,TEST_FILE,FOLD_COLUMN, but is "
            f"{text!r}. A path with a comma in it can stand in a [[blend.outside]] table."
        )
    return OutsideConfig(name=name, oof=parts[0], test=parts[1], fold=parts[2] if len(parts) == 3 else "")


def _read(
    path: Path, table: Table, where: str, fold: str = "", needed: np.ndarray | None = None
) -> tuple[np.ndarray, pl.Series | None]:
    """Read the predictions of a table's answers, (A, K), and the fold of each, (A,), where a column has it.

    Args:
        where: the member, for messages.
        needed: (A,) bool, answers that must be predicted: those that a fold holds out. Others may be empty. None: all.
    """
    data, path = table.data, path.expanduser()
    if not path.exists():
        raise UserError(f"{where}: {path} does not exist. Give the path from where you are, or an absolute one.")
    columns = Addresses.of(table, readers.columns(path), path, as_numbers=True).known_columns
    wanted: readers.Wanted = {data.id: None, **dict.fromkeys(columns, pl.Float64())}
    frame = readers.read(path, wanted | ({fold: None} if fold else {}))
    layout = Layout.of(table, frame, path, as_numbers=True)
    difference = layout.difference(every=True)
    if difference:
        raise UserError(
            f"{path} ({where}) must have each row of {table.path} once, but has {frame.height} rows against "
            f"{layout.addresses.answers}: it {difference}. Write one prediction for every row, scored or not."
        )
    needed = np.ones(layout.addresses.answers, dtype=bool) if needed is None else needed
    asked = pl.Series(_rows_of(layout, needed))
    for name in columns:
        bad = asked & ~frame[name].is_finite().fill_null(False)
        if bad.any():
            row = frame[data.id][int(bad.arg_true()[0])]
            which = "every row" if needed.all() else "every row that a fold holds out"
            raise UserError(
                f"{path} ({where}): {name!r} must be a finite number in {which}, but is not in {int(bad.sum())} "
                f"(first: {data.id} {row})."
            )
    predicted = layout.parsed(frame)
    _refuse_no_probabilities(predicted[needed], table, f"{path} ({where})")
    return predicted, frame[fold].gather(layout.rows_of_answers()) if fold else None


def _rows_of(layout: Layout, needed: np.ndarray) -> np.ndarray:
    """Say which rows of a file hold predictions of some answers, (rows,) bool. needed: (A,) bool."""
    if needed.all():
        return np.ones(len(layout.ids), dtype=bool)
    known = layout.cells != NOWHERE
    answer = np.where(known, layout.cells, 0) // len(layout.addresses.names)
    return np.asarray((known & needed[answer]).any(axis=1))


def _refuse_no_probabilities(values: np.ndarray, table: Table, where: str) -> None:
    """Refuse predictions of classes that are no probabilities, or no shares of sum one. values: (A, K)."""
    kind, columns = table.data.kind, ", ".join(table.task.columns)
    if kind in CLASSES and ((values < 0) | (values > 1)).any():
        raise UserError(
            f"{where}: {columns} must be probabilities, as the target is {kind}, but reach from {values.min():g} to "
            f"{values.max():g}. Write the probability of each."
        )
    if kind in SHARES and np.abs(values.sum(axis=1) - 1).max() > SLACK:
        raise UserError(
            f"{where}: {columns} must sum to one in each row, but one sums to {values.sum(axis=1).max():g}. Divide "
            "each row by its sum."
        )


def _check_folds(theirs: pl.Series, table: Table, folds: Folds, path: Path) -> None:
    """Refuse predictions that were held out by other folds; the folds' names may differ from ours."""
    ours = np.repeat(folds.assignment, table.answers_of_series)
    rows = pl.DataFrame({"key": table.answers[table.data.key], "ours": ours, "theirs": theirs.cast(pl.String)})
    rows = rows.filter(pl.col("ours") >= 0)  # of others, which no fold of ours holds out, nothing is used
    pairs = rows.unique(["ours", "theirs"], keep="first", maintain_order=True)
    # one fold of ours in two of theirs, or the reverse: not the same partition
    split = pairs.filter(pl.col("ours").is_duplicated() | pl.col("theirs").is_duplicated())
    if split.height:
        key, own, other = split.row(-1)
        raise UserError(
            f"{path}: its folds are not those of {folds.path}. {table.data.key} {key} is in fold {own} here and in "
            f"fold {other} there, and the two hold different series. Make its predictions on our folds."
        )

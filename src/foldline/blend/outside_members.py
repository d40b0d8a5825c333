"""Members from outside: an out-of-fold and a test file that somebody else's models left, checked against our rows.

    [[blend.outside]]                      or   ./run.sh blend sample --outside friend=oof.csv,test.csv
    name = "friend"
    oof = "friend/oof.csv"                 # row id and target columns, one row for each training row
    test = "friend/test.parquet"           # the same for each test row
    fold = "fold"                          # a column of oof: which fold held the row out; may be left out

What passes is kept under runs/outside, named after the files' content: `infer` and `report` need the files no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from foldline.blend import members
from foldline.blend.blend_config import OutsideConfig
from foldline.blend.members import Member
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import readers
from foldline.data.folds import Folds
from foldline.data.loading import Competition
from foldline.data.table import Table


def load_all(
    wanted: Sequence[OutsideConfig], competition: Competition, folds: Folds, terminal: Terminal
) -> list[Member]:
    """`load` for each, with a warning where nothing shows by which folds its rows were held out."""
    found = [load(named, competition, folds) for named in wanted]
    for stranger in (named for named in wanted if not named.fold):
        terminal.warn(
            f"{stranger.name}: nothing shows by which folds {stranger.oof} was held out; if they are not ours, its "
            "score and its weight are too good. Name the column of it that holds the fold, if it has one."
        )
    return found


def load(config: OutsideConfig, competition: Competition, folds: Folds) -> Member:
    """Read and check both files.

    Raises:
        UserError: no file, not just our rows, a value that is no finite number, or other folds than ours.
    """
    where = f"member {config.name!r} from outside"
    train, test = competition.train, competition.test
    known = _read(Path(config.oof), train, where, config.fold)
    if config.fold:
        _check_folds(known[config.fold], train, folds, Path(config.oof))
    asked = _read(Path(config.test), test, where)
    values = [frame.select(competition.data.target).to_numpy() for frame in (known, asked)]
    source = files.digest_arrays(*values)
    folder = files.runs() / "outside" / f"{source}-{test.fingerprint}"
    for name, rows in ((members.OUT_OF_FOLD, values[0]), ("test.npy", values[1])):
        if not (folder / name).exists():
            files.write_array(folder / name, rows)
    return Member(config.name, source=source, rows=values[0], tests={test.fingerprint: folder / "test.npy"})


def parse(text: str, where: str) -> OutsideConfig:
    """`NAME=OOF_FILE,TEST_FILE[,FOLD_COLUMN]` as the table it stands for."""
    name, _, rest = text.partition("=")
    parts = rest.split(",")
    if not name or len(parts) not in (2, 3) or not all(parts):
        raise UserError(
            f"{where} must have the form NAME=OOF_FILE,TEST_FILE or NAME=OOF_FILE,TEST_FILE,FOLD_COLUMN, but is "
            f"{text!r}. A path with a comma in it can stand in a [[blend.outside]] table."
        )
    return OutsideConfig(name=name, oof=parts[0], test=parts[1], fold=parts[2] if len(parts) == 3 else "")


def _read(path: Path, table: Table, where: str, fold: str = "") -> pl.DataFrame:
    """Targets (and folds) of the file, in the order of the table's rows."""
    data, ids = table.data, table.frame[table.data.id]
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"{where}: {path} does not exist. Give the path from where you are, or an absolute one.")
    kind = pl.String() if ids.dtype == pl.String else None  # 1 in a CSV is "1" in a Parquet of text
    wanted: readers.Wanted = {data.id: kind, **dict.fromkeys(data.target, pl.Float64())}
    frame = readers.read(path, wanted | ({fold: None} if fold else {}))
    if frame[data.id].dtype != ids.dtype or not frame[data.id].sort().equals(ids.sort()):
        odd = set(frame[data.id].to_list()) ^ set(ids.to_list())
        first = f"first that is in one only: {min(odd, key=str)}" if odd else "some are repeated"
        raise UserError(
            f"{path} ({where}) must have each row of {table.path} once, but has {frame.height} rows against "
            f"{len(ids)} ({data.id}: {first}). Write one prediction for every row, scored or not."
        )
    for name in data.target:
        bad = ~frame[name].is_finite().fill_null(False)
        if bad.any():
            row = frame[data.id][int(bad.arg_true()[0])]
            raise UserError(
                f"{path} ({where}): {name!r} must be a finite number in every row, but is not in {int(bad.sum())} "
                f"(first: {data.id} {row})."
            )
    return ids.to_frame().join(frame, on=data.id, how="left", maintain_order="left")


def _check_folds(theirs: pl.Series, table: Table, folds: Folds, path: Path) -> None:
    """Refuse predictions that were held out by other folds; what the folds are called does not matter."""
    ours = np.repeat(folds.assignment, table.lengths)
    rows = pl.DataFrame({"key": table.frame[table.data.key], "ours": ours, "theirs": theirs.cast(pl.String)})
    pairs = rows.unique(["ours", "theirs"], keep="first", maintain_order=True)
    split = pairs.filter(pl.col("ours").is_duplicated() | pl.col("theirs").is_duplicated())
    if split.height:
        key, own, other = split.row(-1)
        raise UserError(
            f"{path}: its folds are not those of {folds.path}. {table.data.key} {key} is in fold {own} here and in "
            f"fold {other} there, and the two hold different series. Make its predictions on our folds."
        )

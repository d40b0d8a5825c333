"""The data border: files with roles in, checked series out. Nothing behind it has to doubt its input again.

A *series* is one group of rows in time order (a breath, a ride). [data] says which column plays which role; any number
of series of any lengths passes. All is checked here, once, before anything is trained or written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from foldline import files, known_start, readers
from foldline.errors import UserError, unknown
from foldline.metrics import metric


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """[data.simulate]: the size of the simulated competition that stands in when there is no data."""

    breaths: int = 1500  # labelled series
    test_breaths: int = 300  # series of the test file
    seed: int = 0

    def __post_init__(self) -> None:
        if self.breaths < 1 or self.test_breaths < 1:
            raise ValueError(
                f"breaths and test_breaths must be at least 1, but are {self.breaths}, {self.test_breaths}"
            )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """[data]: which column plays which role, and where the files are."""

    id: str  # names a row in the submission
    key: str  # names the series a row belongs to; never split across folds
    order: str  # time inside the series, strictly increasing (s for the ventilator)
    target: tuple[str, ...]  # wanted at every scored step; one submission column each
    inputs: tuple[str, ...]  # known at every step, of test series too
    static: tuple[str, ...] = ()  # constant inside a series, categorical
    scored: str = ""  # SQL condition on the columns above that says which rows count; empty: all
    metric: str = "mae"
    observed: int = 0  # leading steps of every series, of test series too, at which the target is known; not scored
    source: str = "simulate"  # "simulate", a folder, or a zip with train, test and sample_submission in it
    simulate: SimulateConfig = field(default_factory=SimulateConfig)

    def __post_init__(self) -> None:
        names = [self.id, self.key, self.order, *self.target, *self.inputs, *self.static]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"a column has one role, but {', '.join(twice)} is named more than once")
        if not self.target or not self.inputs:
            raise ValueError("target and inputs must each name at least one column")
        if self.observed < 0:
            raise ValueError(f"observed must be a number of steps, not below 0, but is {self.observed}")
        metric(self.metric)

    @property
    def simulated(self) -> bool:
        return self.source == "simulate"

    def roles(self) -> dict[str, object]:
        """What a model's weights depend on: never where the files lie."""
        names = ("key", "order", "target", "inputs", "static", "scored")
        values = {name: getattr(self, name) for name in (*names, *(["observed"] if self.observed else []))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


Levels = dict[str, tuple[object, ...]]  # static column -> its known values, sorted


@dataclass(frozen=True)
class Table:
    """Checked series of one file: rows of a series stand together, in time order."""

    path: Path  # for messages
    data: DataConfig
    frame: pl.DataFrame  # role columns; target columns only where they are known
    lengths: np.ndarray  # (N,) int64, rows per series
    file_rows: np.ndarray | None = None  # (rows,) where each row stands in the file; None: they are in its order
    start: np.ndarray | None = None  # (rows, K) known target of a test table, 0 where it is not known

    @property
    def keys(self) -> pl.Series:
        """(N,) the series' names, in the order of the frame."""
        return self.frame[self.data.key].gather(self.starts)

    @property
    def starts(self) -> np.ndarray:
        """(N,) row where each series starts."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

    @property
    def labelled(self) -> bool:
        return all(name in self.frame.columns for name in self.data.target)

    @cached_property
    def observed(self) -> np.ndarray:
        """(rows,) bool: rows whose target is known in a test table too."""
        step = np.arange(self.frame.height) - np.repeat(self.starts, self.lengths)
        return np.asarray(step < self.data.observed)

    @property
    def known(self) -> np.ndarray:
        """(rows, K) float64: the target where it is known in a test table too, 0 at all other rows."""
        if self.start is not None:
            return self.start
        return np.where(self.observed[:, None], self.frame.select(self.data.target).to_numpy(), 0.0)

    @cached_property
    def scored(self) -> np.ndarray:
        """(rows,) bool: which rows the metric counts."""
        if not self.data.scored:
            return ~self.observed
        condition = self.frame.select(pl.sql_expr(self.data.scored)).to_series()
        return np.asarray(condition.to_numpy() & ~self.observed) if self.data.observed else condition.to_numpy()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every value that a feature, a fold or a weight can depend on; row ids are left out."""
        columns = [name for name in self.frame.columns if name != self.data.id]
        values = [_bytes_of(self.frame[name]) for name in columns]
        return files.digest_arrays(self.lengths, *values, *([] if self.start is None else [self.start]))


@dataclass(frozen=True)
class Competition:
    """Train and test tables and the sample submission, all checked."""

    data: DataConfig
    train: Table
    test: Table
    sample: pl.DataFrame | None

    levels: Levels  # of the training table; what test adds is treated as unknown


def load(data: DataConfig) -> Competition:
    """Read and check a whole competition.

    Raises:
        UserError: whatever is wrong with the files, in one sentence.
    """
    source = source_folder(data)
    train = load_table(readers.locate(source, "train"), data, labelled=True)
    levels = {name: tuple(train.frame[name].unique().sort().to_list()) for name in data.static}
    test, sample = load_test(data, levels)
    shared = set(train.keys.cast(pl.String)) & set(test.keys.cast(pl.String))  # 1 may be int here and text there
    if shared:
        raise UserError(
            f"{test.path}: a test series must not be in the training data too, but {len(shared)} are "
            f"(first: {data.key} {min(shared)}). Drop them from one of the files."
        )
    return Competition(data, train, test, sample, levels)


def load_sample(source: Path, test: Table) -> pl.DataFrame | None:
    """The sample submission, whose columns and row order a submission copies; None where there is none.

    Raises:
        UserError: it does not name just the rows of the test table, or has a column that no role explains.
    """
    data = test.data
    path = readers.find(source, "sample_submission")
    if path is None:
        return None
    named = pl.String() if test.frame[data.id].dtype == pl.String else None  # 1 in a CSV is "1" in a Parquet of text
    sample = readers.read(path, {data.id: named, **dict.fromkeys(data.target, pl.Float64())})
    if not sample[data.id].sort().equals(test.frame[data.id].sort(), check_names=True):
        asked, there = sample[data.id].to_list(), test.frame[data.id].to_list()
        odd = min(set(asked) ^ set(there) or {"a repeated one"}, key=str)
        raise UserError(
            f"{path} must name each row of {test.path} once, but has {len(asked)} rows against {len(there)} "
            f"(first {data.id} that differs: {odd}). Take both files from one download."
        )
    layout = readers.columns(path)
    if len(layout) != len(sample.columns):
        raise UserError(
            f"{path} must have the columns {', '.join(sample.columns)}, but has {', '.join(layout)}. "
            "Name every wanted column in data.target."
        )
    return sample.select(layout)


def load_test(data: DataConfig, levels: Levels) -> tuple[Table, pl.DataFrame | None]:
    """Only the test table and the sample submission: what inference needs; `levels`: of the training table."""
    source = source_folder(data)
    test = load_table(readers.locate(source, "test"), data, labelled=False, levels=levels)
    return test, load_sample(source, test)


def source_folder(data: DataConfig) -> Path:
    """Where the competition's files lie; a simulated one is made first (once: the folder's name is its hash)."""
    if not data.simulated:
        return Path(data.source).expanduser()
    from ventilator import simulator

    size = data.simulate
    name = f"simulated-{size.breaths}-{size.test_breaths}-seed{size.seed}-{simulator_code()[:8]}"
    folder = files.runs() / "data" / (f"{name}-observed{data.observed}" if data.observed else name)

    def write(draft: Path) -> None:
        truth = data.observed > 0
        simulator.write_competition(
            draft, breaths=size.breaths, test_breaths=size.test_breaths, seed=size.seed, truth=truth
        )
        if data.observed:
            known_start.reveal(draft, data)

    files.make_once(folder, write)
    return folder


def simulator_code() -> str:
    """Hash of the simulator's source and numbers."""
    import ventilator

    code = sorted(Path(ventilator.__path__[0]).glob("*.*"))
    return files.digest([path.read_text(encoding="utf-8") for path in code if path.suffix in (".py", ".toml")])


def load_table(path: Path, data: DataConfig, labelled: bool, levels: Levels | None = None) -> Table:
    """Read one file and check it: see the module's head for what that promises.

    Where `levels` are given, static columns are read as their kind: in a test table whose wards are all called by a
    number, 7 is text nevertheless if the training table's wards are names.
    """
    kinds = {str: pl.String(), int: pl.Float64(), float: pl.Float64()}
    numbers = [data.order, *data.inputs, *(data.target if labelled else ())]
    wanted: dict[str, pl.DataType | type[pl.DataType] | None] = {data.id: None, data.key: None}
    wanted |= dict.fromkeys(data.static) | dict.fromkeys(numbers, pl.Float64())
    wanted |= {name: kinds.get(type(values[0])) for name, values in (levels or {}).items()}
    begun = data.observed > 0 and not labelled
    if begun:
        known_start.check(path, data)
        wanted |= dict.fromkeys(data.target, pl.Float64())
    frame = readers.read(path, wanted)
    if levels is None:
        frame = frame.with_columns(_numbers_if_all_are(frame[name]) for name in data.static)
    _check_values(path, frame.drop(data.target) if begun else frame, data, numbers)
    table = Table(path, data, *_by_series(frame, data.key))
    if begun:
        table = known_start.read_from(table)
    _check_series(table)
    _check_scored(table)
    return table


def _numbers_if_all_are(column: pl.Series) -> pl.Series:
    """A static column as float64 if each of its texts is a number, 007 being none; else as it is."""
    if column.dtype != pl.String:
        return column
    texts = column.unique().drop_nulls()
    names = texts.cast(pl.Float64, strict=False).is_null() | texts.str.contains("^0[0-9]")
    return column if names.any() else column.cast(pl.Float64)


def _check_values(path: Path, frame: pl.DataFrame, data: DataConfig, numbers: list[str]) -> None:
    for name in frame.columns:
        column = frame[name]
        number = name in numbers or column.dtype.is_float()
        bad = column.is_null() | ~column.is_finite() if number else column.is_null()
        if bad.any():
            row = int(bad.arg_true()[0])
            shown = "nothing" if column[row] is None else column[row]
            raise UserError(
                f"{path}, row {row + 1} ({data.id} {frame[data.id][row]}): {name!r} must be a finite value, but is "
                f"{shown}; {int(bad.sum())} such rows. Fill or drop them: the pipeline never guesses."
            )
    if frame[data.id].n_unique() < frame.height:
        value = frame[data.id].filter(frame[data.id].is_duplicated())[0]
        times = int((frame[data.id] == value).sum())
        raise UserError(
            f"{path}: {data.id!r} must name each row once, but {value} comes {times} times. Drop the copies."
        )


def _by_series(frame: pl.DataFrame, key: str) -> tuple[pl.DataFrame, np.ndarray, np.ndarray | None]:
    """Rows grouped by series in order of first appearance, row order kept inside; the series' lengths; where each row
    stood, if any was moved."""
    runs, rows = frame[key].rle_id(), None
    if frame[key].n_unique() != int(runs[-1]) + 1:
        first = frame.with_row_index("__row__").with_columns(pl.col("__row__").min().over(key).alias("__first__"))
        frame = first.sort("__first__", "__row__")
        rows = frame["__row__"].to_numpy()
        frame = frame.drop("__row__", "__first__")
        runs = frame[key].rle_id()
    return frame, np.bincount(runs.to_numpy()).astype(np.int64), rows


def _check_series(table: Table) -> None:
    data, frame = table.data, table.frame
    inside = np.ones(frame.height, dtype=bool)
    inside[table.starts] = False
    backwards = (np.diff(frame[data.order].to_numpy(), prepend=-np.inf) <= 0) & inside
    if backwards.any():
        row = int(np.flatnonzero(backwards)[0])
        raise UserError(
            f"{table.path}: {data.order!r} must increase inside a series, but in {data.key} {frame[data.key][row]} "
            f"it goes from {frame[data.order][row - 1]} to {frame[data.order][row]} ({data.id} {frame[data.id][row]}). "
            "Sort or mend that series."
        )
    for name in data.static:
        changed = (frame[name] != frame[name].shift(1)).fill_null(False).to_numpy() & inside
        if changed.any():
            row = int(np.flatnonzero(changed)[0])
            raise UserError(
                f"{table.path}: {name!r} is static, so it must be constant inside a series, but in {data.key} "
                f"{frame[data.key][row]} it changes from {frame[name][row - 1]} to {frame[name][row]}. "
                "List it under inputs instead."
            )


def _check_scored(table: Table) -> None:
    data = table.data
    if not data.scored:
        if not table.scored.any():
            raise UserError(
                f"{table.path}: no series is longer than data.observed = {data.observed}: nothing to score."
            )
        return
    try:
        names = pl.sql_expr(data.scored).meta.root_names()
    except pl.exceptions.PolarsError as error:
        raise UserError(
            f'data.scored must be a SQL condition like "u_out == 0", but is {data.scored!r} ({error}).'
        ) from error
    if not names:
        raise UserError(
            f"data.scored must name a column, but {data.scored!r} says the same of every row. Leave it out."
        )
    for name in names:
        if name not in table.frame.columns:
            raise unknown("column", name, table.frame.columns, f"data.scored = {data.scored!r}")
    try:
        found = table.scored.dtype
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"data.scored = {data.scored!r} does not fit the columns of {table.path}: {reason}.") from error
    if found != np.bool_:
        raise UserError(f"data.scored must be true or false for each row, but {data.scored!r} gives {found}.")
    if not table.scored.any():
        behind = f" behind the {data.observed} observed steps" if data.observed else ""
        raise UserError(
            f"{table.path}: no row{behind} fulfils data.scored = {data.scored!r}, so there is nothing to score."
        )


def _bytes_of(column: pl.Series) -> np.ndarray:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.to_numpy()
    return np.frombuffer("\x00".join(column.cast(pl.String).to_list()).encode(), dtype=np.uint8)

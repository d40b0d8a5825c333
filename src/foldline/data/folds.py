"""Fold assignments: made once, saved, committed, and checked whenever they are read. Series are never split.

Every fold has scored rows, else it had no score and its models nothing to be compared by: series with scored rows are
assigned first, those without any (all rows known, or none fulfils data.scored) by themselves.

A fold file is a CSV of (key, fold) below one comment line with the checksums of its rows, and of the series and strata
that it was made for. It is checked against the table at hand, so that a fold file of other data is never used. A plain
CSV of (key, fold) is taken, too, where folds.file names it. Fold -1: never held out, as the first block of time folds.
"""

from __future__ import annotations

import io
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import polars as pl

from foldline.core import files, own_files
from foldline.core.errors import UserError
from foldline.data import fold_assignment, fold_rows, fold_strata, similar_series, time_folds, time_spans
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.similar_series import Clusters
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.data.time_folds import TimeSplit
from foldline.data.time_spans import TimeSpans

MARK = "# foldline folds:"  # a fold file begins with it


@dataclass(frozen=True)
class Folds:
    """A checked assignment: which series each fold holds out, and which its cells are fitted on."""

    path: Path
    assignment: np.ndarray  # (N,) int64, the fold of each series, in the table's order; -1: never held out
    k: int
    time: TimeSplit | None = None  # of time folds
    clusters: Clusters | None = None  # of folds.similar
    units: np.ndarray | None = None  # (N,) int64, what is held together beyond groups: clusters with their groups

    def with_units(self, store: Store) -> Store:
        """Tell a store of the training table what is held together in whatever splits or draws its series."""
        return store if self.units is None else replace(store, units=self.units)

    def held_out(self, fold: int | None, beside: int | None = None) -> np.ndarray:
        """Return the indices of a fold's series, (n,) int64; models that were not fitted on them predict them.

        Args:
            fold: None: no fold, of cells that are fitted on all series.
            beside: another fold that is held out, too.
        """
        chosen = np.zeros_like(self.assignment, dtype=bool) if fold is None else self.assignment == fold
        return np.flatnonzero(chosen if beside is None else chosen | (self.assignment == beside))

    def inside(self, fold: int | None, beside: int | None = None) -> np.ndarray:
        """Return the indices of the series that a fold's cells are fitted on, (n,) int64.

        Args:
            fold: None: all series.
            beside: another fold that is held out, too; not of time folds.
        """
        if fold is None:
            return np.arange(len(self.assignment))
        if self.time is None:
            return np.flatnonzero((self.assignment != fold) & (self.assignment != (fold if beside is None else beside)))
        return np.flatnonzero(self.time.inside(fold, self.held_out(fold)))

    def not_known(self, fold: int) -> np.ndarray:
        """Return the indices of the series whose targets nothing of a fold may know, (n,) int64."""
        return self.held_out(fold) if self.time is None else np.flatnonzero(self.time.known_from > fold)

    @property
    def ratio(self) -> float | None:
        """Return how many series are held out for each that is trained on, mean over folds; None: 1 / (k - 1)."""
        if self.time is None:
            return None
        return float(np.mean([len(self.held_out(fold)) / len(self.inside(fold)) for fold in range(self.k)]))

    def spans_of(self, series: np.ndarray) -> TimeSpans | None:
        """Return when some series are, by which those to be watched are chosen; None: they are drawn."""
        return None if self.time is None else self.time.spans.of(series)


def default_path(config: FoldsConfig, name: str, table: Table) -> Path:
    """Return where an experiment's fold file lies: folds.file, else a file under folds/.

    Folds of simulated data that are not committed lie under runs/, named after the folder of the data.
    """
    if config.file:
        return Path(config.file)
    path = committed_path(config, name, table)
    if path.exists() or not table.data.simulated:
        return path
    return files.runs() / "folds" / f"{table.path.parent.name}-{_tail(config)}"


def committed_path(config: FoldsConfig, name: str, table: Table) -> Path:
    """Return where the `folds` verb writes the file, to be committed: the name says what it depends on."""
    stem = table.data.simulate.stem if table.data.simulated else name
    return files.home() / "folds" / f"{stem}-{_tail(config)}"


def _tail(config: FoldsConfig) -> str:
    kind = config.kind + ("" if config.similar is None else f"-similar{config.similar.distance:g}")
    if kind == "time":
        length = "" if config.train_length is None else f"{config.train_length:g}"
        kind = f"time-gap{config.gap:g}-{config.window}{length}"
    return f"{kind}-k{config.k}-seed{config.seed}.csv"


def _facts(config: FoldsConfig) -> dict[str, str]:
    """Return what a fold file's first line says of [folds]; a column's name may have spaces."""
    facts = {"kind": config.kind, "k": str(config.k), "seed": str(config.seed)}
    if config.similar is not None:
        facts["similar"] = config.similar.text
    if config.kind != "time":
        return facts
    length = "" if config.train_length is None else repr(config.train_length)
    return facts | {"gap": repr(config.gap), "window": config.window, "train_length": length, "by": quote(config.by)}


def obtain(config: FoldsConfig, name: str, table: Table, save: bool = True) -> tuple[Folds, bool]:
    """Read the saved folds, or make them where there are none.

    Args:
        name: of the config.
        save: whether folds that are made are written to their file.

    Returns:
        The folds, and whether they were made now.

    Raises:
        UserError: the file is damaged or of other data, or the series can't be assigned.
    """
    path = default_path(config, name, table)
    if path.exists():
        return read(path, config, table, name), False
    return make(path, config, table, save), True


def make(path: Path, config: FoldsConfig, table: Table, save: bool = True) -> Folds:
    """Assign the series to folds, and write the file if `save`.

    Raises:
        UserError: there are fewer series with scored rows than folds, or no stratum is large enough;
            folds.file is something else.
    """
    if save:  # before the work, and once more when it is written
        require_own(path, config)
    if config.kind == "time":
        spans = time_spans.read(config, table)
        assignment = time_folds.assign(config, table, spans)
        made = Folds(path, assignment, config.k, time_folds.split(config, table, spans, assignment, str(path)))
    else:
        units = similar_series.units_of(config.similar, table)
        assignment = fold_assignment.assign(config, table, units.numbers)
        made = Folds(path, assignment, config.k, clusters=units.clusters, units=units.beyond_groups)
    if save:
        write(made, config, table)
    return made


def write(made: Folds, config: FoldsConfig, table: Table) -> None:
    """Write the file of folds that were made for a table.

    Raises:
        UserError: something else lies at its path.
    """
    require_own(made.path, config)
    rows = pl.DataFrame({table.data.key: fold_rows.texts(table.keys), "fold": made.assignment})
    if made.units is not None:
        rows = rows.with_columns(pl.Series(fold_rows.unit_column(table), made.units))
    body = rows.write_csv()
    series = _series_hash(table.keys, _strata(config, table, None if made.time is None else made.time.spans))
    facts = _facts(config) | ({} if made.clusters is None else made.clusters.facts(table))
    said = " ".join(f"{name}={value}" for name, value in facts.items())
    head = f"{MARK} {said} series={series}"
    files.write_text(made.path, f"{head} rows={_text_hash(body)}\n{body}")


def require_own(path: Path, config: FoldsConfig) -> None:
    """Refuse to write a fold file over something else; a file under folds/ is foldline's by its name.

    Raises:
        UserError
    """

    def own() -> bool:
        return own_files.begins_with(path, MARK.encode()) if config.file else path.is_file()

    own_files.require_own(path, own, "a fold file", "Name another one with folds.file=PATH, or move it away.")


def read(path: Path, config: FoldsConfig, table: Table, name: str = "CONFIG") -> Folds:
    """Read a fold file and refuse it unless it is whole and made for just these series. name: of the config.

    A plain one, of somebody else, has no checksums: its rows are checked.

    Raises:
        UserError
    """
    way_out = f"Rebuild it with `{_command(config, table, name)}`, or name another one with folds.file=PATH."
    plain = bool(config.file) and not own_files.begins_with(path, MARK.encode())
    if plain:  # --force would refuse it, too
        way_out = "Name another one with folds.file=PATH, which is made if it is not there."
    spans = time_spans.read(config, table) if config.kind == "time" else None
    try:
        facts, body = _parts(path)
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no fold file, but a directory or no text at all. {way_out}") from error
    if plain:
        checked = _checked(path, fold_rows.plain(path, config, table, way_out), config, table, spans, way_out)
        together = similar_series.check(config.similar, checked.assignment, path, table)
        return replace(checked, clusters=together.clusters, units=together.beyond_groups)
    if facts.get("rows") != _text_hash(body):
        raise UserError(f"{path} is no whole fold file: its rows don't match its checksum. {way_out}")
    saved = pl.read_csv(io.StringIO(body), infer_schema=False)
    saved, units = fold_rows.without_units(saved, table)
    fold_rows.check_series(path, saved, table, way_out)  # first: it says more than that a checksum differs
    for name, value in ({"similar": None} | _facts(config)).items():
        if facts.get(name) != value:
            raise UserError(
                f"{path} was made with {name}={facts.get(name)}, but folds.{name} is {getattr(config, name)}. {way_out}"
            )
    if facts.get("series") != _series_hash(table.keys, _strata(config, table, spans)):
        what = "strata" if spans is None else "times"
        raise UserError(f"{path}: the {what} of its series are not those of {table.path}. {way_out}")
    checked = _checked(path, saved, config, table, spans, way_out)
    if config.similar is None:
        return checked
    clusters = Clusters.of_facts(facts, path, table, way_out)
    if clusters.count and units is None:  # a file of an older version
        units = similar_series.units_of(config.similar, table).beyond_groups
    return replace(checked, clusters=clusters, units=units)


def _strata(config: FoldsConfig, table: Table, spans: TimeSpans | None) -> list[str]:
    """Return what an assignment depends on besides keys, a text a series: strata, or the span of time."""
    if spans is None:
        return fold_strata.strata_of(config.strata, table)
    return [f"{first}..{last}" for first, last in zip(spans.first.tolist(), spans.last.tolist(), strict=True)]


def _checked(
    path: Path, saved: pl.DataFrame, config: FoldsConfig, table: Table, spans: TimeSpans | None, way_out: str
) -> Folds:
    """Check rows of (key, fold) against a table, and bring them into its order."""
    fold_rows.check_series(path, saved, table, way_out)
    keys = pl.DataFrame({table.data.key: fold_rows.texts(table.keys)})
    order = keys.join(saved, on=table.data.key, how="left", maintain_order="left")
    assignment = order["fold"].cast(pl.Int64).to_numpy()
    if spans is None:  # time folds leave the groups of a held-out block out of training
        fold_rows.refuse_split_groups(path, assignment, table, way_out)
    unscored = set(range(config.k)) - set(assignment[fold_assignment.has_scored_rows(table)].tolist())
    if unscored:
        raise UserError(
            f"{path}: every fold needs scored rows, but no series of fold {min(unscored)} has any in {table.path}: "
            f"data.scored or data.observed was another one when the file was made. {way_out}"
        )
    time = None if spans is None else time_folds.split(config, table, spans, assignment, str(path))
    return Folds(path, assignment, config.k, time)


def saved() -> list[Path]:
    """List the fold files that foldline has named."""
    folders = (files.home() / "folds", files.runs() / "folds")
    return sorted(path for folder in folders for path in folder.glob("[!.]*-k*-seed*.csv"))


def damage(path: Path) -> str:
    """Return why a fold file does not hold the rows that were written, empty where it does."""
    try:
        facts, body = _parts(path)
    except PermissionError:
        raise
    except (OSError, UnicodeDecodeError):
        return f"{path.name} can't be read"
    return "" if facts.get("rows") == _text_hash(body) else f"{path.name} does not hold the rows that were written"


def _parts(path: Path) -> tuple[dict[str, str], str]:
    """Read what a fold file's first line says, nothing where that is not a fold file's, and the text of its rows."""
    head, _, body = path.read_text(encoding="utf-8").partition("\n")
    words = head.split() if head.startswith(MARK) else []
    return dict(word.split("=", 1) for word in words if "=" in word), body


def _command(config: FoldsConfig, table: Table, name: str) -> str:
    """Return the command that makes the fold file of this table again."""
    source = [] if table.data.simulated else [f"data.source={table.data.source}"]
    file = [f"folds.file={config.file}"] if config.file else []
    return shlex.join(["./run.sh", "folds", name, *source, *file, "--force"])


def _series_hash(keys: pl.Series, strata: list[str]) -> str:
    # Sorted: the order of the series in the file changes no fold.
    return files.digest(sorted(f"{key}|{stratum}" for key, stratum in zip(keys.to_list(), strata, strict=True)))


def _text_hash(body: str) -> str:
    return files.digest(body)

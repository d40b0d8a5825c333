"""Whether test is the future of the series in train, and the first numbers of rows: what `init` says of forecasts."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

SHARED = 0.5  # of the test series that train must have, for a forecast
SEASONS = {1: 24, 24: 7, 7 * 24: 52, 30 * 24: 12, 91 * 24: 4}  # hours from row to row -> rows of a season
NEAR = 0.1  # a month of 28 days is one, too
HORIZONS, MOST_WINDOWS = 4, 5  # history in horizons, where a series is long enough; windows of a series


@dataclass(frozen=True)
class SeenForecast:
    """What files say of a forecast, and a first guess at what they leave open. All numbers are rows."""

    history: int
    horizon: int
    gap: int
    windows: int
    season: int  # 0: times don't tell
    complete: bool  # whether each test series has two known rows at least, from which its scale can be taken
    evidence: str
    unclear: str


def in_order(train: pl.DataFrame, test: pl.DataFrame, shared: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bring the rows of each series together where a forecast's files go by time, as most do; else change nothing."""
    for key in shared:
        column = train[key]
        names = column.dtype.is_integer() or column.dtype == pl.String
        if not names or column.null_count() or not 1 < column.n_unique() <= train.height / 2:
            continue
        for order in shared:
            times = train[order].dtype
            if order == key or not (times.is_temporal() or times.is_numeric()) or train[order].null_count():
                continue
            if _is_shuffled_id(train[order]):
                continue
            one, other = (frame.sort(key, order, maintain_order=True) for frame in (train, test))
            ordered = all(_increases(frame, key, order) for frame in (one, other))
            if ordered and _follows(one, other, key, order):
                return one, other
    return train, test


def _is_shuffled_id(column: pl.Series) -> bool:
    """Whether a column numbers rows, which the file has in another order: any names follow it, so it is no time."""
    return column.dtype.is_integer() and column.n_unique() == len(column) and not column.is_sorted()


def _increases(frame: pl.DataFrame, key: str, order: str) -> bool:
    inside = (frame[key] == frame[key].shift(1)).fill_null(False)
    return bool(((frame[order] > frame[order].shift(1)) | ~inside).fill_null(True).all())


def _follows(train: pl.DataFrame, test: pl.DataFrame, key: str, order: str) -> bool:
    """Whether most test series are in train, and each begins behind its rows there."""
    if train.schema[key] != test.schema[key] or train.schema[order] != test.schema[order]:
        return False
    ends = train.group_by(key, maintain_order=True).agg(pl.col(order).max().alias("end"))
    begins = test.group_by(key, maintain_order=True).agg(pl.col(order).min().alias("begin"))
    both = begins.join(ends, on=key, maintain_order="left")
    return both.height >= SHARED * begins.height and bool((both["begin"] > both["end"]).all())


def of(train: pl.DataFrame, test: pl.DataFrame, key: str, order: str) -> SeenForecast | None:
    """Look at tables whose series stand together; None: test is no future of series in train."""
    if order not in test.columns or not _follows(train, test, key, order):
        return None
    before, behind = (frame.group_by(key, maintain_order=True).len() for frame in (train, test))
    horizon, usual = int(behind["len"].max()), int(before["len"].median())  # type: ignore[arg-type]
    season, gap = _season(train, key, order), _gap(train, test, key, order)
    most = max(1, usual - horizon - gap)
    history = min(max(HORIZONS * horizon, 2 * season), most)
    longest = int(before["len"].max())  # type: ignore[arg-type]
    windows = max(1, min(MOST_WINDOWS, (longest - gap - history) // horizon))  # shorter ones have fewer
    known = behind.join(before, on=key, how="left", maintain_order="left", suffix="_before")["len_before"].fill_null(0)
    count = int((known > 0).sum())
    return SeenForecast(
        history=history,
        horizon=horizon,
        gap=gap,
        windows=windows,
        season=season,
        complete=history >= 2 and bool((known >= 2).all()),
        evidence=f"{count:,} of {behind.height:,} test series go on behind their rows in train, {horizon} rows at most",
        unclear=(
            f"How much of the past is given (history = {history}), and how many windows of each series are learned "
            f"from (windows = {windows}), is a first guess: series of train have {before['len'].min()!s} to "
            f"{before['len'].max()!s} rows."
        ),
    )


def _gap(train: pl.DataFrame, test: pl.DataFrame, key: str, order: str) -> int:
    """Return how many usual steps lie between train and test, in the usual series."""
    ends, begins = (
        train.group_by(key, maintain_order=True).agg(pl.col(order).max()),
        test.group_by(key, maintain_order=True).agg(pl.col(order).min()),
    )
    apart = begins.join(ends, on=key, maintain_order="left", suffix="_of_train").select(
        pl.col(order) - pl.col(f"{order}_of_train")
    )[order]
    steps = train.select(pl.col(order).diff().over(key))[order].drop_nulls()
    medians = [float(each.to_physical().cast(pl.Float64).median() or 0) for each in (apart, steps)]  # type: ignore[arg-type]
    return max(0, round(medians[0] / medians[1]) - 1) if medians[1] else 0


def _season(train: pl.DataFrame, key: str, order: str) -> int:
    """Guess the rows of a season by the time from row to row; 0: it does not tell."""
    if not train[order].dtype.is_temporal():
        return 0
    steps = train.select(pl.col(order).cast(pl.Datetime("us")).diff().over(key).dt.total_minutes())[order]
    hours = float(steps.drop_nulls().median() or 0) / 60  # type: ignore[arg-type]
    return next((season for usual, season in SEASONS.items() if abs(hours - usual) <= NEAR * usual), 0)

"""compute(): order of families and rows, chunks, and what it refuses. Roles: Columns refuses what it can't use."""

from importlib import import_module

import numpy as np
import polars as pl
import pytest

from foldline.features import Columns, build, compute, series_chunks

ROLES = Columns(key="k", order="t", inputs=("x",))
ALL = [build(name) for name in ("raw", "time", "integral", "lags", "differences", "stats")]
compute_module = import_module(compute.__module__)  # the package exports the function under the same name


def frame(lengths: list[int]) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    keys = np.repeat(rng.permutation(len(lengths)), lengths)
    return pl.DataFrame({"k": keys, "t": np.arange(len(keys)) * 0.5, "x": rng.normal(size=len(keys))})


def test_features_come_in_the_order_of_the_families() -> None:
    one_way = compute(frame([3, 2]), ROLES, [build("time"), build("raw")])
    assert one_way.columns == ["t", "d(t)", "x"]


@pytest.mark.parametrize("lengths", [[1] * 50, [4] * 12, [1, 30, 2, 2, 9, 1], [100]])
@pytest.mark.parametrize("rows", [1, 4, 10, 99, 100])
def test_chunks_of_any_size_give_the_same_bits(lengths: list[int], rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compute(frame(lengths), ROLES, ALL)
    monkeypatch.setattr(compute_module, "CHUNK_ROWS", rows)
    assert compute(frame(lengths), ROLES, ALL).equals(whole)


def test_chunks_hold_whole_series_and_reach_their_size() -> None:
    lengths = np.array([4, 4, 4, 30, 1, 9, 2], dtype=np.int32)
    chunks = [lengths[first:last].tolist() for first, last in series_chunks(lengths, 10)]
    assert chunks == [[4, 4, 4], [30], [1, 9], [2]]
    assert series_chunks(np.array([], dtype=np.int32), 10) == [(0, 0)]
    assert series_chunks(np.array([4, 4]), 5) == [(0, 2)]  # no empty chunk where the last series reaches the size


def test_no_rows_give_no_rows_of_the_same_columns() -> None:
    empty = compute(frame([2]).clear(), ROLES, ALL)
    assert empty.height == 0 and empty.schema == compute(frame([2]), ROLES, ALL).schema


def test_integers_count_as_numbers() -> None:
    counts = frame([5, 3]).with_columns(pl.Series("x", [250, 250, 250, 250, 250, 1, 2, 3], dtype=pl.UInt8))
    assert compute(counts, ROLES, ALL).equals(compute(counts.cast({"x": pl.Float64}), ROLES, ALL))


def test_cumulative_sums_do_not_borrow_from_the_series_before() -> None:
    huge = pl.DataFrame({"k": [0, 1, 1], "t": [0.0, 0.0, 1.0], "x": [1e17, 0.1, 0.2]})
    assert compute(huge, ROLES, [build("integral")])["sum(x)"].to_list() == [1e17, 0.1, 0.1 + 0.2]


def test_a_series_in_two_places_is_refused() -> None:
    split = frame([2, 1, 3]).with_columns(pl.Series("k", [5, 5, 6, 5, 5, 5]))
    with pytest.raises(ValueError, match=r"must lie together, but those of k = 5 are apart: sort the frame by k"):
        compute(split, ROLES, ALL)


def test_a_missing_column_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks 't'; it holds k, x\."):
        compute(frame([2]).drop("t"), ROLES, ALL)


def test_two_features_of_one_name_are_refused() -> None:
    twice = [build("lags", {"lags": [1]}), build("lags", {"lags": [1, 2], "leads": []})]
    with pytest.raises(ValueError, match=r"two families both make 'x@t-1': drop one"):
        compute(frame([2]), ROLES, twice)


def test_static_columns_need_levels() -> None:
    with pytest.raises(ValueError, match="levels has none for 'ward'"):
        Columns(key="k", order="t", inputs=("x",), static=("ward",))


def test_families_need_an_input() -> None:
    with pytest.raises(ValueError, match="the roles name none"):
        build("stats").names(Columns(key="k", order="t", inputs=()))

"""Families that say one thing about a series: numbers counted by hand, series too short or too flat, and the same bits.

The slow references of the same families are in test_contract.py.
"""

from importlib import import_module
from math import cos, pi, sqrt
from typing import Any

import numpy as np
import polars as pl
import pytest

from foldline.features import FAMILIES, Columns, build, compute
from foldline.features.per_series import SeriesFamily

ROLES = Columns(key="k", order="t", inputs=("x", "y"))
NAMES = [name for name, family in FAMILIES.items() if issubclass(family, SeriesFamily)]
compute_module = import_module(compute.__module__)  # the package exports the function under the same name


def frame(*series: list[float], y: list[list[float]] | None = None) -> pl.DataFrame:
    """Series of x, with y = -x where none is given, and steps of half a unit of t."""
    keys = np.repeat(np.arange(len(series)), [len(x) for x in series])
    t = np.concatenate([0.5 * np.arange(len(x)) for x in series])
    x = np.concatenate(series).astype(float)
    return pl.DataFrame({"k": keys, "t": t, "x": x, "y": -x if y is None else np.concatenate(y).astype(float)})


def of_x(name: str, rows: pl.DataFrame, table: dict[str, Any] | None = None) -> dict[str, list[float]]:
    """The family's features of x, one value a series."""
    features = compute(rows, ROLES, [build(name, {"inputs": ["x"]} | (table or {}))])
    assert features.height == rows.height
    values = features.with_columns(rows["k"]).unique(maintain_order=True)
    assert values.height == rows["k"].n_unique()  # the same on every row of a series
    return values.drop("k").to_dict(as_series=False)


def close(got: dict[str, list[float]], expected: dict[str, list[float]]) -> None:
    assert list(got) == list(expected)
    for name, values in expected.items():
        assert got[name] == pytest.approx(values, rel=1e-12, abs=1e-12), name


def test_summary_counted_by_hand() -> None:
    expected: dict[str, list[float]] = {
        "count@all": [4, 1],
        "mean(x)@all": [4, 8],
        "std(x)@all": [sqrt(5), 0],  # of -1, 3, -3, 1
        "min(x)@all": [1, 8],
        "max(x)@all": [7, 8],
        "first(x)@all": [3, 8],
        "last(x)@all": [5, 8],
        "last-mean(x)@all": [1, 0],
        "travel(x)@all": [4 + 6 + 4, 0],
    }
    close(of_x("summary", frame([3, 7, 1, 5], [8])), expected)


def test_quantiles_counted_by_hand() -> None:
    expected = {"q0(x)@all": [1, 8], "q0.25(x)@all": [2.5, 8], "q0.5(x)@all": [4, 8], "q1(x)@all": [7, 8]}
    close(of_x("quantiles", frame([3, 7, 1, 5], [8]), {"levels": [0, 0.25, 0.5, 1]}), expected)


def test_trend_counted_by_hand() -> None:
    """The second series is a line through two points; of the first, x = 1, 3, 2 lies 0.5, -1, 0.5 below its line."""
    expected = {
        "slope(x)@all": [1, 6, 0],  # a unit of t is two steps
        "line-start(x)@all": [1.5, 2, 8],
        "line-residual(x)@all": [sqrt(0.5), 0, 0],
    }
    close(of_x("trend", frame([1, 3, 2], [2, 5], [8])), expected)


def test_autocorrelation_counted_by_hand() -> None:
    """Less their mean the series are -1, 1, -1, 1 and -1.5, -0.5, 0.5, 1.5."""
    expected = {"acf1(x)@all": [-3 / 4, 1.25 / 5], "acf3(x)@all": [-1 / 4, -2.25 / 5], "acf4(x)@all": [0, 0]}
    close(of_x("autocorrelation", frame([0, 2, 0, 2], [1, 2, 3, 4]), {"lags": [1, 3, 4]}), expected)


def test_shape_counted_by_hand() -> None:
    expected: dict[str, list[float]] = {
        "peaks(x)@all": [2, 0, 0],  # 4 and 5; a plateau is none, nor are the ends
        "zero-crossings(x)@all": [3, 1, 0],
        "mean-crossings(x)@all": [4, 1, 0],  # the means: 1, 2, 8
        "run-above-mean(x)@all": [3, 2, 0],
        "max-place(x)@all": [5 / 6, 1 / 2, 0],
        "min-place(x)@all": [0, 0, 0],
    }
    close(of_x("shape", frame([-4, 4, -4, 2, 3, 5, 1], [0, 3, 3], [8])), expected)


def test_spectrum_counted_by_hand() -> None:
    """A wave of 8 steps; one of 8 and half as high one of 4; the fastest there is; one step."""
    slow = [cos(2 * pi * t / 8) for t in range(16)]
    both = [7 + 2 * cos(2 * pi * t / 8) + cos(2 * pi * t / 4) for t in range(16)]
    expected = {
        "band0.0-0.2(x)@all": [1, 0.8, 0, 0],
        "band0.2-0.5(x)@all": [0, 0.2, 1, 0],
        "frequency(x)@all": [1 / 8, 0.8 / 8 + 0.2 / 4, 1 / 2, 0],
    }
    close(of_x("spectrum", frame(slow, both, [1, -1, 1, -1], [8]), {"edges": [0.0, 0.2, 0.5]}), expected)


def test_correlation_counted_by_hand() -> None:
    rows = frame([1, 2, 3], [1, 2, 3], [1, 2, 3], [8], y=[[2, 4, 6], [5, 5, 5], [1, 3, 2], [1]])
    assert compute(rows, ROLES, [build("correlation")]).columns == ["corr(x*y)@all"]
    got = compute(rows, ROLES, [build("correlation")]).to_series()[[0, 3, 6, 9]].to_list()
    assert got == pytest.approx([1, 0, 0.5, 0], abs=1e-12)


def test_windows_are_the_last_steps_of_each_series_or_all_it_has() -> None:
    rows = frame([3, 7, 1, 5], [8], [9, 4])
    got = of_x("summary", rows, {"last": [2, 0]})
    assert list(got) == [f"{name.split('@')[0]}@{window}" for window in ("last2", "all") for name in list(got)[:9]]
    assert got["count@last2"] == [2, 1, 2] and got["count@all"] == [4, 1, 2]
    assert got["mean(x)@last2"] == [3, 8, 6.5] and got["mean(x)@all"] == [4, 8, 6.5]
    assert got["first(x)@last2"] == [1, 8, 9] and got["travel(x)@last2"] == [4, 0, 5]


@pytest.mark.parametrize("name", NAMES)
def test_a_window_equals_the_cut_series(name: str) -> None:
    """`last` sees nothing else: neither earlier steps, nor the end of the series before."""
    rng = np.random.default_rng(2)
    rows = frame(*rng.normal(size=(6, 9)).tolist(), [1.0], [2.0, 3.0])
    late = rows.select(pl.int_range(pl.len()).over("k") >= pl.len().over("k") - 4).to_series()
    window = compute(rows, ROLES, [build(name, {"last": [4]})]).filter(late)
    whole = compute(rows.filter(late), ROLES, [build(name)])
    assert window.rename(dict(zip(window.columns, whole.columns, strict=True))).equals(whole)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e9 + 0.1, 1e-200])
def test_constant_and_short_series_have_finite_values_and_no_noise(name: str, value: float) -> None:
    """0.1 + 0.1 + 0.1 is not 3 * 0.1: a mean that is off by one bit would give a flat series a trend and a spectrum."""
    rows = frame([value] * 7, [value], [value] * 2, [value] * 10)
    features = compute(rows, ROLES, [build(name, {"last": [0, 1, 3]})])
    assert np.isfinite(features.to_numpy()).all()
    levels = ("count", "mean(", "min(", "max(", "first(", "last(", "q", "line-start(")
    for feature in features.select(~pl.selectors.starts_with(*levels)):
        assert (feature == 0.0).all(), feature.name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e-170, 1e-300, 1.8e19])
def test_very_small_and_very_large_values_have_finite_features(name: str, scale: float) -> None:
    rng = np.random.default_rng(3)
    rows = frame(*(scale * rng.normal(size=(5, 12))).tolist(), [scale, -scale])
    assert np.isfinite(compute(rows, ROLES, [build(name)]).to_numpy()).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("equal", [True, False])
def test_chunks_of_any_size_give_the_same_bits(name: str, equal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long series, too: sums over more than 128 values are split, transforms of prime lengths take other ways."""
    rng = np.random.default_rng(4)
    lengths = [97] * 40 if equal else [1, 2, 1031, *rng.integers(1, 300, 60), 1031, 5]
    rows = frame(*(rng.normal(size=n).tolist() for n in lengths), y=[rng.normal(size=n).tolist() for n in lengths])
    families = [build(name, {"last": [0, 9]})]
    whole = compute(rows, ROLES, families)
    for size in (1, 97, 1000):
        monkeypatch.setattr(compute_module, "CHUNK_ROWS", size)
        assert compute(rows, ROLES, families).equals(whole)


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_give_no_rows_of_the_same_columns(name: str) -> None:
    rows = frame([1, 2])
    empty = compute(rows.clear(), ROLES, [build(name)])
    assert empty.height == 0 and empty.schema == compute(rows, ROLES, [build(name)]).schema


@pytest.mark.parametrize("name", NAMES)
def test_no_family_makes_a_name_that_another_makes(name: str) -> None:
    others = [build(other) for other in FAMILIES if other not in (name, "compartment", "target_lags", "calendar")]
    taken = {feature for family in others for feature in family.names(ROLES)}
    assert not taken & set(build(name).names(ROLES))


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("summary", {"last": [-1]}, r"summary\.last must be .* >= 0 \(0: the whole series\), but got \(-1,\)"),
        ("shape", {"last": [5, 5]}, r"shape\.last must be a list of different .* got \(5, 5\)"),
        ("trend", {"last": 10}, r"trend\.last must be a list .* got 10"),
        ("trend", {"inputs": "x"}, r"trend\.inputs must be a list .* got 'x'"),
        ("quantiles", {"levels": [0.5, 1.5]}, r"quantiles\.levels must be .* 0 to 1, but got \(0\.5, 1\.5\)"),
        ("quantiles", {"levels": []}, r"quantiles\.levels must be .* got \(\)"),
        ("quantiles", {"levels": [0.5, 0.5]}, r"quantiles\.levels must be .* different"),
        ("quantiles", {"levels": 0.5}, r"quantiles\.levels must be a list .* got 0\.5"),
        ("autocorrelation", {"lags": [0]}, r"autocorrelation\.lags must be .* >= 1, but got \(0,\)"),
        ("spectrum", {"edges": [0.0, 0.6]}, r"spectrum\.edges must be .* rising .* got \(0\.0, 0\.6\)"),
        ("spectrum", {"edges": [0.2, 0.1]}, r"spectrum\.edges must be .* rising"),
        ("spectrum", {"edges": [0.1]}, r"spectrum\.edges must be two or more"),
        ("correlation", {"pairs": 0}, r"correlation\.pairs must be a whole number >= 1, but got 0"),
        ("correlation", {"pairs": True}, r"correlation\.pairs must be .* got True"),
    ],
)
def test_an_impossible_parameter_is_refused(name: str, table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, table)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_that_is_no_input_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"no input column 'z'"):
        build(name, {"inputs": ["x", "z"]}).names(ROLES)


@pytest.mark.parametrize("name", NAMES)
def test_families_need_an_input(name: str) -> None:
    with pytest.raises(ValueError, match="the roles name none"):
        build(name).names(Columns(key="k", order="t", inputs=()))


def test_correlation_needs_two_inputs() -> None:
    with pytest.raises(ValueError, match="correlation needs two inputs at least, but has 'x' alone"):
        build("correlation", {"inputs": ["x"]}).names(ROLES)


def test_correlation_takes_the_first_pairs() -> None:
    roles = Columns(key="k", order="t", inputs=("x", "y", "z"))
    assert build("correlation", {"pairs": 2}).names(roles) == ["corr(x*y)@all", "corr(x*z)@all"]

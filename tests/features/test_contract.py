"""The contract of every registered feature family.

Parametrised over the registry: a new family needs an entry in REFERENCES (a slow, obvious version of itself for one
series, in helpers/slow_families.py) and, where it has parameters, some tables in TABLES.
Run: ./run.sh test tests/features
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import slow_families as slow

from foldline.features import FAMILIES, Columns, Family, build, compute
from foldline.features.family import KNOWN_STEPS, MOMENT, target_column
from foldline.features.per_series import SeriesFamily
from foldline.features.target_lags import SCALES

ROLES = Columns(
    key="patient",
    order="hours",
    inputs=("flow", "valve"),
    static=("sex", "ward"),
    levels={"sex": ("f", "m"), "ward": (1, 2, 7), "mode": ("a", "b")},
    categories=("mode",),
    targets=("pulse",),
    gap=2,
    has_moments=True,
)
TOLERANCE = 1e-9

# Tables beside the empty one. The references read the family's fields, so that each table is checked by them.
TABLES: dict[str, list[dict[str, Any]]] = {
    "raw": [{"complement": ["valve"]}, {"columns": ["valve"]}],
    "integral": [{"columns": ["valve", "flow"]}],
    "lags": [{"leads": []}, {"columns": ["flow", "valve"], "lags": [7, 1], "leads": [40]}],
    "differences": [{"steps": [2, 5], "columns": ["valve"]}],
    "stats": [{"columns": ["valve", "flow"]}],
    "static": [{"pairs": False}],
    "missing": [{"columns": ["valve"]}],
    "categories": [{"most": 1}],
    "target_lags": [{"lags": [1, 5], "season": 3, "last": [1, 9]}, *[{"scale": s} for s in SCALES]],
    "calendar": [{"parts": ["hour", "weekday", "day", "month", "yearday"], "form": "number"}, {"parts": ["hour"]}],
    "compartment": [{"flow": ["flow", "valve"]}],
    "summary": [{"inputs": ["valve"], "last": [0, 1, 2, 7, 40]}],
    "quantiles": [{"inputs": ["valve", "flow"], "levels": [0, 0.1, 1], "last": [5, 0]}],
    "trend": [{"last": [3, 10]}],
    "autocorrelation": [{"lags": [1, 50], "last": [0, 4]}],
    "shape": [{"inputs": ["flow"], "last": [1, 3, 12]}],
    "spectrum": [{"edges": [0.1, 0.25, 0.4], "last": [0, 6]}],
    "correlation": [{"pairs": 1, "last": [0, 2, 9]}],
}
# Parameters that must be set for the roles above, because their defaults name columns of the ventilator competition.
REQUIRED: dict[str, dict[str, Any]] = {"compartment": {"resistance": "ward", "compliance": "ward"}}
CASES = [(name, REQUIRED.get(name, {}) | table) for name in FAMILIES for table in [{}, *TABLES.get(name, [])]]
each_family = pytest.mark.parametrize(("name", "table"), CASES)
each_causal_family = pytest.mark.parametrize(("name", "table"), [case for case in CASES if not build(*case).lookahead])

REFERENCES: dict[str, Callable[[slow.Series, Any, Columns], Iterator[slow.Feature]]] = {
    "raw": slow.raw,
    "time": slow.time,
    "integral": slow.integral,
    "lags": slow.lags,
    "differences": slow.differences,
    "stats": slow.stats,
    "static": slow.static,
    "compartment": slow.compartment,
    "missing": slow.missing,
    "categories": slow.categories,
    "target_lags": slow.target_lags,
    "calendar": slow.calendar,
    "summary": slow.summary,
    "quantiles": slow.quantiles,
    "trend": slow.trend,
    "autocorrelation": slow.autocorrelation,
    "shape": slow.shape,
    "spectrum": slow.spectrum,
    "correlation": slow.correlation,
}


def ragged(seed: int = 0) -> pl.DataFrame:
    """27 series of 1 to 90 steps, keys in no order, hours not starting at 0, one ward outside the levels."""
    rng = np.random.default_rng(seed)
    lengths = [1, 80, 1, 2, 1, 90, 3, *rng.integers(1, 40, 20).tolist()]
    rows, total = np.repeat(np.arange(len(lengths)), lengths), sum(lengths)
    return pl.DataFrame(
        {
            "patient": np.array([f"p{k}" for k in rng.permutation(len(lengths))])[rows],
            "hours": np.concatenate([rng.random() + np.cumsum(rng.random(n)) for n in lengths]),
            "flow": rng.normal(0.0, 50.0, total),
            "valve": rng.integers(0, 2, total).astype(np.int8),
            "mode": np.array(["a", "b", "odd"])[rng.integers(0, 3, total)],
            "sex": np.array(["f", "m"])[rng.integers(0, 2, len(lengths))][rows],
            "ward": rng.choice([1, 2, 7, 9], len(lengths))[rows],
        }
    ).with_columns(known_columns(np.random.default_rng([seed, 1]), lengths))


def known_columns(rng: np.random.Generator, lengths: list[int]) -> list[pl.Series]:
    """A target that is known at the first steps, some of which lack it, and the date of each row."""
    rows, step = np.repeat(np.arange(len(lengths)), lengths), np.concatenate([np.arange(n) for n in lengths])
    known = (np.array(lengths) * rng.random(len(lengths))).astype(np.int64)[rows]
    pulse = np.where((step < known) & (rng.random(len(rows)) < 0.9), rng.gamma(2.0, 30.0, len(rows)), np.nan)
    minutes = rng.integers(0, 600_000, len(lengths))[rows] + 97 * step
    moments = pl.Series(MOMENT, minutes * 60_000_000).cast(pl.Datetime("us"))
    return [pl.Series(target_column("pulse"), pulse), pl.Series(KNOWN_STEPS, known), moments]


def alone(frame: pl.DataFrame, key: str) -> list[pl.DataFrame]:
    return frame.partition_by(key, maintain_order=True)


def reference(name: str, family: Family, frame: pl.DataFrame, roles: Columns) -> np.ndarray:
    """The family's features by its slow version, (rows, features)."""
    if name not in REFERENCES:
        pytest.fail(f"The family {name!r} has no slow reference: write one and add it to REFERENCES.")
    found = [list(REFERENCES[name](s.to_dict(as_series=False), family, roles)) for s in alone(frame, roles.key)]
    return np.concatenate([np.array(features, dtype=np.float64).T for features in found])


@each_family
def test_every_row_equals_the_slow_reference(name: str, table: dict[str, Any]) -> None:
    frame, family = ragged(), build(name, table)
    got = compute(frame, ROLES, [family]).to_numpy()
    expected = reference(name, family, frame, ROLES)
    assert got.shape == expected.shape == (frame.height, len(family.names(ROLES)))
    np.testing.assert_allclose(got, expected, rtol=0.0, atol=TOLERANCE)


@each_family
def test_a_series_alone_equals_that_series_within_the_frame(name: str, table: dict[str, Any]) -> None:
    frame, family = ragged(), build(name, table)
    apart = pl.concat([compute(series, ROLES, [family]) for series in alone(frame, "patient")])
    assert apart.equals(compute(frame, ROLES, [family]))


@each_family
def test_series_in_another_order_give_the_same_rows_in_that_order(name: str, table: dict[str, Any]) -> None:
    frame, family = ragged(), build(name, table)
    features = compute(frame, ROLES, [family])
    turned = pl.concat(reversed(alone(frame, "patient")))
    back = pl.concat(reversed(alone(features.with_columns(frame["patient"]), "patient"))).drop("patient")
    assert compute(turned, ROLES, [family]).equals(back)


@each_family
def test_lookahead_is_declared_truly(name: str, table: dict[str, Any]) -> None:
    family, step = build(name, table), pl.int_range(pl.len()).over("patient")
    frame = ragged()
    tail = step >= pl.len().over("patient") // 2
    flow, valve, pulse = pl.col("flow"), pl.col("valve"), pl.col(target_column("pulse"))
    other = frame.with_columns(
        pl.when(tail).then(flow + 100.0).otherwise(flow).alias("flow"),
        pl.when(tail).then(1 - valve).otherwise(valve).alias("valve"),
        pl.when(tail).then(pulse + 100.0).otherwise(pulse),
    )
    heads = [compute(f, ROLES, [family]).filter(~f.select(tail).to_series()) for f in (frame, other)]
    assert heads[0].equals(heads[1]) is not family.lookahead


@each_causal_family
def test_cut_series_keep_their_head_where_no_lookahead_is_declared(name: str, table: dict[str, Any]) -> None:
    family, frame = build(name, table), ragged()
    head = frame.select(pl.int_range(pl.len()).over("patient") < 10).to_series()
    assert compute(frame.filter(head), ROLES, [family]).equals(compute(frame, ROLES, [family]).filter(head))


@each_family
def test_features_are_finite_numbers_under_stable_unique_names(name: str, table: dict[str, Any]) -> None:
    family = build(name, table)
    features = compute(ragged(), ROLES, [family])
    assert features.columns == family.names(ROLES) == build(name, table).names(ROLES)
    assert len(set(features.columns)) == features.width > 0
    assert set(features.dtypes) <= {pl.Float64, pl.UInt8}
    assert features.select(pl.selectors.by_dtype(pl.UInt8).max() <= 1).select(pl.all_horizontal(pl.all())).item()
    assert features.null_count().sum_horizontal().item() == 0
    assert family.has_gaps or np.isfinite(features.to_numpy()).all()


@each_family
def test_names_hold_none_of_the_characters_lightgbm_refuses(name: str, table: dict[str, Any]) -> None:
    assert not set("".join(build(name, table).names(ROLES))) & set('",:[]{}')


@each_family
def test_a_family_is_a_value_and_cannot_be_changed(name: str, table: dict[str, Any]) -> None:
    family = build(name, table)
    assert family == build(name, table) and hash(family) == hash(build(name, table))
    with pytest.raises(AttributeError):
        family.anything = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FAMILIES)
def test_an_unknown_parameter_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"no parameter of the feature family '{name}'.*'nonsense'.*choose from"):
        build(name, {"nonsense": 1})


REAL = Path(os.environ.get("FOLDLINE_REAL_DATA", Path(__file__).parents[2] / "../shared/data/ventilator")) / "train.csv"


@pytest.mark.skipif(not REAL.exists(), reason="no real data: set FOLDLINE_REAL_DATA to the folder of train.csv")
@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("target_lags", "calendar")])
def test_real_breaths_equal_the_slow_reference_on_every_row(name: str) -> None:
    frame, levels = pl.read_csv(REAL), {"R": (5, 20, 50), "C": (10, 20, 50)}
    breaths = Columns(key="breath_id", order="time_step", inputs=("u_in", "u_out"), static=("R", "C"), levels=levels)
    got, expected = compute(frame, breaths, [build(name)]).to_numpy(), reference(name, build(name), frame, breaths)
    assert (got.size == 0) == (name == "categories")  # breaths have none
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=0.0, atol=TOLERANCE)


def with_gaps() -> pl.DataFrame:
    """Series with missing steps of both inputs, and some in which all steps of one are missing."""
    rng = np.random.default_rng(5)
    frame = ragged().filter(pl.col("patient").rle_id() < 12)
    absent = pl.col("patient").rank("dense") % 5
    return frame.with_columns(
        pl.when(pl.Series(rng.random(frame.height) < 0.3) | (absent == number))
        .then(float("nan"))
        .otherwise(pl.col(name).cast(pl.Float64))
        .alias(name)
        for number, name in enumerate(ROLES.inputs)
    )


@each_family
def test_missing_steps_leave_the_others_as_they_were(name: str, table: dict[str, Any]) -> None:
    """Of one step: NaN where it is missing. A sum adds nothing there; a statistic is one of the steps that remain."""
    family, frame = build(name, table), with_gaps()
    got = compute(frame, ROLES, [family]).cast(pl.Float64).to_numpy()
    if name in ("raw", "time", "lags", "differences", "static", "missing", "categories", "target_lags", "calendar"):
        np.testing.assert_allclose(got, reference(name, family, frame, ROLES), rtol=0.0, atol=TOLERANCE)
        return
    if name in ("integral", "compartment"):
        zeros = frame.with_columns(pl.col(ROLES.inputs).fill_nan(0.0))
        expected = compute(zeros, ROLES, [family]).to_numpy()
        sums = [feature.startswith("sum(") for feature in family.names(ROLES)]
        np.testing.assert_allclose(got[:, sums], expected[:, sums], rtol=0.0, atol=TOLERANCE)
        products = ~np.array(sums)
        assert np.isnan(got[:, products]).any() or not products.any()
        return
    _of_known_steps(frame, family, got)


def _of_known_steps(frame: pl.DataFrame, family: Family, got: np.ndarray) -> None:
    """Compare features of whole series, each with that of its series without the steps that its columns lack."""
    names, begin = family.names(ROLES), 0
    for series in alone(frame, "patient"):
        for place, feature in enumerate(names):
            columns = [x for x in ROLES.inputs if x in feature]
            last = int(feature.split("@last")[1]) if "@last" in feature else series.height
            window = series.tail(last) if isinstance(family, SeriesFamily) else series
            known = window.filter(pl.all_horizontal(pl.col(x).is_not_nan() for x in columns)) if columns else window
            values = got[begin : begin + series.height, place]
            if known.is_empty():
                assert np.isnan(values).all()
            elif isinstance(family, SeriesFamily):
                # The window is cut already: its statistic over the last `last` steps is over all of them.
                expected = compute(known, ROLES, [family])[0, place]
                np.testing.assert_allclose(values, expected, rtol=1e-9, atol=TOLERANCE)
            else:  # stats: of each step, beside one value of the series
                expected = compute(known, ROLES, [family]).to_numpy()[:, place]
                there = series[columns[0]].is_not_nan().to_numpy()
                np.testing.assert_allclose(values[there], expected, rtol=1e-9, atol=TOLERANCE)
                assert np.isnan(values[~there]).all() or feature == f"max({columns[0]})"
        begin += series.height

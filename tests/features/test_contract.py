"""The contract of every registered feature family.

Parametrised over the registry: a new family needs an entry in REFERENCES (a slow, obvious version of itself for one
series) and, where it has parameters, some tables in TABLES. Run: ./run.sh test tests/features
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from foldline.features import FAMILIES, Columns, Family, build, compute

ROLES = Columns(
    key="patient",
    order="hours",
    inputs=("flow", "valve"),
    static=("sex", "ward"),
    levels={"sex": ("f", "m"), "ward": (1, 2, 7)},
)
TOLERANCE = 1e-9

# Tables beside the empty one. The references below read the family's fields, so that each table is checked by them.
TABLES: dict[str, list[dict[str, Any]]] = {
    "raw": [{"complement": ["valve"]}, {"columns": ["valve"]}],
    "integral": [{"columns": ["valve", "flow"]}],
    "lags": [{"leads": []}, {"columns": ["flow", "valve"], "lags": [7, 1], "leads": [40]}],
    "differences": [{"steps": [2, 5], "columns": ["valve"]}],
    "stats": [{"columns": ["valve", "flow"]}],
    "static": [{"pairs": False}],
    "compartment": [{"flow": ["flow", "valve"]}],
}
# Parameters that must be set for the roles above, because their defaults name columns of the ventilator competition.
REQUIRED: dict[str, dict[str, Any]] = {"compartment": {"resistance": "ward", "compliance": "ward"}}
CASES = [(name, REQUIRED.get(name, {}) | table) for name in FAMILIES for table in [{}, *TABLES.get(name, [])]]
each_family = pytest.mark.parametrize(("name", "table"), CASES)
each_causal_family = pytest.mark.parametrize(("name", "table"), [case for case in CASES if not build(*case).lookahead])

Series = dict[str, list[Any]]
Feature = list[float]


def at(values: list[Any], t: int) -> float:
    """Value at step t, 0.0 outside the series."""
    return float(values[t]) if 0 <= t < len(values) else 0.0


def durations(hours: list[float]) -> list[float]:
    return [0.0] + [hours[t] - hours[t - 1] for t in range(1, len(hours))]


def raw(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in family.columns or roles.inputs:
        yield [float(v) for v in s[x]]
    for x in family.complement:
        yield [1.0 - v for v in s[x]]


def time(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    yield s[roles.order]
    yield durations(s[roles.order])


def integral(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in family.columns or roles.inputs[:1]:
        yield [float(sum(s[x][: t + 1])) for t in range(len(s[x]))]
        flowed = [v * dt for v, dt in zip(s[x], durations(s[roles.order]), strict=True)]
        yield [sum(flowed[: t + 1]) for t in range(len(s[x]))]


def lags(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in family.columns or roles.inputs[:1]:
        for n in family.lags:
            yield [at(s[x], t - n) for t in range(len(s[x]))]
        for n in family.leads:
            yield [at(s[x], t + n) for t in range(len(s[x]))]


def differences(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in family.columns or roles.inputs[:1]:
        for n in family.steps:
            yield [s[x][t] - at(s[x], t - n) for t in range(len(s[x]))]


def stats(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in family.columns or roles.inputs[:1]:
        largest, mean = max(s[x]), sum(s[x]) / len(s[x])
        yield [float(largest)] * len(s[x])
        yield [largest - v for v in s[x]]
        yield [mean - v for v in s[x]]


def static(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in roles.static:
        for level in roles.levels[x]:
            yield [float(v == level) for v in s[x]]
    if family.pairs:
        a, b = roles.static
        for one in roles.levels[a]:
            for other in roles.levels[b]:
                yield [float(v == one and w == other) for v, w in zip(s[a], s[b], strict=True)]


def compartment(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in family.flow or roles.inputs[:1]:
        yield [float(v * r) for v, r in zip(s[x], s[family.resistance], strict=True)]
        flowed = [v * dt for v, dt in zip(s[x], durations(s[roles.order]), strict=True)]
        yield [sum(flowed[: t + 1]) / s[family.compliance][t] for t in range(len(s[x]))]


REFERENCES: dict[str, Callable[[Series, Any, Columns], Iterator[Feature]]] = {
    "raw": raw,
    "time": time,
    "integral": integral,
    "lags": lags,
    "differences": differences,
    "stats": stats,
    "static": static,
    "compartment": compartment,
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
            "sex": np.array(["f", "m"])[rng.integers(0, 2, len(lengths))][rows],
            "ward": rng.choice([1, 2, 7, 9], len(lengths))[rows],
        }
    )


def alone(frame: pl.DataFrame, key: str) -> list[pl.DataFrame]:
    return frame.partition_by(key, maintain_order=True)


def reference(name: str, family: Family, frame: pl.DataFrame, roles: Columns) -> np.ndarray:
    """The family's features by its slow version, (rows, features)."""
    if name not in REFERENCES:
        pytest.fail(f"The family {name!r} has no slow reference: write one here and add it to REFERENCES.")
    slow = [list(REFERENCES[name](s.to_dict(as_series=False), family, roles)) for s in alone(frame, roles.key)]
    return np.concatenate([np.array(features, dtype=np.float64).T for features in slow])


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
    flow, valve = pl.col("flow"), pl.col("valve")
    other = frame.with_columns(
        pl.when(tail).then(flow + 100.0).otherwise(flow).alias("flow"),
        pl.when(tail).then(1 - valve).otherwise(valve).alias("valve"),
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
    assert np.isfinite(features.to_numpy()).all()


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
@pytest.mark.parametrize("name", FAMILIES)
def test_real_breaths_equal_the_slow_reference_on_every_row(name: str) -> None:
    frame, levels = pl.read_csv(REAL), {"R": (5, 20, 50), "C": (10, 20, 50)}
    breaths = Columns(key="breath_id", order="time_step", inputs=("u_in", "u_out"), static=("R", "C"), levels=levels)
    got = compute(frame, breaths, [build(name)]).to_numpy()
    np.testing.assert_allclose(got, reference(name, build(name), frame, breaths), rtol=0.0, atol=TOLERANCE)

"""Every feature family again, of one series, step by step: as slow and as plain as can be.

They read the family's fields, so that each of its tables is checked by them.
"""

from __future__ import annotations

from cmath import exp
from collections.abc import Iterator
from itertools import combinations, pairwise
from math import cos, log1p, nan, pi, sin, sqrt
from typing import Any

import numpy as np

from foldline.features import Columns
from foldline.features.family import KNOWN_STEPS, MOMENT, target_column

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


def categories(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in roles.categories:
        known = roles.levels[x]
        if len(known) > family.most:
            yield [1.0 + known.index(v) if v in known else 0.0 for v in s[x]]
        else:
            yield from ([float(v == level) for v in s[x]] for level in known)


def missing(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in family.columns or roles.inputs:
        yield [float(v != v) for v in s[x]]


def target_lags(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    y, known = list(s[target_column("pulse")]), s[KNOWN_STEPS][0]
    there = [v for v in y if v == v]
    if family.scale.startswith("log1p"):
        y, there = [log1p(v) for v in y], [log1p(v) for v in there]
    if family.scale.endswith("standardise") and there:
        mean = sum(there) / len(there)
        deviation = sqrt(sum((v - mean) ** 2 for v in there) / len(there))
        y = [(v - mean) / (deviation if deviation > 1e-9 * abs(mean) else 1.0) for v in y]
    yield [float(t - known + 1 + roles.gap if t >= known else 0) for t in range(len(y))]
    for lag in family.lags:
        found = []
        for t in range(len(y)):
            place = t - lag + (roles.gap if t >= known else 0)
            while family.season and place >= known:
                place -= family.season
            found.append(y[place] if 0 <= place < known else nan)
        yield found
    for window in family.last:
        last = [v for t, v in enumerate(y) if known - window <= t < known and v == v]
        mean = sum(last) / len(last) if last else nan
        yield [mean] * len(y)
        yield [sqrt(sum((v - mean) ** 2 for v in last) / len(last)) if last else nan] * len(y)


def calendar(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for part in family.parts:
        count = {"hour": 24, "weekday": 7, "day": 31, "month": 12, "yearday": 365.25}[part]
        found = [
            {
                "hour": m.hour + m.minute / 60,
                "weekday": m.weekday(),
                "day": m.day - 1,
                "month": m.month - 1,
                "yearday": m.timetuple().tm_yday - 1,
            }[part]
            for m in s[MOMENT]
        ]
        if family.form == "number":
            yield found
        else:
            yield from ([f(2 * pi * v / count) for v in found] for f in (sin, cos))


def compartment(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    for x in family.flow or roles.inputs[:1]:
        yield [float(v * r) for v, r in zip(s[x], s[family.resistance], strict=True)]
        flowed = [v * dt for v, dt in zip(s[x], durations(s[roles.order]), strict=True)]
        yield [sum(flowed[: t + 1]) / s[family.compliance][t] for t in range(len(s[x]))]


def windows(s: Series, family: Any) -> Iterator[Series]:
    for last in family.last or (0,):
        yield {name: values[-last:] for name, values in s.items()}


def on_each_row(s: Series, values: Iterator[float]) -> Iterator[Feature]:
    for value in values:
        yield [float(value)] * len(next(iter(s.values())))


def deviations(values: list[Any]) -> list[float]:
    """Differences to the mean; exactly 0 for a constant."""
    return [0.0] * len(values) if len(set(values)) == 1 else [v - sum(values) / len(values) for v in values]


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def summary(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    def of() -> Iterator[float]:
        for window in windows(s, family):
            yield len(window[roles.order])
            for x in family.inputs or roles.inputs:
                v = window[x]
                mean = sum(v) / len(v)
                yield from (mean, sqrt(sum(d * d for d in deviations(v)) / len(v)), min(v), max(v), v[0], v[-1])
                yield from (v[-1] - mean, sum(abs(b - a) for a, b in pairwise(v)))

    return on_each_row(s, of())


def quantiles(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    return on_each_row(
        s,
        (
            float(np.quantile(window[x], level))
            for window in windows(s, family)
            for x in family.inputs or roles.inputs
            for level in family.levels
        ),
    )


def trend(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    def of() -> Iterator[float]:
        for window in windows(s, family):
            hours = window[roles.order]
            for x in family.inputs or roles.inputs:
                v = window[x]
                slope, start = np.polyfit(np.array(hours) - hours[0], v, 1) if len(v) > 1 else (0.0, v[0])
                off = [value - start - slope * (hour - hours[0]) for value, hour in zip(v, hours, strict=True)]
                yield from (slope, start, sqrt(sum(d * d for d in off) / len(v)))

    return on_each_row(s, of())


def autocorrelation(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    def of() -> Iterator[float]:
        for window in windows(s, family):
            for x in family.inputs or roles.inputs:
                d = deviations(window[x])
                for lag in family.lags:
                    yield share(sum(d[t] * d[t - lag] for t in range(lag, len(d))), sum(v * v for v in d))

    return on_each_row(s, of())


def shape(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    def of() -> Iterator[float]:
        for window in windows(s, family):
            for x in family.inputs or roles.inputs:
                v = window[x]
                above = [d > 0 for d in deviations(v)]
                yield sum(v[t - 1] < v[t] > v[t + 1] for t in range(1, len(v) - 1))
                yield sum((a > 0) != (b > 0) for a, b in pairwise(v))
                yield sum(a != b for a, b in pairwise(above))
                yield max(len(run) for run in "".join(".^"[a] for a in above).split("."))
                yield share(v.index(max(v)), len(v) - 1)
                yield share(v.index(min(v)), len(v) - 1)

    return on_each_row(s, of())


def spectrum(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    def of() -> Iterator[float]:
        for window in windows(s, family):
            for x in family.inputs or roles.inputs:
                d = deviations(window[x])
                energy = {  # of the whole transform: each frequency and its mirror image
                    k / len(d): abs(sum(v * exp(-2j * pi * k * t / len(d)) for t, v in enumerate(d))) ** 2
                    for k in range(1, len(d))
                }
                folded = [(min(f, 1 - f), e) for f, e in energy.items()]
                total = sum(energy.values())
                for low, high in pairwise(family.edges):
                    yield share(sum(e for f, e in folded if low <= round(f, 12) < high or f == high == 0.5), total)
                yield share(sum(f * e for f, e in folded), total)

    return on_each_row(s, of())


def correlation(s: Series, family: Any, roles: Columns) -> Iterator[Feature]:
    def of() -> Iterator[float]:
        for window in windows(s, family):
            for x, y in list(combinations(family.inputs or roles.inputs, 2))[: family.pairs]:
                a, b = deviations(window[x]), deviations(window[y])
                both = sqrt(sum(v * v for v in a)) * sqrt(sum(v * v for v in b))
                yield share(sum(v * w for v, w in zip(a, b, strict=True)), both)

    return on_each_row(s, of())

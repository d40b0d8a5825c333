"""Targets among the inputs: a column or feature that is the target, shifted, rescaled, transformed or summed up.

Correlations are taken over all series together. The ventilator computes its valve from the pressure, which is the
target: inside one breath the valve may be a linear function of it, but of another line in each breath. That is physics,
no leak. A column that gives the target away follows one law in all series: its correlation with the target (Pearson's
if it is rescaled, Spearman's if it is transformed, https://doi.org/10.2307/1412159) or with a shift or summary of it is
1.

Features are made from inputs only (feature_leaks.py checks that). So a feature that equals the target is a chance find
in nearly noiseless data, or the integral of an input that is the target's difference: a note, not a leak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from foldline.data.store import Store
from foldline.data.table import Table
from foldline.evidence.audit.audit_check import CheckResult, listed
from foldline.evidence.audit.audit_context import AuditContext

COPY = 0.9999  # absolute correlation, of values or of ranks
SHIFTS = (1, 2, 3, 4)  # steps
ROWS = 20_000  # sampled rows that correlations are computed on
FEWEST = 50  # rows (or series, where there is one value a series): fewer say nothing


def check(context: AuditContext) -> CheckResult:
    """No input column is a copy of a target; a feature that is one is noted."""
    store = context.sample_features[0]
    assert store.labelled, "training series have targets"
    columns, features, x = _candidates(context.sample[0], store)
    names, found = [*columns, *features], dict[str, str]()
    strongest, where = 0.0, "nothing to compare"
    for number, target in enumerate(context.config.data.target):
        for transformed in _transformed_targets(store.pad(store.y[:, number]), store):
            strength, what = _strength(x, transformed, store.mask()), transformed.name
            found = {names[place]: f"{what} {target}" for place in np.flatnonzero(strength >= COPY)} | found
            if strength.max() > strongest:
                strongest, where = float(strength.max()), f"{names[int(strength.argmax())]} with {what} {target}"
    facts = {"strongest": strongest, "copies": found}
    copies = [f"{name} is a copy of {found[name]}" for name in columns if name in found]
    if copies:
        return CheckResult("LEAK", "; ".join(copies), facts)
    equal_features = [f"{name} is {found[name]}" for name in features if name in found]
    if equal_features:
        return CheckResult(
            "note", f"{listed(equal_features)}: a physical law, or an input that was made from the target?", facts
        )
    return CheckResult("clean", f"strongest correlation {strongest:.4f}: {where}", facts)


def _candidates(table: Table, store: Store) -> tuple[list[str], list[str], np.ndarray]:
    """Names of inputs and numeric static columns, of features that are none of them, and (N, T, C) float64 values."""
    data, every = table.data, np.arange(len(store.lengths))
    columns = [name for name in (*data.inputs, *data.static) if table.frame[name].dtype.is_numeric()]
    places = [place for place, name in enumerate(store.names) if name not in columns]
    own = [table.frame[name].to_numpy().astype(np.float64)[:, None] for name in columns]
    x = np.concatenate([*own, store.features(store.rows(every))[:, places].astype(np.float64)], axis=1)  # (R, C)
    return columns, [store.names[place] for place in places], store.pad(x)


@dataclass(frozen=True)
class TransformedTarget:
    """A target, or a shift or summary of it, that a column may be a copy of."""

    name: str
    values: np.ndarray  # (N, T)
    rows: np.ndarray  # (N, T) bool, where they count
    of_series: bool = False  # one value for each series: only columns that are constant in each are compared


def _transformed_targets(y: np.ndarray, store: Store) -> Iterator[TransformedTarget]:
    """Yield everything that columns are compared with. y: (N, T) one target."""
    scored, mask = store.pad(store.scored), store.mask()
    yield TransformedTarget("the target", y, scored)
    for steps in SHIFTS:
        known = np.zeros_like(mask)
        known[:, steps:] = mask[:, :-steps]
        yield TransformedTarget(f"{steps} steps back, the target", np.roll(y, steps, axis=1), scored & known)
        known = np.zeros_like(mask)
        known[:, :-steps] = mask[:, steps:]
        yield TransformedTarget(f"{steps} steps ahead, the target", np.roll(y, -steps, axis=1), scored & known)
    inside, first = np.where(mask, y, np.nan), np.zeros_like(mask)
    first[:, 0] = True
    summaries = {
        "mean": np.nanmean(inside, axis=1),
        "largest": np.nanmax(inside, axis=1),
        "smallest": np.nanmin(inside, axis=1),
        "first": y[:, 0],
        "last": y[np.arange(len(y)), store.lengths - 1],
    }
    for name, values in summaries.items():
        whole = np.broadcast_to(values[:, None], y.shape)
        yield TransformedTarget(f"the series' {name} value of the target", whole, first, of_series=True)


def _strength(x: np.ndarray, transformed: TransformedTarget, mask: np.ndarray) -> np.ndarray:
    """Compute (C,) absolute correlations of each column with a transformed target, the larger of both kinds.

    x: (N, T, C); mask: (N, T), real steps.
    """
    places = np.flatnonzero(transformed.rows)
    if len(places) < FEWEST:
        return np.zeros(x.shape[-1])
    places = np.random.default_rng(0).permutation(places)[:ROWS]
    columns, values = x.reshape(-1, x.shape[-1])[places], transformed.values.ravel()[places]
    ranks = _correlation(rankdata(columns, axis=0), rankdata(values))
    strength = np.maximum(_correlation(columns, values), ranks)
    if transformed.of_series:
        strength = strength * ((x == x[:, :1]) | ~mask[..., None]).all(axis=(0, 1))
    return np.asarray(strength)


def _correlation(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(C,) absolute Pearson correlations; 0 where something is constant."""
    columns, values = columns - columns.mean(axis=0), values - values.mean()
    length = np.sqrt((columns**2).sum(axis=0) * (values**2).sum())
    return np.asarray(np.abs(values @ columns) / np.where(length > 0, length, np.inf))

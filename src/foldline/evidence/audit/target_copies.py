"""Targets among the inputs: a column or feature that is the target, moved in time, rescaled, bent or summed up.

What is compared is pooled over all series. The ventilator's valve is computed from the very pressure that is wanted:
inside one series it may be a straight line of it, but every breath has another line. That is physics. A column that
gives the target away has one law for all series: its correlation with the target (Pearson's for a rescaled one,
Spearman's for a bent one, https://doi.org/10.2307/1412159), or with what is made from the target, is 1.

A feature is made from inputs (families.py sees to that), so one that equals the target is a lucky find in a nearly
noiseless world, or the integral of an input that is the target's difference: a note, not a finding.
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
ROWS = 20_000  # rows that correlations are taken from
FEWEST = 50  # rows (or series, where there is one value a series): of fewer, a correlation says nothing


def check(context: AuditContext) -> CheckResult:
    """No column that models are given is a copy of a target; where a feature is one, that is worth a look."""
    dense = context.sample_features[0]
    assert dense.labelled, "training series have targets"
    columns, features, x = _given(context.sample[0], dense)
    names, found = [*columns, *features], dict[str, str]()
    strongest, where = 0.0, "nothing to compare"
    for number, target in enumerate(context.config.data.target):
        for made in _made_from(dense.pad(dense.y[:, number]), dense):
            strength, what = _strength(x, made, dense.mask()), made.name
            found = {names[place]: f"{what} {target}" for place in np.flatnonzero(strength >= COPY)} | found
            if strength.max() > strongest:
                strongest, where = float(strength.max()), f"{names[int(strength.argmax())]} with {what} {target}"
    facts = {"strongest": strongest, "copies": found}
    guilty = [f"{name} is a copy of {found[name]}" for name in columns if name in found]
    if guilty:
        return CheckResult("LEAK", "; ".join(guilty), facts)
    curious = [f"{name} is {found[name]}" for name in features if name in found]
    if curious:
        return CheckResult(
            "note", f"{listed(curious)}: a law of nature, or an input that stems from the target?", facts
        )
    return CheckResult("clean", f"strongest correlation {strongest:.4f}: {where}", facts)


def _given(table: Table, dense: Store) -> tuple[list[str], list[str], np.ndarray]:
    """Names of inputs and numeric statics, of features that are none of them, and (N, T, C) float64 values of both."""
    data, every = table.data, np.arange(len(dense.lengths))
    columns = [name for name in (*data.inputs, *data.static) if table.frame[name].dtype.is_numeric()]
    places = [place for place, name in enumerate(dense.names) if name not in columns]
    own = [table.frame[name].to_numpy().astype(np.float64)[:, None] for name in columns]
    x = np.concatenate([*own, dense.features(every)[:, places].astype(np.float64)], axis=1)  # (R, C)
    return columns, [dense.names[place] for place in places], dense.pad(x)


@dataclass(frozen=True)
class Made:
    """Something made from a target, that a column may be a copy of."""

    name: str
    values: np.ndarray  # (N, T)
    rows: np.ndarray  # (N, T) bool, where they count
    of_series: bool = False  # one value a series: only columns that are constant in each are compared


def _made_from(y: np.ndarray, dense: Store) -> Iterator[Made]:
    """All that is looked for. y: (N, T) one target."""
    scored, mask = dense.pad(dense.scored), dense.mask()
    yield Made("the target", y, scored)
    for steps in SHIFTS:
        known = np.zeros_like(mask)
        known[:, steps:] = mask[:, :-steps]
        yield Made(f"{steps} steps back, the target", np.roll(y, steps, axis=1), scored & known)
        known = np.zeros_like(mask)
        known[:, :-steps] = mask[:, steps:]
        yield Made(f"{steps} steps ahead, the target", np.roll(y, -steps, axis=1), scored & known)
    inside, first = np.where(mask, y, np.nan), np.zeros_like(mask)
    first[:, 0] = True
    summaries = {
        "mean": np.nanmean(inside, axis=1),
        "largest": np.nanmax(inside, axis=1),
        "smallest": np.nanmin(inside, axis=1),
        "first": y[:, 0],
        "last": y[np.arange(len(y)), dense.lengths - 1],
    }
    for name, values in summaries.items():
        whole = np.broadcast_to(values[:, None], y.shape)
        yield Made(f"the series' {name} value of the target", whole, first, of_series=True)


def _strength(x: np.ndarray, made: Made, mask: np.ndarray) -> np.ndarray:
    """(C,) absolute correlation of each column with what is made from a target, the larger of both kinds.

    x: (N, T, C); mask: (N, T), real steps.
    """
    places = np.flatnonzero(made.rows)
    if len(places) < FEWEST:
        return np.zeros(x.shape[-1])
    places = np.random.default_rng(0).permutation(places)[:ROWS]
    columns, values = x.reshape(-1, x.shape[-1])[places], made.values.ravel()[places]
    ranks = _correlation(rankdata(columns, axis=0), rankdata(values))
    strength = np.maximum(_correlation(columns, values), ranks)
    if made.of_series:
        strength = strength * ((x == x[:, :1]) | ~mask[..., None]).all(axis=(0, 1))
    return np.asarray(strength)


def _correlation(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(C,) absolute Pearson correlations; 0 where something is constant."""
    columns, values = columns - columns.mean(axis=0), values - values.mean()
    length = np.sqrt((columns**2).sum(axis=0) * (values**2).sum())
    return np.asarray(np.abs(values @ columns) / np.where(length > 0, length, np.inf))

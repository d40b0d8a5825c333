"""Targets among the inputs: a column or feature that is the target, shifted, rescaled, transformed or summed up.

Correlations are taken over all series together. The ventilator computes its valve from the pressure, which is the
target: inside one breath the valve may be a linear function of it, but of another line in each breath. That is physics,
no leak. A column that gives the target away follows one law in all series: its correlation with the target (Pearson's
if it is rescaled, Spearman's if it is transformed, https://doi.org/10.2307/1412159) or with a shift or summary of it is
1.

A class has no order, so that a column is compared with it by the correlation ratio (Pearson's eta: the share of the
column's variance between classes): 1 where the column is the same in all answers of a class. Where there is one answer
a series, columns are summed up in each series first.

Features are made from inputs only (feature_leaks.py checks that). So a feature that equals the target is a chance find
in nearly noiseless data, or the integral of an input that is the target's difference: a note, not a leak.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata

from foldline.data.ragged import pad
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.data.task import WITH_LABELS
from foldline.evidence.audit.audit_check import CheckResult, listed
from foldline.evidence.audit.audit_context import AuditContext

COPY = 0.9999  # absolute correlation, of values or of ranks
SHIFTS = (1, 2, 3, 4)  # steps
ROWS = 20_000  # sampled rows that correlations are computed on
SUMMARY = "the series' {} value of the target"
NO_CLASS = tuple(SUMMARY.format(name) for name in ("mean", "largest", "smallest"))  # which classes do not have
FEWEST = 50  # rows (or series, where there is one value a series): fewer say nothing


def check(context: AuditContext) -> CheckResult:
    """No input column is a copy of a target; a feature that is one is noted."""
    store = context.sample_features[0]
    assert store.labelled, "training series have targets"
    if store.on_series and store.scored.sum() < FEWEST:
        return CheckResult("not checked", f"{store.scored.sum()} labelled series are too few: {FEWEST} are needed")
    columns, features, x = _candidates(context.sample[0], store)
    names, found = [*columns, *features], dict[str, str]()
    strongest, where = 0.0, "nothing to compare"
    for target, y in _values_of_targets(store, context.config.data.target):
        for transformed, compared in _comparisons(y, x, store):
            strength, what = _strength(compared, transformed, store.mask(steps=compared.shape[1])), transformed.name
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


def _values_of_targets(store: Store, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each target's name and its (A,) values; the number of the class where the answer is one of several."""
    if store.task.kind == "multiclass":
        yield names[0], np.asarray(store.y.argmax(axis=1), dtype=np.float64)
    else:
        yield from zip(names, store.y.T, strict=True)


def _comparisons(y: np.ndarray, x: np.ndarray, store: Store) -> Iterator[tuple[TransformedTarget, np.ndarray]]:
    """Yield everything that columns are compared with, and the columns. y: (A,) one target; x: (N, T, C)."""
    kind, nominal = store.task.kind, store.task.kind in WITH_LABELS
    if not store.on_series:
        for each in _transformed_targets(store.pad(y), store):
            if kind == "multiclass" and each.name in NO_CLASS:
                continue
            yield replace(each, nominal=nominal and (kind == "multiclass" or not each.of_series)), x
        return
    inside, last = np.where(store.mask()[..., None], x, np.nan), store.lengths - 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Mean of empty|All-NaN")  # a series may lack a column
        summaries = {
            "": x[:, 0],
            "last value: ": x[np.arange(len(x)), last],
            "mean: ": np.nanmean(inside, axis=1),
            "largest value: ": np.nanmax(inside, axis=1),
            "smallest value: ": np.nanmin(inside, axis=1),
        }
    for name, values in summaries.items():
        target = TransformedTarget(f"{name}the target", y[:, None], store.scored[:, None], nominal=nominal)
        yield target, values[:, None, :]


def _candidates(table: Table, store: Store) -> tuple[list[str], list[str], np.ndarray]:
    """Names of inputs and numeric static columns, of features that are none of them, and (N, T, C) float64 values."""
    data, every = table.data, np.arange(len(store.lengths))
    columns = [name for name in (*data.inputs, *data.static) if table.frame[name].dtype.is_numeric()]
    places = [place for place, name in enumerate(store.names) if name not in columns]
    own = [table.frame[name].to_numpy().astype(np.float64)[:, None] for name in columns]
    if data.kind in WITH_LABELS:  # text may copy a label, too: the numbers of its values are compared
        texts = [number for number, name in enumerate(data.static) if name not in columns]
        own += [np.repeat(store.static[:, number], store.lengths)[:, None].astype(np.float64) for number in texts]
        columns += [data.static[number] for number in texts]
    x = np.concatenate([*own, store.features(store.rows(every))[:, places].astype(np.float64)], axis=1)  # (R, C)
    return columns, [store.names[place] for place in places], pad(x, store.lengths, store.longest)


@dataclass(frozen=True)
class TransformedTarget:
    """A target, or a shift or summary of it, that a column may be a copy of."""

    name: str
    values: np.ndarray  # (N, T)
    rows: np.ndarray  # (N, T) bool, where they count
    of_series: bool = False  # one value for each series: only columns that are constant in each are compared
    nominal: bool = False  # numbers of classes, without order


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
        yield TransformedTarget(SUMMARY.format(name), whole, first, of_series=True)


def _strength(x: np.ndarray, transformed: TransformedTarget, mask: np.ndarray) -> np.ndarray:
    """Compute (C,) absolute correlations of each column with a transformed target, the larger of both kinds.

    x: (N, T, C); mask: (N, T), real steps.
    """
    places = np.flatnonzero(transformed.rows)
    if len(places) < FEWEST:
        return np.zeros(x.shape[-1])
    places = np.random.default_rng(0).permutation(places)[:ROWS]
    columns, values = x.reshape(-1, x.shape[-1])[places], transformed.values.ravel()[places]
    known = ~np.isnan(columns)
    if known.all():
        strength = _of_columns(columns, values, transformed.nominal)
    else:  # each where it is there
        strength = np.zeros(columns.shape[1])
        for number, there in enumerate(known.T):
            if there.sum() >= FEWEST:
                strength[number] = _of_columns(columns[there, number, None], values[there], transformed.nominal)[0]
    if transformed.of_series:
        strength = strength * ((x == x[:, :1]) | ~mask[..., None]).all(axis=(0, 1))
    return np.asarray(strength)


def _of_columns(columns: np.ndarray, values: np.ndarray, nominal: bool) -> np.ndarray:
    """(C,) strength of the relation of columns, (n, C), to a target, (n,). nominal: it is numbers of classes."""
    if nominal:
        return _ratio(columns, values)
    ranks = _correlation(rankdata(columns, axis=0), rankdata(values))
    return np.asarray(np.maximum(_correlation(columns, values), ranks))


def _ratio(columns: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(C,) correlation ratios of columns, (n, C), with classes, (n,); 0 where a column is constant."""
    codes = np.unique(classes, return_inverse=True)[1]
    several = np.bincount(codes)[codes] > 1  # a class of one answer has no spread that could tell anything
    if not several.any():
        return np.zeros(columns.shape[1])
    columns, codes = columns[several], np.unique(codes[several], return_inverse=True)[1]
    columns, counts = columns - columns.mean(axis=0), np.bincount(codes)
    means = np.stack([np.bincount(codes, column) / counts for column in columns.T], axis=1)  # (classes, C)
    total = (columns**2).sum(axis=0)
    between = (counts[:, None] * means**2).sum(axis=0)
    return np.asarray(np.sqrt(between / np.where(total > 0, total, np.inf)))


def _correlation(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(C,) absolute Pearson correlations; 0 where something is constant."""
    columns, values = columns - columns.mean(axis=0), values - values.mean()
    length = np.sqrt((columns**2).sum(axis=0) * (values**2).sum())
    return np.asarray(np.abs(values @ columns) / np.where(length > 0, length, np.inf))

"""Features that use more than their own series' inputs: change everything else, compute again, and compare."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foldline.data.store import Store
from foldline.data.table import Table
from foldline.evidence.audit import perturbations
from foldline.evidence.audit.audit_check import CheckResult, listed
from foldline.evidence.audit.audit_context import AuditContext, taken

TOLERANCE = 1e-4  # of a feature's standard deviation: sums over other rows before it may round differently


def other_series(context: AuditContext) -> CheckResult:
    """A series' features stay when half of the series change, and when these are removed."""
    table = context.small[0]
    others = _random_order(table) < len(table.lengths) // 2
    kept = np.flatnonzero(~others)
    before = _Snapshot(context.features(table), kept)
    beside_changed = context.features(replace(table, frame=perturbations.everything(table, others)))
    alone = context.features(taken(table, kept))
    changed = before.changed(_padded(beside_changed, kept)) + before.changed(_padded(alone))
    return _outcome(changed, "other series change", "depends on other series")


def order_of_series(context: AuditContext) -> CheckResult:
    """A series' features stay when the order of the series changes."""
    table = context.small[0]
    order = _random_order(table)
    before = _Snapshot(context.features(table), order)
    return _outcome(
        before.changed(_padded(context.features(taken(table, order)))), "the series' order changes", "depends on it"
    )


def names_of_series(context: AuditContext) -> CheckResult:
    """Features stay when keys and row ids are permuted: numbers often follow time, or the target."""
    table, data = context.small[0], context.config.data
    keys = table.keys.gather(np.repeat(_random_order(table), table.lengths)).alias(data.key)
    ids = [] if data.id == data.key else [table.frame[data.id].shuffle(seed=0)]
    named = table.frame.with_columns(keys, *ids)
    before = _Snapshot(context.features(table), np.arange(len(table.lengths)))
    changed = before.changed(_padded(context.features(replace(table, frame=named))))
    what = f"{data.key} and {data.id} are" if ids else f"{data.key} is"
    return _outcome(changed, f"{what} permuted", "is made from them")


def targets(context: AuditContext) -> CheckResult:
    """Features stay when the targets change."""
    table = context.small[0]
    frame = perturbations.targets(table, np.ones(len(table.lengths), dtype=bool))
    before = _Snapshot(context.features(table), np.arange(len(table.lengths)))
    changed = before.changed(_padded(context.features(replace(table, frame=frame))))
    return _outcome(changed, "the targets change", "is made from the target")


def _random_order(table: Table) -> np.ndarray:
    """(N,) a random order of the table's series: a feature might not notice a regular one."""
    return np.random.default_rng(0).permutation(len(table.lengths))


class _Snapshot:
    """The features of some series, to be compared with others."""

    def __init__(self, store: Store, series: np.ndarray) -> None:
        self.names, self.x = store.names, _padded(store, series).astype(np.float64)
        self.missing = np.isnan(self.x)
        self.x = np.where(self.missing, 0.0, self.x)
        self.tolerance = TOLERANCE * self.x.std(axis=(0, 1)) + 1e-9

    def changed(self, other: np.ndarray) -> list[str]:
        """Names of the features that differ. other: (n, T, F); T may be shorter."""
        steps = min(self.x.shape[1], other.shape[1])
        missing = np.isnan(other[:, :steps])
        gap = np.abs(self.x[:, :steps] - np.where(missing, 0.0, other[:, :steps])).max(axis=(0, 1))
        changed = (gap > self.tolerance) | (missing != self.missing[:, :steps]).any(axis=(0, 1))
        return [name for name, differs in zip(self.names, changed, strict=True) if differs]


def _padded(store: Store, series: np.ndarray | None = None) -> np.ndarray:
    """(n, T, F) float32 features of some series, None: of all; T is the longest of the store."""
    return store.features_padded(np.arange(len(store.lengths)) if series is None else series, store.longest)


def _outcome(changed: list[str], when: str, why: str) -> CheckResult:
    names = list(dict.fromkeys(changed))
    if names:
        return CheckResult("LEAK", f"{listed(names)} {why}", {"features": names})
    return CheckResult("clean", f"no feature changes when {when}")

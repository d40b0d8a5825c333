"""Features that hold more than their own series' inputs: change the rest, compute again, and see which ones move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foldline.data.store import Store
from foldline.data.table import Table
from foldline.evidence.audit import perturbations
from foldline.evidence.audit.audit_check import CheckResult, listed
from foldline.evidence.audit.audit_context import AuditContext, taken

MOVED = 1e-4  # of a feature's standard deviation: what a feature may move by because sums are rounded elsewhere


def other_series(context: AuditContext) -> CheckResult:
    """A series' features stay when half of the others change, and when those are not there at all."""
    table = context.small[0]
    others = _drawn(table) < len(table.lengths) // 2
    base = context.features(table)
    changed = context.features(replace(table, frame=perturbations.everything(table, others)))
    alone = context.features(taken(table, np.flatnonzero(~others)))
    mine = _Part(base, np.flatnonzero(~others))
    moved = mine.moved(_padded(changed, np.flatnonzero(~others))) + mine.moved(_padded(alone))
    return _outcome(moved, "other series change", "follows other series")


def order_of_series(context: AuditContext) -> CheckResult:
    """A series' features stay when the series stand in another order."""
    table = context.small[0]
    order = _drawn(table)
    mine = _Part(context.features(table), order)
    return _outcome(
        mine.moved(_padded(context.features(taken(table, order)))), "the series' order changes", "follows it"
    )


def names_of_series(context: AuditContext) -> CheckResult:
    """Features stay when series and rows get each other's names: numbers often follow time, or the target."""
    table, data = context.small[0], context.config.data
    keys = table.keys.gather(np.repeat(_drawn(table), table.lengths)).alias(data.key)
    named = table.frame.with_columns(keys, table.frame[data.id].shuffle(seed=0))
    mine = _Part(context.features(table), np.arange(len(table.lengths)))
    moved = mine.moved(_padded(context.features(replace(table, frame=named))))
    return _outcome(moved, f"{data.key} and {data.id} are dealt out anew", "is made from them")


def targets(context: AuditContext) -> CheckResult:
    """Features stay when the targets change."""
    table = context.small[0]
    frame = perturbations.targets(table, np.ones(len(table.lengths), dtype=bool))
    mine = _Part(context.features(table), np.arange(len(table.lengths)))
    moved = mine.moved(_padded(context.features(replace(table, frame=frame))))
    return _outcome(moved, "the targets change", "is made from the target")


def _drawn(table: Table) -> np.ndarray:
    """(N,) the table's series in a random order: a regular one could be just what a feature doesn't notice."""
    return np.random.default_rng(0).permutation(len(table.lengths))


class _Part:
    """Some series of a store, to be held against what they become."""

    def __init__(self, dense: Store, series: np.ndarray) -> None:
        self.names, self.x = dense.names, _padded(dense, series).astype(np.float64)
        self.slack = MOVED * self.x.std(axis=(0, 1)) + 1e-9

    def moved(self, other: np.ndarray) -> list[str]:
        """Names of the features that are not what they were. other: (n, T, F); T may be shorter."""
        steps = min(self.x.shape[1], other.shape[1])
        gap = np.abs(self.x[:, :steps] - other[:, :steps]).max(axis=(0, 1))
        return [name for name, far in zip(self.names, gap > self.slack, strict=True) if far]


def _padded(store: Store, series: np.ndarray | None = None) -> np.ndarray:
    """(n, T, F) float32 features of some series, None: of all; T is the longest of the store."""
    return store.features_padded(np.arange(len(store.lengths)) if series is None else series, store.longest)


def _outcome(moved: list[str], when: str, why: str) -> CheckResult:
    names = list(dict.fromkeys(moved))
    if names:
        return CheckResult("LEAK", f"{listed(names)} {why}", {"features": names})
    return CheckResult("clean", f"no feature moves when {when}")

"""Series that occur twice: across folds, in both files, or among the series that a model is pre-trained on.

Two breaths of one session are similar without being copies; details distinguish them. How series are compared,
near_copies.py says. A copy is nearer than NEAR, and much nearer than the other series around it (Lowe's ratio test,
https://doi.org/10.1023/B:VISI.0000029664.99615.94), so that a dense region is no copy. Each audit reports the distances
of nearest neighbours; docs/how-to/audit.md has those of the real sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from foldline.data import assemble, loading, near_copies
from foldline.data.near_copies import NEAR, Compared
from foldline.evidence.audit import audit_plots
from foldline.evidence.audit.audit_check import CheckResult, counted, listed
from foldline.evidence.audit.audit_context import AuditContext

AROUND = 16  # the neighbour whose distance measures the density
RATIO = 0.05  # a copy is nearer than this share of that distance
SAME_TARGET = 0.1  # standard deviations: the targets of a copy agree
SHOWN = 2000  # series in the picture
NEVER = np.iinfo(np.int64).max  # side of training series that no fold holds out


@dataclass(frozen=True, kw_only=True)
class ComparedSeries(Compared):
    """The series of all tables, N, and where each is trained on."""

    side: np.ndarray  # (N,) fold of a training series, or NEVER; -1: test; -2 and below: series to pre-train on

    def name(self, place: int) -> str:
        """Format a series as `breath_id 17 (fold 2)`."""
        starts = np.cumsum([0, *(len(table.lengths) for table in self.tables)])
        number = int(np.searchsorted(starts, place, side="right")) - 1
        table, side = self.tables[number], int(self.side[place])
        training = "in no fold" if side == NEVER else f"fold {side}"
        where = training if side >= 0 else "test" if side == -1 else "pre-training"
        return f"{table.data.key} {table.keys[int(place - starts[number])]} ({where})"

    def targets(self) -> Iterator[np.ndarray]:
        """Yield (n, steps) float32 of each column of the truth, scaled; n training series; one step of one answer."""
        table = self.tables[0]
        for values in table.y.T:
            known = np.where(np.isnan(values), np.nanmean(values), values)
            yield from near_copies.scaled(
                known[:, None] if table.task.on_series else near_copies.first_steps(table, known, self.steps)
            )


def check(context: AuditContext) -> CheckResult:
    """No two copies are on two sides of a split."""
    compared = _gathered(context)
    sketch = near_copies.sketch_of(compared)
    if sketch is None:
        return CheckResult("not checked", "all series have the same inputs and time steps")
    tree, side = cKDTree(sketch), compared.side
    pairs, distance = _copies(compared, tree, sketch)
    labelled, agree = (side[pairs] >= 0).all(axis=1), _agree(compared, pairs)
    nearest = _nearest(compared, tree, sketch)
    facts = {"series": len(side), "pairs": len(pairs), "nearest": float(nearest.min())}
    picture = audit_plots.histogram(
        np.log10(np.maximum(nearest, 1e-6)), np.log10(NEAR), "log10 of the nearest distance"
    )
    unlike = int((labelled & ~agree).sum())
    if unlike > (labelled & agree).sum():
        detail = f"the inputs do not distinguish series: {unlike} pairs agree in them, but not in the target"
        return CheckResult("not checked", detail, facts, picture)
    crossing = (side[pairs[:, 0]] != side[pairs[:, 1]]) & (agree | ~labelled) & (side[pairs].max(axis=1) >= -1)
    if crossing.any():
        order = np.flatnonzero(crossing)[np.argsort(distance[crossing], kind="stable")]
        shown = [f"{compared.name(a)} and {compared.name(b)}" for a, b in pairs[order]]
        between_folds = (side[pairs[crossing]] >= 0).all(axis=1).any()
        way_out = "; folds.similar = {} holds those of training together" if between_folds else ""
        return CheckResult("LEAK", f"copies: {listed(shown, 2)}{way_out}", facts, picture)
    inside = f"; copies on one side: {counted(len(pairs), 'pair')}" if len(pairs) else ""
    part = f" in their first {compared.steps} steps" if compared.steps < compared.lengths.max() else ""
    detail = f"{len(side)} series, nearest neighbours {nearest.min():.3g} apart{part} (a copy: {NEAR:g}){inside}"
    return CheckResult("clean", detail, facts, picture)


def _gathered(context: AuditContext) -> ComparedSeries:
    """Collect training, test and pre-training series."""
    competition = context.competition
    tables = [competition.train, competition.test]
    assigned = context.folds.assignment
    # what no fold holds out is trained on: a side of its own
    sides = [np.where(assigned < 0, NEVER, assigned), np.full(len(competition.test.lengths), -1)]
    for number, model in enumerate(context.config.models):
        if model.pretrain is not None and model.pretrain.source not in ("simulate", "masked"):
            source = assemble.source_of(competition.data, Path(model.pretrain.source), "train")
            data, levels, train = competition.data, competition.levels, competition.train
            tables.append(loading.load_table(source, data, True, levels, train.facts, train.classes))
            sides.append(np.full(len(tables[-1].lengths), -2 - number))
    lengths = np.concatenate([table.lengths for table in tables])
    return ComparedSeries(tables=tables, steps=Compared.steps_of(lengths), side=np.concatenate(sides))


def _copies(compared: ComparedSeries, tree: cKDTree, sketch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find (P, 2) pairs of copies and (P,) their distances."""
    pairs, distance = near_copies.near_pairs(compared, tree, sketch)
    around = min(AROUND, len(sketch) - 1) + 1
    density = tree.query(sketch[pairs[:, 0]], k=around)[0][:, -1] if len(pairs) else np.zeros(0)
    kept = distance < RATIO * density
    pairs, distance = pairs[kept], distance[kept]
    kept = near_copies.to_the_end(compared, pairs) < NEAR
    return pairs[kept], distance[kept]


def _agree(compared: ComparedSeries, pairs: np.ndarray) -> np.ndarray:
    """(P,) bool: both are training series and their targets agree."""
    labelled = (compared.side[pairs] >= 0).all(axis=1)
    agree = np.zeros(len(pairs), dtype=bool)
    agree[labelled] = near_copies.distance_of(compared.targets(), pairs[labelled]) < SAME_TARGET
    return agree


def _nearest(compared: ComparedSeries, tree: cKDTree, sketch: np.ndarray) -> np.ndarray:
    """(n,) distances of some series from the one that is nearest in the projection."""
    chosen = np.random.default_rng(0).permutation(len(sketch))[:SHOWN]
    return near_copies.distance_of(
        compared.channels(), np.stack([chosen, tree.query(sketch[chosen], k=2)[1][:, -1]], axis=1)
    )

"""What each member of a blend contributes, how correlated the members' errors are, and what a prediction costs.

All scores are nested: the rows of a fold are scored with weights fitted on the other folds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foldline.data.store import Store
from foldline.ensemble.blend_config import BlendConfig
from foldline.ensemble.blend_rows import BlendRows
from foldline.ensemble.fitted_blend import Blend
from foldline.ensemble.members import Member
from foldline.ensemble.methods import NestedPredictions, apply_blend, nested
from foldline.ensemble.paired_difference import difference, evidence
from foldline.run import cell_stores
from foldline.run.cell_training import load_estimator

TIMED = 200  # series that a cell predicts while it is timed


@dataclass(frozen=True)
class MemberContribution:
    """One member of a blend."""

    label: str
    score: float  # alone
    weight: float | None  # in the blend of all rows; None: the blend is no weighted sum
    without: float  # the blend's score without it, weights fitted again
    gain: float  # by how much the blend's mean loss, or score, is better with it: above 0 it helps
    error: float  # standard error of that, over series or their groups
    seconds: float | None  # to predict 1,000 series with all its cells; None: it came from outside


def contributions(
    config: BlendConfig, rows: BlendRows, fitted: Blend, found: NestedPredictions, seconds: Sequence[float | None]
) -> list[MemberContribution]:
    """Compare a fitted blend with the blend without each member, by the same method.

    Args:
        found: the blend, nested, by the method of `fitted`.
        seconds: (M,) as `cost` measures them.
    """
    known, whole = [], evidence(rows, found.values)[0]
    for number, label in enumerate(rows.labels):
        others = [other for other in range(len(rows.labels)) if other != number]
        left = nested(config, rows.select_members(others), fitted.method)
        losses, counts = evidence(rows, left.values)
        gain, error = difference(losses, whole, counts)
        weight = None if fitted.weights is None else fitted.weights[number]
        alone, without = rows.score(rows.predictions[number]), rows.score(left.values)
        known.append(MemberContribution(label, alone, weight, without, gain, error, seconds[number]))
    return known


def correlation(rows: BlendRows) -> np.ndarray:
    """Compute (M, M) Pearson correlations of the members' errors over rows, mean over targets.

    A mean of members gains by their disagreement: Krogh & Vedelsby 1995, https://papers.nips.cc/paper/1001. A member
    whose errors do not vary counts as uncorrelated.
    """
    errors = rows.predictions - rows.y  # (M, R, K)
    errors = errors - errors.mean(axis=1, keepdims=True)
    norms = np.sqrt((errors**2).sum(axis=1, keepdims=True))
    errors = np.divide(errors, norms, out=np.zeros_like(errors), where=norms > 0)
    return np.asarray(np.einsum("irk,jrk->ij", errors, errors) / rows.y.shape[1])


def optimism(rows: BlendRows, fitted: Blend, found: NestedPredictions) -> float:
    """Compute how much better the blend scores on the rows it was fitted on than nested."""
    return rows.metric.gain(rows.score(found.values), rows.score(apply_blend(fitted, rows)))


def cost(member: Member, store: Store) -> float | None:
    """Measure the seconds in which the member's cells predict 1,000 series on this machine. None: it has no cells here.

    One cell predicts some series; the fastest of three times counts. An estimator of open rows estimates a whole table
    and keeps that, so that it is timed once, on all series. Loading weights is left out: it is needed once, for any
    number of series.
    """
    if not member.cells:
        return None
    store = cell_stores.opened(member.cells[0], store.path)
    estimator, times = load_estimator(member.cells[0], store), []
    whole = member.cells[0].model.fitted_as == "estimator"
    some = np.arange(len(store.lengths) if whole else min(TIMED, len(store.lengths)))
    for _ in range(1 if whole else 3):
        began = time.perf_counter()
        estimator.predict(store, some)
        times.append(time.perf_counter() - began)
    return min(times) / len(some) * 1000 * len(member.cells)


def refitted(found: NestedPredictions) -> np.ndarray | None:
    """List (parts, M) weights of the nested fits: their stability; None: the blend is no weighted sum."""
    weights = [one.weights for one in found.fitted if one.weights is not None]
    return np.array(weights) if len(weights) == len(found.fitted) else None

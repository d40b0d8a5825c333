"""What is known of a blend's members: what each is worth, how alike their errors are, what they cost to apply.

All scores are nested: a fold's rows never help to weigh themselves.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foldline.blend.blend_config import BlendConfig, Rows
from foldline.blend.members import Member
from foldline.blend.methods import Nested, applied, difference, nested, series_losses
from foldline.blend.rules import Blend
from foldline.data.store import Store
from foldline.run import cells

TIMED = 200  # series that a cell predicts to be timed


@dataclass(frozen=True)
class MemberContribution:
    """One member."""

    label: str
    score: float  # alone
    weight: float | None  # in the blend of all rows; None: it is no weighted sum
    without: float  # the blend's score when it is left out, all else weighed anew
    gain: float  # mean loss that it saves the blend: above 0 it helps
    error: float  # standard error of that, over series
    seconds: float | None  # to predict 1,000 series with all its cells; None: it came from outside


def contributions(
    config: BlendConfig, rows: Rows, fitted: Blend, found: Nested, seconds: Sequence[float | None]
) -> list[MemberContribution]:
    """Each member of a fitted blend, and the blend without it, by the same method.

    Args:
        found: the blend, nested, by the method of `fitted`.
        seconds: (M,) as `cost` measures them.
    """
    known = []
    for number, label in enumerate(rows.labels):
        others = [other for other in range(len(rows.labels)) if other != number]
        left = nested(config, rows.only(others), fitted.method)
        losses, counts = series_losses(rows, left.values)
        gain, error = difference(losses, series_losses(rows, found.values)[0], counts)
        weight = None if fitted.weights is None else fitted.weights[number]
        alone, without = rows.metric(rows.y, rows.predictions[number]), rows.metric(rows.y, left.values)
        known.append(MemberContribution(label, alone, weight, without, gain, error, seconds[number]))
    return known


def correlation(rows: Rows) -> np.ndarray:
    """(M, M) how alike the members' errors are: Pearson's correlation over rows, mean over targets.

    What a mean of members gains over them is their disagreement: Krogh & Vedelsby 1995,
    https://papers.nips.cc/paper/1001. A member without any spread of its errors counts as correlated with none.
    """
    errors = rows.predictions - rows.y  # (M, R, K)
    errors = errors - errors.mean(axis=1, keepdims=True)
    norms = np.sqrt((errors**2).sum(axis=1, keepdims=True))
    errors = np.divide(errors, norms, out=np.zeros_like(errors), where=norms > 0)
    return np.asarray(np.einsum("irk,jrk->ij", errors, errors) / rows.y.shape[1])


def optimism(rows: Rows, fitted: Blend, found: Nested) -> float:
    """How much better the blend looks on the rows it was fitted on than on rows it was not: nested minus in-sample."""
    return rows.metric(rows.y, found.values) - rows.metric(rows.y, applied(fitted, rows))


def cost(member: Member, dense: Store) -> float | None:
    """Seconds in which the member's cells predict 1,000 series here: one cell on some, the fastest of three times.

    Loading weights is left out: it is paid once, however many series come.
    """
    if not member.cells:
        return None
    estimator, times = cells.load(member.cells[0], dense), []
    some = np.arange(min(TIMED, len(dense.lengths)))
    for _ in range(3):
        began = time.perf_counter()
        estimator.predict(dense, some)
        times.append(time.perf_counter() - began)
    return min(times) / len(some) * 1000 * len(member.cells)


def refitted(found: Nested) -> np.ndarray | None:
    """(parts, M) weights in each of the nested fits, None where the blend is no weighted sum: how steady they are."""
    weights = [one.weights for one in found.fitted if one.weights is not None]
    return np.array(weights) if len(weights) == len(found.fitted) else None

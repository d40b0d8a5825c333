"""The plots of the blend's page, as HTML that fits any width and follows the page's colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foldline.core.pages import figures, matrix, whiskers
from foldline.ensemble.fitted_blend import method_in_words
from foldline.ensemble.methods import MethodComparison
from foldline.evidence.blending.member_contributions import MemberContribution


def methods(compared: MethodComparison, submitted: str, unit: str) -> str:
    """Plot how far each method is behind the best, ± one standard error; the submitted one is filled.

    unit: "mean loss", or the metric.
    """
    rows = [
        (method_in_words(each.method), each.behind - each.error, each.behind, each.behind + each.error)
        for each in compared.methods
    ]
    return figures(
        [(f"{unit} behind the best, nested; one standard error", whiskers(rows, method_in_words(submitted)))]
    )


def members(contributions: Sequence[MemberContribution], weights: np.ndarray | None, unit: str) -> str:
    """Plot each member's gain, and beside it its weights in the nested fits.

    Args:
        weights: (parts, M).
        unit: "mean loss", or the metric.
    """
    gains = [(each.label, each.gain - each.error, each.gain, each.gain + each.error) for each in contributions]
    pictures = [(f"gain in {unit}; one standard error", whiskers(gains))]
    if weights is not None:
        ends = zip(weights.min(axis=0), np.median(weights, axis=0), weights.max(axis=0), strict=True)
        fitted = [
            (each.label, float(least), float(middle), float(most))
            for each, (least, middle, most) in zip(contributions, ends, strict=True)
        ]
        pictures.append(("weight, fitted without each fold in turn: minimum, median, maximum", whiskers(fitted)))
    return figures(pictures, least=340)


def correlation(labels: Sequence[str], values: np.ndarray) -> str:
    """Plot (M, M) correlations with a shade behind each number."""
    return matrix(labels, labels, values, digits=2)

"""Stacking: a second model on the members' out-of-fold predictions.

Both models predict what to add to the members' mean: where they learn nothing, the mean is left. Source of stacking:
Wolpert 1992, https://doi.org/10.1016/S0893-6080(05)80023-1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foldline.data.metrics import default_losses
from foldline.ensemble.blend_config import BlendConfig
from foldline.ensemble.blend_rows import BlendRows
from foldline.ensemble.fitted_blend import BoostedStack, WeightedSum, tree_features
from foldline.fit.boosting_checks import library_errors

PENALTIES = tuple(10.0**power for power in range(-6, 3))  # times the mean square of the members' distance from the mean

Moments = tuple[np.ndarray, ...]  # sums over rows: 1, x (K, M), y (K,), x x' (M, M), x y (M,), y y


def ridge(rows: BlendRows) -> WeightedSum:
    """Fit weights of sum 1 and any sign by least squares, shrunk towards equal ones, and an offset for each target.

    The mean's error is regressed on the members' distances from the mean; the penalty is the one that does best in a
    cross-validation whose parts share no series. Source: Hoerl & Kennard 1970,
    https://doi.org/10.1080/00401706.1970.10488634.
    """
    mean = rows.predictions.mean(axis=0)  # (R, K)
    x, y = np.moveaxis(rows.predictions - mean, 0, -1), rows.y - mean  # (R, K, M), (R, K)
    # sums of squares are enough to fit and to score all penalties: the rows are read once
    weight, parts = rows.row_weight, rows.cv_parts
    insides = [parts == part for part in np.unique(parts)]
    of_parts = [_moments(x[some], y[some], None if weight is None else weight[some]) for some in insides]
    of_parts = [sums for sums in of_parts if sums[0] > 0]  # without parts of weight 0: they show nothing
    whole: Moments = tuple(sum(sums) for sums in zip(*of_parts, strict=True))
    slopes, offset = _solve(whole, _best_penalty(of_parts, whole))
    weights = 1 / len(slopes) + slopes - slopes.mean()  # the mean's weights, and what is added to them: sum 0
    return WeightedSum(tuple(weights.tolist()), tuple(offset.tolist()))


def _best_penalty(of_parts: list[Moments], whole: Moments) -> float:
    """Return the penalty that does best on each part when it is fitted on the others; the largest of a single part."""
    if len(of_parts) < 2:
        return PENALTIES[-1]
    losses = np.zeros(len(PENALTIES))
    for part in of_parts:
        others = tuple(all_rows - held_out for all_rows, held_out in zip(whole, part, strict=True))
        losses += [_squares(part, *_solve(others, penalty)) for penalty in PENALTIES]
    return PENALTIES[int(np.argmin(losses))]


def _moments(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Moments:
    """x: (R, K, M), y: (R, K), weight: (R,), or None."""
    flat = x.reshape(-1, x.shape[-1])
    if weight is not None:
        weighed, truth = x * weight[:, None, None], y * weight[:, None]
        inside, along = flat.T @ weighed.reshape(flat.shape), flat.T @ truth.reshape(-1)
        return weight.sum(), weighed.sum(axis=0), truth.sum(axis=0), inside, along, (y * truth).sum()
    return np.array(len(y)), x.sum(axis=0), y.sum(axis=0), flat.T @ flat, flat.T @ y.reshape(-1), (y**2).sum()


def _solve(sums: Moments, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (M,) and offsets (K,); the offsets bear no penalty."""
    count, x, y, xx, xy, _ = sums
    inside, along = xx - x.T @ x / count, xy - x.T @ y / count
    size = len(inside)
    # lstsq, not solve: where all members are equal, matrix and penalty are 0, and the slopes shall be 0
    slopes = np.linalg.lstsq(inside + penalty * np.trace(inside) / size * np.eye(size), along, rcond=None)[0]
    return slopes, (y - x @ slopes) / count


def _squares(sums: Moments, slopes: np.ndarray, offset: np.ndarray) -> float:
    """Sum of squares that slopes and offsets leave on the rows of some sums."""
    count, x, y, xx, xy, yy = sums
    shifted = yy - 2 * offset @ y + count * offset @ offset
    return float(shifted + slopes @ xx @ slopes - 2 * slopes @ xy + 2 * offset @ (x @ slopes))


def boosted(rows: BlendRows, config: BlendConfig) -> BoostedStack:
    """Fit small trees that predict the mean's error from the members' predictions and, if all have one, their spread.

    With `blend.aggregates` they see statistics of the rows' series, too. Trained for the metric. Deterministic: one
    thread and a fixed order of sums. Source: Ke et al. 2017, https://papers.nips.cc/paper/6907.
    """
    import torch  # noqa: F401, I001  (first: it brings libgomp, which LightGBM's wheel expects from the system)
    import lightgbm

    mean = rows.predictions.mean(axis=0)
    params: dict[str, Any] = {
        **default_losses.objective_of(rows.metric, "regression", own_unit=False),
        "num_leaves": 15,
        "learning_rate": 0.1,
        "min_data_in_leaf": max(20, len(rows.y) // 200),  # at least half a percent of the rows: leaves are no noise
        "seed": config.seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,  # else LightGBM times both layouts, and takes the faster one: other bits
        "verbosity": -1,
    }
    texts = []
    for target in range(rows.y.shape[1]):
        spread = None if rows.spread is None else rows.spread[..., target]
        features = tree_features(rows.predictions[..., target], spread, rows.aggregates)
        with library_errors("lightgbm", "blend.method = 'lightgbm'"):
            error, quiet = rows.y[:, target] - mean[:, target], {"verbosity": -1}
            data = lightgbm.Dataset(features, error, weight=rows.row_weight, params=quiet)
            texts.append(lightgbm.train(params, data, config.rounds).model_to_string())
    return BoostedStack(tuple(texts), rows.spread is not None, () if rows.aggregates is None else config.aggregates)

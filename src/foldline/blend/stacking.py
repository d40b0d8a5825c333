"""Stackers: a second model on the members' out-of-fold predictions. Both mend the mean, so that what they can't learn
costs nothing. Source of stacking: Wolpert 1992, https://doi.org/10.1016/S0893-6080(05)80023-1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foldline.blend.blend_config import BlendConfig, Rows
from foldline.blend.rules import Boosted, Weighted, inputs

PENALTIES = tuple(10.0**power for power in range(-6, 3))  # times the mean square of the members' distance from the mean

Moments = tuple[np.ndarray, ...]  # sums over rows: 1, x (K, M), y (K,), x x' (M, M), x y (M,), y y


def ridge(rows: Rows) -> Weighted:
    """Least squares with weights that sum to 1, of any sign, pulled towards equal ones, and an offset for each target.

    What the mean leaves over is regressed on the members' distances from the mean; the penalty is the one that does
    best in a cross-validation that shares no series. Source: Hoerl & Kennard 1970,
    https://doi.org/10.1080/00401706.1970.10488634.
    """
    center = rows.predictions.mean(axis=0)  # (R, K)
    away, left = np.moveaxis(rows.predictions - center, 0, -1), rows.y - center  # (R, K, M), (R, K)
    held = [_moments(away[rows.parts == part], left[rows.parts == part]) for part in np.unique(rows.parts)]
    whole: Moments = tuple(sum(sums) for sums in zip(*held, strict=True))
    losses = np.zeros(len(PENALTIES))
    for part in held:
        rest = tuple(every - out for every, out in zip(whole, part, strict=True))
        losses += [_squares(part, *_solve(rest, penalty)) for penalty in PENALTIES]
    slopes, offset = _solve(whole, PENALTIES[int(np.argmin(losses))])
    weights = 1 / len(slopes) + slopes - slopes.mean()  # the mean's own weights, and what is added to them: sum 0
    return Weighted(tuple(weights.tolist()), tuple(offset.tolist()))


def _moments(x: np.ndarray, y: np.ndarray) -> Moments:
    """x: (R, K, M), y: (R, K)."""
    flat = x.reshape(-1, x.shape[-1])
    return np.array(len(y)), x.sum(axis=0), y.sum(axis=0), flat.T @ flat, flat.T @ y.reshape(-1), (y**2).sum()


def _solve(sums: Moments, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (M,) and offsets (K,); the offsets bear no penalty."""
    count, x, y, xx, xy, _ = sums
    inside, along = xx - x.T @ x / count, xy - x.T @ y / count
    size = len(inside)
    slopes = np.linalg.lstsq(inside + penalty * np.trace(inside) / size * np.eye(size), along, rcond=None)[0]
    return slopes, (y - x @ slopes) / count


def _squares(sums: Moments, slopes: np.ndarray, offset: np.ndarray) -> float:
    """Sum of squares that slopes and offsets leave on the rows of some sums."""
    count, x, y, xx, xy, yy = sums
    shifted = yy - 2 * offset @ y + count * offset @ offset
    return float(shifted + slopes @ xx @ slopes - 2 * slopes @ xy + 2 * offset @ (x @ slopes))


def boosted(rows: Rows, config: BlendConfig) -> Boosted:
    """Small trees that say where the mean is wrong, from the members' predictions and, if all know it, their spread.

    Source: Ke et al. 2017, https://papers.nips.cc/paper/6907. Trained for the metric. Deterministic.
    """
    import torch  # noqa: F401, I001  (first: it brings libgomp, which LightGBM's wheel expects from the system)
    import lightgbm

    center = rows.predictions.mean(axis=0)
    params: dict[str, Any] = {
        "objective": rows.metric.trained_by,
        "num_leaves": 15,
        "learning_rate": 0.1,
        "min_data_in_leaf": max(20, len(rows.y) // 200),
        "seed": config.seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    texts = []
    for target in range(rows.y.shape[1]):
        seen = inputs(rows.predictions[..., target], None if rows.spread is None else rows.spread[..., target])
        data = lightgbm.Dataset(seen, rows.y[:, target] - center[:, target], params={"verbosity": -1})
        texts.append(lightgbm.train(params, data, config.rounds).model_to_string())
    return Boosted(tuple(texts), rows.spread is not None)

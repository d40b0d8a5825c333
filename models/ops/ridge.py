"""Ridge regression whose penalty is chosen by leave-one-out errors, all of them from one decomposition.

n rows, F features, K targets. With an intercept that is not penalised the prediction of a row by the others is known
in closed form: residual / (1 - leverage), https://doi.org/10.1080/00401706.1979.10489751. The smaller of X X' and X' X
is decomposed: min(n, F)^2 numbers of float64. Nothing here is random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PENALTIES = tuple(np.logspace(-7, 2, 19).tolist())  # of a mean feature; times F, as scikit-learn has it
COLUMNS = 4096  # features that are float64 at once
LEVERAGE = 1 - 1e-9  # a row that is nearly its own prediction says nothing


@dataclass(frozen=True)
class Fit:
    """A fitted ridge: weights, and what each row is predicted to be by the others."""

    weights: np.ndarray  # (F, K) float64
    intercept: np.ndarray  # (K,)
    left_out: np.ndarray  # (n, K), predictions of each row without itself
    penalties: np.ndarray  # (K,)


def fit(x: np.ndarray, y: np.ndarray, alike: bool, penalties: tuple[float, ...] = PENALTIES) -> Fit:
    """Fit on rows x, (n, F) float32 with columns of mean 0, and targets y, (n, K) float64.

    alike: one penalty for all targets, which are classes of one label; else each has its own.
    """
    center = y.mean(axis=0)
    rest = torch.from_numpy(y - center)
    features = torch.from_numpy(x)
    if len(x) <= x.shape[1]:
        found = _dual(features, rest, alike, penalties)
    else:
        found = _primal(features, rest, alike, penalties)
    weights, left_out, chosen = found
    return Fit(weights.numpy(), center, left_out.numpy() + center, chosen)


def predict(x: np.ndarray, weights: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Predict rows x, (n, F) float32: (n, K) float64."""
    total = np.broadcast_to(intercept, (len(x), len(intercept))).copy()
    for first in range(0, x.shape[1], COLUMNS):
        part = slice(first, first + COLUMNS)
        total += (torch.from_numpy(x[:, part]).double() @ torch.from_numpy(weights[part])).numpy()
    return total


def _dual(x: Tensor, y: Tensor, alike: bool, penalties: tuple[float, ...]) -> tuple[Tensor, Tensor, np.ndarray]:
    """Solve by X X', (n, n)."""
    gram = torch.zeros(len(x), len(x), dtype=torch.float64)
    for part in torch.split(x, COLUMNS, dim=1):
        wide = part.double()
        gram += wide @ wide.T
    values, vectors = torch.linalg.eigh(gram / x.shape[1])
    values.clamp_(min=0)
    turned = vectors.T @ y
    shrunk = [values / (values + penalty) for penalty in penalties]
    fitted = [vectors @ (share[:, None] * turned) for share in shrunk]
    leverage = [vectors.square() @ share for share in shrunk]
    left_out, best = _chosen(y, fitted, leverage, alike)
    factors = torch.stack([1 / (values + penalties[place]) for place in best], dim=1)  # (n, K)
    dual = vectors @ (factors * turned) / x.shape[1]
    weights = torch.cat([part.double().T @ dual for part in torch.split(x, COLUMNS, dim=1)])
    return weights, left_out, np.asarray(penalties)[best]


def _primal(x: Tensor, y: Tensor, alike: bool, penalties: tuple[float, ...]) -> tuple[Tensor, Tensor, np.ndarray]:
    """Solve by X' X, (F, F)."""
    wide = x.double()
    values, vectors = torch.linalg.eigh(wide.T @ wide / x.shape[1])
    values.clamp_(min=0)
    seen = wide @ vectors  # (n, F)
    turned = seen.T @ y / x.shape[1]
    inverse = [1 / (values + penalty) for penalty in penalties]
    fitted = [seen @ (each[:, None] * turned) for each in inverse]
    leverage = [seen.square() @ each / x.shape[1] for each in inverse]
    left_out, best = _chosen(y, fitted, leverage, alike)
    factors = torch.stack([inverse[place] for place in best], dim=1)
    return vectors @ (factors * turned), left_out, np.asarray(penalties)[best]


def _chosen(y: Tensor, fitted: list[Tensor], leverage: list[Tensor], alike: bool) -> tuple[Tensor, list[int]]:
    """Choose the penalty of each target by the squared error of left-out rows; of equals the larger one.

    fitted: (n, K) of each penalty; leverage: (n,) of each, without the intercept's 1 / n.

    Returns:
        (n, K) predictions of left-out rows, and the place of each target's penalty.
    """
    remaining = [(1 - (each + 1 / len(y)).clamp(max=LEVERAGE))[:, None] for each in leverage]
    residual = torch.stack([(y - each) / rest for each, rest in zip(fitted, remaining, strict=True)])  # (P, n, K)
    errors = residual.square().mean(dim=1)  # (P, K)
    if alike:
        errors = errors.mean(dim=1, keepdim=True).expand_as(errors)
    last = len(errors) - 1
    best = [last - int(errors[:, target].flip(0).argmin()) for target in range(y.shape[1])]
    left_out = torch.stack([y[:, target] - residual[place, :, target] for target, place in enumerate(best)], dim=1)
    return left_out, best

"""Ridge regression whose penalty is chosen by leave-one-out errors, all of them from one decomposition.

n rows, F features, K targets. With an intercept that is not penalised the prediction of a row by the others is known
in closed form: residual / (1 - leverage), https://doi.org/10.1080/00401706.1979.10489751. Where rows come in groups, of
which nothing new holds a part, whole groups are left out: with H_g the block of the hat matrix that a group's m rows
have, their residuals are (I - H_g)^-1 times those of the fit. The smaller of X X' and X' X is decomposed: min(n, F)^2
numbers of float64. Nothing here is random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

PENALTIES = tuple(np.logspace(-7, 2, 19).tolist())  # of a mean feature; times F, as scikit-learn has it
COLUMNS = 4096  # features that are float64 at once
LEVERAGE = 1 - 1e-9  # a row that is nearly its own prediction says nothing
ROOM = 1 - LEVERAGE  # between a group and its own prediction: I - H_g stays invertible


@dataclass(frozen=True)
class Fit:
    """A fitted ridge: weights, and what each row is predicted to be by the others."""

    weights: np.ndarray  # (F, K) float64
    intercept: np.ndarray  # (K,)
    left_out: np.ndarray  # (n, K), predictions of each row without itself, or without its group
    penalties: np.ndarray  # (K,)


def fit(
    x: np.ndarray,
    y: np.ndarray,
    alike: bool,
    penalties: tuple[float, ...] = PENALTIES,
    weight: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Fit:
    """Fit on rows x, (n, F) float32 with columns of mean 0, and targets y, (n, K) float64.

    Args:
        alike: one penalty for all targets, which are classes of one label; else each has its own.
        weight: (n,) how much a row counts, above 0 and 1 in the mean; None: all alike.
        groups: (n,) number of each row's group, left out as a whole; None, or all the same: each row is its own.
    """
    rows = _Rows.of(torch.from_numpy(x), weight, groups)
    center = y.mean(axis=0) if weight is None else np.average(y, axis=0, weights=weight)
    rest = rows.scaled(torch.from_numpy(y - center))
    solve = _dual if len(x) <= x.shape[1] else _primal
    weights, left_out, chosen = solve(rows, rest, alike, penalties)
    intercept = center if rows.center is None else center - (rows.center @ weights).numpy()
    return Fit(weights.numpy(), intercept, rows.unscaled(left_out).numpy() + center, chosen)


@dataclass(frozen=True)
class _Rows:
    """Rows as least squares sees them: of unequal weight, less their weighted mean and times the weight's root."""

    x: Tensor  # (n, F) float32
    center: Tensor | None = None  # (F,) float64
    root: Tensor | None = None  # (n, 1) float64
    groups: tuple[Tensor, ...] = ()  # rows of each group, if several are left out together

    @staticmethod
    def of(x: Tensor, weight: np.ndarray | None, groups: np.ndarray | None) -> _Rows:
        """Find mean and roots; with equal weights, None, there are none: columns have mean 0."""
        together = () if groups is None else tuple(torch.from_numpy(each) for each in _members(groups))
        if weight is None:
            return _Rows(x, groups=together)
        shares = torch.from_numpy(weight / weight.sum())
        center = torch.cat([shares @ part.double() for part in torch.split(x, COLUMNS, dim=1)])
        return _Rows(x, center, torch.from_numpy(np.sqrt(weight))[:, None], together)

    def parts(self) -> Iterator[Tensor]:
        """Yield the columns, some at a time: (n, up to COLUMNS) float64."""
        for first, part in enumerate(torch.split(self.x, COLUMNS, dim=1)):
            wide = part.double()
            if self.center is not None:
                wide = wide - self.center[first * COLUMNS : first * COLUMNS + wide.shape[1]]
            yield self.scaled(wide)

    def scaled(self, values: Tensor) -> Tensor:
        """Multiply (n, any) by the roots."""
        return values if self.root is None else values * self.root

    def unscaled(self, values: Tensor) -> Tensor:
        """Divide (n, any) by the roots."""
        return values if self.root is None else values / self.root

    @property
    def intercept_leverage(self) -> Tensor | float:
        """Leverage by the intercept, (n,): a row's share of the weight."""
        return 1 / len(self.x) if self.root is None else self.root[:, 0].square() / self.root.square().sum()

    @property
    def intercept_direction(self) -> Tensor:
        """What the intercept's part of the hat matrix is the outer product of, (n, 1)."""
        if self.root is None:
            return torch.full((len(self.x), 1), len(self.x) ** -0.5, dtype=torch.float64)
        return self.root / self.root.square().sum().sqrt()


def _members(groups: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each group, ascending; none where there is one group only, without which nothing is left."""
    _, sizes = np.unique(groups, return_counts=True)
    return np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1]) if len(sizes) > 1 else []


def predict(x: np.ndarray, weights: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Predict rows x, (n, F) float32: (n, K) float64."""
    total = np.broadcast_to(intercept, (len(x), len(intercept))).copy()
    for first in range(0, x.shape[1], COLUMNS):
        part = slice(first, first + COLUMNS)
        total += (torch.from_numpy(x[:, part]).double() @ torch.from_numpy(weights[part])).numpy()
    return total


def _dual(rows: _Rows, y: Tensor, alike: bool, penalties: tuple[float, ...]) -> tuple[Tensor, Tensor, np.ndarray]:
    """Solve by X X', (n, n)."""
    count, features = rows.x.shape
    gram = torch.zeros(count, count, dtype=torch.float64)
    for wide in rows.parts():
        gram += wide @ wide.T
    values, vectors = torch.linalg.eigh(gram / features)
    values.clamp_(min=0)
    turned = vectors.T @ y
    shrunk = [values / (values + penalty) for penalty in penalties]
    fitted = [vectors @ (share[:, None] * turned) for share in shrunk]
    left_out, best = _chosen(rows, y, fitted, _Hat(vectors, shrunk), alike)
    factors = torch.stack([1 / (values + penalties[place]) for place in best], dim=1)  # (n, K)
    dual = vectors @ (factors * turned) / features
    weights = torch.cat([wide.T @ dual for wide in rows.parts()])
    return weights, left_out, np.asarray(penalties)[best]


def _primal(rows: _Rows, y: Tensor, alike: bool, penalties: tuple[float, ...]) -> tuple[Tensor, Tensor, np.ndarray]:
    """Solve by X' X, (F, F)."""
    wide, features = torch.cat(list(rows.parts()), dim=1), rows.x.shape[1]
    values, vectors = torch.linalg.eigh(wide.T @ wide / features)
    values.clamp_(min=0)
    seen = wide @ vectors  # (n, F)
    turned = seen.T @ y / features
    inverse = [1 / (values + penalty) for penalty in penalties]
    fitted = [seen @ (each[:, None] * turned) for each in inverse]
    left_out, best = _chosen(rows, y, fitted, _Hat(seen, inverse, features), alike)
    factors = torch.stack([inverse[place] for place in best], dim=1)
    return vectors @ (factors * turned), left_out, np.asarray(penalties)[best]


@dataclass(frozen=True)
class _Hat:
    """The hat matrix of each penalty, without the intercept: basis * shares / features * basis'."""

    basis: Tensor  # (n, q)
    shares: list[Tensor]  # (q,) of each penalty
    features: int = 1

    def leverage(self, place: int) -> Tensor:
        """Return its diagonal, (n,)."""
        found = self.basis.square() @ self.shares[place]
        return found if self.features == 1 else found / self.features

    def beside(self, intercept: Tensor) -> _Hat:
        """Take what rounding left of the intercept's direction, (n, 1), out of the basis: both stay below I."""
        return replace(self, basis=self.basis - intercept @ (intercept.T @ self.basis))

    def root(self, place: int, rows: Tensor) -> Tensor:
        """Return what the block of m rows is the outer product of, (m, q)."""
        return self.basis[rows] * (self.shares[place] / self.features).sqrt()


def _chosen(rows: _Rows, y: Tensor, fitted: list[Tensor], hat: _Hat, alike: bool) -> tuple[Tensor, list[int]]:
    """Choose the penalty of each target by the squared error of left-out rows; of equals the larger one.

    fitted: (n, K) of each penalty, y likewise.

    Returns:
        (n, K) predictions of left-out rows, and the place of each target's penalty.
    """
    left_out_by = _without_rows
    if rows.groups:
        left_out_by, hat = _without_groups, hat.beside(rows.intercept_direction)
    residual = torch.stack([left_out_by(rows, y - each, hat, place) for place, each in enumerate(fitted)])  # (P, n, K)
    errors = residual.square().mean(dim=1)  # (P, K)
    if alike:
        errors = errors.mean(dim=1, keepdim=True).expand_as(errors)
    last = len(errors) - 1
    best = [last - int(errors[:, target].flip(0).argmin()) for target in range(y.shape[1])]
    left_out = torch.stack([y[:, target] - residual[place, :, target] for target, place in enumerate(best)], dim=1)
    return left_out, best


def _without_rows(rows: _Rows, residual: Tensor, hat: _Hat, place: int) -> Tensor:
    """Turn residuals of one penalty's fit, (n, K), into those of rows that are left out."""
    return residual / (1 - (hat.leverage(place) + rows.intercept_leverage).clamp(max=LEVERAGE))[:, None]


def _without_groups(rows: _Rows, residual: Tensor, hat: _Hat, place: int) -> Tensor:
    """Turn residuals of one penalty's fit, (n, K), into those of groups that are left out."""
    found, intercept = torch.empty_like(residual), rows.intercept_direction
    for group in rows.groups:
        root = torch.cat([hat.root(place, group), intercept[group]], dim=1)  # (m, q + 1)
        found[group] = _solved(root, residual[group])
    return found


def _solved(root: Tensor, right: Tensor) -> Tensor:
    """Solve (I - root root') z = right, (m, K), by the smaller of root root' and root' root."""
    wide = root if len(root) <= root.shape[1] else root.T
    inner = (1 + ROOM) * torch.eye(len(wide), dtype=torch.float64) - wide @ wide.T
    factor = torch.linalg.cholesky(inner)
    if wide is root:
        return torch.cholesky_solve(right, factor)
    return right + root @ torch.cholesky_solve(root.T @ right, factor)

"""Weights of a weighted sum: six ways to fit them. Each takes rows and returns (M,) weights, none negative, of sum 1.

All are fitted on out-of-fold predictions only, and on no more of them than `values` of [blend] allows.
"""

from __future__ import annotations

import math

import numpy as np

from foldline.ensemble.blend_config import BlendConfig
from foldline.ensemble.blend_rows import BlendRows

PICKS = 50  # of the hill climb: weights are multiples of 1/50, or of 1 / a smaller number of picks
LARGEST = 1e300  # cost of weights whose score is not defined: differences of it stay finite
CUTS = 500  # most cutting planes of least absolute deviations
STEPS = 100  # of the simplex search, a member
TOLERANCE = 1e-5  # of the score: how far from the optimum it may be, by a lower bound; scores show five digits


def best_member(rows: BlendRows) -> np.ndarray:
    """Put all weight on the member with the best score."""
    costs = [rows.cost(member) for member in rows.predictions]
    return np.asarray(np.eye(len(costs))[int(np.argmin(costs))])


def climb(rows: BlendRows, config: BlendConfig) -> np.ndarray:
    """Select members greedily, with replacement: 50 times the one that improves the mean most; the best prefix is kept.

    With several bags each climb chooses from a random part of the members, and the weights are averaged: a member that
    is best by chance gets less weight. Source: Caruana et al. 2004, https://doi.org/10.1145/1015330.1015432.
    """
    count = len(rows.labels)
    if config.bags == 1:
        return _climb(rows, _picks(count, config.evaluations))
    size = min(count, max(2, math.ceil(config.bag_share * count)))
    generator, total = np.random.default_rng(config.seed), np.zeros(count)
    for _ in range(config.bags):
        chosen = np.sort(generator.choice(count, size, replace=False))
        budget = None if config.evaluations is None else config.evaluations // config.bags
        total[chosen] += _climb(rows.select_members(chosen.tolist()), _picks(size, budget))
    return total / config.bags


def _picks(members: int, evaluations: int | None) -> int:
    """Return how many picks a climb may take: each evaluates the metric once a member. One at least."""
    return PICKS if evaluations is None else min(PICKS, max(1, evaluations // members))


def _climb(rows: BlendRows, most: int) -> np.ndarray:
    picks: list[int] = []
    costs: list[float] = []
    total = np.zeros_like(rows.y, dtype=np.float64)
    for size in range(1, most + 1):
        tried = [rows.cost((total + member) / size) for member in rows.predictions]
        picks.append(int(np.argmin(tried)))
        costs.append(tried[picks[-1]])
        total += rows.predictions[picks[-1]]
    length = int(np.argmin(costs)) + 1
    return np.bincount(picks[:length], minlength=len(rows.labels)) / length


def simplex(rows: BlendRows, config: BlendConfig) -> np.ndarray:
    """Search for weights by the downhill simplex: any metric, no derivatives; a point's weights are its shares |z|.

    The first points are equal weights, each member alone, and those half-way, from which it starts. The best of all
    points is taken, so that no member alone is better. Source: Nelder & Mead 1965,
    https://doi.org/10.1093/comjnl/7.4.308; step sizes by Gao & Han 2012, https://doi.org/10.1007/s10589-010-9329-3.
    """
    from scipy.optimize import minimize

    count = len(rows.labels)
    equal, budget = np.full(count, 1 / count), config.evaluations or STEPS * count
    best, lowest = equal, math.inf

    def cost(point: np.ndarray) -> float:
        nonlocal best, lowest
        total = np.abs(point).sum()
        shares = np.abs(point) / total if total > 0 else equal
        found = rows.cost(np.tensordot(shares, rows.predictions, axes=1))
        if found < lowest:
            best, lowest = shares, found
        return min(found, LARGEST)

    for alone in np.eye(count)[: budget - 1]:
        cost(alone)
    start = np.vstack([equal, (equal + np.eye(count)) / 2])
    left = budget - min(count, budget - 1)
    options = {"initial_simplex": start, "maxfev": left, "xatol": 1e-4, "fatol": 0.0, "adaptive": True}
    minimize(cost, equal, method="Nelder-Mead", options=options)
    return best


def nnls(rows: BlendRows) -> np.ndarray:
    """Fit least squares with weights that are not negative and sum to 1: exact.

    With errors E (prediction minus truth, R x M) the sum's error is E w wherever the weights sum to 1. So minimise
    |E w|^2 + s^2 (1 - sum w)^2 over w >= 0: for any s > 0 the solution has the direction of the constrained one (along
    a ray only the quotient of the two terms matters), and is divided by its sum. The R factor of E's QR decomposition
    replaces E: the sums of squares are the same.
    Sources: Lawson & Hanson 1974, Solving Least Squares Problems, ch. 23; Breiman 1996, Stacked regressions,
    https://doi.org/10.1007/BF00117832.
    """
    from scipy.optimize import nnls as solve

    weight = rows.value_weight
    errors = rows.errors if weight is None else rows.errors * np.sqrt(weight)[:, None]
    triangle = np.linalg.qr(errors, mode="r")
    scale = float(np.abs(triangle).max()) or 1.0  # s: any value does; one of the size of E keeps the digits
    stacked = np.vstack([triangle, np.full(len(rows.labels), scale)])
    weights = solve(stacked, np.append(np.zeros(len(triangle)), scale))[0]
    return np.asarray(weights / weights.sum())


def lad(rows: BlendRows) -> np.ndarray:
    """Fit least absolute deviations with weights that are not negative and sum to 1: the mean absolute error's optimum.

    The linear program has two constraints a row, millions of them. They are made as they are needed: the errors' signs
    at some weights give one valid constraint for their sum (a cutting plane), a small program over all planes so far
    gives the next weights and a lower bound, and it ends when the best score is within 1e-5 of that bound. Where the
    errors of all members have one sign, a row's part of every plane is the same: these rows are summed once.

    Sources: Kelley 1960, The cutting-plane method, https://doi.org/10.1137/0108053; Wagner 1959, Linear programming
    techniques for regression analysis, https://doi.org/10.1080/01621459.1959.10501506.
    """
    weight = rows.value_weight
    errors = rows.errors if weight is None else rows.errors * weight[:, None]
    above, below = (errors >= 0).all(axis=1), (errors <= 0).all(axis=1)
    fixed = errors[above & ~below].sum(axis=0) - errors[below].sum(axis=0)  # (M,)
    return _cutting_planes(fixed, np.ascontiguousarray(errors[~above & ~below]))


def _cutting_planes(fixed: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Find the weights w >= 0 of sum 1 that minimise fixed @ w + sum |errors @ w|. fixed: (M,), errors: (R, M)."""
    from scipy.optimize import linprog

    # in units of the best member's sum: the program's tolerances are absolute, whatever the size of the targets
    size = float((fixed + np.abs(errors).sum(axis=0)).min()) or 1.0
    fixed, errors, count = fixed / size, errors / size, len(fixed)
    queue: list[np.ndarray] = [*np.eye(count), np.full(count, 1 / count)]  # weights that the first planes are made at
    planes: list[np.ndarray] = []
    best, lowest = queue[-1], math.inf
    objective, summing = np.append(np.zeros(count), 1.0), np.append(np.ones(count), 0.0)[None]
    while len(planes) < CUTS:
        weights = queue.pop()
        planes.append(fixed + np.sign(errors @ weights) @ errors)
        score = float(planes[-1] @ weights)
        if score < lowest:
            best, lowest = weights, score
        if queue:
            continue
        sides = np.column_stack([planes, np.full(len(planes), -1.0)])
        bounds = [(0, None)] * count + [(None, None)]
        found = linprog(objective, sides, np.zeros(len(planes)), summing, [1.0], bounds, method="highs")
        if lowest - found.fun <= TOLERANCE * lowest:
            break
        queue.append(found.x[:count])
    return np.asarray(best)


def optuna(rows: BlendRows, config: BlendConfig) -> np.ndarray:
    """Search for weights by a tree-structured Parzen estimator, for metrics without an exact method.

    The first trials are equal weights and each member alone.

    Source: Bergstra et al. 2011, https://papers.nips.cc/paper/4443; library https://optuna.org.
    """
    import optuna as library

    library.logging.set_verbosity(library.logging.WARNING)
    names = [f"weight-{number}" for number in range(len(rows.labels))]

    def normed(values: dict[str, float]) -> np.ndarray:
        weights = np.array([values[name] for name in names])
        return np.asarray(weights / weights.sum())

    def cost(trial: library.Trial) -> float:
        values = {name: trial.suggest_float(name, 1e-6, 1.0) for name in names}
        return rows.cost(np.tensordot(normed(values), rows.predictions, axes=1))

    study = library.create_study(sampler=library.samplers.TPESampler(seed=config.seed))
    for start in (np.ones(len(names)), *np.clip(np.eye(len(names)), 1e-6, 1)):
        study.enqueue_trial(dict(zip(names, start.tolist(), strict=True)))
    study.optimize(cost, n_trials=min(config.trials, config.evaluations or config.trials))
    return normed(study.best_params)

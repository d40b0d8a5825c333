"""Adversarial validation: can boosted trees tell test series from training series, and by which feature?

With an AUC of 0.5 the held-out score is a fair estimate of the score on test. A larger AUC is no leak by itself: test
series may be later or from elsewhere. But a single feature that separates the two almost perfectly is a counter, a
clock or an id, and its values in training say nothing about test.

The interval is DeLong's (1988, https://doi.org/10.2307/2531595), over series.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from foldline.data.store import Store
from foldline.evidence.audit import audit_plots
from foldline.evidence.audit.audit_check import CheckResult, listed
from foldline.evidence.audit.audit_context import AuditContext
from foldline.fit.boosting_checks import library_errors

FEWEST = 30  # series of either kind
ROWS = 12  # rows a series
FOLDS = 3
SHOWN = 5  # features that are tested alone: those with the largest gain in the trees
DRIFT = 0.6  # lower end of the AUC's interval from which the drift is noted
APART = 0.99  # AUC of a single feature that counts as a leak
CERTAIN = 0.95  # and the lower end of its interval
TREES = {"objective": "binary", "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 20, "feature_fraction": 0.8}
SILENT = {"verbosity": -1, "seed": 0, "deterministic": True, "force_row_wise": True, "num_threads": 1}
ROUNDS = 60


def check(context: AuditContext) -> CheckResult:
    """No single feature separates test series from training series."""
    train, test = context.sample_features
    sizes = len(train.lengths), len(test.lengths)
    if min(sizes) < FEWEST:
        return CheckResult("not checked", f"{sizes[0]} and {sizes[1]} series are too few: {FEWEST} of each are needed")
    x, series = _rows(train, test)
    is_test = np.repeat([0, 1], sizes)
    scores, gains = _out_of_fold(x, series, is_test)
    auc, low, high = _auc(scores, is_test)
    strongest = np.argsort(-gains, kind="stable")[:SHOWN]
    alone = {train.names[place]: _auc(_out_of_fold(x[:, [place]], series, is_test)[0], is_test) for place in strongest}
    facts = {"auc": auc, "low": low, "high": high, "alone": {name: found[0] for name, found in alone.items()}}
    picture = audit_plots.bars(list(alone), [found[0] for found in alone.values()], 0.5, "AUC of a single feature")
    best = max(alone, key=lambda name: abs(alone[name][0] - 0.5))
    summary = f"AUC {auc:.3f} ({low:.3f} to {high:.3f}), of {best} alone {alone[best][0]:.2f}"
    separating = [name for name, (value, lowest, _) in alone.items() if value >= APART and lowest >= CERTAIN]
    if separating:
        return CheckResult(
            "LEAK", f"{listed(separating)} alone separates test series from training series; {summary}", facts, picture
        )
    if low > DRIFT:
        return CheckResult("note", f"test series differ from training series: {summary}", facts, picture)
    return CheckResult("clean", summary, facts, picture)


def _rows(train: Store, test: Store) -> tuple[np.ndarray, np.ndarray]:
    """(R, F) features of some rows of each series, and (R,) the series, training ones first."""
    rng, parts, owners, first = np.random.default_rng(0), [], [], 0
    for store in (train, test):
        steps = (rng.random((len(store.lengths), ROWS)) * store.lengths[:, None]).astype(np.int64)
        parts.append(store.features((store.offsets[:, None] + steps).ravel()))
        owners.append(np.repeat(np.arange(len(store.lengths)) + first, ROWS))
        first += len(store.lengths)
    return np.concatenate(parts), np.concatenate(owners)


def _out_of_fold(x: np.ndarray, series: np.ndarray, is_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute (N,) out-of-fold scores of "is a test series", and (F,) the gain of each feature."""
    import torch  # noqa: F401, I001  (first: it brings libgomp, which LightGBM's wheel expects from the system)
    import lightgbm

    fold_of = np.empty(len(is_test), dtype=np.int64)
    for kind in (0, 1):  # both kinds in every fold
        places = np.random.default_rng(kind).permutation(np.flatnonzero(is_test == kind))
        fold_of[places] = np.arange(len(places)) % FOLDS
    scores, gains = np.zeros(len(is_test)), np.zeros(x.shape[1])
    for fold in range(FOLDS):
        inside = fold_of[series] == fold
        with library_errors("lightgbm", "adversarial validation"):
            data = lightgbm.Dataset(x[~inside], is_test[series[~inside]], params=SILENT)
            booster = lightgbm.train(TREES | SILENT, data, ROUNDS)
        gains += booster.feature_importance("gain")
        raw = booster.predict(x[inside], raw_score=True, num_threads=SILENT["num_threads"])
        scores += np.bincount(series[inside], raw, minlength=len(is_test)) / ROWS
    return scores, gains


def _auc(scores: np.ndarray, is_test: np.ndarray) -> tuple[float, float, float]:
    """Area under the ROC curve and its 95 % interval."""
    ranks, one = rankdata(scores), is_test == 1
    here, there = int(one.sum()), int((~one).sum())
    above = (ranks[one] - rankdata(scores[one])) / there  # share of the training series below each test series
    below = 1 - (ranks[~one] - rankdata(scores[~one])) / here
    value = float(above.mean())
    half = 1.96 * float(np.sqrt(above.var(ddof=1) / here + below.var(ddof=1) / there))
    return value, max(0.0, value - half), min(1.0, value + half)

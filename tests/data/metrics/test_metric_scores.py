"""Every metric against a slow reference, with and without weights, and against published worked values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slow_references as slow
from targets import RANKS, drawn

from foldline.core.errors import UserError
from foldline.data.metrics import METRICS, MetricOptions, metric

Case = tuple[str, str, dict[str, Any], Callable[..., float]]

ABSOLUTE = slow.mean(lambda t, q: abs(t - q))
SQUARED = slow.mean(lambda t, q: (t - q) ** 2)
ROOT = slow.rooted(lambda t, q: (t - q) ** 2)
LOG = slow.rooted(lambda t, q: (np.log(1 + t) - np.log(1 + q)) ** 2)
SHARE = slow.rooted(lambda t, q: ((t - q) / t) ** 2)

CASES: list[Case] = [
    ("mae", "regression", {}, ABSOLUTE),
    ("mae", "ordinal", {}, ABSOLUTE),
    ("mse", "regression", {}, SQUARED),
    ("rmse", "regression", {}, ROOT),
    ("rmse", "regression", {"columns": "mean"}, slow.by_column(ROOT)),
    ("mcrmse", "regression", {}, slow.by_column(ROOT)),
    ("rmsle", "regression", {}, LOG),
    ("rmsle", "regression", {"columns": "mean"}, slow.by_column(LOG)),
    ("rmspe", "regression", {}, SHARE),
    ("mape", "regression", {}, slow.mean(lambda t, q: abs(t - q) / t)),
    ("smape", "regression", {}, slow.mean(lambda t, q: 2 * abs(t - q) / (abs(t) + abs(q)))),
    ("pinball", "regression", {"level": 0.9}, slow.mean(lambda t, q: 0.9 * (t - q) if t > q else 0.1 * (q - t))),
    ("r2", "regression", {}, slow.by_column(slow.explained)),
    ("r2", "regression", {"columns": "pooled"}, slow.explained),
    ("r2_zero_mean", "regression", {}, lambda y, p, w: slow.explained(y, p, w, zero_mean=True)),
    ("log_loss", "binary", {}, slow.mean(slow.binary_entropy)),
    ("log_loss", "multilabel", {}, slow.mean(slow.binary_entropy)),
    ("log_loss", "multiclass", {}, slow.of_classes(slow.entropy)),
    ("log_loss", "distribution", {}, slow.of_classes(slow.entropy)),
    ("brier", "binary", {}, SQUARED),
    ("brier", "multilabel", {}, SQUARED),
    ("brier", "multiclass", {}, slow.of_classes(lambda t, q: (t - q) ** 2)),
    ("kl", "distribution", {}, slow.of_classes(slow.divergence)),
    ("kl", "multiclass", {}, slow.of_classes(slow.divergence)),
    ("auc", "binary", {}, slow.auc),
    ("auc", "multilabel", {}, slow.by_column(slow.auc)),
    ("auc", "multiclass", {}, slow.by_column(slow.auc)),
    ("auc", "multilabel", {"average": "micro"}, slow.auc),
    ("average_precision", "binary", {}, slow.average_precision),
    ("average_precision", "multilabel", {}, slow.by_column(slow.average_precision)),
    ("average_precision", "multiclass", {"average": "micro"}, slow.average_precision),
    ("accuracy", "binary", {}, slow.accuracy),
    ("accuracy", "multiclass", {}, slow.accuracy),
    ("accuracy", "ordinal", {}, slow.accuracy),
    ("accuracy", "multilabel", {}, slow.by_column(slow.accuracy)),
    ("f1", "binary", {}, slow.f1("binary")),
    ("f1", "binary", {"average": "macro"}, slow.f1("macro")),
    ("f1", "multiclass", {}, slow.f1("macro")),
    ("f1", "multiclass", {"average": "micro"}, slow.f1("micro")),
    ("f1", "multiclass", {"average": "weighted"}, slow.f1("weighted")),
    ("f1", "ordinal", {}, slow.f1("macro")),
    ("f1", "multilabel", {}, slow.by_column(slow.f1("binary"))),
    ("mcc", "binary", {}, slow.mcc),
    ("mcc", "multiclass", {}, slow.mcc),
    ("mcc", "ordinal", {}, slow.mcc),
    ("qwk", "ordinal", {}, slow.qwk),
    ("qwk", "multiclass", {}, slow.qwk),
]
UNWEIGHTED: list[Case] = [
    ("medae", "regression", {}, slow.median),
    ("medae", "regression", {"columns": "mean"}, slow.by_column(slow.median)),
    ("spearman", "regression", {}, slow.by_column(slow.spearman)),
    ("spearman", "ordinal", {}, slow.spearman),
]


def made(name: str, kind: str, options: dict[str, Any]) -> Any:
    """The metric for a kind of target."""
    return metric(name, MetricOptions(**options), kind, RANKS if kind == "ordinal" else 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "kind", "options", "reference"), CASES)
def test_scores_are_those_of_the_slow_reference(
    name: str, kind: str, options: dict[str, Any], reference: Callable[..., float], weighted: bool
) -> None:
    truth, prediction = drawn(kind, seed=len(name) + len(kind))
    weight = np.random.default_rng(1).gamma(1.0, size=len(truth)) if weighted else None
    expected = reference(truth, prediction, np.ones(len(truth)) if weight is None else weight)
    assert made(name, kind, options)(truth, prediction, weight) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("name", "kind", "options", "reference"), UNWEIGHTED)
def test_unweighted_scores_are_those_of_the_slow_reference(
    name: str, kind: str, options: dict[str, Any], reference: Callable[..., float]
) -> None:
    truth, prediction = drawn(kind)
    expected = reference(truth, prediction, np.ones(len(truth)))
    assert made(name, kind, options)(truth, prediction) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_every_metric_and_kind_has_a_reference() -> None:
    """Kinds that share the code of another one are named here."""
    tested = {(name, kind) for name, kind, _, _ in [*CASES, *UNWEIGHTED]}
    alike = {("mse", "ordinal"), ("rmse", "ordinal"), ("brier", "distribution"), ("average_precision", "multiclass")}
    every = {(name, kind) for name, known in METRICS.items() for kind in known.kinds}
    assert every - tested == (alike - tested) | {("qwk", "binary")}


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
@pytest.mark.parametrize("weighted", [False, True])
def test_averages_over_classes_are_scikit_learns(average: str, kind: str, weighted: bool) -> None:
    from sklearn import metrics as sklearn_metrics

    truth, prediction = drawn(kind, seed=5)
    weight = np.random.default_rng(1).gamma(1.0, size=len(truth)) if weighted else None
    options: dict[str, Any] = {"average": average, "sample_weight": weight}
    expected = {
        "auc": sklearn_metrics.roc_auc_score(truth, prediction, **options),
        "average_precision": sklearn_metrics.average_precision_score(truth, prediction, **options),
    }
    labels = (truth, prediction >= 0.5) if kind == "multilabel" else (truth.argmax(axis=1), prediction.argmax(axis=1))
    expected["f1"] = sklearn_metrics.f1_score(*labels, zero_division=0, **options)
    for name, score in expected.items():
        assert made(name, kind, {"average": average})(truth, prediction, weight) == pytest.approx(score, rel=1e-12)


def test_weighted_medians_are_scikit_learns() -> None:
    from sklearn.metrics import median_absolute_error

    (truth, prediction), weight = drawn("regression", columns=1), np.random.default_rng(1).gamma(1.0, size=60)
    expected = median_absolute_error(truth, prediction, sample_weight=weight)
    assert metric("medae")(truth, prediction, weight) == pytest.approx(expected, rel=1e-12)


def column(*values: float) -> np.ndarray:
    """(A, 1)."""
    return np.array(values, dtype=np.float64)[:, None]


# From the pages of scikit-learn's metrics (1.6) and of scipy.stats.spearmanr (1.14).
SPAM = np.eye(2)[[1, 0, 0, 1]], np.array([[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]])
THREE = np.eye(3)[[0, 1, 2, 0, 1, 2]], np.eye(3)[[0, 2, 1, 0, 0, 1]]
NUMBERS = column(3, -0.5, 2, 7), column(2.5, 0.0, 2, 8)
PUBLISHED: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray, float, float]] = [
    ("auc", {}, column(0, 0, 1, 1), column(0.1, 0.4, 0.35, 0.8), 0.75, 1e-12),
    ("average_precision", {}, column(0, 0, 1, 1), column(0.1, 0.4, 0.35, 0.8), 5 / 6, 1e-12),
    ("brier", {}, column(0, 1, 1, 0), column(0.1, 0.9, 0.8, 0.3), 0.0375, 1e-12),
    ("log_loss", {}, *SPAM, 0.21616, 5e-6),
    ("f1", {"average": "macro"}, *THREE, 4 / 15, 1e-12),
    ("f1", {"average": "micro"}, *THREE, 1 / 3, 1e-12),
    ("f1", {"average": "weighted"}, *THREE, 4 / 15, 1e-12),
    ("mcc", {}, column(1, 1, 1, 0), column(1, 0, 1, 1), -1 / 3, 1e-12),
    ("accuracy", {}, np.eye(4)[[0, 1, 2, 3]], np.eye(4)[[0, 2, 1, 3]], 0.5, 1e-12),
    ("r2", {}, *NUMBERS, 0.9486081370449679, 1e-12),
    ("mae", {}, *NUMBERS, 0.5, 1e-12),
    ("mse", {}, *NUMBERS, 0.375, 1e-12),
    ("medae", {}, *NUMBERS, 0.5, 1e-12),
    ("mape", {}, *NUMBERS, 0.3273809523809524, 1e-12),
    ("rmsle", {}, column(3, 5, 2.5, 7), column(2.5, 5, 4, 8), 0.199, 5e-4),
    ("pinball", {"level": 0.1}, column(1, 2, 3), column(0, 2, 3), 1 / 30, 1e-12),
    ("pinball", {"level": 0.9}, column(1, 2, 3), column(0, 2, 3), 0.3, 1e-12),
    ("spearman", {}, column(1, 2, 3, 4, 5), column(5, 6, 7, 8, 7), 0.8207826816681233, 1e-12),
]


@pytest.mark.parametrize(("name", "options", "truth", "prediction", "score", "tolerance"), PUBLISHED)
def test_published_worked_values(
    name: str, options: dict[str, Any], truth: np.ndarray, prediction: np.ndarray, score: float, tolerance: float
) -> None:
    assert metric(name, MetricOptions(**options))(truth, prediction) == pytest.approx(score, abs=tolerance)


def test_values_by_hand_at_the_edges() -> None:
    assert metric("smape")(column(0, 2), column(0, 1)) == pytest.approx(1 / 3)  # 0/0 is 0
    assert metric("smape")(column(0.0), column(5.0)) == 2.0
    assert metric("rmsle")(column(0, 1), column(0, -1)) == float("inf")
    assert metric("kl")(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])) == pytest.approx(np.log(2), rel=1e-12)
    assert metric("log_loss")(column(1), column(0)) == pytest.approx(-np.log(1e-15), rel=1e-12)
    assert metric("log_loss", MetricOptions(clip=0.1))(column(1), column(0)) == pytest.approx(-np.log(0.1), rel=1e-12)
    assert metric("qwk")(column(0, 1, 2), column(2, 1, 0)) == pytest.approx(-1.0)
    assert metric("f1")(column(0, 0), column(0.1, 0.2)) == 0.0 and metric("mcc")(column(1, 0), column(1, 1)) == 0.0
    assert metric("spearman")(column(1, 2), column(1, 1)) == 0.0


@pytest.mark.parametrize("name", ["mape", "rmspe"])
def test_a_truth_of_zero_is_no_divisor(name: str) -> None:
    with pytest.raises(UserError, match=r"which is 0 at 1 of 2 values: leave these out by data\.scored, or take smape"):
        metric(name)(column(0, 1), column(1, 1))


def test_logarithms_and_probabilities_have_their_range() -> None:
    with pytest.raises(UserError, match="some truth is -1 or below"):
        metric("rmsle")(column(-1, 1), column(1, 1))
    with pytest.raises(UserError, match=r"between 0 and 1, but got 1\.5: take a head that predicts probabilities"):
        metric("log_loss")(column(0, 1), column(0.5, 1.5))
    with pytest.raises(UserError, match=r"those of 1 of 2 answers do not: one sums to 0\.5; divide each row"):
        metric("log_loss")(np.eye(2), np.array([[0.5, 0.5], [0.25, 0.25]]))


def test_labels_are_decided_and_decisions_pass_through() -> None:
    truth, soft = (
        np.eye(3)[[0, 1, 2, 2]],
        np.array([[0.4, 0.3, 0.3], [0.4, 0.4, 0.2], [0.1, 0.3, 0.6], [0.3, 0.3, 0.4]]),
    )
    hard = np.eye(3)[[0, 0, 2, 2]]  # of equal ones the first
    for name in ("accuracy", "f1", "mcc", "qwk"):
        chosen = metric(name, kind="multiclass")
        assert chosen(truth, soft) == chosen(truth, hard)
    half = metric("accuracy", kind="binary")
    assert half(column(1, 0), column(0.5, 0.49)) == 1.0
    ranks, expected = column(0, 1, 2, 3), column(-0.7, 0.5, 2.49, 4.2)
    assert metric("accuracy", kind="ordinal", classes=4)(ranks, expected) == 1.0
    assert metric("accuracy", kind="ordinal")(ranks, expected) == 0.75  # no upper end: rank 4
    assert (
        metric("accuracy", kind="multilabel")(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.9, 0.8], [0.9, 0.8]]))
        == 0.75
    )


@pytest.mark.parametrize("kind", ["binary", "multiclass", "ordinal"])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_labels_are_scikit_learns(kind: str, weighted: bool) -> None:
    from sklearn import metrics as sklearn_metrics

    truth, prediction = drawn(kind, seed=7)
    weight = np.random.default_rng(1).gamma(1.0, size=len(truth)) if weighted else None
    true, said = ([slow.label(row) for row in rows] for rows in (truth, prediction))
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(true, said, sample_weight=weight),
        "mcc": sklearn_metrics.matthews_corrcoef(true, said, sample_weight=weight),
        "qwk": sklearn_metrics.cohen_kappa_score(true, said, weights="quadratic", sample_weight=weight),
    }
    for name, score in expected.items():
        assert made(name, kind, {})(truth, prediction, weight) == pytest.approx(score, rel=1e-12)

"""Which methods are for which metrics and kinds: named ones are refused before training, "auto" leaves them out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foldline.core.errors import UserError
from foldline.data.metrics import MetricOptions, metric
from foldline.data.metrics.options import Kind
from foldline.ensemble import BlendConfig
from foldline.ensemble.applicability import FOR_ALL_KINDS, METHODS, applicable, check, unfit
from foldline.ensemble.methods import FITS


def test_the_methods_and_their_order_are_those_of_the_registry() -> None:
    assert list(FITS) == list(METHODS) and set(FOR_ALL_KINDS) < set(METHODS)


@pytest.mark.parametrize(
    ("name", "kind", "columns", "options", "nnls", "lad"),
    [
        ("mae", "regression", 2, {}, False, True),
        ("mse", "regression", 2, {}, True, False),
        ("rmse", "regression", 2, {}, True, False),
        ("rmse", "regression", 2, {"columns": "mean"}, False, False),
        ("rmse", "regression", 1, {"columns": "mean"}, True, False),
        ("mcrmse", "regression", 2, {}, False, False),
        ("mcrmse", "regression", 1, {}, True, False),
        ("mae", "regression", 1, {"groups": "mean"}, False, False),
        ("mse", "regression", 1, {"groups": "mean"}, False, False),
        ("pinball", "regression", 1, {}, False, True),
        ("pinball", "regression", 1, {"level": 0.9}, False, False),
        ("medae", "regression", 1, {}, False, False),
        ("brier", "multiclass", 3, {}, True, False),
        ("f1", "multiclass", 3, {"average": "macro"}, False, False),
        ("auc", "binary", 1, {}, False, False),
        ("mae", "ordinal", 1, {}, False, True),
    ],
)
def test_nnls_and_lad_are_for_the_metrics_that_they_minimise(
    name: str, kind: Kind, columns: int, options: dict[str, Any], nnls: bool, lad: bool
) -> None:
    made = metric(name, MetricOptions(**options), kind, columns)
    offered = applicable(METHODS, made, kind, columns)
    assert ("nnls" in offered, "lad" in offered) == (nnls, lad)
    for method, fits in (("nnls", nnls), ("lad", lad)):
        if fits:
            check(BlendConfig(method=method), made, kind, columns)  # type: ignore[arg-type]
        else:
            with pytest.raises(
                UserError, match=f"blend.method = '{method}' does not fit: .*, and the metric is {name}"
            ):
                check(BlendConfig(method=method), made, kind, columns)  # type: ignore[arg-type]


def test_ranks_are_blended_where_only_they_count() -> None:
    assert not unfit("rank", metric("auc", kind="binary"), "binary", 1)
    assert not unfit("rank", metric("spearman", kind="regression"), "regression", 1)
    assert "only the order" in unfit("rank", metric("log_loss", kind="binary"), "binary", 1)
    assert "no shares" in unfit("rank", metric("auc", kind="multiclass"), "multiclass", 3)


@pytest.mark.parametrize(
    ("table", "name", "kind", "columns", "message"),
    [
        ({"method": "median"}, "auc", "binary", 1, "it is for numbers, and the target is binary. Choose one of best"),
        ({"method": "logit"}, "mae", "regression", 1, "it averages probabilities"),
        ({"method": "auto", "candidates": ("nnls", "lad")}, "f1", "multiclass", 3, "none of them fits. Add one of"),
        ({"per_target": True}, "mae", "regression", 1, "several targets with scores of their own"),
        ({"per_target": True}, "log_loss", "multiclass", 3, "the multiclass target has 3 columns"),
        ({"per_target": True, "method": "mean"}, "mae", "regression", 2, "does nothing for blend.method = 'mean'"),
    ],
)
def test_what_does_not_fit_is_refused(table: dict[str, Any], name: str, kind: Kind, columns: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(BlendConfig(**table), metric(name, kind=kind, classes=columns), kind, columns)


def test_what_fits_is_not_refused() -> None:
    check(BlendConfig(), metric("f1", kind="multiclass"), "multiclass", 3)
    check(BlendConfig(method="auto", candidates=("nnls", "mean")), metric("auc", kind="binary"), "binary", 1)
    check(BlendConfig(per_target=True), metric("auc", kind="multilabel"), "multilabel", 2)
    assert np.all([not unfit(name, metric("mse", kind="regression"), "regression", 1) for name in ("nnls", "ridge")])

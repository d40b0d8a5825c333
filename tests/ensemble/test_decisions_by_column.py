"""Thresholds by the values of a static column: kept where they help on other folds, common ones elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from foldline.core.errors import UserError
from foldline.data.metrics import MetricOptions, metric
from foldline.data.metrics.options import Kind
from foldline.data.roles import DataConfig
from foldline.ensemble import BlendConfig, BlendRows, decisions, nested
from foldline.ensemble.decisions import UNDECIDED, Decisions
from foldline.ensemble.post_processing import PostConfig

POST = PostConfig(thresholds_by="site")


def two_sites(apart: bool = True, columns: int = 1, count: int = 600) -> BlendRows:
    """Labels and probabilities of rows at two sites; those of the second are halved, if `apart`."""
    rng = np.random.default_rng(0)
    p, site = rng.uniform(size=(count, columns)), 1 + np.arange(count) // 3 % 2
    y = (rng.uniform(size=p.shape) < np.clip(3 * (p - 0.5) + 0.5, 0, 1)).astype(float)
    seen = np.where((site == 2)[:, None] & apart, p / 2, p)
    kind: Kind = "binary" if columns == 1 else "multilabel"
    chosen = metric("accuracy", MetricOptions(), kind, 2)
    series = np.arange(count)
    return BlendRows(
        labels=("a",), predictions=seen[None], y=y, fold=series % 3, series=series, metric=chosen, kind=kind, by=site
    )


@pytest.mark.parametrize("columns", [1, 2])
def test_a_site_with_another_scale_gets_a_threshold_of_its_own(columns: int) -> None:
    rows = two_sites(columns=columns)
    values = rows.predictions[0]
    common = decisions.helpful(replace(rows, by=None), values, POST)
    found = decisions.helpful(rows, values, POST)
    limits = dict(found.own) | {0: found.values}
    assert found.own and not common.own
    at = {site: np.asarray(limits.get(site, found.values)) for site in (1, 2)}
    assert (np.abs(at[1] - 0.5) < 0.1).all() and (np.abs(at[2] - 0.25) < 0.1).all()
    assert rows.score(found.apply(values, rows.by)) > rows.score(common.apply(values)) + 0.05
    unseen = np.zeros(len(values), dtype=np.int64)
    np.testing.assert_array_equal(found.apply(values, unseen), replace(found, own=()).apply(values))
    assert Decisions.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_sites_alike_share_their_threshold() -> None:
    rows = two_sites(apart=False)
    assert decisions.helpful(rows, rows.predictions[0], POST).own == ()


def test_the_rows_of_a_fold_do_not_depend_on_its_truth() -> None:
    rows = two_sites()
    changed = replace(rows, y=np.where(rows.fold[:, None] == 1, 1 - rows.y, rows.y))
    fitted, values = nested(BlendConfig(), rows).fitted, rows.predictions[0]
    before, after = (decisions.by_fold(values, fitted, each, POST) for each in (rows, changed))
    assert rows.score(before) > rows.score(values) + 0.05
    np.testing.assert_array_equal(before[rows.fold == 1], after[rows.fold == 1])
    assert not np.array_equal(before, after)


def test_a_column_of_one_fold_is_never_judged() -> None:
    """As a group would be: held-out rows of the value have no others that its threshold could come from."""
    rows = two_sites()
    rows = replace(rows, by=1 + rows.fold)
    assert decisions.helpful(rows, rows.predictions[0], POST).own == ()


def test_without_codes_nothing_changes() -> None:
    rows = replace(two_sites(apart=False), by=None)
    values = rows.predictions[0]
    assert decisions.helpful(rows, values, POST) == decisions.helpful(rows, values, PostConfig())
    assert decisions.fit(rows, PostConfig()).to_json().keys() == {"step", "values"}
    assert decisions.helpful(replace(rows, by=np.zeros(600, dtype=np.int64)), values, POST).own == UNDECIDED.own


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        ({"group": "site"}, "f1", "is data.group, of which no fold holds a part"),
        ({"static": ("side",)}, "f1", "unknown static column 'site'. Did you mean 'side'?"),
        ({}, "auc", "needs labels that a threshold decides"),
        ({"kind": "ordinal"}, "qwk", "but the target is ordinal and the metric qwk"),
    ],
)
def test_columns_that_can_not_have_thresholds(data: dict[str, Any], name: str, message: str) -> None:
    roles = {"id": "i", "key": "k", "order": "t", "target": ("y",), "inputs": ("x",), "static": ("site",)} | data
    roles = {"kind": "binary", "metric": name, "classes": ("a", "b")} | roles
    with pytest.raises(UserError, match=message):
        decisions.check(POST, metric(name, kind=roles["kind"], classes=2), DataConfig(**roles))


def test_thresholds_that_are_off_have_no_column() -> None:
    with pytest.raises(ValueError, match="needs thresholds, which are switched off"):
        PostConfig(thresholds_by="site", thresholds=False)

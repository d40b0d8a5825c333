"""The loss that follows a metric reaches the models that name none, and only those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_classes import Songs

from foldline.data.metrics import METRICS, default_losses
from foldline.experiment import config
from foldline.models.heads import ANY_SCALE, HEADS
from foldline.models.ops import boosting_config
from foldline.models.systems import lightgbm_config

QUANTILE = {"kind": "quantile", "levels": [0.9], "predict": 0.9}
LEVEL = "metric_options = {level = 0.9}"


@pytest.mark.parametrize(
    ("metric", "more", "head", "objective"),
    [
        ("mae", "", {"kind": "l1"}, {"objective": "l1"}),
        ("smape", "", {"kind": "l1"}, {"objective": "l1"}),
        ("mcrmse", "", {"kind": "mcrmse"}, {"objective": "l2"}),
        ("rmspe", "", {"kind": "rmspe"}, {"objective": "rmspe"}),
        ("rmspe", 'target_transform = "rank"', {"kind": "l2"}, {"objective": "l2"}),
        ("pinball", LEVEL, QUANTILE, {"objective": "quantile", "alpha": 0.9}),
        ("pinball", f'{LEVEL}\ntarget_transform = "rank"', QUANTILE, {"objective": "quantile", "alpha": 0.9}),
    ],
)
def test_models_that_name_no_loss_get_the_metrics(
    metric: str, more: str, head: dict[str, Any], objective: dict[str, Any], home: Path, tmp_path: Path
) -> None:
    path = Songs("regression", "step", metric=metric, more=more).install(home, tmp_path / "songs")
    network, trees = config.load(path).models
    assert network.params["head"] == head
    assert {key: trees.params[key] for key in ("objective", "alpha") if key in trees.params} == objective
    network, trees = config.load(path, ['model.0.head={kind = "huber"}', "model.1.objective=fair"]).models
    assert (network.params["head"], trees.params["objective"]) == ({"kind": "huber"}, "fair")


def test_a_systems_own_quantiles_predict_the_metrics(home: Path, tmp_path: Path) -> None:
    path = Songs("regression", "step", metric="pinball", more=LEVEL).install(home, tmp_path / "songs")
    for name in ("tft", "esrnn"):
        (model,) = config.load(path, [f'model=[{{name = "{name}"}}]']).models
        assert model.params["head"]["predict"] == 0.9
    (third,) = config.load(path, ['model=[{name = "third_place"}]']).models
    assert third.params["head"]["kind"] == "quantile" and "aux" in third.params["head"]


@pytest.mark.parametrize("own_unit", [True, False])
@pytest.mark.parametrize("name", METRICS)
def test_a_default_is_one_that_serves(name: str, own_unit: bool) -> None:
    for kind in METRICS[name].kinds:
        head = default_losses.head_of(METRICS[name], kind, own_unit)["kind"]
        objective = default_losses.objective_of(METRICS[name], kind, own_unit)["objective"]
        assert kind in HEADS[head].make.kinds and objective in lightgbm_config.SERVES[kind]  # type: ignore[attr-defined]
        if kind == "regression" and not own_unit:
            assert head in ANY_SCALE and objective in boosting_config.ANY_NUMBERS

"""The papers' own forms, as in docs/how-to/blocks.md: each can be built, with its receptive field."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from foldline.models import MODELS
from foldline.models.contract import Targets
from foldline.models.ops.covariates import set_clocks

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "blocks.md"
TABLES = tomllib.loads(PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0])["model"]
FEATURES, LEVELS = 5, (3, 3)
WINDOWS = {"TCN": 125, "WaveNet": 128, "gated convolutions": 25}  # steps up to an answer's own
CENTRED = {"InceptionTime": (114, 120), "ResNet": (18, 21)}  # steps back and ahead
BOTH_WAYS = (
    "Transformer encoder",
    "Conformer",
    "Squeezeformer",
    "TSMixer",
    "PatchTST",
    "GNMT",
)  # an encoder reads the whole series first


def config_of(table: dict[str, Any]) -> Any:
    fields = {name: value for name, value in table.items() if name not in ("name", "label", "train")}
    return MODELS[table["name"]].config(**fields)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["label"])
def test_a_published_form_can_be_built(table: dict[str, Any]) -> None:
    targets = Targets(count=1, grids=((0.0, 0.1, 50),), observed=3)
    with torch.device("meta"):
        network = MODELS[table["name"]].make(config_of(table), FEATURES + 2, LEVELS, targets)
    set_clocks(network, ["time_step"], [0.0], [1.0])
    assert sum(weight.numel() for weight in network.parameters()) > 0


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["label"])
def test_a_published_form_has_its_papers_receptive_field(table: dict[str, Any]) -> None:
    config, paper = config_of(table), table["label"].split(",")[0]
    if table["name"] != "hybrid":
        assert getattr(config, "causal", False) == (paper not in BOTH_WAYS)
    elif paper in CENTRED:
        assert config.reach == CENTRED[paper]
    elif paper in BOTH_WAYS:
        assert config.reach == (math.inf, math.inf)
    else:
        assert config.reach == (WINDOWS.get(paper, math.inf) - 1, 0)

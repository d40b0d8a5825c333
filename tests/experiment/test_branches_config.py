"""Branches in a config: it resolves to itself, and what no branch or block can be is refused before any training."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
import tomli_w
from refusals import said
from safetensors import safe_open

from foldline.experiment.config import from_tables, load

MODEL = """model=[{{name = "branches", width = 4, branches = {branches}}}]"""
POWER = '{inputs = ["*power*"], blocks = [{kind = "conv", kernel = 3}]}'


def test_a_config_with_branches_resolves_to_itself(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    chosen = load(Path("rides"), [MODEL.format(branches=f"[{POWER}, {{}}]")])
    assert from_tables("rides", tomllib.loads(tomli_w.dumps(chosen.tables())), "resolved") == chosen
    (model,) = chosen.models
    assert [branch["inputs"] for branch in model.params["branches"]] == [["*power*"], []]
    assert model.params["branches"][0]["blocks"] == [{"width": 4, "kind": "conv", "kernel": 3}]


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ('[{input = ["power"]}]', "model[0].branches[0]: unknown key 'input'. Did you mean 'inputs'?"),
        ('[{}, {blocks = [{kind = "conv", kernal = 3}]}]', "branches[1].blocks[0]: unknown key 'kernal'. Did you mean"),
        ('[{blocks = [{kind = "convolution"}]}]', "branches[0].blocks[0]: unknown kind 'convolution'"),
        (f"[{POWER}]", "every feature must be seen by a branch, but coasting, second"),
        ('[{}, {inputs = ["*pwoer*"]}]', "branches[1] must see a feature, but none fits ['*pwoer*']. Features: power"),
    ],
)
def test_what_cannot_be_is_refused(
    branches: str, message: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.install(home, tiny.write(tmp_path / "rides", tiny.frames()))
    assert message in said(capsys, "train", "rides", "--dry-run", MODEL.format(branches=branches))


def test_entities_are_read_from_either_form_of_features_and_infer_alike(home: Path, tmp_path: Path) -> None:
    """The road of a step is a place here, the bike of a series one-hots."""
    tables = tiny.frames()
    roads = pl.Series("road", ["tar", "mud", None])
    for stem in ("train", "test"):
        tables[stem] = tables[stem].with_columns(roads.gather(np.arange(tables[stem].height) % len(roads)))
    path = tiny.install(home, tiny.write(tmp_path / "rides", tables))
    path.write_text(path.read_text().replace('"coasting"]', '"coasting", "road"]\ncategorical = ["road"]'))
    branches = '[{inputs = ["road*"], blocks = [{kind = "conv"}]}, {}]'
    model = f'model=[{{name = "branches", width = 4, entities = ["road", "bike"], branches = {branches}}}]'
    tiny.run("train", "rides", model, "features.categories.most=1", "train.augment.mixup=0.5")
    before = tiny.submission(home)
    tiny.run("infer", "rides")
    assert before in [file.read_bytes() for file in (home / "submissions").glob("rides-*.csv")]
    (weights,) = list(home.glob("runs/cells/*/weights.safetensors"))[:1]
    with safe_open(weights, "pt") as stored:
        own = [stored.get_tensor(name) for name in stored.keys() if name.endswith(".own")]  # noqa: SIM118  (no mapping)
    assert [each.shape for each in own] == [(2, 2), (2, 2)] and all(each.any() for each in own)

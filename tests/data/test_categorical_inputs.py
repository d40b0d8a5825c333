"""Inputs that are categories at each step: text, or numbers that are codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny

from foldline import features
from foldline.cli.main import main
from foldline.core.errors import UserError
from foldline.data import featurize, loading, table_notes
from foldline.data.featurize import FeaturesConfig
from foldline.data.roles import DataConfig

DATA = DataConfig(
    id="row",
    key="ride",
    order="second",
    inputs=("power", "road"),
    categorical=("road",),
    static=("bike",),
    target=("speed",),
    source="-",
)
ROADS = ["gravel", "tar", None]


def rides(test: list[object], train: list[object] = ROADS) -> dict[str, pl.DataFrame]:
    """Rides whose road changes at each step."""
    tables = tiny.frames()
    for stem, roads in (("train", train), ("test", test)):
        given = pl.Series("road", roads)
        tables[stem] = tables[stem].with_columns(given.gather(np.arange(tables[stem].height) % len(roads)))
    return tables


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_levels_are_one_hots_and_an_unseen_or_missing_one_is_unknown(ending: str, tmp_path: Path, home: Path) -> None:
    for stem, table in rides(["tar", "mud", None]).items():
        path = tmp_path / f"{stem}.{ending}"
        table.write_csv(path) if ending == "csv" else table.write_parquet(path)
    found = loading.load(replace(DATA, source=str(tmp_path)))
    assert found.levels == {"bike": (20, 28), "road": ("gravel", "tar")}
    config = FeaturesConfig(families=("raw",))
    train, test = (featurize.obtain(table, config, found.levels) for table in (found.train, found.test))
    assert train.names == ("power", "road=gravel", "road=tar") and not train.missing
    assert train.x[:3, 1:].tolist() == [[1, 0], [0, 1], [0, 0]] and test.x[:3, 1:].tolist() == [[0, 1], [0, 0], [0, 0]]


def test_numbers_can_be_codes(tmp_path: Path, home: Path) -> None:
    codes: list[object] = [3, 1, 2]
    found = loading.load(replace(DATA, source=str(tiny.write(tmp_path / "rides", rides([1, 7], codes)))))
    assert found.levels["road"] == (1, 2, 3)
    steps = found.test.frame.height  # every other one has a 7
    assert table_notes.unseen_levels(found.test, found.levels) == [
        f"{steps // 2} test rows have a road that training has not; it is treated as unknown."
    ]
    assert "road=2" in featurize.obtain(found.train, FeaturesConfig(families=("raw",)), found.levels).names


def test_the_parameters_of_the_family_that_is_added_are_in_the_key(tmp_path: Path, home: Path) -> None:
    found = loading.load(replace(DATA, source=str(tiny.write(tmp_path / "rides", rides(["tar"])))))
    place = FeaturesConfig(families=("raw",), tables={"categories": {"most": 1}})
    stores = [featurize.obtain(found.train, each, found.levels) for each in (FeaturesConfig(families=("raw",)), place)]
    assert [store.names for store in stores] == [("power", "road=gravel", "road=tar"), ("power", "place(road)")]
    assert [store.places for store in stores] == [{}, {"place(road)": 2}]
    assert stores[0].facts != stores[1].facts  # a cell's key hashes these


def test_text_that_is_not_named_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    source = str(tiny.write(tmp_path / "rides", rides(["tar"])))
    with pytest.raises(UserError, match=r"column 'road' must hold numbers, but holds 'gravel'.*data\.categorical"):
        loading.load(replace(DATA, source=source, categorical=()))
    with pytest.raises(ValueError, match="categorical must name inputs or static columns, but has 'speed'"):
        replace(DATA, categorical=("speed",))


def test_models_train_infer_and_are_audited(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny.install(home, tiny.write(tmp_path / "rides", rides(["tar", "mud"])))
    road = '"coasting", "road"]\ncategorical = ["road"]'
    path.write_text(path.read_text().replace('"coasting"]', road))
    tiny.run("train", "rides")
    assert "20 test rows have a road that training has not; it is treated as unknown" in capsys.readouterr().err
    before = tiny.submission(home)
    tiny.run("infer", "rides")
    assert before in [file.read_bytes() for file in (home / "submissions").glob("rides-*.csv")]
    tiny.run("audit", "rides")
    copy = tmp_path / "categories.py"
    copy.write_text("# changed")
    honest = features.source_of
    monkeypatch.setattr(features, "source_of", lambda name: [copy] if name == "categories" else honest(name))
    capsys.readouterr()
    assert main(["infer", "rides"]) == 2
    assert "The code of the features that 'rides' gets for its columns is not what it was" in capsys.readouterr().err

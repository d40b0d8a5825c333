"""A config without a [[model]]: the first row of the table that serves its data, as if it had been written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import refusals
import tiny
import tiny_forecast
import tiny_windows
from tiny_classes import Songs
from tiny_targets import Birds

from foldline.core.errors import UserError
from foldline.data import featurize, loading
from foldline.experiment import config, default_models, stored_experiment

CATEGORIES = 'data.categorical=["volume"]'
FAMILIES = list(default_models.SERIES_FAMILIES)


def install(home: Path, source: Path, songs: Songs) -> Path:
    """Install the songs without a model."""
    path = songs.install(home, source)
    before, _, after = path.read_text().partition("[[model]]")
    text = before + after[after.index("[executor]" if "[executor]" in after else "[track]") :]
    path.write_text(re.sub(r"families = .*\n", "", text))
    return path


@pytest.mark.parametrize(
    ("on_series", "forecast", "series", "with_trees", "name"),
    [
        (True, False, default_models.FEW, True, default_models.DEFAULTS[0].name),
        (True, False, default_models.FEW, False, "one answer a series, few series"),
        (True, False, default_models.FEW + 1, True, "one answer a series, many series"),
        (False, True, 10, False, "a forecast"),
        (False, False, 10**6, True, "an answer at every step"),
    ],
)
def test_the_first_row_that_serves_the_data_is_taken(
    on_series: bool, forecast: bool, series: int, with_trees: bool, name: str
) -> None:
    assert default_models.choose(on_series, forecast, series, with_trees).name == name


@pytest.mark.parametrize(
    ("kind", "metric", "statics", "with_trees"),
    [
        ("regression", "mae", False, False),
        ("binary", "auc", False, True),
        ("binary", "accuracy", False, False),
        ("multiclass", "log_loss", False, True),
        ("multiclass", "f1", False, False),
        ("multilabel", "log_loss", True, True),
        ("ordinal", "qwk", False, False),
        ("ordinal", "qwk", True, True),  # only trees read static columns
        ("distribution", "kl", False, True),
    ],
)
@pytest.mark.parametrize("few", [True, False])
def test_a_default_fits_every_kind_of_target(
    kind: str,
    metric: str,
    statics: bool,
    with_trees: bool,
    few: bool,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not few:
        monkeypatch.setattr(default_models, "DEFAULTS", default_models.DEFAULTS[2:])
    install(home, tmp_path / "songs", Songs(kind, metric=metric, statics=statics))
    found = config.load(Path("songs"))
    row = default_models.DEFAULTS[int(few and not with_trees)]
    wanted = [table.get("label", table["name"]) for table in row.models]
    assert [model.label for model in found.models] == wanted and row.why in found.default
    assert list(found.features.families)[: len(FAMILIES)] == FAMILIES
    fitted = not few or kind not in default_models.PROBABILITIES
    assert found.blend.method == (None if fitted else "logit") and found.post.class_factors == fitted
    written = config.from_tables("songs", found.tables(), "record")  # as a record reads it
    assert written.models == found.models and written.features == found.features and written.default == ""


def test_what_a_config_gives_itself_stays_and_one_model_of_its_own_is_the_only_one(home: Path, tmp_path: Path) -> None:
    path = install(home, tmp_path / "songs", Songs())
    found = config.load(
        Path("songs"), ['features.families=["raw", "summary"]', "blend.method=mean", "post.class_factors=true"]
    )
    assert list(found.features.families) == ["raw", "summary"] and found.blend.method == "mean"
    assert found.post.class_factors
    path.write_text(path.read_text() + '\n[[model]]\nname = "rocket"\nkernels = 84\n')
    alone = config.load(Path("songs"))
    assert [model.name for model in alone.models] == ["rocket"] and not alone.default
    assert list(alone.features.families) == list(config.FeaturesConfig().families)


def test_categories_at_each_step_are_read_by_trees_alone_so_they_are_in(home: Path, tmp_path: Path) -> None:
    install(home, tmp_path / "songs", Songs("multiclass", metric="accuracy", statics=False))
    labels = [[model.label for model in config.load(Path("songs"), words).models] for words in ([], [CATEGORIES])]
    assert labels == [["minirocket", "hydra", "quant"], ["rocket", "minirocket", "hydra", "lightgbm"]]


def test_an_override_of_a_model_that_is_filled_in_later_is_refused(home: Path, tmp_path: Path) -> None:
    install(home, tmp_path / "songs", Songs())
    with pytest.raises(UserError, match=r"'model\.0\.kernels=84': the config has no \[\[model\]\]"):
        config.load(Path("songs"), ["model.0.kernels=84"])
    given = config.load(Path("songs"), ['model=[{name = "rocket", kernels = 84}]'])
    assert [model.label for model in given.models] == ["rocket"] and not given.default


def test_each_of_several_targets_has_the_default_of_its_own_kind(home: Path, tmp_path: Path) -> None:
    path = Birds().install(home, tmp_path / "birds")
    before, _, after = path.read_text().replace('static = ["site"]', "").partition("[[model]]")
    path.write_text(before + after[after.index("[track]") :])
    bird, loudness = (config.load(Path(f"birds.{name}")) for name in ("bird", "loudness"))
    assert [model.label for model in bird.models] == ["rocket", "minirocket", "hydra", "lightgbm"]
    assert [model.label for model in loudness.models] == ["minirocket", "hydra", "quant"]
    assert (bird.blend.method, loudness.blend.method) == ("logit", None)
    assert all(target.default.startswith("no [[model]] is given") for target in (bird, loudness))


def test_a_metric_that_is_none_is_refused_with_the_place(home: Path, tmp_path: Path) -> None:
    install(home, tmp_path / "songs", Songs())
    with pytest.raises(UserError, match=r"songs\.toml: .*unknown metric 'acc'"):
        config.load(Path("songs"), ["data.metric=acc"])


def test_a_step_level_default_reads_no_file(home: Path, tmp_path: Path) -> None:
    install(home, tmp_path / "songs", Songs(level="step", metric="log_loss"))
    found = config.load(Path("songs"), ["data.source=nowhere"])
    assert [model.name for model in found.models] == ["hybrid", "lightgbm"]


@pytest.mark.parametrize("dates", [True, False])
def test_a_forecast_has_features_of_the_known_past(dates: bool, home: Path, tmp_path: Path) -> None:
    path = tiny_forecast.install(home, tiny.write(tmp_path / "shops", tiny_forecast.shops(dates=dates)))
    text = path.read_text().replace("inputs = []", 'inputs = ["promo"]\nstatic = ["town"]')
    before, _, after = text.partition("[features]")
    path.write_text(before + after[after.index("[folds]") : after.index("[[model]]")])
    found = config.load(path)
    assert [model.name for model in found.models] == ["hybrid", "lightgbm", "nhits"]
    assert found.models[-1].params["horizon"] == tiny_forecast.HORIZON
    calendar = ["calendar"] if dates else []
    assert list(found.features.families) == ["raw", "static", "target_lags", *calendar]
    assert found.features.tables == {"target_lags": {"scale": "standardise"}}  # as data.target_transform
    table = loading.load(found.data).train
    names = featurize.names_of(
        featurize.families_of(table, found.features), featurize.columns_of(table, {"town": ("a",)})
    )
    assert {"sales@t-1", "level7(sales)", "horizon"} <= set(names)
    assert config.load(path, ['features.families=["raw"]']).features.tables == {}


def test_inputs_that_are_all_categories_are_refused_with_the_family_that_needs_a_number(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = Songs().frames()
    pitches = pl.col("pitch").round().cast(pl.Int64)
    tables = {name: t.with_columns(pitches) if "pitch" in t.columns else t for name, t in frames.items()}
    path = install(home, tmp_path / "songs", Songs())
    tiny.write(tmp_path / "songs", tables)
    path.write_text(re.sub(r"inputs = .*", 'inputs = ["pitch"]\ncategorical = ["pitch"]', path.read_text()))
    assert "the family 'raw' is made from inputs that are numbers" in refusals.said(capsys, "train", "songs")


def windows_of(home: Path, folder: Path, named: int | None) -> int:
    """Return how many windows the default of the bridge is chosen for. named: windows in a file; None: by stride."""
    level, tables = tiny_windows.BY_ROWS, tiny_windows.frames()
    if named is not None:
        level = 'level = "window"\nwindows = {length = 6, file = "labels", offset = "at"}'
        at = pl.DataFrame({"place": "west", "at": np.linspace(0, 20, named), "strain": 0.5})
        tables |= {"labels": at, "train": tables["train"].drop("strain")}
    path = tiny_windows.install(home, folder, tables, level)
    path.write_text(path.read_text().replace(tiny.LIGHTGBM, ""))
    seen, choose = list[int](), default_models.choose

    def noted(on_series: bool, forecast: bool, series: int, with_trees: bool) -> default_models.DefaultModels:
        seen.append(series)
        return choose(on_series, forecast, series, with_trees)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(default_models, "choose", noted)
        config.load(path, ["data.metric=mae"])
    return seen[0]


def test_windows_are_counted_as_they_are_cut(home: Path, tmp_path: Path) -> None:
    by_hand = tiny_windows.cut_by_hand(tiny_windows.frames()["train"])
    assert windows_of(home, tmp_path / "bridge", None) == by_hand["place"].n_unique()
    assert windows_of(home, tmp_path / "named", 40) == 40  # they overlap: more than the 77 rows would hold side by side


@pytest.mark.slow
def test_a_default_trains_says_what_it_is_and_records_it(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(home, tmp_path / "songs", Songs("multiclass"))
    tiny.run("train", "songs", "--dry-run")
    assert "models: no [[model]] is given: rocket, minirocket, hydra, lightgbm, the default" in capsys.readouterr().out
    tiny.run("train", "songs")
    stored = stored_experiment.read("songs")
    assert {cell.model.name for cell in stored.plan} == {"rocket", "hydra", "lightgbm"}

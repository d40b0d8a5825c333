"""Streams: a step at a time gives the features and the answers of whole series; what looks ahead is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs

from foldline.core.errors import UserError
from foldline.data.held_features import Recipe, features_of
from foldline.experiment.serve_config import ServeConfig
from foldline.features import FAMILIES, Columns, build, compute
from foldline.serve import Predictor, load, stream
from foldline.serve.answers import Answers
from foldline.serve.stream import MEMORY, Stream

CAUSAL = {
    'families = ["raw", "time", "lags", "static"]': (
        'families = ["raw", "time", "integral", "lags", "differences", "static"]\ndifferences = {{steps = [2]}}'
    ),
    "lags = {{lags = [1], leads = [1]}}": "lags = {{lags = [1, 3], leads = []}}",
    '{{kind = "bilstm"}}, {{kind = "conv", kernel = 3}}': '{{kind = "lstm"}}, {{kind = "tcn", causal = true}}',
    "[executor]": '[blend]\nmethod = "mean"\n\n[serve]\nper = "step"\n\n[executor]',
}


def causal_config(source: Path) -> str:
    """Write the config of the rides without any part that looks ahead."""
    text = tiny.CONFIG
    for old, new in CAUSAL.items():
        assert old in text
        text = text.replace(old, new)
    return text.format(source=source)


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """The rides by parts that look back only, trained."""
    folder = tmp_path_factory.mktemp("causal")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLDLINE_HOME", str(folder / "home"))
        patch.chdir(folder)
        tiny.configure(folder / "home", "rides", causal_config(tiny.write(folder / "rides", tiny.frames())))
        tiny.run("train", "rides")
        yield load("rides")


def rides() -> pl.DataFrame:
    """Rides to predict, that begin and end at different steps."""
    test = tiny.frames(steps=12)["test"].with_columns(pl.when(pl.col("row") % 7 > 0).then("power"))
    late = (pl.col("ride") == 502) & (pl.col("second") < 1.0)
    early = (pl.col("ride") == 503) & (pl.col("second") > 4.0)
    return test.filter(~late & ~early)


def by_time(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Cut rows into those of each moment, in the order of time."""
    return rows.sort("second", maintain_order=True).partition_by("second", maintain_order=True)


def test_steps_are_answered_as_whole_series(causal: Predictor) -> None:
    flow = causal.stream()
    answers = [flow.step(rows) for rows in by_time(rides())]
    assert all(one["row"].equals(rows["row"]) for one, rows in zip(answers, by_time(rides()), strict=True))
    expected = causal.predict(rides())
    np.testing.assert_allclose(pl.concat(answers).sort("row")["speed"], expected.sort("row")["speed"], atol=1e-6)


def test_steps_have_the_features_of_whole_series(causal: Predictor) -> None:
    """To the bit: streamed features, gathered by series, are those of the table."""
    model, flow = causal.models[0], causal.stream()
    for rows in by_time(rides()):
        flow.step(rows)
    table = model.border.arrived(rides()).table
    expected = features_of(table, model.recipe(0, table))
    histories = flow._streams[0].series
    assert np.array_equal(np.concatenate([histories[str(key)].x[0] for key in table.keys]), expected, equal_nan=True)


def test_several_steps_may_come_at_once_in_any_order(causal: Predictor) -> None:
    flow, rows = causal.stream(), rides()
    parts = [rows.filter(pl.col("second") < 2), rows.filter(pl.col("second") >= 2)]
    found = pl.concat([flow.step(part.sample(fraction=1.0, shuffle=True, seed=3)) for part in parts])
    np.testing.assert_allclose(found.sort("row")["speed"], causal.predict(rows).sort("row")["speed"], atol=1e-6)


def test_the_future_changes_no_answer(causal: Predictor) -> None:
    rows = rides()
    changed = rows.with_columns(power=pl.when(pl.col("second") > 2).then(99.0).otherwise("power"))
    known = pl.col("second") <= 2
    assert (
        causal.predict(rows)
        .filter(rows.select(known).to_series())
        .equals(causal.predict(changed).filter(rows.select(known).to_series()))
    )


def test_two_streams_know_nothing_of_each_other(causal: Predictor) -> None:
    first, second = causal.stream(), causal.stream()
    steps = by_time(rides())
    for rows in steps[:3]:
        first.step(rows)
    assert [second.step(rows)["speed"].to_list() for rows in steps[:2]] == [
        causal.stream().step(steps[0])["speed"].to_list(),
        second_of(causal.stream(), steps),
    ]


def second_of(flow: Stream, steps: list[pl.DataFrame]) -> list[float]:
    """Return the answers of the second step."""
    flow.step(steps[0])
    return flow.step(steps[1])["speed"].to_list()


def test_a_refused_step_leaves_the_stream_as_it_was(causal: Predictor) -> None:
    flow, steps = causal.stream(), by_time(rides())
    flow.step(steps[0])
    with pytest.raises(UserError, match="must hold numbers"):
        flow.step(steps[1].with_columns(power=pl.lit("much")))
    with pytest.raises(UserError, match="'second' must increase"):
        flow.step(steps[0])
    assert flow.step(steps[1])["speed"].to_list() == second_of(causal.stream(), steps)


def test_a_step_without_rows_has_no_answers(causal: Predictor) -> None:
    assert causal.stream().step(rides().clear()).height == 0


def test_lags_are_joined_until_others_come(causal: Predictor) -> None:
    rows = rides()
    powers = rows.select("ride", "second", "power")
    flow, answers = causal.stream(), []
    for number, part in enumerate(by_time(rows.drop("power"))):
        lags = powers if number == 0 else powers.clear() if number % 2 else None  # only once, else empty or nothing
        answers.append(flow.step(part, lags))
    np.testing.assert_allclose(
        pl.concat(answers).sort("row")["speed"], causal.predict(rows).sort("row")["speed"], atol=1e-6
    )


def test_lags_are_kept_by_their_place(causal: Predictor) -> None:
    """One frame of two that is empty, or None, leaves the older one in its place alone."""
    rows = rides()
    power, bike = rows.select("ride", "second", "power"), rows.select("ride", "bike").unique(maintain_order=True)
    flow, gateway = causal.stream(), Answers(causal, ServeConfig(per="step", arguments=("rows", "lags", "lags")))
    answers, called = [], []
    later: list[list[pl.DataFrame | None]] = [[power, bike.clear()], [power, None], [None, bike], [power.clear(), bike]]
    for number, part in enumerate(by_time(rows.drop("power", "bike"))):
        lags = later[number % 4] if number else [power, bike]
        answers.append(flow.step(part, lags))
        called.append(gateway(part, *lags))
    expected = causal.predict(rows).sort("row")["speed"]
    np.testing.assert_allclose(pl.concat(answers).sort("row")["speed"], expected, atol=1e-6)
    assert pl.concat(called)["speed"].equals(pl.concat(answers)["speed"])


def test_a_series_that_is_long_gone_begins_anew_beside_the_others(
    causal: Predictor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stream, "KEPT_STEPS", 3)
    flow, rows = causal.stream(), tiny.frames(steps=12)["test"]
    one, other = (by_time(rows.filter(pl.col("ride") == ride)) for ride in (501, 502))
    flow.step(one[0])
    for part in other[:3]:
        flow.step(part)
    assert list(flow._streams[0].series) == ["502"] and flow.begun_anew == 0
    with pytest.raises(UserError, match="must hold numbers"):  # of a step that is refused nothing is counted
        flow.step(one[3].with_columns(power=pl.lit("much")))
    found = pl.concat([flow.step(pl.concat([one[step], other[step]])) for step in (3, 4)])
    later = pl.concat([*one[3:5], *other[:5]])
    expected = found.select("row").join(causal.predict(later), on="row", how="left", maintain_order="left")
    np.testing.assert_allclose(found["speed"], expected["speed"], atol=1e-6)
    said = capsys.readouterr().err
    assert flow.begun_anew == 1 and said.count("ride 501 has not come for 3 steps") == said.count("warning") == 1
    for part in other[5:8]:
        flow.step(part)
    flow.step(one[9])
    assert flow.begun_anew == 2 and not capsys.readouterr().err


LOOKAHEAD: dict[str, tuple[dict[str, str], str]] = {
    "features": ({'"static"]': '"static", "stats"]', "leads = []": "leads = [1]"}, "the features lags, stats"),
    "a block": ({", causal = true": ""}, r"the model hybrid, by tcn \(block 2\)"),
    "another model": (
        {'name = "hybrid"\nwidth = 4\nblocks = [{kind = "lstm"}, {kind = "tcn", causal = true}]': 'name = "tft"'},
        "the model tft",
    ),
    "windows": (
        {"epochs = 2": "epochs = 2\nwindows = {length = 4, stride = 2}"},
        r"the model hybrid.*\(train.windows\)",
    ),
    "views": ({"epochs = 2": "epochs = 2\ntta = {reverse = true}"}, r"the model hybrid.*\(train.tta.reverse\)"),
    "a known start": ({'order = "second"': 'order = "second"\nobserved = 2'}, "data.observed"),
}


@pytest.mark.parametrize(("changes", "message"), LOOKAHEAD.values(), ids=LOOKAHEAD.keys())
def test_what_looks_ahead_is_refused_before_training(
    changes: dict[str, str], message: str, home: Path, tmp_path: Path
) -> None:
    tables = tiny.frames()
    if "observed" in str(changes):
        tables["test"] = tables["test"].with_columns(speed=pl.lit(1.0))
    text = causal_config(tiny.write(tmp_path / "rides", tables))
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    tiny.configure(home, "rides", text)
    with pytest.raises(UserError, match=rf"can't have parts that look ahead, but these do: .*{message}"):
        prepared("rides")
    assert not (home / "runs" / "cells").exists()


def prepared(name: str) -> Any:
    """Prepare an experiment, as `train` does before it trains."""
    from foldline.core.console import Terminal
    from foldline.experiment import config, preparation

    return preparation.prepare(config.load(Path(name)), Terminal(quiet=True))


def test_whole_series_are_refused_by_name(home: Path, tmp_path: Path) -> None:
    songs = Songs("regression")
    path = songs.install(home, tmp_path / "songs")
    path.write_text(path.read_text() + '\n[serve]\nper = "step"\n')
    with pytest.raises(UserError, match=r"answers of whole series, whose steps are pooled .*; the features summary"):
        prepared("songs")


def test_a_trained_experiment_that_looks_ahead_has_no_stream(trained: Path) -> None:
    tiny.run("blend", "rides", "blend.method=mean")
    with pytest.raises(
        UserError, match=r"the features lags; the model hybrid, by bilstm \(block 1\), conv \(block 2\)"
    ):
        load("rides").stream()


ROLES = Columns(key="ride", order="second", inputs=("power", "coasting"), static=("bike",), levels={"bike": (20, 28)})
FORMS: dict[str, dict[str, Any]] = {"lags": {"lags": [2, 5], "leads": []}, "differences": {"steps": [3]}}


@pytest.mark.parametrize("kind", MEMORY, ids=lambda kind: kind.__name__)
def test_a_family_needs_no_more_steps_than_it_says(kind: Any) -> None:
    """A feature of the last step is the same on so many steps before it, and those alone."""
    name = next(name for name, family in FAMILIES.items() if family is kind)
    family = build(name, FORMS.get(name, {}))
    columns, frame = ROLES, tiny.rides(1, 3, 12, seed=4).drop("speed")
    if name == "calendar":
        frame = frame.with_columns(pl.from_epoch(pl.col("second") * 1e7).alias("__moment__"))
        columns = Columns(**{**vars(ROLES), "has_moments": True})
    if name == "categories":
        frame = frame.with_columns(gear=pl.Series(["low", "high", "odd"] * 12))
        columns = Columns(
            **{**vars(ROLES), "categories": ("gear",), "levels": {"bike": (20, 28), "gear": ("high", "low")}}
        )
    whole = compute(frame, columns, [family]).with_columns(frame["ride"]).group_by("ride", maintain_order=True).last()
    few = frame.group_by("ride", maintain_order=True).tail(MEMORY[kind](family) + 1)
    found = compute(few, columns, [family]).with_columns(few["ride"]).group_by("ride", maintain_order=True).last()
    assert found.equals(whole)


def test_every_family_that_looks_back_a_few_steps_says_so() -> None:
    """Sums, and what is said of whole series, need all steps: no other family is left out."""
    few = {
        type(build(name, FORMS.get(name, {}))) for name in FAMILIES if not build(name, FORMS.get(name, {})).lookahead
    }
    assert {kind.__name__ for kind in few - set(MEMORY)} == {"Integral", "Compartment"}


def test_a_recipe_is_what_the_store_has(causal: Predictor) -> None:
    table = causal.models[0].border.arrived(rides()).table
    recipe = causal.models[0].recipe(0, table)
    assert isinstance(recipe, Recipe) and features_of(table, recipe).shape == (table.frame.height, len(recipe.names))

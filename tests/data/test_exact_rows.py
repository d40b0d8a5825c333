"""Exact rows in the pipeline: pasted over predictions, right, counted, cached, and switched off by one key."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from quickstart import SMOKE

from foldline.core import files
from foldline.data import exact_rows, loading, open_rows
from foldline.data.exact_rows import Exact
from foldline.ensemble import post_processing
from foldline.experiment import config
from ventilator import simulator
from ventilator.decoder import file_decoding


@pytest.fixture
def breaths(home: Path, tmp_path: Path) -> Path:
    """A small simulated competition with its truth, as if it were Kaggle's."""
    simulator.write_competition(tmp_path / "breaths", breaths=24, test_breaths=40, seed=3, truth=True)
    return tmp_path / "breaths"


def test_exact_rows_take_the_place_of_predictions() -> None:
    pasted = post_processing.paste(np.array([[1.0], [2.0], [3.0]]), np.array([np.nan, 7.5, np.nan]))
    assert pasted.tolist() == [[1.0], [7.5], [3.0]]


def test_kinds_are_counted_among_scored_rows() -> None:
    found = Exact(np.array([1.0, np.nan, 2.0, 3.0]), np.array(["gap", "", "chain", "chain"]))
    assert found.counts(np.array([True, True, True, True])) == {"chain": 2, "gap": 1}
    assert found.counts(np.array([False, True, True, False])) == {"chain": 1}


def test_the_submission_holds_the_true_pressure_wherever_it_was_decoded(
    breaths: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.run("train", "quickstart", f"data.source={breaths}", *SMOKE)
    settings = config.load(Path("quickstart"), [f"data.source={breaths}", *SMOKE])
    test, _ = loading.load_test(settings.data, loading.load(settings.data).levels)
    monkeypatch.setattr(file_decoding, "decode", lambda *_, **__: pytest.fail("decoded again"))
    found = exact_rows.obtain(test)
    truth = pl.read_csv(breaths / "truth.csv")["pressure"].to_numpy()
    submitted = pl.read_csv(next((home / "submissions").glob("quickstart-*.csv")))["pressure"].to_numpy()
    assert found.known[test.scored].mean() > 0.5
    np.testing.assert_allclose(submitted[found.known], truth[found.known], rtol=0, atol=1e-9)


def test_a_table_that_is_prepared_for_an_estimator_is_decoded_once(
    breaths: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = loading.load(config.load(Path("quickstart"), [f"data.source={breaths}"]).data).test
    plain = exact_rows.obtain(table)
    kept = exact_rows.path_of(table).read_bytes()
    shutil.rmtree(exact_rows.path_of(table).parent)
    open_rows.obtain(table)
    monkeypatch.setattr(file_decoding, "decode", lambda *_, **__: pytest.fail("decoded again"))
    np.testing.assert_array_equal(exact_rows.obtain(table).values, plain.values)
    exact_rows.path_of(table).unlink()  # an older version kept them apart
    open_rows.obtain(table)
    assert exact_rows.path_of(table).read_bytes() == kept
    np.testing.assert_array_equal(exact_rows.obtain(table).kinds, plain.kinds)


def test_rows_that_are_there_are_checked_and_read_without_compiled_code(breaths: Path) -> None:
    data = config.load(Path("quickstart"), [f"data.source={breaths}"]).data
    exact_rows.obtain(loading.load(data).test)
    code = """if True:
        import sys
        from pathlib import Path
        from foldline.data import exact_rows, loading
        from foldline.experiment import config
        table = loading.load(config.load(Path("quickstart"), [f"data.source={sys.argv[1]}"]).data).test
        exact_rows.check(table)
        assert exact_rows.obtain(table).known.any()
        assert "numba" not in sys.modules, "it takes a second to import"
    """
    subprocess.run([sys.executable, "-c", code, str(breaths)], check=True, cwd=files.home())


def test_the_same_breaths_under_other_ids_hold_the_same_rows(
    breaths: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.load(Path("quickstart"), [f"data.source={breaths}"]).data
    levels = {"R": (5, 20, 50), "C": (10, 20, 50)}
    first = exact_rows.obtain(loading.load_test(settings, levels)[0])
    assert first.known.any()
    (tmp_path / "other").mkdir()
    frame = pl.read_csv(breaths / "test.csv")
    frame.with_columns(id=frame["id"].reverse()).write_csv(tmp_path / "other" / "test.csv")
    monkeypatch.setattr(file_decoding, "decode", lambda *_, **__: pytest.fail("decoded again"))
    other = exact_rows.obtain(loading.load_test(replace(settings, source=str(tmp_path / "other")), levels)[0])
    np.testing.assert_array_equal(other.values, first.values)


def test_a_killed_call_is_gone_on_with(
    breaths: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = loading.load(config.load(Path("quickstart"), [f"data.source={breaths}"]).data).test
    decode, calls = file_decoding.decode, []

    def dies(rows: pl.DataFrame) -> pl.DataFrame:
        calls.append(rows["breath_id"].n_unique())
        if len(calls) == 3:
            raise KeyboardInterrupt
        return decode(rows)

    exact_rows.obtain(table)
    path = exact_rows.path_of(table)
    whole = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(file_decoding, "decode", dies)
    monkeypatch.setattr(exact_rows, "SERIES", 16)  # of 40
    with pytest.raises(KeyboardInterrupt):
        exact_rows.obtain(table)
    assert not path.exists()
    exact_rows.obtain(table)
    assert calls == [16, 16, 8, 8] and path.read_bytes() == whole
    assert sorted(each.name for each in path.parent.iterdir()) == sorted([path.name, path.with_suffix(".json").name])
    path.unlink()
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        exact_rows.obtain(table)
    monkeypatch.setattr(exact_rows, "SERIES", 20)  # a version that cuts otherwise takes no part of this one
    exact_rows.obtain(table)
    assert path.read_bytes() == whole and not list(path.parent.glob(".*"))


def test_a_few_breaths_are_decoded_at_once_to_the_same_rows(breaths: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.load(Path("quickstart"), [f"data.source={breaths}"])
    table = loading.load(settings.data).test
    kept = exact_rows.obtain(table)
    for chunk in (64, 8):  # by the thread that asks, by those of `decode`
        monkeypatch.setattr(sys.modules["ventilator.decoder.frame_decoding"], "CHUNK", chunk)
        found = exact_rows.at_once(table)
        assert np.array_equal(found.values, kept.values, equal_nan=True) and found.known.any()
        assert found.kinds.tolist() == kept.kinds.tolist()


def test_without_decoding_nothing_is_trained_again_and_another_file_is_submitted(
    breaths: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["quickstart", f"data.source={breaths}", *SMOKE]
    tiny.run("train", *arguments)
    assert "exact rows in place" in capsys.readouterr().out
    tiny.run("train", *arguments, "post.decode=false")
    out = capsys.readouterr().out
    assert "nothing to train" in out and "exact rows" not in out and "models alone" not in out
    assert len(list((home / "submissions").glob("quickstart-*.csv"))) == 2


def test_what_the_models_alone_reach_is_said_beside_the_decoders_score(
    breaths: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["quickstart", f"data.source={breaths}", *SMOKE]
    tiny.run("train", *arguments, "--json")
    found = json.loads(capsys.readouterr().out)
    alone = found["scores"]["models alone"][-1]
    assert (found["models_alone"], found["score"]) == (alone, found["scores"]["exact rows in place"][-1])
    assert found["score"] < alone
    tiny.run("train", *arguments)
    assert f"mae {found['score']:.4f} with exact rows in place; the models alone reach {alone:.4f}" in (
        capsys.readouterr().out
    )
    page = (home / "runs" / "quickstart" / "latest" / "report.html").read_text()
    assert f"the models alone reach mae {alone:.4f}" in page and "mae, models alone" in page
    tiny.run("board", "--json")
    (line,) = json.loads(capsys.readouterr().out)["groups"][0]["lines"]
    assert (line["score"], line["models_alone"]) == (found["score"], alone)
    tiny.run("train", *arguments, "post.decode=false", "--json")
    without = json.loads(capsys.readouterr().out)
    assert (without["score"], without["models_alone"]) == (alone, None)


def test_the_verb_writes_the_exact_rows(breaths: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("decode", str(breaths / "test.csv"), "exact.csv")
    rows = pl.read_csv("exact.csv")
    assert rows.columns == ["id", "pressure", "kind", "kp", "ki", "kt"]
    assert set(rows["kind"].unique()) <= {"chain", "row0", "bump", "gap"}
    truth = pl.read_csv(breaths / "truth.csv").join(rows, on="id")
    np.testing.assert_allclose(truth["pressure_right"], truth["pressure"], rtol=0, atol=1e-9)
    assert f"exact rows: {rows.height}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "wanted_by"),
    [("post.decode=true", "post.decode = true"), ("model.0.teacher.exact=true", "teacher.exact = true")],
)
def test_decoding_refuses_another_competition_before_it_trains(
    override: str, wanted_by: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.main(["train", "rides", override]) == 2
    assert f"{wanted_by} reads the ventilator's controller" in capsys.readouterr().err
    assert not (home / "runs" / "cells").exists()

"""Estimating a file: every row of inspiration in order, exact rows exact, faults refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldline.cli.main import main
from ventilator.decoder import decode
from ventilator.estimation import SessionLungs, embedded, file_estimation, frame_estimation
from ventilator.estimation.file_estimation import estimate_file
from ventilator.estimation.frame_estimation import COLUMNS, estimate
from ventilator.measure import Recorded
from ventilator.simulator import frame, simulate


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return frame(simulate(24, 5), np.arange(24)).sample(fraction=1.0, shuffle=True, seed=0)


@pytest.fixture(scope="module")
def rows(table: pl.DataFrame) -> pl.DataFrame:
    return estimate(table.drop("pressure"))


def test_every_row_of_inspiration_is_there_in_the_files_order(table: pl.DataFrame, rows: pl.DataFrame) -> None:
    assert rows.columns == COLUMNS
    assert rows["id"].to_list() == table.filter(pl.col("u_out") == 0)["id"].to_list()
    assert rows["pressure"].is_finite().all()


def test_exact_rows_are_the_decoders(table: pl.DataFrame, rows: pl.DataFrame) -> None:
    exact = rows.filter(~pl.col("kind").is_in(["estimated", "ranked"]))
    assert exact.select("id", "pressure", "kind").equals(decode(table).select("id", "pressure", "kind"))
    assert (exact["sd"] == 0.0).all()
    assert (rows.filter(pl.col("kind") == "estimated")["sd"] > 0.0).all()


def test_ranked_rows_are_marked_and_replace_the_estimate(
    table: pl.DataFrame, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = rows.filter(kind="estimated").row(0, named=True)

    def settle(gaps: object, mean: np.ndarray, sd: object) -> np.ndarray:
        in_order = table.sort("breath_id", "time_step")["id"].to_numpy().reshape(mean.shape)
        return np.where(in_order == one["id"], 12.25, np.nan)

    monkeypatch.setattr(frame_estimation, "ranked", settle)
    changed = estimate(table.drop("pressure"))
    row = changed.filter(id=one["id"]).row(0, named=True)
    assert (row["kind"], row["pressure"]) == ("ranked", 12.25)
    assert row["sd"] == pytest.approx(one["sd"] / 10)  # right in all but 1 case of 100
    others = ~pl.col("id").is_in([one["id"], *rows.filter(kind="ranked")["id"]])
    assert changed.filter(others).equals(rows.filter(others))


def test_pressures_in_the_file_do_not_matter(table: pl.DataFrame, rows: pl.DataFrame) -> None:
    assert estimate(table.with_columns(pressure=pl.lit(12.0))).equals(rows)


def test_lungs_are_fitted_to_labels_and_decoded_rows(table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}

    def fit(breaths: Recorded, pressure: np.ndarray, *, provenance: str) -> SessionLungs:
        given.update(u_out=breaths.u_out, pressure=pressure, provenance=provenance)
        return embedded()

    monkeypatch.setattr(file_estimation, "fit_lungs", fit)
    file_estimation.fit_to_labels(table, table.drop("pressure"))
    known = ~np.isnan(given["pressure"])
    np.testing.assert_array_equal(known[:24], given["u_out"][:24] == 0)
    decoded_rows = known[24:]
    np.testing.assert_allclose(given["pressure"][24:][decoded_rows], given["pressure"][:24][decoded_rows])
    assert decoded_rows.sum() == len(decode(table))
    assert given["provenance"] == "labels of 24 breaths, and decoded rows of 24 others"


@pytest.mark.slow
def test_lungs_fitted_to_labels_know_more() -> None:
    told = frame(simulate(150, 6), np.arange(150))
    errors = []
    for lungs in (file_estimation.fit_to_labels(told), embedded()):
        rows = estimate(told, lungs).join(told.select("id", truth="pressure"), on="id", maintain_order="left")
        errors.append((rows["pressure"] - rows["truth"]).abs().filter(rows["kind"] == "estimated").mean())
    assert errors[0] < errors[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"u_in": pl.lit(None)}, "u_in is none in the row of id"),
        ({"R": pl.lit(7)}, r"There are lungs for \(R, C\)"),
        ({"u_out": 1 - pl.col("u_out")}, "u_out is 0 first and then 1"),
        ({"time_step": pl.col("time_step") * 0.5}, "Rows of a breath are 0.03 to 0.2 s apart, but not in breath 0"),
    ],
)
def test_what_is_no_breath_is_refused(table: pl.DataFrame, change: dict[str, pl.Expr], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimate(table.with_columns(**change))


def test_a_breath_that_is_cut_short_is_refused(table: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="A breath has 80 rows"):
        estimate(table.head(-1))


def test_a_missing_column_is_named(table: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="lacks u_out"):
        estimate(table.drop("u_out"))


def test_no_breaths_give_no_rows(table: pl.DataFrame) -> None:
    assert estimate(table.clear()).columns == COLUMNS


def test_a_file_is_written_and_another_is_not_overwritten(
    table: pl.DataFrame, rows: pl.DataFrame, tmp_path: Path
) -> None:
    source, out = tmp_path / "test.csv", tmp_path / "out.parquet"
    table.write_csv(source)
    done: list[tuple[int, int]] = []
    estimate_file(source, out, progress=lambda d, n: done.append((d, n)))
    assert pl.read_parquet(out)["pressure"].to_list() == pytest.approx(rows["pressure"].to_list())
    assert done == [(24, 24)]
    with pytest.raises(ValueError, match="no file of estimates"):
        estimate_file(source, source)


@pytest.mark.parametrize(("suffix", "labelled", "calls"), [(".csv", False, 6), (".parquet", True, 10)])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, labelled: bool, calls: int
) -> None:
    """Killed at each step, one after the other: each chunk is decoded once more at most, and no lungs fitted twice."""
    source, whole, out = (tmp_path / name for name in ("in.csv", f"whole{suffix}", f"out{suffix}"))
    table.write_csv(source)
    labels, fits = source if labelled else None, list[int]()

    def fit(breaths: Recorded, pressure: np.ndarray, *, provenance: str) -> SessionLungs:
        fits.append(len(breaths))
        return replace(embedded(), provenance=provenance)

    def killed_at(step: str) -> None:
        work, seen = getattr(file_estimation, step), list[int]()

        def dies(*of: object) -> object:
            seen.append(1)
            if len(seen) == 2:
                raise KeyboardInterrupt
            return work(*of)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(file_estimation, step, dies)
            estimate_file(source, out, labels=labels, chunk_breaths=5)

    monkeypatch.setattr(file_estimation, "fit_lungs", fit)
    estimate_file(source, whole, labels=labels, chunk_breaths=5)
    decodings = counted(monkeypatch)
    killed_at("decoded_chunk")
    killed_at("estimated")
    assert not out.exists() and len(list(tmp_path.glob(".*.parts"))) == 1
    estimate_file(source, out, labels=labels, chunk_breaths=5)
    assert out.read_bytes() == whole.read_bytes() and list(tmp_path.glob(".*")) == []
    assert len(decodings) == calls and len(fits) == (2 if labelled else 0)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the chunks that are decoded from now on."""
    work, seen = file_estimation.decoded_chunk, list[int]()

    def decode_one(chunk: pl.DataFrame) -> object:
        seen.append(len(chunk))
        return work(chunk)

    monkeypatch.setattr(file_estimation, "decoded_chunk", decode_one)
    return seen


def test_other_labels_start_anew_and_a_refused_file_leaves_nothing(
    table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_csv(source)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(file_estimation, "fit_lungs", dies)
        estimate_file(source, out, labels=source)
    (first,) = tmp_path.glob(".*.parts")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(file_estimation, "estimated", dies)
        estimate_file(source, out)
    (second,) = tmp_path.glob(".*.parts")
    assert first.name != second.name
    shutil.rmtree(second)
    table.drop("pressure").write_csv(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="has no column pressure"):
        estimate_file(source, out, labels=tmp_path / "none.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "none.csv"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"pressure": pl.lit("n/a")}, "pressure is 'n/a' in the file"), ({"R": pl.lit(7)}, "There are lungs for")],
)
def test_labels_that_are_refused_leave_nothing(
    table: pl.DataFrame, tmp_path: Path, change: dict[str, pl.Expr], said: str
) -> None:
    source, labels = tmp_path / "in.csv", tmp_path / "labels.csv"
    few = table.filter(pl.col("breath_id") < 4)
    few.write_csv(source)
    few.with_columns(**change).write_csv(labels)
    with pytest.raises(ValueError, match=said):
        estimate_file(source, tmp_path / "out.csv", labels=labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "labels.csv"]


def test_the_verb_writes_the_file(table: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "test.csv", tmp_path / "out.csv"
    table.drop("pressure").write_csv(source)
    assert main(["estimate", str(source), str(out)]) == 0
    assert pl.read_csv(out).columns == COLUMNS
    assert main(["estimate", str(source), str(out), "breaths=3"]) == 2
    assert "takes labels=FILE and no other key" in capsys.readouterr().err
    assert main(["estimate", str(source), str(out), f"labels={source}"]) == 2
    assert "has no column pressure" in capsys.readouterr().err
    assert main(["estimate", str(source)]) == 2

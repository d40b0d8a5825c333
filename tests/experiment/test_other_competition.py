"""Another competition is a config: other names, text as keys and ids, series of any length, two targets, no sample."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny

WARDS = """
extends = "hospital.toml"

[folds]
kind = "group"
k = 3
seed = 4

[train]
epochs = 3
batch = 4
device = "cpu"
margin = 1

[[model]]
name = "hybrid"
width = 4
embed = 2
dropout = 0.1
blocks = [{kind = "bilstm"}, {kind = "transformer", heads = 2}]

[[model]]
name = "lightgbm"
rounds = 10
min_data_in_leaf = 2

[blend]
method = "mean"
"""
WARDS += tiny.SERIAL

HOSPITAL = """
[data]
id = "Reading"
key = "Patient"
order = "Minute"
inputs = ["Drip", "Awake"]
static = ["Ward", "Bed size"]
target = ["Pulse", "Lactate"]
scored = "Awake = 1 AND Minute > 0"
metric = "rmse"

[features]
families = ["raw", "time", "integral", "lags", "differences", "stats", "static"]
scaler = "standard"
lags = {lags = [1, 2], leads = [1]}
"""


def patients(prefix: str, wards: list[str], count: int, seed: int) -> pl.DataFrame:
    """`count` patients of 3 to 12 readings, rows of different patients mixed; Lactate lies on a grid of 0.25."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(count):
        steps = int(rng.integers(3, 13))
        drip = rng.uniform(size=steps)
        part = pl.DataFrame(
            {
                "Reading": [f"{prefix}{number}/{step}" for step in range(steps)],
                "Patient": f"{prefix}-{number:02d}",
                "Minute": np.cumsum(rng.uniform(0.5, 2.0, size=steps)) - 0.5,
                "Drip": drip,
                "Awake": rng.integers(0, 2, size=steps) | (np.arange(steps) == 1),
                "Ward": wards[number % len(wards)],
                "Bed size": int(number % 2) + 1,
                "Pulse": 60 + 20 * drip + rng.normal(size=steps),
                "Lactate": np.round(4 * np.cumsum(drip)) / 4,
            }
        )
        parts.append(part)
    return pl.concat(parts).sort("Minute", maintain_order=True)  # every patient's rows stay in order, but apart


def tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Train, and test without targets but with a ward that training does not have."""
    targets = ["Pulse", "Lactate"]
    return patients("a", ["north", "south", "7"], 18, 0), patients("b", ["south", "cellar"], 6, 1).drop(targets)


@pytest.fixture(params=["parquet", "csv.gz"])
def hospital(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Path:
    """The competition's folder: Parquet without a sample, or csv.gz with one of other order in rows and columns."""
    source = tmp_path / "wards"
    source.mkdir()
    train, test = tables()
    sample = test.select(Lactate=pl.lit(0.0), Reading="Reading", Pulse=pl.lit(0.0)).reverse()
    written = {"train": train, "test": test} | ({"sample_submission": sample} if request.param == "csv.gz" else {})
    for stem, table in written.items():
        if request.param == "parquet":
            table.write_parquet(source / f"{stem}.parquet")
        else:
            (source / f"{stem}.csv.gz").write_bytes(gzip.compress(table.write_csv().encode()))
    (home / "configs" / "hospital.toml").write_text(HOSPITAL)
    (home / "configs" / "wards.toml").write_text(WARDS)
    return source


@pytest.mark.learned
def test_it_trains_end_to_end_and_infers_on_new_patients(
    hospital: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "wards", f"data.source={hospital}")
    written = Path(capsys.readouterr().out.splitlines()[-1].removeprefix("submission: "))
    assert written.resolve().parent == home / "submissions"
    submitted, (train, test) = pl.read_csv(written), tables()
    check(submitted, test, has_sample=(hospital / "sample_submission.csv.gz").exists())
    grid = np.unique(train["Lactate"].to_numpy())
    lactate = submitted["Lactate"].to_numpy()
    record = json.loads((home / "runs" / "wards" / "latest" / "experiment.json").read_text())
    # test predictions are rounded where all out-of-fold rows gain by it (a fold's rows: where the other folds' gain)
    rounded = record["grids"][1] is not None
    assert np.allclose(lactate, np.round(4 * lactate) / 4, atol=1e-9) == rounded
    slack = 0.0 if rounded else 0.5 * (grid[-1] - grid[0])  # of predictions that no grid keeps inside
    assert lactate.min() >= grid[0] - slack - 1e-9 and lactate.max() <= grid[-1] + slack + 1e-9
    assert submitted["Pulse"].is_between(40, 110).all() and submitted["Pulse"].n_unique() > 10

    tiny.run("infer", "wards")
    again = Path(capsys.readouterr().out.splitlines()[-1].removeprefix("submission: "))
    assert again.read_bytes() == written.read_bytes()

    newcomers = tmp_path / "newcomers"
    newcomers.mkdir()
    new = patients("c", ["1", "2"], 4, 5).drop("Pulse", "Lactate")  # wards that look like numbers, and are all unknown
    new.write_csv(newcomers / "test.csv")
    tiny.run("infer", "wards", f"data.source={newcomers}")
    last = Path(capsys.readouterr().out.splitlines()[-1].removeprefix("submission: "))
    check(pl.read_csv(last), new, has_sample=False)


def check(submitted: pl.DataFrame, test: pl.DataFrame, has_sample: bool) -> None:
    """Columns and rows are the sample's, in its order; without one the test file's rows and [data]'s columns."""
    assert submitted.columns == (["Lactate", "Reading", "Pulse"] if has_sample else ["Reading", "Pulse", "Lactate"])
    assert sorted(submitted["Reading"].to_list()) == sorted(test["Reading"].to_list())
    if has_sample:
        assert submitted["Reading"].to_list() == test["Reading"].to_list()[::-1]
    assert submitted.drop("Reading").select(pl.all().is_finite().all()).row(0) == (True, True)


def test_order_of_rows_in_the_file_changes_no_prediction(hospital: Path, home: Path) -> None:
    tiny.run("train", "wards", f"data.source={hospital}", "train.epochs=1")
    before = pl.read_csv(home / "runs" / "wards" / "latest" / "submission.csv").sort("Reading")
    _, test = tables()
    test.sort("Patient", "Minute").write_parquet(hospital / "test.parquet")
    for name in ("test.csv.gz", "sample_submission.csv.gz"):
        (hospital / name).unlink(missing_ok=True)
    tiny.run("infer", "wards", f"data.source={hospital}")
    infers = list((home / "runs" / "wards" / "latest").glob("infer-*.csv"))
    after = pl.read_csv(infers[0]).sort("Reading").select(before.columns)
    assert len(infers) == 1 and after["Reading"].equals(before["Reading"])
    for name in ("Pulse", "Lactate"):  # batches are of other series: the last bits may differ, the grid's values not
        np.testing.assert_allclose(after[name], before[name], rtol=1e-6)

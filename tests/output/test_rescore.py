"""`score`: hand-counted scores of a few rows, by part, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.data import metrics
from foldline.data.metrics import metric
from foldline.data.roles import DataConfig
from foldline.output import rescore

TRUTH = pl.DataFrame(
    {
        "row": [1, 2, 3, 4, 5],
        "ride": ["a", "a", "b", "b", "b"],
        "coasting": [0, 0, 0, 1, 0],
        "speed": [1.0, 2.0, 3.0, 9.0, 5.0],
        "Usage": ["Public", "Private", "Public", "Public", "Ignored"],
    }
)
PREDICTED = pl.DataFrame(
    {"row": [5, 4, 3, 2, 1], "speed": [5.5, 0.0, 4.0, 4.0, 1.5]}
)  # errors of rows 1, 2, 3: .5 2 1; row 4 is not scored, row 5 ignored


@pytest.fixture
def folder(rides: Path, tmp_path: Path) -> Path:
    """Where truth.csv and predicted.csv lie, which is the current folder; the config is `rides`."""
    TRUTH.write_csv(tmp_path / "truth.csv")
    PREDICTED.write_csv(tmp_path / "predicted.csv")
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, float]:
    tiny.run("score", "predicted.csv", "truth.csv", "rides", "--json", *words)
    return {each["part"]: each["score"] for each in json.loads(capsys.readouterr().out)["scores"]}


def test_scored_rows_count_and_each_part_has_a_score(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys) == {"all": pytest.approx(3.5 / 3), "Private": 2.0, "Public": 0.75}
    assert answer(capsys, "data.metric=mse") == {"all": pytest.approx(5.25 / 3), "Private": 4.0, "Public": 0.625}


def test_each_of_several_targets_has_its_own_score(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, frame in (("truth.csv", TRUTH), ("predicted.csv", PREDICTED)):
        frame.with_columns(height=pl.lit(7.0 if name == "predicted.csv" else 5.0)).write_csv(folder / name)
    words = ["score", "predicted.csv", "truth.csv", "rides", 'data.target=["speed", "height"]']
    tiny.run(*words, "--json")
    whole = json.loads(capsys.readouterr().out)["scores"][0]
    assert whole["by_target"] == [pytest.approx(3.5 / 3), 2.0]  # height errs by 2 everywhere
    assert whole["score"] == pytest.approx((3.5 / 3 + 2) / 2)  # the plain mean
    tiny.run(*words)
    assert "│   speed │  height │ count │" in capsys.readouterr().out.replace("┃", "│")


def test_a_known_start_is_not_scored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = TRUTH.with_columns(second=pl.Series([1.0, 0.0, 0.0, 2.0, 1.0]))  # row 2 comes before row 1
    steps.write_csv(folder / "truth.csv")
    assert answer(capsys, "data.observed=1", "data.scored=") == {"all": 4.75, "Public": 4.75}  # rows 1 and 4
    TRUTH.write_csv(folder / "truth.csv")
    assert main(["score", "predicted.csv", "truth.csv", "rides", "data.observed=1"]) == 2
    assert "lacks second, which data.observed = 1 needs" in capsys.readouterr().err


def test_rows_of_the_truth_need_no_group(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TRUTH.with_columns(team=pl.Series(["x", None, "y", "y", None])).write_csv(folder / "truth.csv")
    assert answer(capsys, "data.group=team") == {"all": pytest.approx(3.5 / 3), "Private": 2.0, "Public": 0.75}


def test_names_that_are_numbers_and_conditions_on_names_will_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    TRUTH.with_columns(Usage=pl.Series([1, 1, 2, 2, 2])).write_csv(folder / "truth.csv")
    assert answer(capsys, "data.scored=ride == 'a'") == {"all": 1.25, "1": 1.25}


@pytest.mark.parametrize(
    ("truth", "option", "words"),
    [
        (pl.concat([TRUTH, TRUTH[:1]]), [], "truth.csv: row must be unique"),
        (
            TRUTH.with_columns(speed=pl.lit(None)),
            [],
            "must be a finite number in every row that counts, but is not in 3",
        ),
        (TRUTH, ["data.scored=coasting === 0"], "data.scored must be a SQL condition"),
        (TRUTH, ["data.scored=coasting == 'no'"], "does not fit the columns of truth.csv"),
        (TRUTH, ["data.scored=coasting == 2"], "no row counts by data.scored = 'coasting == 2'"),
    ],
)
def test_a_truth_that_is_none_is_refused(
    folder: Path, truth: pl.DataFrame, option: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    truth.write_csv(folder / "truth.csv")
    assert main(["score", "predicted.csv", "truth.csv", "rides", *option]) == 2
    assert words in capsys.readouterr().err


def test_a_truth_of_ids_and_targets_is_enough(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TRUTH.filter(pl.col("coasting") == 0).select("row", "speed").write_parquet(folder / "bare.parquet")
    tiny.run("score", "predicted.csv", "bare.parquet", "rides", "data.scored=")
    assert capsys.readouterr().out.splitlines()[-1] == "mae: 1.000000"
    assert main(["score", "predicted.csv", "bare.parquet", "rides"]) == 2
    assert "lacks coasting, which data.scored = 'coasting == 0' needs" in capsys.readouterr().err


def test_the_interval_is_that_of_many_resamples() -> None:
    rng = np.random.default_rng(0)
    series = np.repeat(np.arange(200), rng.integers(5, 15, 200))
    loss = (rng.exponential(1.0, 200)[series] + rng.exponential(0.2, len(series)))[:, None]
    sums, counts = np.bincount(series, weights=loss[:, 0]), np.bincount(series)
    drawn = rng.integers(200, size=(5000, 200))
    scores = np.sqrt(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    np.testing.assert_allclose(
        metrics.interval(metric("rmse"), loss, series), np.percentile(scores, [2.5, 97.5]), rtol=0.02
    )


@pytest.mark.parametrize(
    ("predicted", "words"),
    [
        (PREDICTED[:3], "must predict every row of truth.csv, but 2 are missing or empty (first row: 1)"),
        (pl.concat([PREDICTED, PREDICTED[:1]]), "row must be unique"),
        (PREDICTED.with_columns(speed=pl.lit(None)), "4 are missing or empty"),
        (PREDICTED.rename({"speed": "velocity"}), "lacks a column"),
    ],
)
def test_what_does_not_fit_is_refused(
    folder: Path, predicted: pl.DataFrame, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    predicted.write_csv(folder / "predicted.csv")
    assert main(["score", "predicted.csv", "truth.csv", "rides", "data.scored="]) == 2
    assert words in capsys.readouterr().err
    assert main(["score", "predicted.csv"]) == 2


@pytest.mark.parametrize("kind", [pl.Int32, pl.UInt32, pl.Float64, pl.Float32])
def test_ids_are_those_of_the_truth_whatever_their_type(
    kind: type[pl.DataType], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PREDICTED.with_columns(pl.col("row").cast(kind)).write_parquet(folder / "predicted.parquet")
    tiny.run("score", "predicted.parquet", "truth.csv", "rides", "data.scored=ride <> 'b'")
    assert capsys.readouterr().out.splitlines()[-1] == "mae: 1.250000"


def test_a_condition_on_other_rows_or_on_ids_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for condition, words in (("max(coasting) = 1", "looks at other rows too"), ("row > 2", "names the row id 'row'")):
        assert main(["score", "predicted.csv", "truth.csv", "rides", f"data.scored={condition}"]) == 2
        assert words in capsys.readouterr().err


def test_a_static_of_the_truth_is_compared_as_a_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TRUTH.with_columns(bike=pl.Series([20, 20, 28, 28, 28])).write_csv(folder / "truth.csv")
    assert answer(capsys, "data.scored=bike < 25")["all"] == 1.25


def test_what_stands_for_a_missing_input_does_so_in_the_truth(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TRUTH.with_columns(coasting=pl.Series(["0", "-", "0", "1", "0"])).write_csv(folder / "truth.csv")
    words = ["data.missing_values={coasting = ['-']}", "data.scored=coalesce(coasting, 1) == 0"]
    assert answer(capsys, *words) == {"all": 0.75, "Public": 0.75}  # rows 1 and 3


@pytest.mark.parametrize(
    ("template", "submission"),
    [
        ("is_{target}", {"ride": ["b", "a"], "is_tit": [0.25, 0.5], "is_wren": [0.75, 0.5]}),
        ("p", {"id": ["a:wren", "b:wren", "a:tit", "b:tit"], "p": [0.5, 0.75, 0.5, 0.25]}),
    ],
)
def test_probabilities_of_any_layout_are_scored(
    template: str, submission: dict[str, list[object]], tmp_path: Path
) -> None:
    data = DataConfig(
        level="series",
        id="id" if template == "p" else "ride",
        key="ride",
        order="t",
        inputs=("x",),
        target=("bird",),
        kind="multiclass",
        classes=("tit", "wren"),
        metric="log_loss",
        id_template="{ride}:{target}" if template == "p" else "",
        column_template=template,
    )
    pl.DataFrame({"ride": ["a", "b"], "bird": ["tit", "wren"]}).write_csv(tmp_path / "truth.csv")
    pl.DataFrame(submission).write_csv(tmp_path / "s.csv")
    found = rescore.score(data, tmp_path / "s.csv", tmp_path / "truth.csv")
    assert found.parts[0].score == pytest.approx(-np.log([0.5, 0.75]).mean())


def test_weights_count_and_a_truth_without_them_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "predicted.csv", "truth.csv", "rides", "data.weight=w"]) == 2
    assert "lacks w, which data.weight = 'w' needs" in capsys.readouterr().err
    TRUTH.with_columns(w=pl.Series([4.0, 1.0, 0.0, 9.0, 9.0])).write_csv(folder / "truth.csv")
    assert answer(capsys, "data.weight=w") == {"all": pytest.approx(4 / 5), "Private": 2.0, "Public": 0.5}


def test_labels_and_probabilities_of_classes(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without data.classes the labels are those of the training table; a part of one class has no AUC."""
    Songs("multiclass", metric="accuracy").install(home, tmp_path / "songs")
    truth = pl.DataFrame({"song": ["a", "b", "c"], "answer": ["tit", "wren", "wren"], "Usage": ["x", "y", "y"]})
    truth.write_csv("truth.csv")
    truth.with_columns(answer=pl.Series(["tit", "wren", "robin & co"])).write_csv("labels.csv")
    shares = {"tit": [0.5, 0.2, 0.1], "wren": [0.3, 0.7, 0.2], "robin & co": [0.2, 0.1, 0.7]}
    pl.DataFrame({"song": ["a", "b", "c"], **shares}).write_csv("shares.csv")
    for name in ("labels.csv", "shares.csv"):
        for word in ("data.classes=['wren', 'robin & co', 'tit']", "data.classes=[]"):
            tiny.run("score", name, "truth.csv", "songs", word, "--json")
            found = {each["part"]: each["score"] for each in json.loads(capsys.readouterr().out)["scores"]}
            assert found == {"all": pytest.approx(2 / 3), "x": 1.0, "y": 0.5}
    skip = "data.metric_options={undefined = 'skip'}"
    tiny.run("score", "shares.csv", "truth.csv", "songs", "data.metric=auc", skip, "--json")
    found = {each["part"]: each["score"] for each in json.loads(capsys.readouterr().out)["scores"]}
    assert found["all"] == 0.75 and found["x"] is None  # tit 1, wren 1/2


def test_a_metric_file_of_all_targets_sees_the_rows_that_count(folder: Path) -> None:
    """Ids may be printed in another way, and numbers have a fraction after hundreds of whole ones."""
    pytest.importorskip("pandas")
    (folder / "metric.py").write_text(
        "def score(solution, submission, row_id_column_name):\n"
        "    return float((solution['speed'] - submission['speed']).abs().sum() + 100 * len(solution))\n"
    )
    data = DataConfig(
        id="row", key="ride", order="second", inputs=("power",), target=("speed",), scored="coasting == 0"
    )
    more = pl.DataFrame({"row": range(6, 306), "ride": "c", "coasting": 1, "speed": 1.0, "Usage": "Public"})
    truth = pl.concat([more, TRUTH], how="vertical_relaxed")
    truth.with_columns(pl.col("speed").cast(pl.String).str.strip_suffix(".0")).write_csv(folder / "truth.csv")
    PREDICTED.write_csv(folder / "predicted.csv")  # has none of the rows that are not scored
    file = metrics.from_file(folder / "metric.py", higher_is_better=False)
    assert rescore.of_file(file, data, folder / "predicted.csv", folder / "truth.csv") == 303.5  # rows 1, 2 and 3


def test_known_values_are_not_scored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ['data.known=["read"]', f"data.source={folder}", "data.scored="]
    TRUTH.with_columns(read=pl.Series([None, 2.0, None, None, 5.0])).write_csv(folder / "truth.csv")
    assert answer(capsys, *words) == {"all": pytest.approx(10.5 / 3), "Public": pytest.approx(10.5 / 3)}
    TRUTH.write_csv(folder / "truth.csv")
    assert main(["score", "predicted.csv", "truth.csv", "rides", *words]) == 2
    assert "lacks read, which data.known = ['read'] needs" in capsys.readouterr().err

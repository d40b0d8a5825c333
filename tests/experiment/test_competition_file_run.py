"""competition.py through whole runs: what it feeds is in the keys, the record keeps a copy, infer and bundle use it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import tiny
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core import files
from foldline.output.kaggle import kernel

CODE = """
import polars as pl
from foldline.data.reshape import scan, to_long
from foldline.features.family import SERIES


def tables(folder):
    lists = ["second", "pitch", "volume"]
    return {part: to_long(scan(folder / f"{part}.json"), order="step", arrays=lists) for part in ("train", "test")}


def features(columns):
    return [pl.col("pitch").max().over(SERIES).alias("highest")]


def submission(predictions, folder):
    wide = predictions.rename({"song": "name"})
    sample = pl.read_csv(folder / "sample_submission.csv", glob=False)
    return sample.select("name").join(wide, on="name", maintain_order="left").select("name", "answer")
"""
pytestmark = pytest.mark.usefixtures("few_resamples")
SAMPLE = "sample_submission.csv"


NETWORK = """[[model]]
name = "hybrid"
width = 4
blocks = [{kind = "conv", kernel = 3}]

"""


@pytest.fixture
def songs(home: Path, tmp_path: Path) -> Path:
    """A config whose tables are JSON lines that only its competition.py reads; the folder of its files."""
    plain, source = Songs("binary", metric="auc", statics=False, more='code = "competition.py"'), tmp_path / "s[1]"
    config = plain.install(home, source)
    assert NETWORK in config.read_text()
    text = config.read_text().replace(NETWORK, "").replace('families = ["raw"', 'families = ["competition", "raw"')
    config.write_text(text)
    (config.parent / "competition.py").write_text(CODE)
    for part, table in plain.frames().items():
        (source / f"{part}.csv").unlink()
        if part == "sample_submission":
            table.reverse().rename({"song": "name"}).write_csv(source / SAMPLE)
        else:
            constant = [name for name in ("song", "answer") if name in table.columns]
            lists = table.group_by(constant, maintain_order=True).agg("second", "pitch", "volume")
            lists.write_ndjson(source / f"{part}.json")
    return source


FEATURES = """
import polars as pl
from foldline.features.family import SERIES


def features(columns):
    return [pl.col("pitch").max().over(SERIES).alias("highest")]
"""


@pytest.mark.usefixtures("few_resamples")
def test_a_blend_keeps_the_file_that_only_its_second_config_names(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Songs("binary", metric="log_loss", statics=False).install(home, tmp_path / "songs")
    config.write_text(plain := config.read_text().replace(NETWORK, ""))
    text = plain.replace("[data]", '[data]\ncode = "competition.py"', 1)
    text = text.replace('families = ["raw"', 'families = ["competition", "raw"')
    for folder, code in ((home / "configs", FEATURES), (tmp_path / "other", FEATURES.replace("max", "min"))):
        folder.mkdir(exist_ok=True)
        (folder / "more.toml").write_text(text)
        (folder / "competition.py").write_text(code)
    tiny.run("blend", "songs", "more", "blend.method=mean", "blend.trials=5", "blend.rounds=3", "blend.evaluations=20")
    assert main(["blend", "more", str(tmp_path / "other" / "more.toml")]) == 2
    assert "share their data.code" in capsys.readouterr().err
    (home / "configs" / "competition.py").unlink()
    tiny.run("infer", "songs+more")


def record(home: Path) -> Path:
    return (home / "runs" / "songs" / "latest").resolve()


def to_train(capsys: pytest.CaptureFixture[str]) -> int:
    """How many cells a run would train."""
    capsys.readouterr()
    tiny.run("train", "songs", "--dry-run", "--json")
    return int(json.loads(capsys.readouterr().out)["to_train"])


def test_a_run_its_keys_and_its_copies(
    home: Path, songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = home / "configs" / "competition.py"
    tiny.run("train", "songs")
    submitted = tiny.submission(home, "songs")
    written = pl.read_csv(record(home) / "submission.csv")
    assert written["name"].to_list() == pl.read_csv(songs / SAMPLE, glob=False)["name"].to_list()
    assert "highest" in files.read_json(next((home / "runs" / "store").glob("*/meta.json")))["names"]

    code.write_text(CODE.replace('"answer")', '"answer")  # changed'))
    assert to_train(capsys) == 0  # no weights depend on submission()
    code.write_text(CODE.replace("max()", "min()"))
    assert to_train(capsys) == 2  # all depend on features(); one cell a fold
    first = record(home)

    code.unlink()  # what follows reads the record's copy
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("test.json", SAMPLE):  # train.json is not opened
        (elsewhere / name).write_bytes((songs / name).read_bytes())
    tiny.run("infer", "songs", f"data.source={elsewhere}")
    assert next(record(home).glob("infer-*.csv")).read_bytes() == submitted
    tiny.run("bundle", "songs", f"out={tmp_path / 'bundle'}")
    packed, copy = tmp_path / "bundle" / "dataset", first / "competition.py"
    assert (packed / "runs" / "songs" / first.name / copy.name).read_text() == copy.read_text()
    assert SAMPLE in files.read_json(packed / kernel.MANIFEST)["marks"]

    copy.write_text(CODE + "# changed")
    assert main(["infer", "songs"]) == 2


LAST, SELECTED = '.select("name", "answer")', 'sample.select("name")'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (LAST, '.select("answer", "name")', "its columns must be name, answer, but are answer, name"),
        (SELECTED, f"{SELECTED}.head(3)", "its name must be those of the sample submission, but"),
        (SELECTED, f"{SELECTED}.reverse()", "must stand in the sample's order"),
        (LAST, '.select("name", answer=pl.lit("x"))', "answer must be a finite number, but is 'x'"),
        (LAST, '.select("name", answer=pl.lit(None))', "every cell must have a value, but answer"),
        ('.rename({"song"', '.rename({"sung"', "submission() raised ColumnNotFoundError"),
        ("features(columns)", "unused(columns)", "has no function features(columns)"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_trained(
    home: Path, songs: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    assert old in CODE
    (home / "configs" / "competition.py").write_text(CODE.replace(old, new))
    before = tiny.tree(home)
    assert main(["train", "songs"]) == 2
    assert tiny.tree(home) == before
    said = capsys.readouterr().err
    assert message in said and "competition.py" in said and said.count("\n") == 1


def test_a_file_or_a_family_that_is_not_there_is_refused(
    home: Path, songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "configs" / "competition.py").unlink()
    assert main(["train", "songs"]) == 2
    assert "data.code = 'competition.py' is not there; looked for in" in capsys.readouterr().err
    assert main(["train", "songs", "data.code="]) == 2
    assert (
        "names 'competition', which is features() of competition.py, but data.code names no" in capsys.readouterr().err
    )

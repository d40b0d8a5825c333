"""Each competition of configs/gallery/ from its own files to a checked submission, ahead of every trivial baseline."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from benchmarks import gallery
from foldline.experiment import config as configs

pytestmark = pytest.mark.gallery
NAMES = gallery.names()
MOST_LINES = 30  # of competition.py that say something


@pytest.mark.parametrize("name", NAMES)
def test_it_beats_every_trivial_baseline(name: str, home: Path, generated: Callable[..., Path]) -> None:
    source = generated(name)
    found = gallery.train(name, source)
    assert found.margins and found.beats_all, found
    submitted = pl.read_csv(home / "runs" / name / "latest" / "submission.csv")
    sample = asked_of(name, source)
    assert submitted.columns == sample.columns
    assert submitted.to_series(0).to_list() == sample.to_series(0).to_list()


def asked_of(name: str, source: Path) -> pl.DataFrame:
    """Return the sample submission; where an API asks for the answers, and there is none, the series of test."""
    data = configs.load(gallery.config_of(name)).data
    if (path := source / f"{data.sample}.csv").exists():
        return pl.read_csv(path)
    series = pl.read_csv(source / "test.csv").select(pl.col(data.key).unique(maintain_order=True))
    return series.with_columns(pl.lit(None).alias(target) for target in data.target)


@pytest.mark.parametrize("name", NAMES)
def test_with_labels_shuffled_it_does_not(name: str, home: Path, generated: Callable[..., Path]) -> None:
    found = gallery.train(name, generated(name, shuffled=True))
    assert found.margins and not found.beats_all, found


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_writes_the_same_files(name: str, tmp_path: Path, generated: Callable[..., Path]) -> None:
    one, other = generated(name), gallery.generate(name, tmp_path)
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in files)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_with_files_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("the competition's own", encoding="utf-8")
    command = [sys.executable, str(gallery.GALLERY / name / "generate.py"), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 1 and found.stderr.startswith(f"{tmp_path} is not empty"), found
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["the competition's own"]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_names_it_and_its_code_is_short(name: str) -> None:
    folder = gallery.GALLERY / name
    assert f"| {name} |" in gallery.PAGE.read_text(encoding="utf-8")
    page = gallery.layout_of(name).read_text(encoding="utf-8")
    assert "**Metric**" in page and "**Folds that the winners used**" in page and gallery.MARK in page
    assert f"\n.venv/bin/python configs/gallery/{name}/generate.py data/{name} " in page
    assert f"\n./run.sh train configs/gallery/{name}/{name}.toml\n" in page
    assert not (code := folder / "competition.py").exists() or gallery.lines_of(code) <= MOST_LINES


@pytest.mark.parametrize("name", NAMES)
def test_the_config_says_its_commands(name: str) -> None:
    path = gallery.config_of(name)
    said = re.findall(
        r"^# (?:\.venv/bin/python|\./run\.sh train) (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert said == [f"configs/gallery/{name}/generate.py", f"configs/gallery/{name}/{name}.toml"]
    assert configs.load(path).data.source == f"data/{name}"

"""OpenVaccine's files against the published rules: what the host's data page says of columns, lengths and answers."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytestmark = pytest.mark.gallery

ABOUT = ["index", "id", "sequence", "structure", "predicted_loop_type", "seq_length", "seq_scored"]
ANSWERS = ["reactivity", "deg_Mg_pH10", "deg_pH10", "deg_Mg_50C", "deg_50C"]  # in the sample's order
ERRORS = ["reactivity_error", "deg_error_Mg_pH10", "deg_error_pH10", "deg_error_Mg_50C", "deg_error_50C"]
SCORED_OF_LENGTH = {107: 68, 130: 91}


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    train, test = (lines(folder / f"{part}.json") for part in ("train", "test"))
    for row in train:
        assert set(row) == {*ABOUT, "signal_to_noise", "SN_filter", *ERRORS, *ANSWERS}
        assert (row["seq_length"], row["seq_scored"]) == (107, 68)
        assert row["SN_filter"] in (0, 1) and isinstance(row["signal_to_noise"], float)
        for name in (*ERRORS, *ANSWERS):
            assert len(row[name]) == 68 and all(isinstance(value, float) and isfinite(value) for value in row[name])
        assert min(min(row[name]) for name in ERRORS) > 0
    for row in test:
        assert set(row) == set(ABOUT), "test has no answers, no errors and no signal-to-noise"
        assert SCORED_OF_LENGTH[row["seq_length"]] == row["seq_scored"]
    assert {row["seq_length"] for row in test} == {107, 130}, "most of test is longer than train"
    for row in (*train, *test):
        molecule(row, folder / "bpps" / f"{row['id']}.npy")
    assert len({row["id"] for row in (*train, *test)}) == len(train) + len(test)
    sample(pl.read_csv(folder / "sample_submission.csv"), test)


def lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def molecule(row: dict[str, Any], pairing: Path) -> None:
    """Check the three aligned texts, and the matrix of pairing probabilities."""
    length, structure = row["seq_length"], row["structure"]
    assert row["id"].startswith("id_") and len(row["id"]) == 12
    for name, letters in (("sequence", "ACGU"), ("structure", "(.)"), ("predicted_loop_type", "SMIBHEX")):
        assert len(row[name]) == length and set(row[name]) <= set(letters)
    depth = np.cumsum([{"(": 1, ".": 0, ")": -1}[mark] for mark in structure])
    assert depth.min() >= 0 and depth[-1] == 0, "each bracket has a partner"
    assert all((mark == ".") == (kind != "S") for mark, kind in zip(structure, row["predicted_loop_type"], strict=True))
    matrix = np.load(pairing)
    assert matrix.shape == (length, length) and (matrix == matrix.T).all()
    assert matrix.min() >= 0 and matrix.sum(axis=1).max() <= 1 + 1e-9


def sample(asked: pl.DataFrame, test: list[dict[str, Any]]) -> None:
    """Check that every position is asked for, scored or not, in test's order."""
    assert asked.columns == ["id_seqpos", *ANSWERS]
    ids = [f"{row['id']}_{place}" for row in test for place in range(row["seq_length"])]
    assert asked["id_seqpos"].to_list() == ids
    assert (asked.select(ANSWERS).to_numpy() == 0).all()


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train = lines(folder / "train.json")
    assert {row["SN_filter"] for row in train} == {0, 1}
    assert min(min(row["reactivity"]) for row in train) < 0, "noise brings answers below 0"
    first, second = (np.array(list(row["sequence"])) for row in train[:2])
    assert 0 < (first != second).mean() < 0.1, "near-duplicates"


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    path = folder / "train.json"
    text = path.read_text()
    first = text.split('"reactivity":[')[1].split(",")[0]
    wrong = (
        ('"seq_scored":68', '"seq_scored":107'),
        ('"deg_50C"', '"deg_50c"'),
        ('"GGAAA', '"GGTAA'),
        (f'"reactivity":[{first},', '"reactivity":[NaN,'),
    )
    for old, new in wrong:
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises((AssertionError, KeyError)):
            check(folder)
    path.write_text(text)

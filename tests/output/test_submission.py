"""The gate: each rule breaks alone. The ledger: one line a submission's hash."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldline.core.errors import Finding
from foldline.data import on_disk, submission_layout
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.data.target_range import TargetRange
from foldline.data.task import Task
from foldline.output import own_layout, submission, submission_checks
from foldline.run.ledger import Origin

DATA = DataConfig(id="id", key="k", order="t", target=("y", "z"), inputs=("x",), source="a-folder")
SAMPLE = pl.DataFrame({"id": [3, 1, 2], "y": [0.0, 0.0, 0.0], "z": [0.5, 0.25, 0.0]})
GOOD = pl.DataFrame({"id": [3, 1, 2], "y": [1.2345, 2.5, 3.5], "z": [0.1234, 0.75, 1.0]})
EXPECTED = [TargetRange(0.0, 4.0, False), TargetRange(-1.0, 1.0, False)]


def table(ids: pl.Series, file_rows: np.ndarray | None = None) -> Table:
    """A test table of one series with these row ids."""
    frame = pl.DataFrame({"id": ids, "k": 1, "t": np.arange(len(ids)), "x": 0.0})
    return Table(Path("test.csv"), DATA, frame, np.array([len(ids)]), file_rows)


def verdict(tmp_path: Path, content: pl.DataFrame | bytes, sample: pl.DataFrame | None = SAMPLE) -> list[str]:
    """The gate's findings on a file."""
    path = tmp_path / "submission.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.write_csv().encode())
    ids = SAMPLE["id"] if sample is None else sample["id"]
    if sample is None and isinstance(content, pl.DataFrame) and "id" in content.columns:
        ids = content["id"]
    try:
        submission.check(table(ids), path, sample, EXPECTED)
    except Finding as finding:
        first, *listed = str(finding).splitlines()
        assert first == f"{path} is refused by the submission gate:"
        return [line.removeprefix("  - ") for line in listed]
    return []


def test_a_good_file_passes_with_and_without_a_sample(tmp_path: Path) -> None:
    assert verdict(tmp_path, GOOD) == verdict(tmp_path, GOOD, None) == []


def test_a_large_file_is_checked_part_by_part(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "LARGE", -1)
    for room in (submission_checks, submission_layout):
        monkeypatch.setattr(room, "ROWS", 1)
    for size in (1, 2, 3):
        monkeypatch.setattr(submission_checks, "BLOCK", size)
        assert verdict(tmp_path, GOOD) == verdict(tmp_path, GOOD, None) == []
        umlaut = GOOD.write_csv().encode().replace(b"2.5", "ö€".encode())
        assert not any("UTF-8" in text for text in verdict(tmp_path, umlaut))
        cut = umlaut[: umlaut.index("€".encode()) + 2]
        assert verdict(tmp_path, cut) == [f"it is not UTF-8 (unexpected end of data at byte {len(cut) - 2})"]
    for broken, expected in BROKEN.values():
        assert any(text.startswith(expected) or expected in text for text in verdict(tmp_path, broken))


def test_a_submission_takes_the_place_of_one_of_another_ending(tmp_path: Path) -> None:
    for ending in (".csv", ".parquet", ".csv"):
        submission.write(tmp_path / f"submission{ending}", GOOD)
        assert [path.name for path in tmp_path.iterdir()] == [f"submission{ending}"]


def test_a_parquet_file_is_checked_by_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "submission.parquet"
    submission.write(path, GOOD)
    assert pl.read_parquet(path).equals(GOOD)
    submission.check(table(SAMPLE["id"]), path, SAMPLE, EXPECTED)
    for bad, expected in ((GOOD.reverse(), "in the sample's order"), (with_values("y", [1.2345, None, 3.5]), "finite")):
        submission.write(path, bad)
        with pytest.raises(Finding, match=expected):
            submission.check(table(SAMPLE["id"]), path, SAMPLE, EXPECTED)


def with_values(name: str, values: list[object]) -> pl.DataFrame:
    return GOOD.with_columns(pl.Series(name, values, strict=False))


BROKEN: dict[str, tuple[pl.DataFrame | bytes, str]] = {
    "byte order mark": (b"\xef\xbb\xbf" + GOOD.write_csv().encode(), "it starts with a byte order mark"),
    "not UTF-8": (GOOD.write_csv().encode() + b"\xff", "it is not UTF-8"),
    "columns in other order": (GOOD.select("id", "z", "y"), "its columns must be id,y,z, but are id,z,y"),
    "index column": (GOOD.with_row_index(""), "its columns must be id,y,z, but are ,id,y,z"),
    "missing column": (GOOD.drop("z"), "its columns must be id,y,z, but are id,y"),
    "rows in other order": (GOOD.reverse(), "its ids must be the sample's 3, in the sample's order"),
    "a row less": (GOOD[:2], "in the sample's order, but are 2 others"),
    "null": (with_values("y", [1.2345, None, 3.5]), "y must be finite in every row"),
    "NaN": (with_values("y", [1.2345, float("nan"), 3.5]), "y must be finite in every row"),
    "inf": (with_values("z", [0.1234, float("inf"), 0.5]), "z must be finite in every row"),
    "text": (with_values("y", ["1.2", "much", "3.5"]), "y must be numeric, but is String"),
    "constant": (with_values("y", [1.23456] * 3), "y must not be constant, but is 1.23456 in every row"),
    "below the range": (with_values("y", [1.2345, 2.5, -2.5]), "y must lie near the training range [0, 4]"),
    "above the range": (with_values("z", [0.1234, 2.5, 0.5]), "but goes from 0.1234 to 2.5"),
    "few digits": (with_values("y", [1.23, 2.5, 3.5]), "y must have enough digits, but three print every value"),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_breaks_alone(rule: str, tmp_path: Path) -> None:
    content, message = BROKEN[rule]
    found = verdict(tmp_path, content)
    assert len(found) == 1 and message in found[0]


def test_a_repeated_id_is_found_without_a_sample(tmp_path: Path) -> None:
    repeated = with_values("id", [3, 3, 2])
    assert verdict(tmp_path, repeated, None) == ["id must be unique, but 1 rows repeat one"]


def test_the_sample_itself_is_refused(tmp_path: Path) -> None:
    copied = GOOD.with_columns(z=pl.Series([0.5123, 0.25, 0.0]))
    assert verdict(tmp_path, copied, copied.with_columns(y=pl.lit(0.0))) == ["z must not equal the sample submission"]


def test_targets_of_few_digits_allow_predictions_of_few(tmp_path: Path) -> None:
    coarse, fine = np.array([[0.5, 1.5], [2.25, 0.123456]]).T[..., None]
    assert [TargetRange.of(values)[0].coarse for values in (coarse, fine)] == [True, False]
    path = tmp_path / "s.csv"
    with_values("y", [1.0, 2.0, 3.0]).write_csv(path)
    submission.check(table(SAMPLE["id"]), path, SAMPLE, [TargetRange(0.0, 4.0, True), EXPECTED[1]])


def test_it_is_built_in_the_samples_rows_and_columns() -> None:
    test = table(pl.Series([1, 2, 3]))
    values = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    built = submission.build(test, values, SAMPLE.select("z", "id", "y"))
    assert built.columns == ["z", "id", "y"] and built.rows() == [(30.0, 3, 3.0), (10.0, 1, 1.0), (20.0, 2, 2.0)]
    assert submission.build(test, values, None).rows() == [(1, 1.0, 10.0), (2, 2.0, 20.0), (3, 3.0, 30.0)]


def publish(home: Path, written: pl.DataFrame) -> Path:
    origin = Origin(
        config="mine",
        config_hash="c0",
        experiment="e1",
        cells="c1",
        test="t1",
        out_of_fold=0.123456789,
        simulated=False,
    )
    gate = submission.Gate(table(SAMPLE["id"]), SAMPLE, EXPECTED)
    return submission.publish(origin, home / "runs" / "draft.csv", written, gate).path


def ledger(home: Path) -> list[dict[str, str]]:
    with (home / "submissions" / "ledger.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_the_ledger_has_one_line_a_hash(home: Path) -> None:
    path = publish(home, GOOD)
    assert publish(home, GOOD) == path and path.parent == home / "submissions"
    other = publish(home, with_values("y", [1.2345, 2.5, 3.75]))
    lines = ledger(home)
    assert [Path(f"mine-{line['sha256'][:8]}.csv").name for line in lines] == [path.name, other.name]
    assert {(line["config"], line["metric"], line["out_of_fold"], line["rows"]) for line in lines} == {
        ("mine", "mae", "0.123457", "3")
    }


def test_what_a_person_wrote_into_the_ledger_stays(home: Path) -> None:
    publish(home, GOOD)
    path = home / "submissions" / "ledger.csv"
    path.write_text(path.read_text().rstrip("\n").removesuffix(",,") + ",0.15,0.16\n")
    publish(home, with_values("y", [1.2345, 2.5, 3.75]))
    assert [(line["public"], line["private"]) for line in ledger(home)] == [("0.15", "0.16"), ("", "")]


def test_a_refused_file_reaches_neither_folder_nor_ledger(home: Path) -> None:
    with pytest.raises(Finding):
        publish(home, with_values("y", [1.23456] * 3))
    assert not (home / "submissions").exists()


def test_without_a_sample_rows_come_in_the_order_of_the_test_file() -> None:
    grouped = table(pl.Series([10, 30, 20]), np.array([0, 2, 1]))  # the file has 10, 20, 30
    values = np.array([[1.0, 0.1], [3.0, 0.3], [2.0, 0.2]])
    built = submission.build(grouped, values, None)
    assert built.rows() == [(10, 1.0, 0.1), (20, 2.0, 0.2), (30, 3.0, 0.3)]


def test_ids_with_leading_zeros_are_compared_as_printed(tmp_path: Path) -> None:
    names = pl.Series("id", ["0007", "0001", "0002"])
    assert verdict(tmp_path, GOOD.with_columns(names), SAMPLE.with_columns(names)) == []
    shorter = GOOD.with_columns(id=pl.Series([7, 1, 2]))
    (found,) = verdict(tmp_path, shorter, SAMPLE.with_columns(names))
    assert found.startswith("its ids must be the sample's 3, in the sample's order")
    assert verdict(tmp_path, GOOD.with_columns(id=pl.Series(["7", "007", "07"])), None) == []


def test_ids_are_written_as_the_sample_prints_them() -> None:
    """A test table holds them in their normal form."""
    test = table(pl.Series([1, 2, 3]))
    sample = pl.DataFrame({"z": [0.0] * 3, "id": ["3.0", " 1", "2"], "y": [0.0] * 3})
    got = submission.build(test, np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]), sample)
    assert got.rows() == [(30.0, "3.0", 3.0), (10.0, " 1", 1.0), (20.0, "2", 2.0)]
    assert got.columns == ["z", "id", "y"]


LABELS: dict[str, list[object]] = {
    "flags as text": ["False", "True"],
    "numbers of which one is not whole": ["0.5", "1", "10"],
    "commas, quotes and other scripts": ['a,b "q"', "ünï\u2028cødé", "'x'"],
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("predicted", [[0, 1, 1], [0, 0, 0]])
def test_labels_pass_in_any_form_and_also_where_all_are_those_of_the_sample(
    labels: list[object], predicted: list[int], tmp_path: Path
) -> None:
    """A sample of one label is filled in: that all series get it is bad luck, not a file that was left as it came."""
    data = DataConfig(
        level="series", key="k", order="t", target=("y",), inputs=("x",), kind="multiclass", metric="accuracy"
    )
    frame = pl.DataFrame({"k": [1, 2, 3], "t": 0.0, "x": 0.0})
    test = Table(Path("test.csv"), data, frame, np.ones(3, dtype=np.int64), classes=tuple(labels))
    sample = pl.DataFrame({"k": ["1", "2", "3"], "y": [labels[0]] * 3})
    made = submission.build(test, np.eye(len(labels))[predicted], sample)
    made.write_csv(tmp_path / "s.csv")
    submission.check(test, tmp_path / "s.csv", sample, [])
    assert made["y"].to_list() == [labels[place] for place in predicted]
    different = pl.DataFrame({"k": ["1", "2", "3"], "y": [labels[0], labels[1], labels[1]]})
    different.write_csv(tmp_path / "s.csv")
    with pytest.raises(Finding, match="must not equal the sample"):
        submission.check(test, tmp_path / "s.csv", different, [])
    different.with_columns(y=pl.lit("owl")).write_csv(tmp_path / "s.csv")
    with pytest.raises(Finding, match="must hold labels of the training table, but holds 'owl'"):
        submission.check(test, tmp_path / "s.csv", sample, [])


BIRDS = DataConfig(
    level="series", key="k", order="t", target=("y",), inputs=("x",), kind="multiclass", metric="log_loss"
)


def birds(shares: list[list[float]]) -> tuple[Table, pl.DataFrame]:
    """A test table of series with two classes, and the submission of these shares."""
    frame = pl.DataFrame({"k": np.arange(len(shares)), "t": 0.0, "x": 0.0})
    test = Table(Path("test.csv"), BIRDS, frame, np.ones(len(shares), dtype=np.int64), classes=("tit", "wren"))
    return test, submission.build(test, np.array(shares), None)


def test_shares_are_normalised() -> None:
    """Of a network they are float32, and a clipped row may sum to anything."""
    _, made = birds([[0.2, 0.2], [0.3, 0.9]])
    assert made.rows() == [(0, 0.5, 0.5), (1, 0.3 / 1.2, 0.9 / 1.2)]


def test_probabilities_out_of_range_are_refused_and_constant_ones_unless_they_may_pass(tmp_path: Path) -> None:
    test, made = birds([[0.5, 0.5], [0.5, 0.5]])
    made.write_csv(tmp_path / "s.csv")
    with pytest.raises(Finding, match=r"tit, wren must not be constant; post\.check_range = false lets it pass"):
        submission.check(test, tmp_path / "s.csv", None, [])
    submission.check(test, tmp_path / "s.csv", None, [], check_range=False)
    made.with_columns(tit=pl.Series([-0.5, 0.5]), wren=pl.Series([1.5, 0.6])).write_csv(tmp_path / "s.csv")
    with pytest.raises(Finding) as found:
        submission.check(test, tmp_path / "s.csv", None, [], check_range=False)
    assert "must lie in [0, 1], but reach -0.5 and 1.5; post.clip = [0, 1] brings them" in str(found.value)
    assert "tit, wren must have the sum 1 in each row" in str(found.value)


def test_what_looks_odd_may_pass_but_nothing_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    for rule in ("constant", "below the range", "above the range", "few digits"):
        content = BROKEN[rule][0]
        assert isinstance(content, pl.DataFrame) and verdict(tmp_path, content)[0].endswith("lets it pass")
        content.write_csv(path)
        submission.check(table(SAMPLE["id"]), path, SAMPLE, EXPECTED, check_range=False)
    with_values("y", [1.2345, None, 3.5]).write_csv(path)
    with pytest.raises(Finding, match="y must be finite"):
        submission.check(table(SAMPLE["id"]), path, SAMPLE, EXPECTED, check_range=False)


def test_a_target_that_training_had_constant_has_no_range(tmp_path: Path) -> None:
    with_values("y", [0.0, 0.0, 0.0]).write_csv(tmp_path / "s.csv")  # as the sample has it
    constant = [TargetRange(0.0, 0.0, True), EXPECTED[1]]
    submission.check(table(SAMPLE["id"]), tmp_path / "s.csv", SAMPLE, constant)


def test_a_wide_submission_is_checked_by_target_not_by_column(tmp_path: Path) -> None:
    """One column may well be constant: it is one step of all series. What is not scored is not compared."""
    data = DataConfig(
        id="k", key="k", order="t", target=("y",), inputs=("x",), column_template="F{step}", scored="t < 2"
    )
    frame = pl.DataFrame({"k": [1, 1, 1, 2, 2, 2], "t": [0.0, 1.0, 2.0] * 2, "x": 0.0})
    test = Table(Path("test.csv"), data, frame, np.array([3, 3]))
    values = np.array([[1.2345], [2.5], [99.0], [1.2345], [3.5], [-99.0]])
    made = submission.build(test, values, None)
    assert made.rows() == [(1, 1.2345, 2.5, 99.0), (2, 1.2345, 3.5, -99.0)]
    made.write_csv(tmp_path / "s.csv")
    submission.check(test, tmp_path / "s.csv", None, EXPECTED[:1])
    made.with_columns(F1=pl.Series([2.5, 44.0])).write_csv(tmp_path / "s.csv")
    with pytest.raises(Finding, match=r"y must lie near the training range \[0, 4\], but goes from 1.2345 to 44"):
        submission.check(test, tmp_path / "s.csv", None, EXPECTED[:1])


@pytest.mark.parametrize(("metric", "filled_in", "refused"), [("f1", 2, False), ("f1", 1, True), ("auc", 2, True)])
def test_labels_that_submission_lays_out_may_equal_a_sample_of_one_label(
    tmp_path: Path, metric: str, filled_in: int, refused: bool
) -> None:
    """As at the gate of other layouts: a rare class may be predicted nowhere."""
    sample = pl.DataFrame({"id": ["a", "b"], "y": [0, 0 if filled_in == 2 else 1]})
    sample.write_csv(tmp_path / "sample_submission.csv")
    data = DataConfig(
        id="id", key="k", order="t", target=("y",), inputs=("x",), kind="binary", metric=metric, source=str(tmp_path)
    )
    found = own_layout.problems(Task(data, (0, 1)), sample.write_csv().encode())
    assert found == ([own_layout.AS_SAMPLE] if refused else [])

"""Folds: series stay whole, strata are spread, files are checked, and files of other data are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import fold_strata, folds
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.roles import DataConfig
from foldline.data.simulate_config import SimulateConfig
from foldline.data.table import Table

DATA = DataConfig(id="i", key="k", order="t", target=("y",), inputs=("x",), static=("s",), source="a-folder")
BALANCED = FoldsConfig(kind="stratified-group", k=3, seed=1)


def table(series: int = 12, data: DataConfig = DATA, strata: int = 2, first: int = 1) -> Table:
    """Series of 1, 2, 3, 1, 2, ... rows; stratum = number modulo `strata`."""
    lengths = np.arange(series) % 3 + 1
    number = np.repeat(np.arange(series), lengths)
    frame = pl.DataFrame({"k": number + first, "s": number % strata})
    return Table(Path("train.csv"), data, frame, lengths)


@pytest.mark.parametrize("config", [BALANCED, replace(BALANCED, kind="group")])
def test_every_series_is_held_out_once_and_never_on_both_sides(config: FoldsConfig, tmp_path: Path) -> None:
    made = folds.make(tmp_path / "f.csv", config, table())
    held = np.concatenate([made.held_out(fold) for fold in range(3)])
    assert sorted(held.tolist()) == list(range(12))
    for fold in range(3):
        assert len(made.held_out(fold)) == 4


def test_strata_are_spread_evenly(tmp_path: Path) -> None:
    made = folds.make(tmp_path / "f.csv", BALANCED, table())
    for fold in range(3):
        assert np.bincount(made.held_out(fold) % 2).tolist() == [2, 2]


def test_a_rare_stratum_is_no_obstacle(tmp_path: Path) -> None:
    frame = table().frame.with_columns(s=pl.when(pl.col("k") == 1).then(9).otherwise("s"))
    made = folds.make(tmp_path / "f.csv", BALANCED, replace(table(), frame=frame))
    assert sorted(np.bincount(made.assignment).tolist()) == [4, 4, 4]


def test_a_file_reads_back_whatever_the_order_of_the_series(tmp_path: Path) -> None:
    made = folds.make(tmp_path / "f.csv", BALANCED, table())
    got, fresh = folds.obtain(replace(BALANCED, file=str(tmp_path / "f.csv")), "name", table())
    assert not fresh and np.array_equal(got.assignment, made.assignment)
    mixed = replace(table(), frame=table().frame.sort("k", descending=True), lengths=table().lengths[::-1])
    assert np.array_equal(folds.read(tmp_path / "f.csv", BALANCED, mixed).assignment, made.assignment[::-1])


def test_two_commands_may_write_the_same_new_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "f.csv", Path.is_file

    def and_then_the_other_one_writes(self: Path) -> bool:
        found = real(self)
        path.write_bytes(content)
        return found

    made = folds.make(path, BALANCED, table())
    content = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(Path, "is_file", and_then_the_other_one_writes)
    assert np.array_equal(folds.make(path, BALANCED, table()).assignment, made.assignment)
    assert path.read_bytes() == content


def test_same_seed_same_file_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        folds.make(tmp_path / name, replace(BALANCED, seed=seed), table())
    one, same, other = ((tmp_path / name).read_text() for name in "abc")
    assert one == same and one.split("\n", 1)[1] != other.split("\n", 1)[1]


@pytest.mark.parametrize(
    ("config", "data", "message"),
    [
        (BALANCED, table(series=13), "was made for other data: 1 series of train.csv are not in it, and 0 of its"),
        (BALANCED, table(first=2), r"1 of its series are not there \(first: k 1\)"),
        (BALANCED, table(strata=3), "the strata of its series are not those of train.csv"),
        (replace(BALANCED, kind="group"), table(), "was made with kind=stratified-group, but folds.kind is group"),
        (replace(BALANCED, k=4), table(), "was made with k=3, but folds.k is 4"),
        (replace(BALANCED, seed=2), table(), "was made with seed=1, but folds.seed is 2"),
    ],
)
def test_what_it_was_not_made_for_is_refused(config: FoldsConfig, data: Table, message: str, tmp_path: Path) -> None:
    folds.make(tmp_path / "f.csv", BALANCED, table())
    with pytest.raises(UserError, match=message):
        folds.read(tmp_path / "f.csv", config, data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("\n5,", "\n55,"),
        lambda text: text[:-6],
        lambda text: text.replace("# foldline folds: ", ""),
        lambda text: "",
    ],
)
def test_a_changed_file_is_refused(spoil: object, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    folds.make(path, BALANCED, table())
    path.write_text(spoil(path.read_text()))
    with pytest.raises(UserError, match="its rows don't match its checksum"):
        folds.read(path, BALANCED, table())


def test_a_series_in_two_folds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    folds.make(path, BALANCED, table())
    head, _, body = path.read_text().partition("\n")
    body += body.splitlines()[1][:-1] + "2\n" if not body.splitlines()[1].endswith("2") else "1,0\n"
    rows = folds.files.digest(body)
    path.write_text(f"{head[: head.index(' rows=')]} rows={rows}\n{body}")
    with pytest.raises(UserError, match=r"k 1 is in folds \d and \d"):
        folds.read(path, BALANCED, table())


def test_real_folds_are_to_be_committed_and_simulated_ones_only_where_somebody_did(home: Path) -> None:
    assert folds.default_path(BALANCED, "mine", table()) == home / "folds" / "mine-stratified-group-k3-seed1.csv"
    simulated = replace(table(data=replace(DATA, source="simulate")), path=Path("runs/data/simulated-xyz/train.csv"))
    path = folds.default_path(BALANCED, "mine", simulated)
    assert path == home / "runs" / "folds" / "simulated-xyz-stratified-group-k3-seed1.csv"
    committed = folds.committed_path(BALANCED, "mine", simulated)
    assert committed == home / "folds" / "simulated-1500-300-seed0-stratified-group-k3-seed1.csv"
    gestures = replace(simulated.data, simulate=SimulateConfig(competition="gestures", breaths=1500, test_breaths=300))
    other = folds.committed_path(BALANCED, "mine", replace(simulated, data=gestures))
    assert other.name == "simulated-gestures-1500-300-seed0-stratified-group-k3-seed1.csv"
    committed.parent.mkdir()
    committed.touch()
    assert folds.default_path(BALANCED, "mine", simulated) == committed


@pytest.mark.parametrize("content", [None, b"\x93NUMPY\xff\x00"])
def test_a_directory_or_a_binary_file_is_no_fold_file(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=r"f\.csv is no fold file, but a directory or no text at all\. Rebuild it"):
        folds.read(path, BALANCED, table())


def named(*, last: str) -> Table:
    """The table, its series named by texts: 1, 2, ..., 11 and `last`."""
    texts = pl.col("k").cast(pl.String).replace({"12": last})
    return replace(table(), frame=table().frame.with_columns(texts))


def test_a_file_of_named_series_is_refused_for_numbered_ones(tmp_path: Path) -> None:
    folds.make(tmp_path / "f.csv", BALANCED, named(last="A150"))
    with pytest.raises(UserError, match=r"1 series of train\.csv are not in it, and 1 of its .*first: k 12\)"):
        folds.read(tmp_path / "f.csv", BALANCED, table())


def test_a_number_and_its_text_name_the_same_series(tmp_path: Path) -> None:
    made = folds.make(tmp_path / "f.csv", BALANCED, table())
    assert np.array_equal(folds.read(tmp_path / "f.csv", BALANCED, named(last="12")).assignment, made.assignment)


SCORED = replace(DATA, scored="s == 0 AND k > 6")


def partly_scored(data: DataConfig = SCORED) -> Table:
    """Twelve series, of which 7, 9 and 11 have scored rows."""
    return table(data=data)


@pytest.mark.parametrize("kind", ["group", "stratified-group"])
@pytest.mark.parametrize("seed", range(8))
def test_every_fold_has_scored_rows(kind: Literal["group", "stratified-group"], seed: int, tmp_path: Path) -> None:
    config = FoldsConfig(kind=kind, k=3, seed=seed)
    made = folds.make(tmp_path / "f.csv", config, partly_scored())
    assert sorted(made.assignment[[6, 8, 10]].tolist()) == [0, 1, 2]
    assert np.bincount(made.assignment).tolist() == [4, 4, 4]
    assert np.array_equal(folds.read(tmp_path / "f.csv", config, partly_scored()).assignment, made.assignment)


def test_no_fold_is_left_empty_where_there_are_few_groups(tmp_path: Path) -> None:
    """scikit-learn's stratified group folds of just these series are three, though four are asked for."""
    groups, strata = [0, 1, 2, 3, 1, 0, 0, 0, 2], [1, 1, 1, 0, 1, 0, 1, 0, 1]
    frame = pl.DataFrame({"k": np.arange(1, 10), "s": strata, "g": groups})
    few = Table(Path("train.csv"), replace(DATA, group="g"), frame, np.ones(9, dtype=np.int64))
    made = folds.make(tmp_path / "f.csv", replace(BALANCED, k=4), few)
    pairs = set(zip(groups, made.assignment.tolist(), strict=True))
    assert len(pairs) == 4 and {fold for _, fold in pairs} == {0, 1, 2, 3}


def test_more_folds_than_series_with_scored_rows_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    message = r"k = 4 must not exceed .* train\.csv has 12 series, 3 of them with scored rows\."
    with pytest.raises(UserError, match=message):
        folds.make(tmp_path / "f.csv", FoldsConfig(k=4), partly_scored())
    assert not (tmp_path / "f.csv").exists()


def test_a_file_with_a_fold_that_is_not_scored_any_more_is_refused(tmp_path: Path) -> None:
    config = FoldsConfig(k=3)
    made = folds.make(tmp_path / "f.csv", config, table())
    only = int(made.held_out(1)[0]) + 1
    with pytest.raises(UserError, match=r"every fold needs scored rows, but no series of fold 0 .*Rebuild it with"):
        folds.read(tmp_path / "f.csv", config, table(data=replace(DATA, scored=f"k = {only}")))


def test_folds_of_scored_series_alone_are_those_of_earlier_versions(tmp_path: Path) -> None:
    made = folds.make(tmp_path / "f.csv", BALANCED, table())
    assert made.assignment.tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 1, 0, 1, 1]


# ---------------------------------------------------------------- rows, strata by the target, plain files


def of_lengths(lengths: np.ndarray, **changes: object) -> Table:
    """Series of these lengths; y is the series' number, s its number modulo 2."""
    number = np.repeat(np.arange(len(lengths)), lengths)
    frame = pl.DataFrame({"k": number, "s": number % 2, "y": number.astype(float)})
    return Table(Path("train.csv"), replace(DATA, **changes), frame, lengths)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["group", "stratified-group"])
def test_folds_of_very_unequal_series_have_as_many_rows(
    kind: Literal["group", "stratified-group"], tmp_path: Path
) -> None:
    lengths = np.random.default_rng(0).permutation(np.concatenate([np.full(95, 10), np.full(5, 1000)]))
    made = folds.make(tmp_path / "f.csv", FoldsConfig(kind=kind, k=5), of_lengths(lengths))
    rows = np.bincount(made.assignment, lengths)
    assert rows.max() < 1.1 * rows.min() and np.bincount(made.assignment).tolist() == [20] * 5
    if kind == "stratified-group":
        odd = np.bincount(made.assignment, np.arange(100) % 2)
        assert odd.max() - odd.min() <= 2


def test_a_group_of_most_rows_stands_alone_and_no_group_is_split(tmp_path: Path) -> None:
    data = of_lengths(np.concatenate([np.full(30, 100), np.full(60, 1)]), group="s")
    rider = np.where(np.arange(90) < 30, 0, np.arange(90) // 3)
    frame = data.frame.with_columns(s=pl.Series(np.repeat(rider, data.lengths)))
    made = folds.make(tmp_path / "f.csv", FoldsConfig(k=3), replace(data, frame=frame))
    assert all(len(set(made.assignment[rider == number])) == 1 for number in set(rider.tolist()))
    assert set(rider[made.assignment == made.assignment[0]].tolist()) == {0}


def test_strata_by_a_number_are_tenths_of_the_series_means(tmp_path: Path) -> None:
    config = FoldsConfig(kind="stratified-group", k=5, strata=("y",))
    made = folds.make(tmp_path / "f.csv", config, of_lengths(np.full(100, 2)))
    tenth = np.arange(100) // 10
    counts = np.zeros((10, 5), dtype=int)
    np.add.at(counts, (tenth, made.assignment), 1)
    assert (counts == 2).all()
    assert folds.read(tmp_path / "f.csv", config, of_lengths(np.full(100, 2))).k == 5


def test_strata_by_a_label_at_every_step_are_the_most_frequent_ones() -> None:
    labels = ["a", "b", "b", "c", "a", "a", "c", "c"]
    data = replace(DATA, kind="multiclass", metric="accuracy")
    frame = pl.DataFrame({"k": [0, 0, 0, 1, 2, 2, 2, 2], "s": 0, "y": labels})
    table = Table(Path("train.csv"), data, frame, np.array([3, 1, 4]), classes=("a", "b", "c"))
    assert fold_strata.strata_of(("y",), table) == ["b", "c", "a"]  # of a and c, equally frequent, the first


def test_another_column_is_no_stratum() -> None:
    with pytest.raises(UserError, match=r"folds\.strata must name static columns or targets, but has 'x'"):
        fold_strata.strata_of(("x",), table())


def plain(path: Path, text: str) -> FoldsConfig:
    path.write_text(text)
    return FoldsConfig(k=3, file=str(path))


def test_a_plain_file_of_key_and_fold_is_taken(tmp_path: Path) -> None:
    rows = [f"{number % 3}, {number}.0" for number in range(12, 0, -1)]
    config = plain(tmp_path / "mine.csv", "\n".join(["fold,k", *rows]))
    found, fresh = folds.obtain(config, "name", table())
    assert not fresh and found.assignment.tolist() == [number % 3 for number in range(1, 13)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k,fold\n1,0\n", r"mine\.csv must have the folds 0 to 2, because folds\.k is 3, but has 0\. Set folds\.k"),
        ("k,fold\n1,0\n2,1\n3,2\n", r"9 series of train\.csv are not in it, and 0 .* Name another one"),
        ("k,part\n1,0\n", r"must have the columns k,fold, but has k, part\. Name another one"),
        ("k,fold\n,0\n" + "".join(f"{n},{n % 3}\n" for n in range(2, 13)), r"1 series of train\.csv are not in it, "),
        ("k,fold\n" + "".join(f"{n},{n % 3}\n" for n in (*range(1, 13), 1, 1)), r"k 1 is in folds 1 and 1"),
        ("k,fold\n" + "".join(f"{n},{n}\n" for n in range(1, 13)), r"must have the folds 0 to 2"),
    ],
)
def test_a_plain_file_that_does_not_fit_is_refused(text: str, message: str, tmp_path: Path) -> None:
    config = plain(tmp_path / "mine.csv", text)
    with pytest.raises(UserError, match=message):
        folds.obtain(config, "name", table())
    assert (tmp_path / "mine.csv").read_text() == text


def test_a_plain_file_that_splits_a_group_is_refused(tmp_path: Path) -> None:
    config = plain(tmp_path / "mine.csv", "k,fold\n" + "".join(f"{number},{number % 3}\n" for number in range(1, 13)))
    with pytest.raises(UserError, match=r"mine\.csv: s 0 is in folds"):
        folds.obtain(config, "name", table(data=replace(DATA, group="s")))

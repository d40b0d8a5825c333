from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from foldline.core import files, unchanged
from foldline.core.unchanged import Witness


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A folder that foldline writes into."""
    (tmp_path / "runs" / "cells" / "a").mkdir(parents=True)
    return tmp_path / "runs"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file that was there before."""
    path = tmp_path / "data" / "train.csv"
    path.parent.mkdir()
    path.write_text("a\n1\n")
    return path


@pytest.fixture
def witness(ours: Path, table: Path) -> Iterator[Witness]:
    witness = Witness()
    yield witness
    witness.end()


def facts_of(witness: Witness, ours: Path) -> dict[str, unchanged.State]:
    found = witness.facts([ours], ours / "cells")
    assert found is not None
    kept: dict[str, unchanged.State] = json.loads(json.dumps(found))
    return kept


def test_a_file_that_was_read_counts_and_one_that_was_not_does_not(witness: Witness, ours: Path, table: Path) -> None:
    other = table.with_name("notes.txt")
    other.write_text("before")
    table.read_bytes()
    facts = facts_of(witness, ours)
    assert str(table) in facts and not unchanged.differing(facts)
    other.write_text("after")
    assert not unchanged.differing(facts)
    table.write_text("a\n2\n")
    assert unchanged.differing(facts) == str(table)


def test_same_size_and_older_time_do_not_hide_a_change(witness: Witness, ours: Path, table: Path) -> None:
    table.read_bytes()
    facts, before = facts_of(witness, ours), table.stat()
    table.write_text("a\n9\n")
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert unchanged.differing(facts) == str(table)


def test_what_was_looked_for_in_vain_counts(witness: Witness, ours: Path, table: Path) -> None:
    absent = table.with_name("sample.csv")
    with pytest.raises(FileNotFoundError):
        absent.open()
    facts = facts_of(witness, ours)
    assert not unchanged.differing(facts)
    absent.touch()
    assert unchanged.differing(facts) == str(absent)


def test_beside_a_table_that_polars_opens_a_new_file_counts(witness: Witness, ours: Path, table: Path) -> None:
    unchanged.reads(table)
    facts = facts_of(witness, ours)
    table.with_name("train.parquet").touch()
    assert unchanged.differing(facts) == str(table.parent)


def test_a_cell_counts_as_a_whole_and_other_cells_do_not(witness: Witness, ours: Path) -> None:
    for name in ("done.json", "weights"):
        (ours / "cells" / "a" / name).write_text("{}")
    (ours / "cells" / "a" / "done.json").read_text()
    facts = facts_of(witness, ours)
    (ours / "cells" / "b").mkdir()
    assert not unchanged.differing(facts)
    (ours / "cells" / "a" / "weights").unlink()
    assert unchanged.differing(facts) == str(ours / "cells" / "a" / "weights")


def test_nothing_is_known_of_a_file_that_changed_meanwhile(witness: Witness, ours: Path, table: Path) -> None:
    table.read_bytes()
    table.write_text("a\n2\n")
    assert witness.facts([ours], ours / "cells") is None


def test_nothing_is_known_of_a_fold_file_that_changed_meanwhile(witness: Witness, ours: Path, tmp_path: Path) -> None:
    folds = tmp_path / "folds"
    files.write_text(folds / "own.csv", "row,fold\n1,0\n")
    assert witness.facts([ours, folds], ours / "cells") is not None
    (folds / "edited.csv").write_text("row,fold\n1,1\n")
    (folds / "edited.csv").read_text()
    assert witness.facts([ours, folds], ours / "cells") is None


def test_what_is_written_behind_a_link_is_known_by_either_name(ours: Path, table: Path, tmp_path: Path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(ours)
    witness = Witness()
    for name in (link / "record.json", ours / "other.json"):
        name.write_text("{}")
        name.read_text()
    facts = witness.facts([link], link / "cells")
    witness.end()
    assert facts is not None and {str(link / "record.json"), str(ours / "other.json")} <= facts.keys()


def test_a_file_system_of_whole_seconds_does_not_hide_a_change(
    witness: Witness, ours: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = unchanged.state_of

    def coarse(path: str | Path) -> unchanged.State:
        state = exact(path)
        return state and [*state[:-2], *(time_ns // 10**9 * 10**9 for time_ns in state[-2:])]

    monkeypatch.setattr(unchanged, "state_of", coarse)
    table.read_bytes()
    assert witness.facts([ours], ours / "cells") is None, "another change in this second would look the same"


def test_a_folder_whose_time_was_set_back_has_changed(witness: Witness, ours: Path, table: Path) -> None:
    unchanged.reads(table)
    facts, before = facts_of(witness, ours), table.parent.stat()
    table.with_name("more.parquet").touch()
    os.utime(table.parent, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert unchanged.differing(facts) == str(table.parent)


def test_what_the_process_has_made_itself_is_known(witness: Witness, ours: Path, tmp_path: Path) -> None:
    made = tmp_path / "elsewhere" / "submission.csv"
    files.write_text(made, "id\n")
    made.read_text()
    facts = facts_of(witness, ours)
    assert str(made) in facts and not unchanged.differing(facts)


def test_nothing_is_known_where_somebody_elses_code_has_run(witness: Witness, ours: Path) -> None:
    unchanged.hidden()
    assert witness.facts([ours], ours / "cells") is None


def test_code_counts_but_no_libraries_and_no_byte_code(witness: Witness, ours: Path) -> None:
    facts = facts_of(witness, ours)
    assert unchanged.__file__ in facts
    assert not [path for path in facts if "__pycache__" in path or "numpy" in path]


def test_surroundings_have_variables_that_results_may_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    before = unchanged.surroundings()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert unchanged.surroundings() != before
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("TERM", "other")
    assert unchanged.surroundings() == before

"""Atomic writes and hashes: a kill or an error leaves the old content or the new one, never half of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foldline.core import files


def test_a_write_takes_its_place_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    files.write_text(path, "one\n")
    with files.atomic(path, "w") as stream:
        stream.write("two\n")
        assert path.read_text() == "one\n"
    assert path.read_text() == "two\n" and list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_error_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "one")
    with pytest.raises(KeyboardInterrupt), files.atomic(path, "w") as stream:
        stream.write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "one" and list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole_or_not_at_all_and_is_made_once(home: Path) -> None:
    place = files.runs() / "things" / "a"

    def fail(draft: Path) -> None:
        (draft / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        files.make_once(place, fail)
    assert not list(place.parent.iterdir())
    (place.parent / ".a.killed").mkdir()  # the draft of one that was killed
    files.make_once(place, lambda draft: (draft / "one").touch())
    files.make_once(place, fail)
    assert [path.name for path in place.iterdir()] == ["one"] and [path.name for path in place.parent.iterdir()] == [
        "a"
    ]


def test_json_and_arrays_keep_every_digit(tmp_path: Path) -> None:
    value = {"b": [0.1 + 0.2, 1e-300], "a": {"é": None}}
    files.write_json(tmp_path / "v.json", value)
    assert files.read_json(tmp_path / "v.json") == value
    array = np.random.default_rng(0).normal(size=(3, 2))
    files.write_array(tmp_path / "v.npy", array)
    assert np.array_equal(files.read_array(tmp_path / "v.npy", mapped=True), array)


def test_digests_see_values_types_and_shapes_but_not_the_order_of_keys() -> None:
    assert files.digest({"a": 1, "b": 2}) == files.digest({"b": 2, "a": 1})
    different = [{"a": 1}, {"a": 1.0}, {"a": "1"}, {"a": [1]}, {"a": True}, {"a": None}]
    assert len({files.digest(value) for value in different}) == len(different)
    row = np.arange(4.0)
    arrays = [(row,), (row.reshape(2, 2),), (row.astype(np.float32),), (row[:2], row[2:]), (row[::-1],)]
    assert len({files.digest_arrays(*some) for some in arrays}) == len(arrays)
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.digest(float("nan"))


def test_a_pointer_moves_in_one_step(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files.replace_symlink(tmp_path / "latest", tmp_path / name)
        assert (tmp_path / "latest").resolve() == tmp_path / name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "one", "two"]


def test_home_is_the_checkout_unless_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.home() == home and files.runs() == home / "runs"
    monkeypatch.delenv("FOLDLINE_HOME")
    assert (files.home() / "pyproject.toml").exists() and files.checkout() == files.home()


def test_home_of_an_installed_package_is_the_working_folder_unless_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PACKAGE", tmp_path / "lib" / "site-packages" / "foldline")
    assert files.home() == home and files.checkout() is None
    monkeypatch.delenv("FOLDLINE_HOME")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert files.home() == Path.cwd() == tmp_path / "elsewhere" and files.runs() == Path.cwd() / "runs"

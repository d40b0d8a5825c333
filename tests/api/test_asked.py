"""Configs and keys as Python gives them: the same as in files and on the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from foldline.api import asked
from foldline.core.errors import UserError
from foldline.core.overrides import with_overrides
from foldline.experiment import config

TEXTS = 'a "quoted" text\nof two lines \\ and \x7f, é 😀'


@pytest.mark.parametrize(
    "tables",
    [
        {"train": {"epochs": 5, "lr": 1e-05, "margin": True}},
        {"data": {"source": TEXTS, "rename": {"a b": "c", "d.e=f": "g"}}},
        {"model": [{"name": "hybrid", "blocks": [{"kind": "conv"}]}, {"name": "lightgbm"}]},
        {"folds": {"k": 3}, "features": {"lags": {"lags": (1, 2), "leads": range(2)}}},
        {"train": {"seeds": [], "augment": {}}},
    ],
)
def test_keywords_are_the_overrides_of_the_command_line(tables: dict[str, Any]) -> None:
    wanted = _plain(tables)
    assert with_overrides({}, asked.overrides(tables)) == wanted


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple | range) else value


def test_numbers_are_places_none_is_nothing_and_numpy_and_paths_are_welcome() -> None:
    given = {"model": {1: {"rounds": np.int64(7)}}, "train": {"lr": np.float32(0.5), "epochs": None}}
    assert asked.overrides(given) == ["model.1.rounds=7", "train.lr=0.5"]
    assert asked.overrides({"data": {"source": Path("a/b")}}) == ['data.source="a/b"']


@pytest.mark.parametrize("value", [object(), {1, 2}, np.zeros(2), b"bytes"])
def test_what_toml_does_not_have_is_refused_by_its_place(value: Any) -> None:
    with pytest.raises(UserError, match=r"^train\.epochs must be a text, a number"):
        asked.overrides({"train": {"epochs": value}})


def test_tables_are_a_config(rides: Path, home: Path) -> None:
    text = (home / "configs" / "rides.toml").read_text()
    with asked.as_file({"name": "rides", **tomllib.loads(text)}) as path:
        assert config.load(path) == config.load(Path("rides"))
    assert not path.exists()
    with asked.as_file({"name": "longer", "extends": "rides", "train": {"epochs": 9}}) as path:
        longer = config.load(path)
    assert (longer.name, longer.train.epochs, longer.data) == ("longer", 9, config.load(Path("rides")).data)


def test_python_files_that_tables_name_lie_in_the_working_folder(rides: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "competition.py").write_text("def tables(folder):\n    return {}\n")
    tables = tomllib.loads(tiny.CONFIG.format(source=rides))
    tables["data"]["code"] = "competition.py"
    with asked.as_file({"name": "rides", **tables}) as path:
        assert config.load(path).data.code_path == tmp_path / "competition.py"


def test_mistakes_in_tables_name_them_and_no_file(rides: Path) -> None:
    tables = tomllib.loads(tiny.CONFIG.format(source=rides))
    with pytest.raises(UserError, match=r"^the given tables: train: unknown key 'epoch'"):  # noqa: SIM117
        with asked.as_file({"name": "rides", **tables, "train": {"epoch": 1}}) as path:
            config.load(path)
    for name in (None, "", "a/b", 5):
        with pytest.raises(UserError, match="needs a name"), asked.as_file({**tables, "name": name}):
            pass
    with pytest.raises(UserError, match="holds what TOML can"), asked.as_file({"name": "rides", "train": object()}):
        pass


def test_the_command_that_a_record_names(home: Path) -> None:
    assert asked.command("train", ["rides"], ["train.lr=1", 'data.source="a b"']) == (
        "./run.sh train rides train.lr=1 'data.source=\"a b\"'"
    )
    assert asked.command("train", [{"name": "rides"}], []) == "foldline.train(...) in Python, of tables called rides"


@pytest.mark.parametrize("given", [None, 3, b"rides", ["rides"]])
def test_a_config_that_is_neither_tables_nor_a_path_is_refused(given: Any) -> None:
    with pytest.raises(UserError, match="must be a path, as a text or"), asked.as_file(given):
        pass


def test_a_value_of_several_lines_is_no_toml_that_goes_on_with_other_keys() -> None:
    """A second line that happens to be a key was dropped without a word."""
    assert with_overrides({}, ["train.epochs=3\nlr = 0.1"]) == {"train": {"epochs": "3\nlr = 0.1"}}
    assert with_overrides({}, ["data.inputs=[\n  'a',\n  'b',\n]"]) == {"data": {"inputs": ["a", "b"]}}

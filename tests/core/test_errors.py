"""Names that are not known: a renamed one is answered with its new name, others with the nearest match and the list."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import pytest

from foldline import models
from foldline.core import renamed_names, strict_tables
from foldline.core.errors import UserError, complain, foreseen, shortened, unknown
from foldline.core.renamed_names import RENAMED
from foldline.experiment import config
from foldline.models.blocks import BLOCKS
from foldline.models.heads import HEADS

REGISTRIES = {"model": [models.MODELS], "kind": [BLOCKS, HEADS]}
NOW = "it is called {!r} now (CHANGELOG.md)."


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table whose key `rate` was called `speed` before."""

    rate: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Other:
    """A table that never had `speed`."""

    steps: int = 1


@pytest.fixture
def renamed_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RENAMED, "key", {"speed": "rate"})


def test_an_unknown_name_is_answered_with_the_nearest_and_all_names() -> None:
    error = unknown("model", "tfd", ["tft", "hybrid"], "f.toml: model[0]")
    assert str(error) == "f.toml: model[0]: unknown model 'tfd'. Did you mean 'tft'? Known: hybrid, tft."


def test_of_a_long_list_the_nearest_names_are_shown_and_the_others_counted() -> None:
    columns = [f"sensor_{number}" for number in range(500)] + ["x" * 5000]
    message = str(unknown("column", "sensor_77", [c for c in columns if c != "sensor_77"], "train.csv"))
    assert len(message) < 300
    assert "unknown column 'sensor_77'. Did you mean 'sensor_" in message
    assert message.endswith(" and 492 more.")
    assert all(f"sensor_{number}77" in message for number in (1, 2, 3, 4))
    assert len(str(unknown("column", "u_in", ["x" * 5000], "train.csv"))) < 150


@pytest.mark.parametrize(("old", "new"), [("winner", "first_place"), ("third", "third_place")])
def test_a_renamed_model_in_a_config_is_refused_with_its_new_name(old: str, new: str, rides: Path, home: Path) -> None:
    path = home / "configs" / "rides.toml"
    path.write_text(path.read_text().replace('name = "hybrid"', f'name = "{old}"'))
    with pytest.raises(UserError) as caught:
        config.load(path)
    assert str(caught.value) == f"{path}: model[0]: unknown model {old!r}: {NOW.format(new)}"


def test_a_renamed_key_is_refused_with_its_new_name_by_the_table_that_has_it(renamed_key: None) -> None:
    with pytest.raises(UserError) as caught:
        strict_tables.build(Table, {"speed": 2.0}, "f.toml: train")
    assert str(caught.value) == f"f.toml: train: unknown key 'speed': {NOW.format('rate')}"
    with pytest.raises(UserError, match=r"unknown key 'speed'\. Known: steps\."):
        strict_tables.build(Other, {"speed": 2.0}, "f.toml: folds")


def test_a_renamed_verb_is_refused_with_its_new_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from foldline.cli.main import main

    monkeypatch.setitem(RENAMED, "verb", {"predict": "infer"})
    assert main(["predict", "rides"]) == 2
    assert capsys.readouterr().err == f"error: ./run.sh: unknown verb 'predict': {NOW.format('infer')}\n"


@pytest.mark.parametrize("kind", REGISTRIES)
def test_no_old_name_is_in_use_and_every_new_name_is(kind: str) -> None:
    for old, new in RENAMED.get(kind, {}).items():
        assert not any(old in registry for registry in REGISTRIES[kind])
        assert any(renamed_names.new_name(kind, old, registry) == new for registry in REGISTRIES[kind])


def test_no_names_at_all_are_said_in_a_word() -> None:
    assert shortened([]) == "nothing" and shortened(["a", "b"]) == "a, b"


def test_a_list_of_no_names_says_so() -> None:
    assert str(unknown("config", "rides", [], "CONFIG")) == "CONFIG: unknown config 'rides'. Known: none."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NotADirectoryError(errno.ENOTDIR, "", "a/b"), "A part of the path (a/b) is a file, not a folder."),
        (
            FileExistsError(errno.EEXIST, "", "a/b"),
            "a/b must be a folder, but is a file, or a link to nothing.",
        ),
        (OSError(errno.EROFS, "", "a/b"), "The file system (a/b) is read-only."),
    ],
)
def test_what_the_file_system_does_not_allow_is_a_sentence(error: OSError, sentence: str) -> None:
    assert str(foreseen(error)).startswith(sentence)


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    assert str(UserError("there is no 'a\r\nb'.")) == r"there is no 'a\r\nb'."


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_standard_error_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        complain("nobody can read this")
        monkeypatch.undo()
        full.buffer.raw.close()  # type: ignore[attr-defined]  # or closing would write the line again


def test_a_closed_standard_error_leaves_standard_output_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    complain("nobody can read this")
    assert capsys.readouterr().out == ""

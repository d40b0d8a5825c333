"""docs/reference.md is what the source says, and what it says is right on a small dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from foldline.cli import config_reference
from foldline.cli.config_reference import Key
from foldline.experiment.config import TABLES


@dataclass(frozen=True, kw_only=True)
class Below:
    """What another one stands on."""

    width: int = 3  # channels | out


@dataclass(frozen=True, kw_only=True)
class Above(Below):
    """[above]: a table."""

    name: str
    kind: Literal["a", "b"] | None = None
    # Two lines
    # above it.
    shares: tuple[float, ...] = (0.5, 1.0)  # and beside
    below: Below = field(default_factory=Below)


def test_keys_types_defaults_and_comments_are_read_from_the_source() -> None:
    assert config_reference.keys(Above) == [
        Key("width", "whole number", "3", "channels | out"),
        Key("name", "text", "", ""),
        Key("kind", "`a`, `b`", "left out", ""),
        Key("shares", "list of number", "[0.5, 1.0]", "Two lines above it. and beside"),
        Key("below", "table", "{}", ""),
    ]


def test_defaults_are_toml() -> None:
    written = [config_reference.toml(value) for value in (True, "x", None, {"a": (1, 2.5)}, [{"kind": "b"}])]
    assert written == ["true", '"x"', "left out", "{a = [1, 2.5]}", '[{kind = "b"}]']


def test_every_table_and_its_tables_are_keys() -> None:
    keys = config_reference.dotted()
    assert {key.split(".")[0] for key in keys} == set(TABLES)
    assert {"train.lr", "train.augment.mixup", "data.simulate.breaths", "blend.outside"} <= set(keys)


def test_the_page_is_up_to_date() -> None:
    assert config_reference.PAGE.read_text(encoding="utf-8") == config_reference.page(), "run `./run.sh reference`"

"""Tables to dataclasses: types are never guessed, and an error names its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from foldline.core import strict_tables
from foldline.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A nested table."""

    size: int = 1


@dataclass(frozen=True, kw_only=True)
class Outer:
    """Every kind of field that schema understands."""

    name: str
    rate: float = 0.5
    on: bool = False
    kind: Literal["a", "b"] = "a"
    lags: tuple[int, ...] = (1,)
    tables: dict[str, Any] = field(default_factory=dict)
    perhaps: int | None = None
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate must not be below 0, but is {self.rate}")


def test_a_full_table_becomes_the_dataclass_and_back() -> None:
    table = {
        "name": "x",
        "rate": 2,
        "on": True,
        "kind": "b",
        "lags": [2, 3],
        "tables": {"a": {"b": 1}},
        "inner": {"size": 4},
    }
    built = strict_tables.build(Outer, table, "f.toml")
    assert built == Outer(
        name="x", rate=2.0, on=True, kind="b", lags=(2, 3), tables={"a": {"b": 1}}, inner=Inner(size=4)
    )
    assert type(built.rate) is float
    assert strict_tables.build(Outer, strict_tables.plain(built), "again") == built
    assert "perhaps" not in strict_tables.plain(built)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "f.toml: name must be given."),
        ({"name": 3}, "f.toml.name must be a text, but is 3 (int)."),
        ({"name": "x", "rate": "2"}, "f.toml.rate must be a number, but is '2' (str)."),
        ({"name": "x", "rate": True}, "f.toml.rate must be a number, but is True (bool)."),
        ({"name": "x", "rate": float("inf")}, "f.toml.rate must be a finite number, but is inf."),
        ({"name": "x", "rate": float("nan")}, "f.toml.rate must be a finite number, but is nan."),
        ({"name": "x", "on": 1}, "f.toml.on must be true or false, but is 1 (int)."),
        ({"name": "x", "kind": "c"}, "f.toml.kind must be one of 'a', 'b', but is 'c' (str)."),
        ({"name": "x", "lags": 2}, "f.toml.lags must be a list, but is 2 (int)."),
        ({"name": "x", "lags": "1,2"}, "f.toml.lags must be a list, but is '1,2' (str). On a command line a list is"),
        ({"name": "x", "lags": [1, 2.0]}, "f.toml.lags[1] must be a whole number, but is 2.0 (float)."),
        ({"name": "x", "tables": []}, "f.toml.tables must be a table, but is [] (list)."),
        ({"name": "x", "inner": {"siz": 1}}, "f.toml.inner: unknown key 'siz'. Did you mean 'size'? Known: size."),
        ({"name": "x", "perhaps": "1"}, "f.toml.perhaps must be a whole number, but is '1' (str)."),
        ({"name": "x", "rate": -1}, "f.toml: rate must not be below 0, but is -1.0"),
        ({"nmae": "x"}, "f.toml: unknown key 'nmae'. Did you mean 'name'?"),
        (3, "f.toml must be a table, but is 3 (int)."),
    ],
)
def test_what_does_not_fit_is_refused(table: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        strict_tables.build(Outer, table, "f.toml")
    assert str(caught.value).startswith(message)

"""The registry of feature families: names, nearest matches, tables as TOML has them, files that a cache key needs."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from foldline.features import FAMILIES, build, source_of

SERIES_LEVEL = ("summary", "quantiles", "trend", "autocorrelation", "shape", "spectrum", "correlation")
ROOM = Path(__file__).parents[2] / "src" / "foldline" / "features"  # a link to features/ at top level


def test_an_unknown_family_is_answered_with_the_nearest_and_the_sorted_list() -> None:
    with pytest.raises(ValueError, match=r"no feature family 'lagz': did you mean 'lags'\? choose from auto"):
        build("lagz")


def test_a_name_like_none_is_answered_with_the_list_alone() -> None:
    with pytest.raises(
        ValueError, match=r"no feature family 'qqqq': choose from autocorrelation, calendar, categories, "
    ):
        build("qqqq")


def test_lists_become_tuples() -> None:
    family = build("lags", {"lags": [2, 1], "leads": []})
    assert family == FAMILIES["lags"](lags=(2, 1), leads=())  # type: ignore[call-arg]


def test_every_file_of_the_room_is_a_registered_family_or_the_machinery() -> None:
    files = {path.stem for path in ROOM.glob("*.py")}
    assert files == {"__init__", "family", "per_series", "compute", *FAMILIES}


@pytest.mark.parametrize("name", FAMILIES)
def test_source_is_the_familys_own_file_and_the_machinery(name: str) -> None:
    bases = ["per_series", "family"] if name in SERIES_LEVEL else ["family"]
    assert source_of(name) == [ROOM / f"{stem}.py" for stem in (name, *bases, "compute")]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_room_is_a_leaf(name: str) -> None:
    for path in source_of(name):
        assert not re.search(
            r"^\s*(from|import) (foldline(?!\.features\b)|gestures|ventilator)\b", path.read_text(), re.MULTILINE
        )


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_has_a_default_and_is_keyword_only(name: str) -> None:
    assert FAMILIES[name]() == build(name)
    assert all(field.kw_only for field in fields(FAMILIES[name]))  # type: ignore[arg-type]

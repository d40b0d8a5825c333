"""[serve]: what it takes, and that configs without it are what they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from foldline.core.errors import UserError
from foldline.experiment import config

GIVEN = {
    "with_id = true": "other keys need per",
    'per = "day"': "must be one of",
    'per = "series"\narguments = ["rows", "statics"]': "Did you mean 'static'",
    'per = "series"\narguments = ["static"]': 'must hold "rows" once',
    'per = "series"\nanswer = "number"': 'must be "scalar" or a list of columns',
    'per = "series"\nanswer = ["x", "x"]': "must name each column once",
    'per = "series"\nanswer = "scalar"\nwith_id = true': "with_id needs a frame",
    'per = "series"\nlimit_h = 0.0': "limit_h must be above 0",
    'per = "series"\ncalls = -1': "calls must be at least 0",
}


def written(home: Path, serve: str, **changes: str) -> Path:
    text = tiny.CONFIG.format(source="rides")
    for old, new in changes.items():
        text = text.replace(f'{old} = ["speed"]', new)
    return tiny.configure(home, "rides", f"{text}\n[serve]\n{serve}\n")


@pytest.mark.parametrize("serve", GIVEN)
def test_what_means_nothing_is_refused(serve: str, home: Path) -> None:
    with pytest.raises(UserError, match=GIVEN[serve]):
        config.load(written(home, serve))


def test_one_number_for_two_targets_is_refused(home: Path) -> None:
    path = written(home, 'per = "series"\nanswer = "scalar"', target='target = ["speed", "slope"]')
    with pytest.raises(
        UserError, match=r'"scalar" is one number, but there are 2 targets.*answer = \[.speed., .slope.\]'
    ):
        config.load(path)


def test_a_config_has_the_table_only_where_it_is_used(home: Path) -> None:
    found = config.load(written(home, 'per = "step"\nanswer = ["speed"]'))
    assert found.tables()["serve"]["per"] == "step"
    assert config.from_tables("rides", found.tables(), "rides.toml") == found
    assert "serve" not in config.load(tiny.configure(home, "rides", tiny.CONFIG.format(source="rides"))).tables()

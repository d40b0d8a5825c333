"""[serve]: what it takes, and that configs without it are what they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from foldline.core.errors import UserError
from foldline.experiment import config


def written(home: Path, serve: str) -> Path:
    return tiny.configure(home, "rides", f"{tiny.CONFIG.format(source='rides')}\n[serve]\n{serve}\n")


def test_what_means_nothing_is_refused(home: Path) -> None:
    with pytest.raises(UserError, match=r"serve\.per must be one of"):
        config.load(written(home, 'per = "day"'))


def test_a_config_has_the_table_only_where_it_is_used(home: Path) -> None:
    found = config.load(written(home, 'per = "step"'))
    assert found.tables()["serve"]["per"] == "step"
    assert config.from_tables("rides", found.tables(), "rides.toml") == found
    assert "serve" not in config.load(tiny.configure(home, "rides", tiny.CONFIG.format(source="rides"))).tables()

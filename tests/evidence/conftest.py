"""What tests of searches and of audits share."""

from __future__ import annotations

from pathlib import Path

import audits
import pytest
import searches


@pytest.fixture
def search_file(rides: Path, home: Path) -> Path:
    """The file of a search on the rides."""
    return searches.install(home)


@pytest.fixture
def audited(home: Path) -> Path:
    """The rides without leaks; a test plants one."""
    audits.rides(home, audits.tables())
    return home

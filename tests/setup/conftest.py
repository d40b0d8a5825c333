"""The fixture of the set-up tests: a checkout of its own for each."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkout import Checkout, make_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with stand-ins for uv and pip, in a folder of its own."""
    return make_checkout(tmp_path)

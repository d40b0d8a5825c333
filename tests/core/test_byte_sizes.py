"""Numbers of bytes as text: what is needed and what is free never look the same."""

from __future__ import annotations

import pytest

from foldline.core.byte_sizes import byte_size, needed_and_free


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB"), (3 << 29, "1.5 GiB")],
)
def test_the_unit_fits(count: int, text: str) -> None:
    assert byte_size(count) == text


def test_needed_and_free_differ() -> None:
    assert needed_and_free(3 << 30, 1 << 20) == "3.0 GiB, but 1.0 MiB are free"
    assert needed_and_free(40_000_000, 39_999_999) == "40,000,000 bytes, but 39,999,999 bytes are free"

"""Copies of Python files beside a record: each that changed is named, the utilities of a metric file, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from foldline.core.errors import UserError
from foldline.data import metrics
from foldline.experiment import python_copies

TEXTS = {"metric.py": "a = 1\n", metrics.UTILITIES_FILE: "b = 2\n", "competition.py": "c = 3\n"}


def record(folder: Path) -> dict[str, Any]:
    """Write the copies, and return what a record says of them."""
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    hashes = {name: metrics.hash_of(text) for name, text in TEXTS.items()}
    metric = {"name": "metric.py", "file": hashes["metric.py"], "utilities": hashes[metrics.UTILITIES_FILE]}
    return {
        python_copies.METRIC: metric,
        python_copies.CODE: {"name": "competition.py", "file": hashes["competition.py"]},
    }


@pytest.mark.parametrize("changed", TEXTS)
@pytest.mark.parametrize("gone", [True, False])
def test_a_copy_that_changed_or_is_gone_is_refused_by_name(changed: str, gone: bool, home: Path) -> None:
    folder = home / "runs" / "rides" / "0123456789abcdef"
    folder.mkdir(parents=True)
    value = record(folder)
    python_copies.refuse_changed(value, folder)
    (folder / changed).unlink() if gone else (folder / changed).write_text("d = 4\n")
    with pytest.raises(UserError, match=f"{changed} is not the .* that was used"):
        python_copies.refuse_changed(value, folder)


def test_a_record_without_files_has_nothing_to_refuse(tmp_path: Path) -> None:
    python_copies.refuse_changed({}, tmp_path)

"""What a refused command must say and leave, for tests of bad input anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from foldline.cli.main import main


def refused(words: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused with exit code 2 and leave nothing; the one message it gives."""
    before = tiny.tree(home)
    assert main(words) == 2
    assert tiny.tree(home) == before
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must be refused with exit code 2; its sentence on one line."""
    capsys.readouterr()
    assert main(list(words)) == 2
    return " ".join(capsys.readouterr().err.split())

"""`reference`: docs/reference.md, from the source."""

from __future__ import annotations

from foldline import files, reference
from foldline.cli import Arguments
from foldline.console import Terminal


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Write the page where it lies in this checkout."""
    files.write_text(reference.PAGE, reference.page())
    terminal.result({"page": str(reference.PAGE)}, f"reference: {reference.PAGE}")
    return 0

"""`reference`: write docs/reference.md and docs/python-reference.md from the source."""

from __future__ import annotations

from foldline.cli import config_reference, python_reference
from foldline.cli.develop import checkout_of
from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Write the pages where they lie in this checkout.

    Raises:
        UserError: foldline is an installed package: there is no docs/.
    """
    checkout_of("reference")
    files.write_text(config_reference.PAGE, config_reference.page())
    files.write_text(python_reference.PAGE, python_reference.page())
    terminal.result({"page": str(config_reference.PAGE)}, f"reference: {config_reference.PAGE}")
    return 0

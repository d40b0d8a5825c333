"""`audit [CONFIG]`: does this config's run leak? Fails where a check names a leak."""

from __future__ import annotations

from pathlib import Path

from foldline.api import audit as auditing
from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import Finding
from foldline.evidence.audit.audit_check import counted
from foldline.experiment import config as configs


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Run all checks, and write page and JSON.

    Raises:
        Finding: naming the leaks; table, page and JSON are there by then.
    """
    config = configs.load_any(Path(arguments.config), arguments.overrides)
    found = auditing.carry_out(config, arguments.command_line, terminal)
    leaks, count = found.leaks, found.checks.height
    unchecked = int((found.checks["verdict"] == "not checked").sum())
    aside = f", {unchecked} could not be checked" if unchecked else ""
    terminal.result(
        {"checks": files.read_json(found.json), "leaks": list(leaks), "page": str(found.report)},
        f"audit: {count} checks, {counted(len(leaks), 'leak')}{aside}",
    )
    if leaks:
        named = "".join(f"\n  - {name}: {detail}" for name, detail in leaks.items())
        raise Finding(f"{len(leaks)} of {count} checks found a leak:{named}")
    return 0

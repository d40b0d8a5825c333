"""`audit`: does this config's run leak? Runs every check of the registry and fails where one names a leak."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from rich.markup import escape
from rich.table import Column, Table

from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import Finding
from foldline.evidence import audit
from foldline.evidence.audit import audit_page
from foldline.evidence.audit.audit_check import AuditCheck, CheckResult, counted
from foldline.evidence.audit.audit_context import AuditContext
from foldline.experiment import config as configs
from foldline.experiment.config import Config, SeveralTargets
from foldline.experiment.preparation import short_path


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Run all checks, and write page and JSON.

    Raises:
        Finding: naming the leaks; table, page and JSON are there by then.
    """
    config = configs.load_any(Path(arguments.config), arguments.overrides)
    if isinstance(config, SeveralTargets):
        found = [
            (replace(check, name=f"{part.name}, {check.name}"), outcome)
            for part in config.parts
            for check, outcome in _examined(part.config, terminal)
        ]
    else:
        found = _examined(config, terminal)
    folder = files.runs() / config.name / "audit"
    lines = [
        {"check": check.name, "verdict": outcome.verdict, "detail": outcome.detail, **outcome.facts}
        for check, outcome in found
    ]
    files.write_json(folder / "audit.json", lines)
    files.write_text(folder / "audit.html", audit_page.page(config.name, found, arguments.command_line))
    _table(found, terminal)
    terminal.say(f"page: {short_path(folder / 'audit.html')}")
    return _conclude(found, folder, lines, terminal)


def _examined(config: Config, terminal: Terminal) -> list[tuple[AuditCheck, CheckResult]]:
    """Run all checks on an experiment of one target."""
    with tempfile.TemporaryDirectory(prefix="foldline-audit-") as scratch, terminal.bar("audit", "checks") as update:

        def on_check(number: int, check: AuditCheck, outcome: CheckResult) -> None:
            update(number, len(audit.CHECKS))
            terminal.say(f"  [{number}/{len(audit.CHECKS)}] {check.name}: {outcome.verdict}")

        if config.data.partial:
            terminal.say(config.name)
        return audit.examine(AuditContext.of(config, Path(scratch)), on_check)


def _table(found: list[tuple[AuditCheck, CheckResult]], terminal: Terminal) -> None:
    """Show the table; its columns are text, none is aligned right."""
    table = Table("check", "verdict", Column("detail", overflow="fold"))
    for check, outcome in found:
        table.add_row(check.name, outcome.verdict, escape(outcome.detail))
    terminal.console.print(table, soft_wrap=False)


def _conclude(
    found: list[tuple[AuditCheck, CheckResult]], folder: Path, lines: list[dict[str, object]], terminal: Terminal
) -> int:
    leaks = [(check, outcome) for check, outcome in found if outcome.verdict == "LEAK"]
    unchecked = sum(outcome.verdict == "not checked" for _, outcome in found)
    aside = f", {unchecked} could not be checked" if unchecked else ""
    terminal.result(
        {"checks": lines, "leaks": [check.name for check, _ in leaks], "page": str(folder / "audit.html")},
        f"audit: {len(found)} checks, {counted(len(leaks), 'leak')}{aside}",
    )
    if leaks:
        named = "".join(f"\n  - {check.name}: {outcome.detail}" for check, outcome in leaks)
        raise Finding(f"{len(leaks)} of {len(found)} checks found a leak:{named}")
    return 0

"""`audit`: does this config's run leak? Runs every check of the registry."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
from rich.markup import escape
from rich.table import Column, Table

from foldline.api import asked
from foldline.api.asked import ConfigLike
from foldline.api.page import Page
from foldline.api.session import session
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.json_values import without_nan
from foldline.evidence import audit as audits
from foldline.evidence.audit import audit_page
from foldline.evidence.audit.audit_check import AuditCheck, CheckResult
from foldline.evidence.audit.audit_context import AuditContext
from foldline.experiment import config as configs
from foldline.experiment.config import Config, SeveralTargets
from foldline.experiment.runs_index import short_path


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What `audit` returns: a leak is a result, not an error."""

    name: str  # the config's
    checks: pl.DataFrame  # check, verdict (clean, LEAK, note, not checked), detail
    report: Page  # shown in Jupyter where it is the value of a cell
    json: Path  # the same with the numbers behind each detail
    warnings: tuple[str, ...] = ()  # sentences, printed or not

    @property
    def leaks(self) -> dict[str, str]:
        """Return the checks that found a leak, and what each found."""
        found = self.checks.filter(pl.col("verdict") == "LEAK")
        return dict(found.select("check", "detail").iter_rows())


def audit(
    config: ConfigLike = "quickstart",
    *,
    home: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **tables: Any,
) -> Audit:
    """Look for leaks in a config and its data, by changing what must not matter and looking for changes.

    Args:
        config: a path, a name in configs/, or tables with a name, as a config file has them.
        home: the folder with runs/, folds/ and configs/; None: as the command line finds it.
        quiet: print nothing.
        tables: keys to change: folds={"k": 5} is folds.k=5 on the command line.

    Raises:
        foldline.Error: a mistake in config or data. A leak is no error: see `Audit.leaks`.
    """
    with session("audit", home, quiet) as notes:
        texts = asked.overrides(tables)
        with asked.as_file(config) as path:
            chosen = configs.load_any(path, texts)
        found = carry_out(chosen, asked.command("audit", [config], texts), notes)
        return replace(found, warnings=notes.warnings)


def carry_out(config: Config | SeveralTargets, command: str, terminal: Terminal) -> Audit:
    """Run all checks, show the table, and write page and JSON. command: that makes the same result."""
    if isinstance(config, SeveralTargets):
        found = [
            (replace(check, name=f"{part.name}, {check.name}"), outcome)
            for part in config.parts
            for check, outcome in _examined(part.config, terminal)
        ]
    else:
        found = _examined(config, terminal)
    page = files.runs() / config.name / "audit" / "audit.html"
    lines = [
        {"check": check.name, "verdict": outcome.verdict, "detail": outcome.detail, **outcome.facts}
        for check, outcome in found
    ]
    files.write_json(page.with_suffix(".json"), without_nan(lines))
    files.write_text(page, audit_page.page(config.name, found, command))
    _table(found, terminal)
    terminal.say(f"page: {short_path(page)}")
    checks = pl.DataFrame({name: [str(line[name]) for line in lines] for name in ("check", "verdict", "detail")})
    return Audit(name=config.name, checks=checks, report=Page(page), json=page.with_suffix(".json"))


def _examined(config: Config, terminal: Terminal) -> list[tuple[AuditCheck, CheckResult]]:
    """Run all checks on an experiment of one target."""
    with tempfile.TemporaryDirectory(prefix="foldline-audit-") as scratch, terminal.bar("audit", "checks") as update:

        def on_check(number: int, check: AuditCheck, outcome: CheckResult) -> None:
            update(number, len(audits.CHECKS))
            terminal.say(f"  [{number}/{len(audits.CHECKS)}] {check.name}: {outcome.verdict}")

        if config.data.partial:
            terminal.say(config.name)
        return audits.examine(AuditContext.of(config, Path(scratch)), on_check)


def _table(found: list[tuple[AuditCheck, CheckResult]], terminal: Terminal) -> None:
    """Show the table; its columns are text, none is aligned right."""
    table = Table("check", "verdict", Column("detail", overflow="fold"))
    for check, outcome in found:
        table.add_row(escape(check.name), outcome.verdict, escape(outcome.detail))
    terminal.console.print(table, soft_wrap=False)

"""An audit check: a name, what it compares, and a function from an AuditContext to a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from foldline.evidence.audit.audit_context import AuditContext

Verdict = Literal["clean", "LEAK", "note", "not checked"]


@dataclass(frozen=True)
class CheckResult:
    """The result of a check."""

    verdict: Verdict
    detail: str  # names the leak: which part, which series, which feature
    facts: dict[str, Any] = field(default_factory=dict)  # JSON-able numbers behind the detail
    picture: str = ""  # an <svg> element


@dataclass(frozen=True)
class AuditCheck:
    """One check of the registry."""

    name: str
    compares: str  # what it compares, for the page
    run: Callable[[AuditContext], CheckResult]


def listed(names: Sequence[str], most: int = 4) -> str:
    """Format names as `a, b, c and 5 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(count: int, name: str) -> str:
    """Format a count as `1 leak`, `2 leaks`."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"

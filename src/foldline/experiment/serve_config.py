"""[serve]: how a trained experiment is asked; docs/how-to/serve.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """[serve]: how a trained experiment is asked. It is in no key: no cell depends on it."""

    # One series at a time, a step of some series in the order of time, or a table of whole series. With "step" whatever
    # looks ahead is refused. Empty: a test file is predicted.
    per: Literal["", "series", "step", "table"] = ""

    @property
    def by_step(self) -> bool:
        """Whether steps are revealed one by one."""
        return self.per == "step"

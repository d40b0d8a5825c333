"""[serve]: how the notebook of a bundle answers Kaggle's evaluation API; docs/how-to/serve.md."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from foldline.core.errors import UserError, unknown
from foldline.data.roles import DataConfig
from foldline.data.task import WITH_LABELS

ROWS, STATIC, LAGS, IGNORED = "rows", "static", "lags", "ignored"
ARGUMENTS = (ROWS, STATIC, LAGS, IGNORED)
SCALAR = "scalar"


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """[serve]: how the notebook of a bundle answers Kaggle's evaluation API. It is in no key: no cell depends on it."""

    # What a call of the competition's gateway asks about: one series; one step of some series, in the order of time; a
    # table of whole series. With "step" whatever looks ahead is refused. Empty: there is no gateway, and the notebook
    # predicts a test file.
    per: Literal["", "series", "step", "table"] = ""
    # What a call passes, in its order: "rows", those to predict; "static", columns to be joined to them; "lags",
    # columns that are joined to them and to all later ones, until others come; "ignored".
    arguments: tuple[str, ...] = (ROWS,)
    # What a call wants back: "scalar", a label or a number; or a frame with these columns: the targets' in any order,
    # or as many others in theirs. Empty: a frame with the columns of the targets.
    answer: str | tuple[str, ...] = ()
    with_id: bool = False  # whether the frame has the ids that came in front: packages up to 0.3 demand them
    # Files or folders of the competition that its local gateway is given, in its order; empty: its whole folder.
    paths: tuple[str, ...] = ()
    calls: int = 0  # that are expected in the hidden test; 0: as many as the test table makes
    limit_h: float = 9.0  # h that the competition gives a notebook
    call_limit_s: float = 60.0  # s that its gateway waits for an answer, but for the first one

    def __post_init__(self) -> None:
        if not self.per and any(getattr(self, each.name) != each.default for each in fields(self)):
            raise ValueError('other keys need per, what a call asks about: "series", "step" or "table"')

        for name in self.arguments:
            if name not in ARGUMENTS:
                raise unknown("argument", name, ARGUMENTS, "serve.arguments")
        if self.arguments.count(ROWS) != 1:
            raise ValueError(f'arguments must hold "rows" once, those to predict, but is {list(self.arguments)}')
        if isinstance(self.answer, str) and self.answer != SCALAR:
            raise ValueError(f'answer must be "scalar" or a list of columns, but is {self.answer!r}')
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"answer must name each column once, but is {list(self.columns)}")
        if self.scalar and self.with_id:
            raise ValueError('with_id needs a frame, but answer is "scalar": name the column, answer = ["NAME"]')
        for name, least in (("calls", 0), ("limit_h", 1e-6), ("call_limit_s", 1e-6)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be {'at least' if least == 0 else 'above'} 0, but is {getattr(self, name)}"
                )

    @property
    def scalar(self) -> bool:
        """Whether a call wants one label or number back."""
        return self.answer == SCALAR

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the frame that a call wants; empty: those of the targets."""
        return () if isinstance(self.answer, str) else self.answer

    @property
    def by_step(self) -> bool:
        """Whether steps are revealed one by one."""
        return self.per == "step"


def check(serve: ServeConfig, data: DataConfig) -> None:
    """Refuse an answer of one number where there are several. data: of one target, or of all.

    Raises:
        UserError
    """
    if not serve.scalar or data.partial:
        return
    several = len(data.target) if data.kind not in WITH_LABELS else 1
    if several > 1:
        raise UserError(
            f'serve.answer = "scalar" is one number, but there are {several} targets: list the columns, answer = '
            f"{list(data.target)}."
        )

"""The estimator of rows that a decoder leaves open (ventilator only): sessions' lungs, bent through what is exact.

It is fitted to exact rows of test series and of its fold's training series, and to the labels of these; it estimates
mean and deviation of every row, and leaves channels that other models read (channels_from). The lung, its fit and its
smoother are the ventilator's own (src/ventilator/estimation), called by src/ventilator/open_rows.py, and imported where
they are needed. R rows, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from foldline.models.contract import Part

if TYPE_CHECKING:
    from ventilator.open_rows import Estimate

FILE = "smoother.json"


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "smoother"; with post.decode only."""

    labels: bool = True  # fit it to labels outside of the fold, too; false: to exact rows alone

    kind: ClassVar[str] = "estimator"
    parts: ClassVar[dict[str, dict[str, Part]]] = {}


class Smoother:
    """The estimator: fitted, saved and asked for rows."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.fitted: Any = None  # SessionLungs

    def fit(self, parts: Sequence[tuple[Mapping[str, np.ndarray], np.ndarray]]) -> None:
        """Fit it. parts: prepared rows of some tables, each with the known values (R,), NaN where nothing is known."""
        from ventilator import open_rows

        self.fitted = open_rows.fitted(parts)

    def estimate(self, rows: Mapping[str, np.ndarray]) -> Estimate:
        """Estimate all rows of a table. rows: as they were prepared."""
        from ventilator import open_rows

        assert self.fitted is not None, "fit or load first"
        return open_rows.estimated(rows, self.fitted)

    def save(self, folder: Path) -> None:
        """Write smoother.json."""
        assert self.fitted is not None, "fit or load first"
        (folder / FILE).write_text(self.fitted.to_json(), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        from ventilator import open_rows

        self.fitted = open_rows.read((folder / FILE).read_text(encoding="utf-8"))

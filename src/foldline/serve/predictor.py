"""A predictor: the cells of a stored experiment, loaded once, applied to rows as they come.

What it answers is what `infer` writes, within the tolerance of gate.py: the same features, cells, blend, decisions and
exact rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from foldline.core import files
from foldline.core.errors import UserError
from foldline.experiment import several_targets
from foldline.serve import border, frames
from foldline.serve.loaded import Loaded
from foldline.serve.stream import Stream

MANIFEST = "foldline-manifest.json"  # in the data set of a bundle


def load(name: str | Path) -> Predictor:
    """Load the latest experiment of a config, or that of a bundle.

    Args:
        name: the config's, or its path; or the folder of a bundle's data set, with its manifest.

    Raises:
        UserError: never trained, damaged, trained by other code, or nothing that answers at once.
    """
    path = Path(name)
    if is_bundle(path):
        with files.at_home(path):
            return Predictor(several_targets.read_folder(files.runs() / _in_bundle(path)))
    return Predictor(several_targets.read(path.stem if path.suffix == ".toml" else str(name)))


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle's data set."""
    return (folder / MANIFEST).is_file()


def _in_bundle(folder: Path) -> Path:
    """Return where a bundle has its experiment, below its runs/."""
    path = folder / MANIFEST
    try:
        manifest = files.read_json(path)
        return Path(manifest["name"], manifest["experiment"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged: it names no experiment. Copy the bundle's data set anew.") from None


@dataclass(frozen=True)
class Predictor(Loaded):
    """A loaded experiment that answers. Several threads may use it at once."""

    def predict(self, frame: Any, static: Any = None) -> pl.DataFrame:
        """Predict one series or a table of them.

        Args:
            frame: (rows, columns) of polars or pandas, in any order, with the columns of the test table; other columns
                are ignored, inputs that lack are missing. Without data.key all rows are one series.
            static: further columns, found by those that both have, such as a subject's: constants, without data.order;
                one row: said of all rows.

        Returns:
            (A, ids and answers): ids as they came, a row a series or a row a row, in the order of the rows; numbers are
            Float64, labels of the type that training has. It may be empty, as the frame is.

        Raises:
            UserError: a value can't be what its column is, or a row has no place in time.
        """
        rows = frames.frame_of(frame)
        beside = None if static is None else frames.frame_of(static, "The static columns")
        rows = border.with_columns_of(rows, beside, self.wanted, "The static columns", self.order)
        if not rows.height:
            return self.empty(rows)
        arrived = [model.border.arrived(rows) for model in self.models]
        answers = [
            column
            for model, each in zip(self.models, arrived, strict=True)
            for column in model.named(model.predict(each.table))
        ]
        return self.laid_out(rows, arrived[0], answers)

    def stream(self) -> Stream:
        """Begin a stream, for competitions that reveal their steps one by one.

        Raises:
            UserError: a feature, the pooling or a network looks ahead; all that do are named.
        """
        return Stream(self)

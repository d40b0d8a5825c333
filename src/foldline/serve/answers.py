"""Answers to a gateway's calls: what it passes goes to a predictor or a stream, what comes out has the form it wants.

    answers = Answers(load("rides"), ServeConfig(per="series", arguments=("rows", "static"), answer="scalar"))
    answers(sequence, demographics)        # "Wave": a label, a number as np.float64, or a frame of fixed columns

The notebook of a bundle makes one in its first call (`of_bundle`). Numbers never leave as bare floats, which gateways
send in 32 bits; labels leave as plain texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldline.core import files, strict_tables
from foldline.core.errors import UserError, shortened
from foldline.experiment.serve_config import LAGS, ROWS, STATIC, ServeConfig
from foldline.serve import border, frames
from foldline.serve.predictor import MANIFEST, Predictor, load
from foldline.serve.stream import Stream

ENDINGS = (".csv", ".parquet")  # of tables in a shared folder


def of_bundle(dataset: Path) -> Answers:
    """Load the experiment of a bundle, to answer as its manifest says. dataset: its folder.

    Raises:
        UserError: as `load`.
    """
    table = files.read_json(dataset / MANIFEST)["serve"]["table"]
    return Answers(load(dataset), strict_tables.build(ServeConfig, table, f"{dataset / MANIFEST}: serve"))


class Answers:
    """A predictor as a gateway's `predict`. With per = "step" it has the state of one run: calls come one by one."""

    def __init__(self, predictor: Predictor, serve: ServeConfig) -> None:
        """Begin a run.

        Raises:
            UserError: the columns of the answer are not as many as the predictor has; it looks ahead, and must not.
        """
        self.predictor, self.serve = predictor, serve
        self.columns = columns_of(predictor, serve)
        self._stream: Stream | None = predictor.stream() if serve.by_step else None

    def __call__(self, *batch: Any) -> Any:
        """Answer a call. batch: what the gateway passes, in the order of serve.arguments.

        Raises:
            UserError: it passes more or less; a value that would have to be guessed; another number of answers than one
                where a scalar is wanted.
        """
        rows, static, lags = self._taken(batch)
        return self.formed(self._answered(rows, static, lags), rows)

    def learn(self, *batch: Any) -> None:
        """Take a call without an answer in its form: a stream knows its rows then, of several steps if need be.

        Raises:
            UserError: as where it is answered.
        """
        self._answered(*self._taken(batch))

    def _taken(self, batch: Sequence[Any]) -> tuple[pl.DataFrame, list[pl.DataFrame], list[pl.DataFrame | None]]:
        """Return what a call passes as frames: the rows, the static ones, the lags."""
        names = self.serve.arguments
        if len(batch) != len(names):
            raise UserError(
                f"serve.arguments names {len(names)} arguments ({', '.join(names)}), but the gateway passes "
                f"{len(batch)}: {', '.join(map(_described, batch))}."
            )
        rows = _frame(batch[names.index(ROWS)])
        static = [_frame(each) for name, each in zip(names, batch, strict=True) if name == STATIC and each is not None]
        of_lags = [each for name, each in zip(names, batch, strict=True) if name == LAGS]
        lags = [None if each is None else _frame(each) for each in of_lags]  # None keeps its place
        return rows, static, lags

    def _answered(
        self, rows: pl.DataFrame, static: list[pl.DataFrame], lags: list[pl.DataFrame | None]
    ) -> pl.DataFrame:
        predictor = self.predictor
        for each in static:
            rows = border.with_columns_of(rows, each, predictor.wanted, "The static columns", predictor.order)
        if self._stream is not None:
            return self._stream.step(rows, lags)
        for of_lags in lags:
            rows = border.with_columns_of(rows, of_lags, predictor.wanted, "The lags")
        return predictor.predict(rows)

    @property
    def begun_anew(self) -> int:
        """Series that came again after a stream had forgotten them, and were answered as new ones."""
        return 0 if self._stream is None else self._stream.begun_anew

    def formed(self, answers: pl.DataFrame, rows: pl.DataFrame) -> Any:
        """Bring answers to the form that a call wants. answers: ids and columns of the targets, a row each."""
        values = answers.select(pl.col(own).alias(name) for name, own in self.columns.items())
        if not self.predictor.of_series and values.height != rows.height:
            raise UserError(f"{rows.height} rows need as many answers, but there are {values.height}.")
        if self.serve.scalar:
            if values.height != 1:
                raise UserError(
                    f'serve.answer = "scalar" is one answer a call, but {rows.height} rows have {values.height}. '
                    "List the columns of a frame instead."
                )
            return plain(values.to_series()[0])
        if not self.serve.with_id:
            return values
        ids = answers.drop(self.predictor.columns)
        return pl.DataFrame([*ids, *values])


def columns_of(predictor: Predictor, serve: ServeConfig) -> dict[str, str]:
    """Return the answer's columns in their order, each with the predictor's own that it holds.

    Its own names may come in any order; other names stand for its columns in theirs.

    Raises:
        UserError: they are not as many as the predictor has, or only some of its own.
    """
    own = predictor.columns
    if serve.scalar and len(own) != 1:
        raise UserError(
            f'serve.answer = "scalar" is one number or label, but {predictor.name} answers {len(own)}: '
            f"{shortened(own)}. List the columns."
        )
    names = serve.columns or tuple(own)
    if len(names) != len(own) or (set(names) & set(own) and set(names) != set(own)):
        raise UserError(
            f"serve.answer must name the {len(own)} columns of {predictor.name}, {shortened(own)}, or in their order "
            f"as many other names for them, but names {shortened(names)}."
        )
    return dict(zip(names, names if set(names) == set(own) else own, strict=True))


def plain(value: Any) -> Any:
    """Return a number as np.float64, which keeps all its bits on the way, and a label as a plain text or number."""
    return np.float64(value) if isinstance(value, float) else value


def _frame(value: Any) -> pl.DataFrame:
    """Return what a gateway passes as a frame: one of polars or pandas, or the path of a shared file or folder."""
    if not isinstance(value, str | Path):
        return frames.frame_of(value)
    path = Path(value)
    found = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.suffix in ENDINGS)
    if not found or any(each.suffix not in ENDINGS for each in found):
        raise UserError(f"{path}, which the gateway shares, must be or hold tables: {', '.join(ENDINGS)}.")
    # Now, and as a whole: what is shared is gone when the next call comes.
    return pl.concat([_read(each) for each in found], how="diagonal_relaxed")


def _read(path: Path) -> pl.DataFrame:
    if path.suffix == ".csv":
        return pl.read_csv(path, infer_schema=False, glob=False)  # texts: the border knows what they are
    return pl.read_parquet(path, glob=False, memory_map=False)


def _described(value: Any) -> str:
    columns: Sequence[str] | None = getattr(value, "columns", None)
    return type(value).__name__ if columns is None else f"a frame with {shortened([str(name) for name in columns])}"

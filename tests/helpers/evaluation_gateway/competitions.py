"""What gateways of competitions pass, and what they check: shaped like those of the last years."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from kaggle_evaluation.core import options
from kaggle_evaluation.core.stand_in import Gateway, GatewayRuntimeError

Batches = Iterator[tuple[tuple[Any, ...], list[Any]]]


def by_moment(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Cut rows into those of each moment, in the order of time."""
    return rows.sort("second", maintain_order=True).partition_by("second", maintain_order=True)


class Cmi(Gateway):
    """A sequence and its subject a call, in another order every time; answers are labels."""

    id = "song"
    labels = ("wren", "robin & co", "tit")

    def batches(self) -> Batches:
        rows, subjects = self.table("test"), self.table("demographics")
        parts = rows.partition_by("song", maintain_order=True)
        for place in np.random.default_rng(time.time_ns()).permutation(len(parts)):
            part = parts[place]
            yield (part, subjects.filter(pl.col("song") == part["song"][0])), [part["song"][0]]

    def check(self, answer: Any, ids: list[Any]) -> None:
        label = answer["answer"][0] if isinstance(answer, pl.DataFrame) else answer
        if label not in self.labels:
            raise GatewayRuntimeError("INVALID_SUBMISSION", f"{label!r} is no label")


class Jane(Gateway):
    """All symbols of a moment a call; what was seen the day before is passed at the first one only."""

    id = "row"

    def batches(self) -> Batches:
        rows, lags = self.table("test"), self.table("lags")
        for number, part in enumerate(
            rows.sort("second", maintain_order=True).partition_by("second", maintain_order=True)
        ):
            yield (
                (part.with_columns(is_scored=pl.lit(number % 3 > 0)), lags if number == 0 else None),
                part["row"].to_list(),
            )


class Mitsui(Gateway):
    """One wide row a call, without names of series, and four frames of lags, some or all of them empty."""

    id = "second"

    def batches(self) -> Batches:
        lags = self.table("lags")
        names = lags.columns[1:]
        for number, part in enumerate(by_moment(self.table("test"))):
            moment = part["second"]
            known = lags.filter(pl.col("second") == moment[0]) if number else lags.clear()
            frames = [known.select("second", name) for name in names]
            empty = [lags.clear()] * (4 - len(frames))
            yield (part.drop("ride", "row", *names), *frames, *empty), moment.to_list()


class Hull(Gateway):
    """One row a call; the answer is one number, or a frame of one row."""

    id = "second"

    def batches(self) -> Batches:
        for part in by_moment(self.table("test")):
            yield (part.drop("ride", "row"),), part["second"].to_list()

    def check(self, answer: Any, ids: list[Any]) -> None:
        number = answer["prediction"][0] if isinstance(answer, pl.DataFrame) else answer
        if not isinstance(number, float | np.float64) or not np.isfinite(number):
            raise GatewayRuntimeError("INVALID_SUBMISSION", f"{number!r} is no number")


class Nfl(Gateway):
    """A play a call: rows to predict of several players, and constants of these; answers have just two columns."""

    id = "row"
    columns = ("x", "y")

    def batches(self) -> Batches:
        rows, before = self.table("test"), self.table("before")
        players = rows["ride"].unique(maintain_order=True)
        for first in range(0, len(players), 2):
            part = rows.filter(pl.col("ride").is_in(players[first : first + 2].implode()))
            yield (part, before.filter(pl.col("ride").is_in(part["ride"].implode()))), part["row"].to_list()

    def check(self, answer: Any, ids: list[Any]) -> None:
        wanted = [*([self.id] if options.DIALECT == "0.3" else []), *self.columns]
        if answer.columns != wanted or not all(answer[name].is_finite().all() for name in self.columns):
            raise GatewayRuntimeError("INVALID_SUBMISSION", f"columns {answer.columns}")


class Shared(Gateway):
    """The path of a folder a call, with a series in it; the folder is gone when the next one is asked for."""

    id = "song"

    def batches(self) -> Batches:
        shared = Path.cwd() / "shared"
        for part in self.table("test").partition_by("song", maintain_order=True):
            shutil.rmtree(shared, ignore_errors=True)
            shared.mkdir()
            half = part.height // 2
            part[:half].write_csv(shared / "a.csv")
            part[half:].write_csv(shared / "b.csv")
            yield (str(shared),), [part["song"][0]]
        shutil.rmtree(shared)

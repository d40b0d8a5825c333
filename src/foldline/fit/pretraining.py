"""What a cell may learn from besides its fold's labelled series: teachers' labels, exact rows, simulated series.

A student of fold k learns only from teachers that held out the same fold k: their labels of test series then hold
nothing of the series the student is scored on. A simulator's rig is calibrated without the held-out fold, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.errors import UserError
from foldline.data import exact_rows, featurize, loading, readers
from foldline.data.featurize import FeaturesConfig
from foldline.data.loading import Competition
from foldline.data.store import Store
from foldline.data.table import Table


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """pretrain = {...} in a [[model]]: series that it is trained on first; its fold then goes on from those weights."""

    source: str = "simulate"  # "simulate" (ventilator only), or a folder whose train file has the columns of [data]
    breaths: int = 20_000  # simulated series
    seed: int = 0  # of the simulation
    # What the simulator is fitted to first: "fold", the fold's labelled series; "test", what is read back exactly of
    # test series, which is no fold's label, so that all folds share one pre-training; "no": it is as it comes.
    calibrate: Literal["fold", "test", "no"] = "fold"
    train: dict[str, Any] = field(default_factory=dict)  # what it changes of the model's [train]

    def __post_init__(self) -> None:
        if self.breaths < 1:
            raise ValueError(f"breaths must be at least 1, but is {self.breaths}")


def pretraining_data(
    config: PretrainConfig,
    features: FeaturesConfig,
    competition: Competition,
    inside: np.ndarray,
    on_progress: Callable[[int, int], None] | None = None,
) -> Store:
    """The store of the series that a fold's cells are pre-trained on.

    Args:
        inside: (n,) places of the fold's training series: the only labels that are looked at.
    """
    source = _simulated(config, competition, inside) if config.source == "simulate" else Path(config.source)
    table = loading.load_table(
        readers.locate(source, "train"), competition.data, labelled=True, levels=competition.levels
    )
    if config.source != "simulate":
        _refuse_known(table, competition)
    return featurize.obtain(table, features, competition.levels, on_progress)


def _simulated(config: PretrainConfig, competition: Competition, inside: np.ndarray) -> Path:
    """A folder with simulated series, made once for the same labels, size, seed and code."""
    from ventilator import calibrate, rig, simulator

    known = _labels_for_rig(config.calibrate, competition, inside)
    what = {"breaths": config.breaths, "seed": config.seed, "code": loading.simulator_code()}
    rows = files.digest_arrays(*(column.to_physical().to_numpy() for column in known)) if known is not None else ""
    folder = files.runs() / "data" / f"pretraining_data-{files.digest({**what, 'rows': rows})}"

    def write(draft: Path) -> None:
        fitted = rig.Rig.load() if known is None else calibrate.calibrate(known)
        simulator.write_competition(draft, breaths=config.breaths, test_breaths=1, seed=config.seed, rig=fitted)

    try:
        files.make_once(folder, write)
    except ValueError as error:
        raise UserError(
            f"pretrain.calibrate = true fits the ventilator's rig to the labelled series: {error}"
        ) from error
    return folder


def _labels_for_rig(calibrate: str, competition: Competition, inside: np.ndarray) -> pl.DataFrame | None:
    """What the rig is fitted to. The test series are always there: unlabelled, they show clocks and shares."""
    data, test = competition.data, competition.test.frame.drop(competition.data.id)
    if calibrate == "no":
        return None
    if calibrate == "test":
        known = exact_rows.obtain(competition.test, asked='pretrain.calibrate = "test"').values
        return test.with_columns(pl.Series(data.target[0], known).fill_nan(None))
    chosen = np.zeros(len(competition.train.lengths), dtype=bool)
    chosen[inside] = True
    train = competition.train.frame.drop(data.id).filter(pl.Series(np.repeat(chosen, competition.train.lengths)))
    return pl.concat([train, test.with_columns(-1 - pl.col(data.key))], how="diagonal_relaxed")


def _refuse_known(table: Table, competition: Competition) -> None:
    """Series that are also in the competition would teach what is held out."""
    both = table.keys.is_in(competition.train.keys.implode()) | table.keys.is_in(competition.test.keys.implode())
    if both.any():
        raise UserError(
            f"{table.path}: series to pre-train on must not be in the competition's files, but "
            f"{competition.data.key} {table.keys.filter(both)[0]} is (and {int(both.sum()) - 1} others)."
        )

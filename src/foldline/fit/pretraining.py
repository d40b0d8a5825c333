"""Pre-training data: series that a cell is trained on before its fold's, simulated or from a folder.

The rig of the simulator is calibrated without the held-out fold, so that no pre-trained weight depends on its labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from foldline.core import artefacts, files, strict_tables
from foldline.core.errors import UserError
from foldline.data import (
    assemble,
    exact_rows,
    featurize,
    identity,
    known_values,
    loading,
    open_rows,
    readers,
    source_folder,
)
from foldline.data.featurize import FeaturesConfig
from foldline.data.loading import Competition
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.fit import target_transform

NEWER = (
    "rig",
    "hidden",
    "stretch",
    "noise",
)  # keys that older versions did not have: a record has them where they are used


LONGEST = 10_000  # steps of a hidden stretch: generous, so that only slips are refused


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """pretrain = {...} in a [[model]]: series that it is trained on first; its fold starts at those weights."""

    # "simulate" (ventilator only); "masked", the inputs of the fold's own series and of test, without a label; or a
    # folder whose train file has the columns of [data], and other series and groups
    source: str = "simulate"
    breaths: int = 20_000  # simulated series
    seed: int = 0  # of the simulation
    # The lungs of simulated series: "calibrated", those of the simulator's rig; "matched", many about those that come
    # with the estimator of open rows, as far from them as real ones. Channels of these series are then of the lungs
    # that it comes with, which have seen no label, not of the fold's: without calibrate = "fold" all folds share them.
    rig: Literal["calibrated", "matched"] = "calibrated"
    # What the simulator is fitted to first: "fold", the fold's labelled series; "test", rows of test series that are
    # decoded exactly, which belong to no fold, so that all folds share one pre-training; "no": nothing. A matched rig
    # has its clocks and its noise of it; with "no" those that were fitted to decoded rows, too.
    calibrate: Literal["fold", "test", "no"] = "fold"
    hidden: float = 0.25  # source = "masked": share of the steps whose numbers are hidden, which it learns to tell
    stretch: int = 5  # of such steps side by side
    noise: Literal["zero", "swap"] = "zero"  # what stands there instead: the centre of each, or another series' numbers
    train: dict[str, Any] = field(default_factory=dict)  # changes to the model's [train] while it is pre-trained

    def __post_init__(self) -> None:
        if self.breaths < 1:
            raise ValueError(f"breaths must be at least 1, but is {self.breaths}")
        if not 0 < self.hidden < 1:
            raise ValueError(f"hidden must be between 0 and 1, but is {self.hidden}")
        if not 1 <= self.stretch <= LONGEST:
            raise ValueError(f"stretch must be from 1 to {LONGEST:,} steps, but is {self.stretch:,}")
        if self.is_matched and self.source != "simulate":
            raise ValueError(f'rig = "matched" is for source = "simulate", but that is {self.source!r}')

    @property
    def is_masked(self) -> bool:
        """Whether a network learns the competition's own inputs, without labels (masked_steps.py)."""
        return self.source == "masked"

    @property
    def is_matched(self) -> bool:
        """Whether the series are simulated with the lungs of an estimator of open rows."""
        return self.rig == "matched"


def to_table(config: PretrainConfig | None) -> dict[str, Any] | None:
    """Return the table that a config is read back from: as older versions wrote it, where it uses nothing newer."""
    if config is None:
        return None
    default, table = strict_tables.plain(PretrainConfig()), strict_tables.plain(config)
    return {name: value for name, value in table.items() if name not in NEWER or value != default[name]}


def pretraining_data(
    config: PretrainConfig,
    features: FeaturesConfig,
    competition: Competition,
    inside: np.ndarray,
    on_progress: Callable[[int, int], None] | None = None,
    opens: bool = False,
) -> Store:
    """Make, or open, the store of the series that a fold's cells are pre-trained on.

    Args:
        inside: (n,) indices of the fold's training series: the only ones whose labels are used.
        on_progress: called with (series done, series in all) while features are computed.
        opens: prepare their rows for an estimator of open rows, too.

    Raises:
        UserError: the source is not there, is not of the competition's shape, or holds series of the competition.
    """
    data = replace(competition.data, auxiliary=())  # a pre-trained network has no heads on them
    if config.source == "simulate":  # one file, however the competition's own are laid out
        source = assemble.of_file(readers.locate(_simulated(config, competition, inside), "train"))
    else:
        source = assemble.source_of(competition.data, Path(config.source), "train")
    levels, train = competition.levels, competition.train
    table = loading.load_table(source, data, labelled=True, levels=levels, facts=train.facts, classes=train.classes)
    table = known_values.of_training(table, competition.test)
    if config.source != "simulate":
        _refuse_shared_series(table, competition)
        _refuse_shared_groups(table, competition.train)
    if opens:
        open_rows.obtain(table, on_progress)
        if config.is_matched:
            open_rows.obtain_embedded(table.fingerprint)
    store = featurize.obtain(table, features, competition.levels, on_progress)
    target_transform.check(competition.data.target_transform, store, table.path)
    return store


def _simulated(config: PretrainConfig, competition: Competition, inside: np.ndarray) -> Path:
    """Simulate series into a folder, once for the same labels, size, seed and code; return the folder."""
    from ventilator import calibrate, simulator
    from ventilator import open_rows as ventilator_open_rows

    known = _labels_for_rig(config.calibrate, competition, inside)
    what = {"breaths": config.breaths, "seed": config.seed, "code": source_folder.simulator_code()}
    if config.is_matched:
        what["matched"] = [path.read_text(encoding="utf-8") for path in ventilator_open_rows.simulated_by()]
    rows = files.digest_arrays(*(column.to_physical().to_numpy() for column in known)) if known is not None else ""
    folder = files.runs() / "data" / f"pretraining_data-{files.digest({**what, 'rows': rows})}"

    def write(draft: Path) -> None:
        fitted = None if known is None else calibrate.calibrate(known)
        if config.is_matched:
            ventilator_open_rows.write_matched(draft, breaths=config.breaths, seed=config.seed, rig=fitted)
            return
        simulator.write_competition(draft, breaths=config.breaths, test_breaths=1, seed=config.seed, rig=fitted)

    try:
        artefacts.make_folder(folder, write)
    except pl.exceptions.ColumnNotFoundError as error:
        raise UserError(
            f'{competition.train.path}: pretrain.source = "simulate" simulates breaths of the ventilator, but there '
            "are other columns here. Give a folder with series to pre-train on, or leave pretrain out."
        ) from error
    except ValueError as error:
        raise UserError(
            f'pretrain.calibrate = "{config.calibrate}" fits the simulator\'s rig to series with labels: {error}'
        ) from error
    return folder


def _labels_for_rig(calibrate: str, competition: Competition, inside: np.ndarray) -> pl.DataFrame | None:
    """Return the rows that the rig is fitted to; None: it is not fitted.

    Test series are always among them: their inputs show the clock of the samples and the shares of each R and C.
    """
    data, test = competition.data, competition.test.frame.drop(competition.data.id)
    if calibrate == "no":
        return None
    if calibrate == "test":
        known = exact_rows.obtain(competition.test, wanted_by='pretrain.calibrate = "test"').values
        return test.with_columns(pl.Series(data.target[0], known).fill_nan(None))
    chosen = np.zeros(len(competition.train.lengths), dtype=bool)
    chosen[inside] = True
    train = competition.train.frame.drop(data.id).filter(pl.Series(np.repeat(chosen, competition.train.lengths)))
    # Negative keys: a test series never has the key of a training series.
    return pl.concat([train, test.with_columns(-1 - pl.col(data.key))], how="diagonal_relaxed")


def _refuse_shared_series(table: Table, competition: Competition) -> None:
    """Refuse series that are also in the competition: their labels may be those of a held-out fold.

    Raises:
        UserError
    """
    keys = identity.texts(table.keys)
    known = pl.concat([identity.texts(side.keys) for side in (competition.train, competition.test)])
    both = keys.is_in(known.implode())
    if both.any():
        raise UserError(
            f"{table.path}: series to pre-train on must not be in the competition's files, but "
            f"{competition.data.key} {table.keys.filter(both)[0]} is (and {int(both.sum()) - 1} others)."
        )


def _refuse_shared_groups(table: Table, train: Table) -> None:
    """Refuse series of groups that the competition has, too; of windows these are the series that they were cut from.

    Raises:
        UserError
    """
    column = train.data.group_column
    if not column or column not in table.frame.columns:
        return
    ours, theirs = (identity.texts(each.frame[column].gather(each.starts)) for each in (table, train))
    both = ours.is_in(theirs.unique(maintain_order=True).implode())
    if both.any():
        what = train.data.named_group or train.data.key
        raise UserError(
            f"{table.path}: series to pre-train on must be of other groups than those of {train.path}, whose folds "
            f"hold out whole ones, but {train.data.key} {table.keys.filter(both)[0]} is of {what} "
            f"{ours.filter(both)[0]}, which is there, too; {int(both.sum())} such. Where it is another one, give it a "
            "name of its own; else keep a folder without them for pre-training."
        )

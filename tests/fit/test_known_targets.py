"""The mask of known targets from the tables to the gradients: what stands in y where nothing is given changes nothing.

Series of test tables have targets only at a known start, and where pseudo-labels give them. Everywhere else y holds an
arbitrary number, here the 0 of the store or 1e3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
import torch
from lab import exhaust, silent
from torch import Tensor

from foldline.core import artefacts, files
from foldline.data import featurize, loading
from foldline.data.store import Store
from foldline.experiment import config
from foldline.fit import device_block, network_build, scaler, trainer
from foldline.fit.device_block import Block
from foldline.fit.device_dataset import DeviceDataset
from foldline.fit.labelled_series import LabelledSeries, labelled_series, unlabelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.pseudo_labels import PseudoLabels, TeacherConfig
from foldline.fit.scaler import Scaler
from foldline.fit.train_config import AugmentConfig, TrainConfig
from foldline.fit.training_state import State
from foldline.models.heads.twophase import TwoPhase

CPU, STEPS, START = torch.device("cpu"), 10, 3
TRAIN = TrainConfig(epochs=2, batch=6, device="cpu", weight_decay=0.0)
AUGMENTED = replace(TRAIN, augment=AugmentConfig(mixup=0.8, mask_static=0.3, shuffle=0.5), micro=4)
SMALL: dict[str, Any] = {"width": 4, "blocks": [{"kind": "bilstm"}]}
AUX = {"kind": "twophase", "aux": {"differences": (1, 2), "second": True, "cumulative": True}}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "two-phase": ("hybrid", {**SMALL, "head": {"kind": "twophase"}}),
    "auxiliary": ("hybrid", {**SMALL, "head": AUX}),
    "deepar": ("deepar", {"width": 4, "layers": 1, "form": "autoregressive"}),
    "seq2seq": ("seq2seq", {"width": 4, "autoregressive": True}),
    "wavenet": ("wavenet", {"width": 4, "layers": 2}),
}
EXACT = {0: 7.0, 1: 8.0, 4: 6.5, 12: 8.5, 13: 9.0, 35: 4.0}  # rows of the rides' test table, 4 series of 10 steps


def stores(observed: int = 0) -> tuple[Store, Store]:
    """The rides' stores: 12 labelled series and 4 test series of 10 steps, the last 2 of each not scored."""
    chosen = config.load(Path("rides"), [f"data.observed={observed}"])
    tables = loading.load(chosen.data)
    train, test = (featurize.obtain(table, chosen.features, tables.levels) for table in (tables.train, tables.test))
    return train, test


def pseudo_labels(test: Store, folder: Path, teachers: Sequence[float] = ()) -> LabelledSeries:
    """The test series with exact rows, and with one teacher for each number, which predicts that everywhere."""
    frame = {"id": list(EXACT), "pressure": list(EXACT.values()), "kind": ["chain"] * len(EXACT)}
    pl.DataFrame(frame).write_parquet(folder / "exact.parquet")
    artefacts.seal(folder / "exact.json", [folder / "exact.parquet"])
    paths = tuple(folder / f"teacher-{number}.npy" for number in range(len(teachers)))
    for path, value in zip(paths, teachers, strict=True):
        files.write_array(path, np.full(test.y.shape, value))
    return PseudoLabels(
        test.path, folder / "exact.parquet", paths, TeacherConfig(exact=True, weight=0.25)
    ).labelled_series()


# ---------------------------------------------------------------- the mask of each kind of series


def with_start(rides: Path) -> None:
    """Show the targets of the first steps in the rides' test table."""
    tables = tiny.frames()
    speeds = tiny.rides(501, 4, STEPS, seed=1)["speed"]
    shown = pl.int_range(pl.len()).over("ride") < START
    tables["test"] = tables["test"].with_columns(speed=pl.when(shown).then(speeds))
    tiny.write(rides, tables)


def test_a_training_table_is_known_and_a_test_table_is_not(rides: Path) -> None:
    train, test = stores()
    assert train.known.shape == train.y.shape == (120, 1) and train.known.all()
    assert test.known.shape == test.y.shape == (40, 1) and not test.known.any()
    assert labelled_series(train, np.arange(12)).known.all()
    assert not unlabelled_series(test, np.arange(4)).known.any()


def test_targets_are_read_from_the_disk_only_where_they_are_needed(rides: Path) -> None:
    train, _ = stores()
    assert isinstance(train.y, np.memmap) and train.y.flags["C_CONTIGUOUS"] and train.y.dtype == np.float64


def test_a_test_table_with_a_known_start_is_known_there_and_nowhere_else(rides: Path) -> None:
    with_start(rides)
    train, test = stores(START)
    start = np.tile(np.arange(STEPS) < START, 4)
    assert test.known[:, 0].tolist() == start.tolist() and (test.y[~start] == 0).all() and test.y[start].all()
    assert train.known.all()


def test_series_to_be_predicted_show_no_target_behind_the_known_start(rides: Path) -> None:
    """Held-out series lie in the training table, whose targets are all known."""
    with_start(rides)
    for observed in (0, START):
        train, _ = stores(observed)
        shown = unlabelled_series(train, np.array([4, 2]))
        start = np.tile(np.arange(STEPS) < observed, 2)
        assert shown.known[:, 0].tolist() == start.tolist() and (shown.y[~start] == 0).all()
        assert np.array_equal(shown.y[start], train.y[train.rows(np.array([4, 2]))][start])


@pytest.mark.parametrize("teachers", [(), (3.0, 5.0)], ids=["exact", "exact and teachers"])
@pytest.mark.parametrize("observed", [0, START])
def test_pseudo_labels_are_known_beside_a_known_start(
    observed: int, teachers: tuple[float, ...], rides: Path, tmp_path: Path
) -> None:
    if observed:
        with_start(rides)
    _, test = stores(observed)
    step = np.arange(40) % STEPS
    scored = (step >= observed) & (step < 8)
    exact = np.isin(np.arange(40), list(EXACT)) & scored  # an exact row in the known start is no label
    labelled = pseudo_labels(test, tmp_path, teachers)
    mine = np.isin(np.arange(40) // STEPS, labelled.series)
    known = (step < observed) | exact | (scored & bool(teachers))
    assert labelled.series.tolist() == ([0, 1, 2, 3] if teachers else [0, 1, 3])
    assert labelled.known[:, 0].tolist() == known[mine].tolist()
    expected = np.where(step < observed, test.y[:, 0], np.where(scored & bool(teachers), 4.0, 0.0))
    expected[exact] = [EXACT[row] for row in np.flatnonzero(exact)]
    assert labelled.y[:, 0].tolist() == expected[mine].tolist()
    weight = np.where(exact, 1.0, np.where(scored & bool(teachers), 0.25, 0.0))
    assert labelled.weight.tolist() == weight[mine].tolist()


def test_on_the_device_only_the_known_start_is_an_input(rides: Path, tmp_path: Path) -> None:
    with_start(rides)
    train, test = stores(START)
    fitted = scaler.fit("robust", train, np.arange(12), 0)
    labelled = pseudo_labels(test, tmp_path, (3.0,))
    fold = device_block.place_block([labelled], fitted, STEPS, CPU)
    assert fold.known is not None and torch.equal(fold.known[..., 0], torch.from_numpy(test.pad(labelled.known[:, 0])))
    start = torch.arange(STEPS) < START
    assert (fold.x[..., -1] == start.float()).all() and not fold.x[:, START:, -2].any()
    assert torch.equal(fold.x[:, :START, -2], fold.y[:, :START, 0]) and fold.y[:, :START].all()


# ---------------------------------------------------------------- training


def placed(folder: Path) -> tuple[Store, Scaler, Block]:
    """The rides' labelled series and their test series with exact rows, on the device."""
    train, test = stores()
    fitted = scaler.fit("robust", train, np.arange(12), 0)
    sets = [labelled_series(train, np.arange(12)), pseudo_labels(test, folder)]
    return train, fitted, device_block.place_block(sets, fitted, STEPS, CPU)


def trained(name: str, train: TrainConfig, data: Store, fitted: Scaler, block: Block, folder: Path) -> Tensor:
    """All weights after a training on one block, in one row."""
    system, params = NETWORKS[name]
    torch.manual_seed(0)
    state = State(network_build.network_of(system, params, data, fitted), train, CPU)
    folder.mkdir()
    exhaust(trainer.train(state, train, 0, DeviceDataset((block,)), None, silent, folder))
    return torch.cat([weight.detach().flatten() for weight in state.final.parameters()])


@pytest.mark.parametrize("train", [TRAIN, AUGMENTED], ids=["plain", "augmented"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_stands_at_unknown_targets_changes_no_weight(
    name: str, train: TrainConfig, rides: Path, tmp_path: Path
) -> None:
    data, fitted, fold = placed(tmp_path)
    assert fold.known is not None and fold.has_unknown and int((~fold.known).sum()) == 3 * STEPS - len(EXACT)
    other = replace(fold, y=torch.where(fold.known, fold.y, 1e3))
    one, two = (
        trained(name, train, data, fitted, some, tmp_path / str(number)) for number, some in enumerate((fold, other))
    )
    assert torch.equal(one, two) and bool(one.isfinite().all())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_known_target_does_change_the_weights(name: str, rides: Path, tmp_path: Path) -> None:
    """Of a row that is not scored, too, where it is a label of the other phase, or the past of a later step."""
    data, fitted, fold = placed(tmp_path)
    weight, scored = fold.weight.clone(), fold.scored.clone()
    weight[:12, 5], scored[:12, 5] = 0.0, False
    plain, y = replace(fold, weight=weight, scored=scored), fold.y.clone()
    y[:12, 5] += 1.0
    one, two = (
        trained(name, TRAIN, data, fitted, some, tmp_path / str(number))
        for number, some in enumerate((plain, replace(plain, y=y)))
    )
    assert not torch.equal(one, two)


def test_a_scored_row_without_a_weight_is_no_step_of_the_other_phase(rides: Path, tmp_path: Path) -> None:
    """One of several targets may be known there; and what predicts it is the scored output, weight or not."""
    data, fitted, fold = placed(tmp_path)
    weight = fold.weight.clone()
    weight[:12, 5] = 0.0
    plain, y = replace(fold, weight=weight), fold.y.clone()
    y[:12, 5] += 1.0
    one, two = (
        trained("two-phase", TRAIN, data, fitted, some, tmp_path / str(number))
        for number, some in enumerate((plain, replace(plain, y=y)))
    )
    assert bool(fold.scored[:12, 5].all()) and torch.equal(one, two)


def test_the_output_of_the_other_phase_is_trained_on_no_unlabelled_step(rides: Path, tmp_path: Path) -> None:
    """With every labelled row scored, nothing is left for it: all other rows are unlabelled steps of test series."""
    tables = tiny.frames()
    tables["train"] = tables["train"].with_columns(coasting=pl.lit(0))
    tiny.write(rides, tables)
    train, test = stores()
    assert train.scored.all() and not test.scored.all()
    _, params = NETWORKS["two-phase"]
    cell = NetworkCell("hybrid", params, TRAIN, scaler.fit("robust", train, np.arange(12), 0))
    labelled = pseudo_labels(test, tmp_path)
    assert (labelled.weight == 0).any()
    exhaust(cell.fit([labelled_series(train, np.arange(12)), labelled], 0, silent, tmp_path))
    assert cell.network is not None
    torch.manual_seed(0)
    untrained: Any = network_build.network_of("hybrid", params, train, cell.scaler)
    before, after = untrained.head, cell.network.head
    assert isinstance(before, TwoPhase) and isinstance(after, TwoPhase)
    for old, new in ((before.out.weight, after.out.weight), (before.out.bias, after.out.bias)):
        assert torch.equal(new[1:], old[1:]) and not torch.equal(new[:1], old[:1])


def test_a_row_counts_only_with_all_its_targets(rides: Path, tmp_path: Path) -> None:
    """Exact rows give the first target; of two, the other one stays unknown."""
    tables = tiny.frames()
    for stem in ("train", "sample_submission"):
        tables[stem] = tables[stem].with_columns(heart=pl.col("speed") + 60.0)
    tiny.write(rides, tables)
    chosen = config.load(Path("rides"), ['data.target=["speed", "heart"]'])
    competition = loading.load(chosen.data)
    test = featurize.obtain(competition.test, chosen.features, competition.levels)
    assert pseudo_labels(test, tmp_path).series.tolist() == []
    labelled = pseudo_labels(test, tmp_path, (3.0,))
    assert labelled.known.shape == (40, 2) and labelled.known[labelled.weight > 0].all()
    assert labelled.y[0].tolist() == [7.0, 3.0] and labelled.weight[0] == 1.0

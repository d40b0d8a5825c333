"""What happens when a cell runs: it is fitted on the series outside its fold, then predicts its fold and test series.

One process at a time works on a cell, behind a lock; done.json is written last.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from foldline.core import artefacts, files, interrupt, locks
from foldline.data.metrics import metric
from foldline.data.store import Store, open_store
from foldline.data.time_spans import TimeSpans
from foldline.fit import boosting_cell, distillation, ranks, scaler, target_transform
from foldline.fit.boosting_cell import BoostingCell
from foldline.fit.checkpoint import CHECKPOINT
from foldline.fit.estimator_cell import EstimatorCell
from foldline.fit.labelled_series import LabelledSeries, labelled_series, unlabelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.pseudo_labels import PseudoLabels, class_shares
from foldline.fit.ranks import Ranks
from foldline.fit.scaler import Scaler
from foldline.fit.series_cell import SeriesCell
from foldline.fit.target_transform import PLAIN, TargetTransform
from foldline.fit.trainer import Emit
from foldline.run import cell_stores, cells, estimator_channels
from foldline.run.cell_cost import COST, Meter
from foldline.run.cells import Cell, Job
from foldline.run.history import recording
from foldline.run.predictions import Estimator, spread_path, write_predictions

TRANSFORM = "transform.json"  # of a cell: the scale that its targets were learned on, where they are transformed


def run(job: Job, emit: Emit) -> Iterator[None]:
    """Train the cell unless it is finished, and predict the test series unless that is stored; pauses between steps.

    A second process that runs the same cell waits at the lock and finds the work done.

    Raises:
        UserError: training failed, or a prediction is not finite.
        KeyboardInterrupt: interrupted; a checkpoint was written.
    """
    interrupt.stop_if_requested()
    cell = job.cell
    with ExitStack() as held:
        with interrupt.immediate():  # a wait for the lock has nothing to save: the first signal ends it
            held.enter_context(locks.lock(files.runs() / "locks" / cell.key, on_wait=lambda: emit("waiting")))
        _remove_leftovers(cell)
        if job.force or not cell.done:
            meter = Meter(cell.model.train.device_used if cell.model.is_network else "cpu", job.since)
            yield from meter.turns(_train(cell, job, emit, meter))
        if job.test is not None:
            _predict_test(cell, job.test, 1 + job.beside)
    emit("done")


def load_estimator(cell: Cell, store: Store) -> Estimator:
    """Load a finished cell's estimator, ready to predict. store: any series with the same features.

    Raises:
        Damaged: a file of the cell is not what was written; no library has read it.
    """
    cell.refuse_damaged()
    stored, transform = cell.folder / "scaler.json", cell.folder / TRANSFORM
    estimator = _new_estimator(
        cell,
        Scaler.from_json(files.read_json(stored)) if stored.exists() else None,
        target_transform.from_json(files.read_json(transform)) if transform.exists() else PLAIN,
    )
    estimator.load(cell.folder, store)
    return estimator


def _remove_leftovers(cell: Cell) -> None:
    """Remove what a kill may have left: half-written files, and the checkpoint of a cell that was just finished."""
    for path in [*cell.folder.glob(".*"), *([cell.folder / CHECKPOINT] if cell.done else [])]:
        path.unlink(missing_ok=True)


def _train(cell: Cell, job: Job, emit: Emit, meter: Meter) -> Iterator[None]:
    """Fit the cell, predict its held-out series, and mark it as finished."""
    assert job.train is not None, f"{cell.name} is not finished and there is nothing to train on"
    if not job.force and (cell.folder / cells.DONE).exists():
        artefacts.say(cell.folder, cells.damage(cell.folder), f"{cell.name} is trained again")
    if cell.done or not (cell.folder / CHECKPOINT).exists():
        shutil.rmtree(cell.folder, ignore_errors=True)  # forced, or half of one: it starts again
    cell.folder.mkdir(parents=True, exist_ok=True)
    files.write_json(cell.folder / "depends.json", cell.depends)
    store = cell_stores.opened(cell, job.train)
    store = store if job.folds is None else job.folds.with_units(store)
    fitted_on, held_out = _sides(cell, job, store)
    began = time.perf_counter()
    with (cell.folder / "history.jsonl").open("w", encoding="utf-8") as stream:  # a resumed cell sends all its epochs
        together = _ranks_of(cell)
        together.from_first(job)  # for the others, who wait for it (followers.py)
        estimator = yield from _fit(cell, job, store, fitted_on, recording(emit, stream))
        meter.others = together.gathered(meter.cost())[1:]
    estimator.save(cell.folder)
    if isinstance(estimator, NetworkCell):
        files.write_json(cell.folder / "scaler.json", estimator.scaler.to_json())
    if not isinstance(estimator, EstimatorCell) and (cell.transform or estimator.transform.kind):
        files.write_json(cell.folder / TRANSFORM, estimator.transform.to_json())
    # Again: what may have changed on the disk during training would else be summed up as it is now.
    files.write_json(cell.folder / "depends.json", cell.depends)
    files.write_array(cell.folder / "held_out.npy", held_out)
    write_predictions(cell, estimator, store, held_out, cell.folder / "out_of_fold.npy")
    if isinstance(estimator, EstimatorCell):
        estimator_channels.of_training(cell).write(estimator.estimated(store))
    meter.write(cell.folder)
    _mark_as_finished(cell, time.perf_counter() - began)
    # After done.json: a cell that is killed before it is finished goes on from its checkpoint.
    (cell.folder / CHECKPOINT).unlink(missing_ok=True)


def follow(job: Job, ranks: Ranks) -> None:
    """Fit a cell's network in step with the first process, which has begun it; nothing is stored here.

    Raises:
        UserError: training failed.
        Stopped: interrupted; the first process has written a checkpoint.
    """
    cell, meter = job.cell, Meter(job.cell.model.train.device_used, None)
    assert job.train is not None, "the first process trains it"
    store = cell_stores.opened(cell, job.train)
    store = store if job.folds is None else job.folds.with_units(store)
    for _ in meter.turns(_fit(cell, job, store, _sides(cell, job, store)[0], lambda kind, **values: None)):
        pass
    ranks.gathered(meter.cost())


def _ranks_of(cell: Cell) -> Ranks:
    """Return the processes that train a cell."""
    return ranks.of(cell.model.processes)


def _sides(cell: Cell, job: Job, store: Store) -> tuple[np.ndarray, np.ndarray]:
    """Return the series that a cell is fitted on, and those that it holds out, (n,) int64 each."""
    if job.folds is None:
        return np.arange(len(store.lengths)), np.arange(0)
    if cell.masked is not None:  # the held-out series are read by the cell that begins with its weights, to predict
        return cell.inside(job.folds), np.arange(0)
    return cell.inside(job.folds), cell.held_out(job.folds)


def _mark_as_finished(cell: Cell, seconds: float) -> None:
    """Write done.json with the checksums of all that the cell has stored. seconds: that it was trained."""
    beside = (cells.DONE, CHECKPOINT, COST)
    stored = [
        path
        for path in cell.folder.iterdir()
        if path.name not in beside
        and not path.name.startswith((".", "test-", "spread-test-", *estimator_channels.BESIDE))
    ]
    artefacts.seal(cell.folder / cells.DONE, stored, {"time.train_s": seconds})


def _fit(cell: Cell, job: Job, store: Store, series: np.ndarray, emit: Emit) -> Generator[None, None, Estimator]:
    """Fit the cell's estimator on its training series, (n,), and on its pseudo-labels."""
    transform = target_transform.fit(cell.transform, store, series, cell.seed)
    spans = None if job.folds is None else job.folds.spans_of(series)
    if cell.model.fitted_as == "rows":  # libraries keep labels in float32
        transform = boosting_cell.scale_of_labels(transform, cell.model.name, cell.model.params, store, series)
    if not cell.model.is_network:
        at_once = _new_estimator(cell, None, transform, spans)
        if isinstance(at_once, EstimatorCell):
            assert job.test is not None, "an estimator reads the exact rows of a test table"
            at_once.fit(store, series, open_store(job.test), emit)
            return at_once
        assert isinstance(at_once, BoostingCell | SeriesCell)
        if isinstance(at_once, BoostingCell):
            more = _copies(cell, job, series) + _pseudo_labelled(cell, job, store, series)
            at_once.fit(store, series, cell.seed, emit, more, _taught(cell, job, store))
        else:
            at_once.fit(store, series, cell.seed, emit)
        return at_once
    start = None if cell.start is None else cell.start.folder
    if cell.start is not None:
        cell.start.refuse_damaged()
    # Pre-trained weights fit only the scale that they were trained at. But a transform is that of the fold's own
    # targets: ranks and standardised values of other series mean the same.
    fitted = (
        scaler.fit(cell.scaler, transform.view(store), series, cell.seed)
        if start is None
        else Scaler.from_json(files.read_json(start / "scaler.json"))
    )
    if cell.masked is not None:
        network = _new_estimator(cell, fitted, transform)
        assert isinstance(network, NetworkCell)
        parts = [unlabelled_series(store, series), *_of_test(cell, job)]
        yield from network.fit(parts, cell.seed, emit, cell.folder, masked=cell.masked)
        return network
    labelled_sets = [labelled_series(store, series).at(spans), *_pseudo_labelled(cell, job, store, series)]
    labelled_sets += _copies(cell, job, series)
    network = _new_estimator(cell, fitted, transform)
    assert isinstance(network, NetworkCell)
    yield from network.fit(labelled_sets, cell.seed, emit, cell.folder, start, taught=_taught(cell, job, store))
    return network


def _of_test(cell: Cell, job: Job) -> list[LabelledSeries]:
    """Return the test series whose inputs a cell learns; none where it knows no more than the past of its fold."""
    if cell.only_past:
        return []
    assert job.unlabelled is not None, "a cell that learns inputs reads those of test"
    test = open_store(job.unlabelled)
    return [unlabelled_series(test, np.arange(len(test.lengths)))]


def _copies(cell: Cell, job: Job, series: np.ndarray) -> list[LabelledSeries]:
    """Return copies of a cell's training series with other exact rows; together they count as the series themselves."""
    if not cell.model.masked_copies:
        return []
    assert job.train is not None, "copies are of training series"
    parts = [labelled_series(store, series) for store in cell_stores.masked_copies(cell, job.train, series)]
    return [replace(part, weight=part.weight / np.float32(len(parts))) for part in parts]


def _pseudo_labelled(cell: Cell, job: Job, store: Store, series: np.ndarray) -> list[LabelledSeries]:
    """Read the test series that the cell's teachers or exact rows label; none where it learns no such labels.

    series: (n,) of the training table's store, which the cell is fitted on.
    """
    config = cell.model.teacher
    if config is None or not config.labels_test:
        return []
    assert job.test is not None, "teachers label test series"
    fingerprint = open_store(job.test).fingerprint
    for teacher in cell.teachers:
        teacher.refuse_damaged(fingerprint)
    predictions = tuple(teacher.test_path(fingerprint) for teacher in cell.teachers)
    shares = class_shares(store, series) if config.align else ()
    return [PseudoLabels(job.test, job.exact if config.exact else None, predictions, config, shares).labelled_series()]


def _taught(cell: Cell, job: Job, store: Store) -> np.ndarray | None:
    """Return the labels of the training table's series that a student learns, (A, K); None: its own."""
    config = cell.model.teacher
    if config is None or not config.distil:
        return None
    for teacher in cell.distilled:
        teacher.refuse_damaged()
    held_out = np.arange(0) if job.folds is None else cell.held_out(job.folds)
    return distillation.mixed_labels(store, held_out, [teacher.folder for teacher in cell.distilled], config)


def _new_estimator(
    cell: Cell, fitted: Scaler | None, transform: TargetTransform, spans: TimeSpans | None = None
) -> Estimator:
    """Make the cell's estimator, not fitted yet.

    Args:
        fitted: a network's scaler; None: for the others, which need none.
        spans: of the series that trees are to be fitted on, where folds go by time.
    """
    model, watched_by = cell.model, None if cell.metric is None else metric(*cell.metric)
    if model.fitted_as == "estimator":
        return EstimatorCell(model.name, model.params)
    if model.fitted_as == "series":
        return SeriesCell(model.name, model.params, model.train, transform)
    if fitted is None:
        return BoostingCell(model.name, model.params, model.train, watched_by, transform, spans)
    return NetworkCell(model.name, model.params, model.train, fitted, watched_by, transform)


def _predict_test(cell: Cell, table: Path, shares: int) -> None:
    """Predict a test table with a finished cell unless that is stored.

    Args:
        table: its store.
        shares: how many cells' shares of the cores it may take; trees spread rows over them, networks their passes,
            with the same bits.
    """
    fingerprint = open_store(table).fingerprint
    why = cell.test_damage(fingerprint)
    if why:
        store = cell_stores.opened(cell, table)
        path = cell.test_path(store.fingerprint)
        mark = path.with_suffix(".json")
        if mark.exists():
            artefacts.say(cell.folder, why, f"{cell.name} predicts the test series again")
        estimator, channels = load_estimator(cell, store), estimator_channels.of_test(cell, store.fingerprint)
        if isinstance(estimator, BoostingCell):
            estimator.threads *= shares
        elif isinstance(estimator, NetworkCell):
            estimator.at_once = shares
        write_predictions(cell, estimator, store, np.arange(len(store.lengths)), path)
        if isinstance(estimator, EstimatorCell):
            channels.write(estimator.estimated(store))
        stored = (path, spread_path(path), *channels.both)
        artefacts.seal(mark, [each for each in stored if each.exists()])

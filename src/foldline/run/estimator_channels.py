"""Where an estimator's cell keeps its channels: of the training table, of test tables, of series to pre-train on.

channels.npy, estimate.npy                    of all training series, listed in done.json
channels-test-DATA.npy, estimate-test-...     of a test table, listed in test-DATA.json
channels-other-DATA.npy, estimate-other-...   of series to pre-train on, listed in other-DATA.json
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foldline.core import artefacts, files, locks
from foldline.data import open_rows
from foldline.data.channel_files import ChannelFiles
from foldline.data.store import Store
from foldline.fit.estimator_cell import EstimatorCell
from foldline.run.cells import Cell

BESIDE = ("channels-", "estimate-", "other-")  # how names begin that done.json does not list
DEVIATION = "sd"  # the channel
OF_TRAINING = ("channels.npy", "estimate.npy")  # of the training table


def of_training(cell: Cell) -> ChannelFiles:
    """Return the files of the training table."""
    return ChannelFiles(*(cell.folder / name for name in OF_TRAINING))


def of_test(cell: Cell, fingerprint: str) -> ChannelFiles:
    """Return the files of a test table. fingerprint: of that table."""
    return _named(cell, f"test-{fingerprint}")


def of_table(cell: Cell, store: Store) -> ChannelFiles:
    """Return the files of the competition's table that a store is of.

    Raises:
        Damaged: they are not what was written.
    """
    cell.refuse_damaged(None if store.labelled else store.fingerprint)
    return of_training(cell) if store.labelled else of_test(cell, store.fingerprint)


def of_other(cell: Cell, store: Store) -> ChannelFiles:
    """Return the files of series of which the cell has stored nothing yet, made once.

    Several cells are pre-trained on the same series: the others wait at the lock.
    """
    found, mark = _named(cell, f"other-{store.fingerprint}"), cell.folder / f"other-{store.fingerprint}.json"
    with locks.lock(files.runs() / "locks" / f"{cell.key}-{store.fingerprint}"):
        why = artefacts.damage(mark)
        if not why:
            return found
        if mark.exists():
            artefacts.say(cell.folder, why, f"{cell.name} makes its channels of other series again")
        cell.refuse_damaged()
        estimator = EstimatorCell(cell.model.name, cell.model.params)
        estimator.load(cell.folder, store)
        found.write(estimator.estimated(store))
        artefacts.seal(mark, found.both)
    return found


def modelled_deviation(cells: Sequence[Cell], store: Store) -> np.ndarray | None:
    """Gather the deviation that an estimator's model expects of its errors out of fold, before labels calibrate it.

    store: of the training table, R rows.

    Returns (R,), the mean over seeds, NaN where no cell holds a row out. None: no channel tells it.
    """
    if DEVIATION not in open_rows.names():
        return None
    column, total, count = open_rows.names().index(DEVIATION), np.zeros(len(store.y)), np.zeros(len(store.y))
    for cell in cells:
        if cell.fold is not None:
            cell.refuse_damaged()
            held = store.answers(files.read_array(cell.folder / "held_out.npy"))
            _, channels = of_training(cell).read()
            total[held] += channels[held, column]
            count[held] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _named(cell: Cell, name: str) -> ChannelFiles:
    return ChannelFiles(cell.folder / f"channels-{name}.npy", cell.folder / f"estimate-{name}.npy")

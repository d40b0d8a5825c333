"""An estimator's channels as its cell's folder keeps them: of the training table, of test tables, of others.

Channels are float32, as whatever reads them would cast them; the estimate beside them is float64: exact values and what
is learned about a residual stand there.

    channels.npy, estimate.npy                    of all training series, listed in done.json
    channels-test-DATA.npy, estimate-test-...     of a test table, listed in test-DATA.json
    channels-other-DATA.npy, estimate-other-...   of series to pre-train on, listed in other-DATA.json
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foldline.core import artefacts, files
from foldline.data.store import Store
from foldline.fit.estimator_cell import EstimatorCell
from foldline.run.cells import Cell

BESIDE = ("channels-", "estimate-", "other-")  # how names begin that done.json does not list
OF_TRAINING = ("channels.npy", "estimate.npy")  # of the training table
WIDTH = 3  # columns of an estimate: mean, deviation, whether it is exact


@dataclass(frozen=True)
class ChannelFiles:
    """The two files of one table."""

    channels: Path  # (R, C) float32
    estimate: Path  # (R, 3) float64

    def write(self, estimator: EstimatorCell, store: Store) -> None:
        """Write the channels of a store's series."""
        estimate, channels = estimator.channels(store)
        files.write_array(self.estimate, estimate)
        files.write_array(self.channels, channels)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimate (R, 3), and channels (R, C), mapped into memory."""
        channels = files.read_array(self.channels, mapped=True)
        if channels.dtype == np.float64:  # of an older version: both in one file
            return channels[:, :WIDTH], channels[:, WIDTH:]
        return files.read_array(self.estimate, mapped=True), channels


def of_training(cell: Cell) -> ChannelFiles:
    """Return the files of the training table."""
    return ChannelFiles(*(cell.folder / name for name in OF_TRAINING))


def of_test(cell: Cell, fingerprint: str) -> ChannelFiles:
    """Return the files of a test table. fingerprint: of that table."""
    return _named(cell, f"test-{fingerprint}")


def of_other(cell: Cell, store: Store) -> ChannelFiles:
    """Return the files of series of which the cell has stored nothing yet, made once.

    Several cells are pre-trained on the same series: the others wait at the lock.
    """
    found, mark = _named(cell, f"other-{store.fingerprint}"), cell.folder / f"other-{store.fingerprint}.json"
    with files.lock(files.runs() / "locks" / f"{cell.key}-{store.fingerprint}"):
        why = artefacts.damage(mark)
        if not why:
            return found
        if mark.exists():
            artefacts.say(cell.folder, why, f"{cell.name} makes its channels of other series again")
        cell.refuse_damaged()
        estimator = EstimatorCell(cell.model.name, cell.model.params)
        estimator.load(cell.folder, store)
        found.write(estimator, store)
        artefacts.seal(mark, [found.channels, found.estimate])
    return found


def _named(cell: Cell, name: str) -> ChannelFiles:
    return ChannelFiles(cell.folder / f"channels-{name}.npy", cell.folder / f"estimate-{name}.npy")

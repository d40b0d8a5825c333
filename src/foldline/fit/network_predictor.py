"""What a fitted network predicts: it sees series as in training, and what it says is in the targets' own units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from foldline.core.chunks import chunks
from foldline.data import on_disk
from foldline.data.store import Store
from foldline.fit import datasets, patches, stitching
from foldline.fit.augmentation import views
from foldline.fit.batch import Batch
from foldline.fit.labelled_series import LabelledSeries, unlabelled_series
from foldline.fit.padded_lengths import kept_steps
from foldline.fit.precision import autocast
from foldline.fit.scaler import Scaler
from foldline.fit.stitching import AnyBlock
from foldline.fit.target_transform import TargetTransform
from foldline.fit.train_config import TrainConfig

PART_ROWS = 1 << 22  # that are predicted together, where series are of one length


@dataclass(frozen=True)
class NetworkPredictor:
    """A network with all that its predictions hang on."""

    network: nn.Module
    train: TrainConfig
    scaler: Scaler
    transform: TargetTransform
    lengths: tuple[int, ...]  # that it predicts series at, or windows of them, ascending; see NetworkCell
    kept: int  # steps of a series that training saw; 0: the last of these lengths
    at_once: int = 1  # passes side by side on a CPU, a thread each: no part of what they predict

    @torch.no_grad()
    def apply(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict every answer of some series, as NetworkCell.predict says; the network is on its device, in eval mode.

        Nothing of it or of the process changes, in any thread.
        """
        if not len(series):  # a cell that holds out nothing; not every block takes an empty batch
            value, spread = self.apply(data, np.arange(1))
            return value[:0], None if spread is None else spread[:0]
        config = self.train.patches
        if not config.used:
            return self._in_parts(data, series)
        value, spread = self._predict(patches.pooled(unlabelled_series(data, series), config))
        if data.on_series:
            return value, spread
        up = partial(patches.up, store=data, series=series, config=config)
        return up(value), None if spread is None else up(spread)

    def _in_parts(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict series, many of one length part by part: in the same passes, but labels take no more memory."""
        whole_passes = max(1, PART_ROWS // (data.longest * stitching.PASS * self.train.batch))
        size = whole_passes * stitching.PASS * self.train.batch
        if self.train.windows.used or len(series) <= size or (data.lengths[series] != data.longest).any():
            return self._predict(unlabelled_series(data, series))
        value, spread, first = on_disk.zeros((int(data.answers_of_series[series].sum()), data.targets)), None, 0
        for part in chunks(len(series), size):
            own, own_spread = self._predict(unlabelled_series(data, series[part]))
            value[first : first + len(own)] = own
            if own_spread is not None:
                spread = on_disk.zeros(value.shape) if spread is None else spread
                spread[first : first + len(own)] = own_spread
            first += len(own)
        return value, spread

    def _predict(self, part: LabelledSeries) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict series as the network sees them; returns what `apply` does."""
        data, series = part.store, part.series
        part = self.transform.labelled(part)
        lengths, kept, device = self.lengths_for(data), self.kept_for(data), torch.device(self.train.device_used)
        fold = datasets.to_predict(part, self.scaler, lengths, kept, self.train, device)
        found = stitching.predicted(fold, self._pass, part, self.train, self.at_once)
        scale, count, answers = self.scaler.y_scale, data.targets, data.answers(series)
        value = found[:, :count]
        value *= scale
        value += self.scaler.y_center
        own = self.transform.inverse(value, data, answers)
        if found.shape[1] == count:
            return own, None
        return own, self.transform.spread(value, found[:, count:] * scale, data, answers)

    def lengths_for(self, data: Store) -> tuple[int, ...]:
        """Return the lengths of training, so that predictions do not depend on a file's other series.

        There is a longer one only where a later step is scored.
        """
        needed, windows = kept_steps(self.train.margin, data), self.train.windows
        needed = min(needed, windows.predicted) if windows.used else needed
        return self.lengths if needed <= self.lengths[-1] else (*self.lengths, needed)

    def kept_for(self, data: Store) -> int:
        """Return how many steps of a series are predicted, likewise."""
        return max(self.kept or self.lengths[-1], kept_steps(self.train.margin, data))

    @torch.no_grad()  # again: each thread has a switch of its own
    def _pass(self, block: AnyBlock, index: Tensor) -> Tensor:
        """Predict some series of a block: (b, T, K) scaled, or (b, T, 2 K) where the head estimates spreads."""
        batch, tta = block.batch(index), self.train.tta
        if not tta.used:
            return self._one_view(batch).cpu()
        return views.averaged(self._one_view, batch, tta, block.channels).cpu()

    def _one_view(self, batch: Batch) -> Tensor:
        """Predict a batch as it is, likewise."""
        head = self.network.head
        with autocast(self.train.precision, batch.x.device):
            hidden = self.network(batch.x, batch.static, batch.mask)
        raw = head(hidden.float(), batch.mask)  # type: ignore[operator]
        value, spread = head.predict(raw, batch.scored), head.spread(raw)  # type: ignore[union-attr, operator]
        return torch.cat([value] if spread is None else [value, spread], dim=-1)

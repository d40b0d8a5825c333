"""An estimator's channels of one table as two files: in all, half of what one of float64 would take.

Channels are float32, as whatever reads them casts them. The estimate beside them is float64: exact values stand there,
and what is learned is the residual about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foldline.core import files

if TYPE_CHECKING:
    from ventilator.open_rows import Estimate

WIDTH = 3  # columns of an estimate: mean, deviation, whether it is exact


def arrays(found: Estimate) -> tuple[np.ndarray, np.ndarray]:
    """Return what models read of an estimate of R rows: (R, 3) float64 and its channels (R, C) float32."""
    return np.column_stack([found.mean, found.sd, found.exact]), np.asarray(found.channels, dtype=np.float32)


@dataclass(frozen=True)
class ChannelFiles:
    """The two files of R rows."""

    channels: Path  # (R, C) float32
    estimate: Path  # (R, 3) float64

    @property
    def both(self) -> tuple[Path, Path]:
        """Return their paths."""
        return self.channels, self.estimate

    def write(self, found: Estimate) -> None:
        """Write what models read of an estimate."""
        estimate, channels = arrays(found)
        files.write_array(self.estimate, estimate)
        files.write_array(self.channels, channels)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return estimate and channels, mapped into memory."""
        channels = files.read_array(self.channels, mapped=True)
        if channels.dtype == np.float64:  # of an older version: both in one file
            return channels[:, :WIDTH], channels[:, WIDTH:]
        return files.read_array(self.estimate, mapped=True), channels

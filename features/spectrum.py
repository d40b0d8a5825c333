"""spectrum: at which frequencies an input moves.

polars has no Fourier transform. numpy's is applied to blocks of series of one length; it transforms row by row, so that
a series' bits do not depend on its block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from foldline.features.family import Columns
from foldline.features.per_series import Array, Rows, SeriesFamily, Statistic, ratio

HIGHEST = 0.5  # cycles per step: faster ones look slower at whole steps


@dataclass(frozen=True, kw_only=True)
class Spectrum(SeriesFamily):
    """Features `band0.05-0.1(x)@all` for each input x and band, its share of the energy of x less its mean, and
    `frequency(x)@all`, the mean frequency weighted by energy.

    Frequencies are in cycles per step, whatever the order column says. A band holds its lower edge, and one that ends
    at 0.5 that one, too. Constant series and single steps have 0 everywhere.
    """

    edges: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.5)  # of the bands, rising, 0 to 0.5 cycles per step

    def __post_init__(self) -> None:
        super().__post_init__()
        numbers = isinstance(self.edges, tuple) and all(type(edge) in (int, float) for edge in self.edges)
        if not numbers or len(self.edges) < 2 or any(not 0 <= a < b <= HIGHEST for a, b in pairwise(self.edges)):
            raise ValueError(
                f"spectrum.edges must be two or more rising numbers from 0 to 0.5, but got {self.edges!r}."
            )

    def statistics(self, columns: Columns) -> list[Statistic]:
        found = []
        for x in self.chosen(columns):
            for low, high in pairwise(self.edges):
                found.append(Statistic(f"band{low}-{high}({x})", (x,), partial(_share, low=low, high=high)))
            found.append(Statistic(f"frequency({x})", (x,), _frequency))
        return found


def _share(rows: Rows, values: Array, *, low: float, high: float) -> Array:
    def inside(frequencies: Array) -> Array:
        upper = frequencies <= high if high == HIGHEST else frequencies < high
        return ((frequencies >= low) & upper).astype(np.float64)

    return _weighted(rows, values, inside)


def _frequency(rows: Rows, values: Array) -> Array:
    return _weighted(rows, values, lambda frequencies: frequencies)


def _weighted(rows: Rows, values: Array, weight: Callable[[Array], Array]) -> Array:
    """Return the mean of `weight` of the frequencies, weighted by their energy (S,)."""
    found = np.zeros(len(rows.lengths))
    for chosen, block in rows.blocks(rows.centred(values)):
        length = block.shape[1]
        if length > 1:
            frequencies = np.arange(1, length // 2 + 1) / length
            transformed = np.fft.rfft(block, axis=1)[:, 1:]  # (n, length // 2), less the mean's
            energy = np.square(transformed.real) + np.square(transformed.imag)
            energy[:, frequencies < HIGHEST] *= 2.0  # those stand for their mirror images, too
            found[chosen] = ratio((energy * weight(frequencies)).sum(axis=1), energy.sum(axis=1))
    return found

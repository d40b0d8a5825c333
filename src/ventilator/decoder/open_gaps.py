"""Equations that the decoder leaves without a solution, of many breaths: as arrays, which can be stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from ventilator.controller import GRID_SIZE
from ventilator.decoder.equation import Equation
from ventilator.decoder.records import Floats, Gains, Ints
from ventilator.decoder.settle import LONGEST, OpenGap

PER_ROW: Final = ("weight", "c", "a", "clip", "edge")  # of an equation
PER_GAP: Final = ("total", "tolerance", "start_J", "start_y", "before", "after")


@dataclass(frozen=True, kw_only=True)
class OpenGaps:
    """G gaps of at most LONGEST unknown rows, by breath and row."""

    breath: Ints  # (G,) place of the breath among those that were decoded, by breath_id
    first: Ints  # (G,) first unknown row
    size: Ints  # (G,) unknown rows
    gains: Floats  # (G, 3) see Gains
    numbers: Floats  # (G, 6) PER_GAP of the equation
    rows: Floats  # (G, LONGEST, 5) PER_ROW of it; nan behind its last row

    @classmethod
    def of(cls, found: Iterable[tuple[int, OpenGap]]) -> Self:
        """Gather gaps, each with the place of its breath; longer ones are left out."""
        short = [(breath, gap) for breath, gap in found if len(gap.equation.weight) <= LONGEST]
        short.sort(key=lambda each: (each[0], each[1].first))
        rows = np.full((len(short), LONGEST, len(PER_ROW)), np.nan)
        for place, (_, gap) in enumerate(short):
            rows[place, : len(gap.equation.weight)] = np.stack([getattr(gap.equation, name) for name in PER_ROW], 1)
        gaps = [gap for _, gap in short]
        return cls(
            breath=np.array([breath for breath, _ in short], np.int64),
            first=np.array([gap.first for gap in gaps], np.int64),
            size=np.array([len(gap.equation.weight) for gap in gaps], np.int64),
            gains=np.array([gap.gains for gap in gaps], np.float64).reshape(-1, 3),
            numbers=np.array([[getattr(gap.equation, name) for name in PER_GAP] for gap in gaps], np.float64).reshape(
                -1, len(PER_GAP)
            ),
            rows=rows,
        )

    def __len__(self) -> int:
        return len(self.breath)

    def __iter__(self) -> Iterator[tuple[int, OpenGap]]:
        """Yield each gap with the place of its breath."""
        for place, size in enumerate(self.size):
            weight, c, a, clip, edge = self.rows[place, :size].T
            total, tolerance, start_J, start_y, before, after = self.numbers[place].tolist()
            equation = Equation(
                *(weight, total, tolerance, c, a, clip.astype(np.int64), edge, start_J, start_y),
                *(np.full(size + 1, GRID_SIZE), int(before), int(after)),
            )
            yield int(self.breath[place]), OpenGap(int(self.first[place]), Gains(*self.gains[place].tolist()), equation)

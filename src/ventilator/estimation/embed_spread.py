"""Calibrate the sd of the embedded lungs, without a label: by rows of an unlabelled file, and by simulated breaths.

    python -m ventilator.estimation.embed_spread DATA/test.csv [--out lungs.json]

Two sorts of rows, half of each, because neither is like the rows that a decoder leaves open. Decoded rows are hidden
where another breath's are open, and estimated by lungs that were fitted to the other half of the breaths: their errors
are real, but they lie where decoding is easy. Rows that the decoder leaves open of simulated breaths lie where they
should, but no simulation is as odd as reality. The simulator's rig is calibrated by the same decoded rows.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator.calibrate import calibrate
from ventilator.controller import Array
from ventilator.decoder.file_decoding import read
from ventilator.estimation.fit import fit_lungs
from ventilator.estimation.known import Known, decoded
from ventilator.estimation.lungs import EMBEDDED, SessionLungs, embedded
from ventilator.estimation.matched import matched_rig
from ventilator.estimation.smoother import smooth
from ventilator.estimation.spread import LEAST, Spread
from ventilator.measure import Recorded
from ventilator.rig import Rig
from ventilator.simulator import frame, simulate

DRAWS: Final = 3  # of the breaths whose open rows are hidden in others
SIMULATED: Final = 1500  # breaths


class Errors(NamedTuple):
    """Errors of n rows: cmH2O, absolute; the model's sd; which breath each is of."""

    error: Array
    sd: Array
    breath: NDArray[np.int64]

    def take(self, index: NDArray[np.int64]) -> Self:
        """Return the rows at the given places."""
        return self._replace(error=self.error[index], sd=self.sd[index], breath=self.breath[index])


def joined(parts: list[Errors]) -> Errors:
    """Put rows behind each other."""
    return Errors(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def embed_spread(table: pl.DataFrame, lungs: SessionLungs) -> SessionLungs:
    """Return lungs with an sd that is calibrated by what can be decoded of a table."""
    breaths, known, places = decoded(table)
    rng = np.random.default_rng(0)
    pressure = np.full(len(table), np.nan)
    pressure[places] = known.pressure
    rig = calibrate(table.with_columns(pressure=pl.Series(pressure).fill_nan(None)).drop("id", strict=False))
    parts = [hidden_rows(breaths, known, lungs, rng), simulated_rows(rig, lungs)]
    few = min(len(part.error) for part in parts)
    hidden, simulated = (part.take(rng.permutation(len(part.error))[:few]) for part in parts)
    both = joined([hidden, simulated._replace(breath=-1 - simulated.breath)])  # no breath is of both sorts
    return replace(lungs, spread=Spread().fitted(*both))


def hidden_rows(breaths: Recorded, known: Known, lungs: SessionLungs, rng: np.random.Generator) -> Errors:
    """Estimate decoded rows that are hidden where another breath, drawn at random, has open ones."""
    inspired = breaths.u_out == 0
    is_open, half = inspired & np.isnan(known.pressure), rng.permutation(len(breaths)) % 2
    halves = [np.flatnonzero(half == side) for side in (0, 1)]
    fits = [fit_lungs(breaths.take(other), known.take(other), start=lungs) for other in reversed(halves)]
    found = []
    for _ in range(DRAWS):
        hidden = is_open[rng.permutation(len(breaths))] & ~np.isnan(known.pressure)
        for own, fitted in zip(halves, fits, strict=True):
            posterior = smooth(breaths.take(own), known.hide(hidden).take(own), fitted)
            found.append(_errors(known.pressure[own], posterior.mean, posterior.modelled_sd, hidden[own], own))
    return joined(found)


def simulated_rows(rig: Rig, lungs: SessionLungs) -> Errors:
    """Estimate what the decoder leaves open of simulated breaths, by lungs fitted to what it decodes of them."""
    made = simulate(SIMULATED, 7, rig=matched_rig(rig, lungs))
    breaths, known, _ = decoded(frame(made, np.arange(SIMULATED)))
    posterior = smooth(breaths, known, fit_lungs(breaths, known, start=lungs))
    rows = (breaths.u_out == 0) & np.isnan(known.pressure)
    return _errors(breaths.pressure, posterior.mean, posterior.modelled_sd, rows, np.arange(SIMULATED))


def _errors(truth: Array, mean: Array, sd: Array, rows: NDArray[np.bool_], own: NDArray[np.int64]) -> Errors:
    """Collect the errors of some rows (N, 80) of breaths (N,)."""
    rows = rows & (sd > LEAST)
    return Errors(np.abs(truth - mean)[rows], sd[rows], np.broadcast_to(own[:, None], rows.shape)[rows])


def main() -> None:
    """Write the embedded lungs with their sd calibrated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="test.csv of the competition; only its decoded rows are used")
    parser.add_argument("--out", type=Path, default=EMBEDDED)
    args = parser.parse_args()
    lungs = embed_spread(read(args.file), embedded())
    args.out.write_text(lungs.to_json(), encoding="utf-8")
    print(f"factors at the knots: {lungs.spread.factors}")


if __name__ == "__main__":
    main()

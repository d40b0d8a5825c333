"""Check a decoded file in two ways that need no labels.

    python -m ventilator.decoder.check FILE

1. *Two precisions*: decode the file, round u_in and time_step to 10 digits, decode again. A wrong row almost never
   comes out the same twice, because its chance hits depend on the last digits; so no shared row may differ.
2. *Second differences*: real pressure is smooth. A wrong run shows as a jump between neighbours that no breath makes.

Exit code 0: nothing found; 1: a finding; 2: not a file that can be decoded.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator.controller import EXPLORATION_GAINS
from ventilator.decoder.decoder_state import DecoderState
from ventilator.decoder.file_reading import read
from ventilator.decoder.frame_decoding import state
from ventilator.decoder.records import UNKNOWN, Ints

DIGITS: Final = 10  # significant ones of the second decode: enough to prove nearly as much, other last digits
LARGEST_BEND: Final = 160  # grid steps; the largest second difference of labelled exploration runs is 154
LARGEST_BEND_SWEEP: Final = 500  # grid steps; that of high-gain sweeps is 424


def rounded(frame: pl.DataFrame, digits: int = DIGITS) -> pl.DataFrame:
    """Round u_in and time_step to so many significant digits."""
    columns = [
        pl.Series(name, [float(f"{value:.{digits}g}") for value in frame[name].cast(pl.Float64)])
        for name in ("u_in", "time_step")
    ]
    return frame.with_columns(columns)


def disagreements(one: DecoderState, other: DecoderState) -> Ints:
    """Return the rows that both call exact, with different pressures."""
    both = (one.grid != UNKNOWN) & (other.grid != UNKNOWN)
    return np.flatnonzero(both & (one.grid != other.grid))


def bends(frame: pl.DataFrame, known: DecoderState) -> Ints:
    """Return the rows (not a breath's first two) where three exact neighbours bend more than labelled breaths do."""
    breath = frame["breath_id"].to_numpy()
    k, exact = known.grid, known.grid != UNKNOWN
    same = (breath[2:] == breath[:-2]) & exact[2:] & exact[1:-1] & exact[:-2]
    limit = np.where(_explores(frame, known)[2:], LARGEST_BEND, LARGEST_BEND_SWEEP)
    return 2 + np.flatnonzero(same & (np.abs(k[2:] - 2 * k[1:-1] + k[:-2]) > limit))


def _explores(frame: pl.DataFrame, known: DecoderState) -> NDArray[np.bool_]:
    lungs = np.zeros(len(frame), np.bool_)
    for (r, c), (kp, ki) in EXPLORATION_GAINS.items():
        lung = (frame["R"].cast(pl.Float64) == r) & (frame["C"].cast(pl.Float64) == c)
        lungs |= lung.fill_null(False).to_numpy() & (known.kp == kp) & (known.ki == ki)
    return lungs


def main(argv: list[str] | None = None) -> int:
    """Run both checks on a file and print what they find."""
    parser = argparse.ArgumentParser(description="Check a decode without labels: at two precisions, and for jumps.")
    parser.add_argument("file", type=Path, help="CSV or Parquet of the competition's shape")
    try:
        frame = read(parser.parse_args(argv).file).sort("breath_id", "time_step", maintain_order=True)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    full, short = state(frame), state(rounded(frame))
    differ, bent = disagreements(full, short), bends(frame, full)
    both = np.count_nonzero((full.grid != UNKNOWN) & (short.grid != UNKNOWN))
    print(f"{np.count_nonzero(full.kind)} exact rows as printed, {np.count_nonzero(short.kind)} at {DIGITS} digits")
    print(f"{len(differ)} of {both} shared rows differ: ids {frame['id'].gather(differ).to_list()[:20]}")
    print(f"{len(bent)} rows bend too much: ids {frame['id'].gather(bent).to_list()[:20]}")
    return int(len(differ) + len(bent) > 0)


if __name__ == "__main__":
    sys.exit(main())

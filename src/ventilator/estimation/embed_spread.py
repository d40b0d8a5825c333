"""Calibrate the sd of the embedded lungs without a label, by breaths that are simulated about them.

    python -m ventilator.estimation.embed_spread [--out lungs.json]

The lungs behind the breaths are drawn about the embedded ones, which estimate what the decoder leaves open: so they err
as on real breaths, and on rows like the real ones. Decoded rows that are hidden would be real, but they lie elsewhere,
where errors are larger than the model says: calibrated by these, it would be less sure of open rows than it should.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from ventilator.estimation.known import decoded
from ventilator.estimation.lungs import EMBEDDED, SessionLungs, embedded
from ventilator.estimation.matched import DECODED, varied_rig
from ventilator.estimation.smoother import smooth
from ventilator.estimation.spread import Spread
from ventilator.rig import Rig
from ventilator.simulator import frame, simulate

SIMULATED: Final = 2000  # breaths
SEED: Final = 7


def embed_spread(lungs: SessionLungs, rig: Rig, breaths: int = SIMULATED) -> SessionLungs:
    """Return lungs with a calibrated sd. rig: whose clocks, shares and noise the simulated breaths have."""
    made = frame(simulate(breaths, SEED, rig=varied_rig(rig, lungs, seed=SEED)), np.arange(breaths))
    recorded, known, _ = decoded(made)
    found = smooth(recorded, known, lungs)
    rows = (recorded.u_out == 0) & np.isnan(known.pressure)
    error = np.abs(recorded.pressure - found.mean)[rows]
    return replace(lungs, spread=Spread().fitted(error, found.modelled_sd[rows], np.nonzero(rows)[0]))


def main() -> None:
    """Write the embedded lungs with their sd calibrated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=EMBEDDED)
    args = parser.parse_args()
    lungs = embed_spread(embedded(), Rig.load(DECODED))
    args.out.write_text(lungs.to_json(), encoding="utf-8")
    print(f"factors at the knots: {lungs.spread.factors}")


if __name__ == "__main__":
    main()

"""Estimates of the rows that the decoder leaves open: the sessions' lungs, fitted, and bent through what is known.

breaths, known, places = decoded(frame)          # the decoder's rows and controller
lungs = fit_lungs(breaths, known)                # or embedded(): lungs that come with the package
posterior = smooth(breaths, known, lungs)        # mean, sd and channels of every row of inspiration
*_, gaps = decoded_with_gaps(frame)              # the same, and the equations that are left without a solution
ranked(gaps, posterior.mean, posterior.sd)       # pressures of gaps with one grid solution inside that estimate
"""

from ventilator.estimation.channels import CHANNELS
from ventilator.estimation.fit import fit_lungs, fit_spread
from ventilator.estimation.known import Known, decoded, decoded_with_gaps
from ventilator.estimation.lungs import SessionLungs, embedded
from ventilator.estimation.ranked import ranked
from ventilator.estimation.smoother import Posterior, smooth

__all__ = [
    "CHANNELS",
    "Known",
    "Posterior",
    "SessionLungs",
    "decoded",
    "decoded_with_gaps",
    "embedded",
    "fit_lungs",
    "fit_spread",
    "ranked",
    "smooth",
]

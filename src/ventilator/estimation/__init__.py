"""Estimates of the rows that the decoder leaves open: the sessions' lungs, fitted, and bent through what is known.

breaths, known, places = decoded(frame)          # the decoder's rows and controller
lungs = fit_lungs(breaths, known)                # or embedded(): lungs that come with the package
posterior = smooth(breaths, known, lungs)        # mean, sd and channels of every row of inspiration
ranked(frame, breaths, known, posterior)         # pressures of gaps with one grid solution inside that estimate
"""

from ventilator.estimation.channels import CHANNELS
from ventilator.estimation.fit import fit_lungs, fit_spread
from ventilator.estimation.known import Known, decoded
from ventilator.estimation.lungs import SessionLungs, embedded
from ventilator.estimation.ranked import ranked
from ventilator.estimation.smoother import Posterior, smooth

__all__ = [
    "CHANNELS",
    "Known",
    "Posterior",
    "SessionLungs",
    "decoded",
    "embedded",
    "fit_lungs",
    "fit_spread",
    "ranked",
    "smooth",
]

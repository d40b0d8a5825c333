"""Fit the sessions' lungs by Gauss-Newton on the marginal likelihood: breath effects and process are integrated out.

A breath's readings are about its session's free run with the covariance of process.py. Each step (gauss_newton.py)
linearises the run at the breath's most probable effects, weighs a breath as a multivariate t does (an odd breath counts
less), and solves for all sessions at once, under the prior of parameters.py. Members of kind "free" are fitted to free
runs by absolute errors instead.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ventilator.controller import Array
from ventilator.estimation import parameters
from ventilator.estimation.gauss_newton import FreeFit, MarginalFit
from ventilator.estimation.inspirations import Inspirations
from ventilator.estimation.known import Known
from ventilator.estimation.lungs import Member, SessionLungs, embedded, places, settings_of
from ventilator.estimation.smoother import smooth
from ventilator.measure import Recorded

STEPS: Final = 5  # of Gauss-Newton at most: enough from lungs of like breaths; many more from a first guess


def fit_lungs(
    breaths: Recorded,
    known: Known | Array,
    *,
    start: SessionLungs | None = None,
    steps: int = STEPS,
    provenance: str = "the breaths given to fit_lungs",
) -> SessionLungs:
    """Fit lungs to N breaths of which some pressures are known: decoded rows, or labels.

    Args:
        breaths: N breaths; `breaths.pressure` is not looked at.
        known: what is known of them, or pressures (N, 80), cmH2O, nan where unknown. A saturated reading is left out.
        start: the lungs to begin with, whose assumptions are kept; the embedded ones by default.
        steps: of Gauss-Newton at most.
        provenance: text that the result carries.

    Raises:
        ValueError: if a breath's R or C is none of the competition's, or no pressure is known.
    """
    start = embedded() if start is None else start
    pressure = known.pressure if isinstance(known, Known) else known
    rows = Inspirations.of(breaths, pressure)
    index = places(start.sessions, breaths)
    told = np.flatnonzero(~np.isnan(rows.known).all(axis=1))
    if not len(told):
        raise ValueError(f"Lungs are fitted to known pressures, but of {len(breaths)} breaths none is known.")
    members = tuple(fit_member(rows.take(told), index[told], start, member, steps) for member in start.members)
    return replace(start, members=members, provenance=provenance)


def fit_spread(
    lungs: SessionLungs, breaths: Recorded, known: Known, labels: Array, unseen: SessionLungs | None = None
) -> SessionLungs:
    """Return lungs whose sd is calibrated by labels of rows that are not known.

    Errors there are those of lungs that have not seen the labels: own lungs' would be too small.

    Args:
        lungs: fitted to these labels, too.
        breaths: N breaths; `breaths.pressure` is not looked at.
        known: what was known of them without a label.
        labels: (N, 80) cmH2O, nan where there is none; those of known rows do not count.
        unseen: the embedded ones by default.
    """
    told = ~np.isnan(labels) & np.isnan(known.pressure)
    own = np.flatnonzero(told.any(axis=1))
    if not len(own):
        return lungs
    found = smooth(breaths.take(own), known.take(own), embedded() if unseen is None else unseen)
    rows, breath = told[own], np.nonzero(told[own])[0]
    error = np.abs(labels[own] - found.mean)[rows]
    return replace(lungs, spread=lungs.spread.fitted(error, found.modelled_sd[rows], breath))


def fit_member(
    breaths: Inspirations, index: NDArray[np.int64], lungs: SessionLungs, member: Member, steps: int
) -> Member:
    """Fit one member's vectors, beginning with what it has."""
    r, c = settings_of(lungs.sessions)
    # One thread: sums must not depend on the number of cores.
    form = FreeFit if member.kind == "free" else MarginalFit
    with threadpool_limits(1):
        fit = form(breaths, index, parameters.means(r, c), parameters.covariance(member.prior, r, c), member.process)
        return replace(member, vectors=fit.run(member.vectors, steps))

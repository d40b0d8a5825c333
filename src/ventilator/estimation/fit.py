"""Fit the sessions' lungs by Gauss-Newton on the marginal likelihood: breath effects and process are integrated out.

A breath's readings are about its session's free run with the covariance of process.py. Each step linearises the run at
the breath's most probable effects, weighs a breath as a multivariate t does (an odd breath counts less), and solves for
all sessions at once, under the prior of parameters.py. Levenberg's damping makes each step lower the objective.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from threadpoolctl import threadpool_limits

from ventilator.controller import Array
from ventilator.estimation import parameters
from ventilator.estimation.inspirations import Inspirations, derivatives, free_run
from ventilator.estimation.known import Known
from ventilator.estimation.lungs import Member, SessionLungs, embedded, places, settings_of
from ventilator.estimation.parameters import EFFECTS, PLACE, P
from ventilator.estimation.process import Process, masked, remainder
from ventilator.measure import Recorded

STEPS: Final = 10  # of Gauss-Newton at most; from lungs of like breaths they converge
ENOUGH: Final = 0.1  # fall of the objective (nats) at which steps end
LARGEST: Final = 1.0  # change of a parameter in a step
EASIER, HARDER, FIRST_DAMPING, LAST_DAMPING = 0.2, 5.0, 1e-3, 1e3


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
        ValueError: if a breath's R or C is none of the competition's.
    """
    start = embedded() if start is None else start
    pressure = known.pressure if isinstance(known, Known) else known
    rows = Inspirations.of(breaths, pressure)
    index = places(start.sessions, breaths)
    told = np.flatnonzero(~np.isnan(rows.known).all(axis=1))
    members = tuple(fit_member(rows.take(told), index[told], start, member, steps) for member in start.members)
    return SessionLungs(sessions=start.sessions, members=members, provenance=provenance)


def fit_member(
    breaths: Inspirations, index: NDArray[np.int64], lungs: SessionLungs, member: Member, steps: int
) -> Member:
    """Fit one member's vectors, beginning with what it has."""
    r, c = settings_of(lungs.sessions)
    # One thread: sums must not depend on the number of cores.
    with threadpool_limits(1):
        fit = _Fit(breaths, index, parameters.means(r, c), parameters.covariance(member.prior, r, c), member.process)
        vectors = fit.run(member.vectors, steps)
    return Member(prior=member.prior, process=member.process, vectors=vectors)


class _Linear(NamedTuple):
    """The model of all breaths about one point; rows that are not known are 0."""

    inverse: Array  # (N, T, T) of the covariance of what neither lung nor effects explain
    by_vector: Array  # (N, T, P)
    weighted: Array  # (N, T, 5), inverse @ derivative by the effects
    inner: Array  # (N, 5, 5), posterior covariance of the effects
    residual: Array  # (N, T) cmH2O, of effects 0


class _Fit:
    """The objective and its steps: minus the log posterior of vectors and effects, without its constants."""

    def __init__(self, breaths: Inspirations, index: NDArray[np.int64], mean: Array, cov: Array, process: Process):
        self.breaths, self.index, self.mean, self.process = breaths, index, mean, process
        self.precision = linalg.inv(cov)
        self.known = ~np.isnan(breaths.known)
        self.freedom = process.tail + self.known.sum(axis=1)
        self.order = [np.flatnonzero(index == s) for s in range(len(mean))]

    def run(self, vectors: Array, steps: int) -> Array:
        """Return the fitted vectors (S + 9, P)."""
        effects, damping = np.zeros((len(self.breaths), len(EFFECTS))), FIRST_DAMPING
        for _ in range(steps):
            point = self._linearise(vectors, effects)
            pressure = free_run(vectors[self.index], effects, self.breaths).pressure
            before, distance = self._objective(point, vectors, effects, pressure)
            system, pull = self._equations(point, vectors, self.freedom / (self.process.tail + distance))
            while True:
                moved, new = self._step(point, vectors, system, pull, damping)
                pressure = free_run(moved[self.index], new, self.breaths).pressure
                after, _ = self._objective(point, moved, new, pressure)
                if after < before or damping > LAST_DAMPING:
                    break
                damping *= HARDER
            if after >= before:
                break
            vectors, effects, damping = moved, new, damping * EASIER
            if before - after < ENOUGH:
                break
        return vectors

    def _linearise(self, vectors: Array, effects: Array) -> _Linear:
        own = vectors[self.index]
        run, by_effect, by_vector = derivatives(own, effects, self.breaths, by_vector=True)
        cov = remainder(self.process, run, self.breaths, np.exp(own[:, PLACE["compliance"]]))
        inverse = np.linalg.inv(masked(cov, self.known))
        by_effect, by_vector = by_effect * self.known[:, :, None], by_vector * self.known[:, :, None]
        weighted = inverse @ by_effect
        inner = np.linalg.inv(by_effect.transpose(0, 2, 1) @ weighted + np.diag(1.0 / self.process.effects()))
        residual = np.where(self.known, self.breaths.known - run.pressure, 0.0)
        residual += np.einsum("nte,ne->nt", by_effect, effects)
        return _Linear(np.asarray(inverse), by_vector, weighted, np.asarray(inner), residual)

    def _objective(self, point: _Linear, vectors: Array, effects: Array, pressure: Array) -> tuple[float, Array]:
        """Return the objective and each breath's squared distance (N,); covariances are those of `point`."""
        error = np.where(self.known, self.breaths.known - pressure, 0.0)
        distance = np.einsum("nt,ntu,nu->n", error, point.inverse, error)
        distance += (effects**2 / self.process.effects()).sum(axis=1)
        off = (vectors - self.mean).ravel()
        likelihood = 0.5 * (self.freedom * np.log1p(distance / self.process.tail)).sum()
        return float(likelihood + 0.5 * off @ self.precision @ off), distance

    def _equations(self, point: _Linear, vectors: Array, weight: Array) -> tuple[Array, Array]:
        """Return the normal equations of all vectors, with the effects eliminated."""
        count = len(self.mean)
        system, pull = self.precision.copy(), -self.precision @ (vectors - self.mean).ravel()
        for s, own in enumerate(self.order):
            if not len(own):
                continue
            slopes, weighted = point.by_vector[own], point.weighted[own]
            explained = weighted @ (point.inner[own] @ (weighted.transpose(0, 2, 1) @ slopes))
            scaled = ((point.inverse[own] @ slopes - explained) * weight[own, None, None]).reshape(-1, P)
            block = slice(s * P, (s + 1) * P)
            system[block, block] += slopes.reshape(-1, P).T @ scaled
            pull[block] += scaled.T @ point.residual[own].ravel()
        assert len(pull) == count * P
        return system, pull

    def _step(self, point: _Linear, vectors: Array, system: Array, pull: Array, damping: float) -> tuple[Array, Array]:
        """Solve for new vectors, and for the effects that fit them best."""
        damped = system.copy()
        damped[np.diag_indices_from(damped)] *= 1.0 + damping
        change = linalg.solve(damped, pull, assume_a="pos").reshape(self.mean.shape)
        change = np.clip(change, -LARGEST, LARGEST)
        left = point.residual - np.einsum("ntp,np->nt", point.by_vector, change[self.index])
        effects = np.einsum("nef,ntf,nt->ne", point.inner, point.weighted, left)
        return vectors + change, effects

"""Gauss-Newton steps for the vectors of all sessions at once, with Levenberg's damping: each lowers the objective."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ventilator.controller import Array
from ventilator.estimation.inspirations import Inspirations, derivatives, free_run
from ventilator.estimation.parameters import EFFECTS, PLACE, P
from ventilator.estimation.process import Process, masked, remainder

ENOUGH: Final = 0.3  # fall of the objective (nats) at which steps end
LARGEST: Final = 1.0  # change of a parameter in a step
EASIER, HARDER, FIRST_DAMPING, LAST_DAMPING = 0.2, 5.0, 1e-3, 1e3
SCALE: Final = 2.0  # cmH2O of absolute error that count as much as one sd of the prior, squared and halved
NEAR: Final = 0.3  # cmH2O below which an error is too small for its sign to matter


class Linear(NamedTuple):
    """The model of all breaths about one point; rows that are not known are 0."""

    inverse: Array  # (N, T, T) of the covariance of what neither lung nor effects explain
    by_vector: Array  # (N, T, P)
    weighted: Array  # (N, T, 5), inverse @ derivative by the effects
    inner: Array  # (N, 5, 5), posterior covariance of the effects
    residual: Array  # (N, T) cmH2O, of effects 0


class MarginalFit:
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
            system, pull = self._equations(point, vectors, self._weight(distance))
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

    def _linearise(self, vectors: Array, effects: Array) -> Linear:
        own = vectors[self.index]
        run, by_effect, by_vector = derivatives(own, effects, self.breaths, by_vector=True)
        cov = remainder(self.process, run, self.breaths, np.exp(own[:, PLACE["compliance"]]))
        inverse = np.linalg.inv(masked(cov, self.known))
        by_effect, by_vector = by_effect * self.known[:, :, None], by_vector * self.known[:, :, None]
        weighted = inverse @ by_effect
        inner = np.linalg.inv(by_effect.transpose(0, 2, 1) @ weighted + np.diag(1.0 / self.process.effects()))
        residual = np.where(self.known, self.breaths.known - run.pressure, 0.0)
        residual += np.einsum("nte,ne->nt", by_effect, effects)
        return Linear(np.asarray(inverse), by_vector, weighted, np.asarray(inner), residual)

    def _objective(self, point: Linear, vectors: Array, effects: Array, pressure: Array) -> tuple[float, Array]:
        """Return the objective and each breath's squared distance (N,); covariances are those of `point`."""
        error = np.where(self.known, self.breaths.known - pressure, 0.0)
        distance = np.einsum("nt,ntu,nu->n", error, point.inverse, error)
        distance += (effects**2 / self.process.effects()).sum(axis=1)
        off = (vectors - self.mean).ravel()
        return self._misfit(distance) + 0.5 * float(off @ self.precision @ off), distance

    def _misfit(self, distance: Array) -> float:
        """Return minus the log likelihood of breaths at such distances (N,): a multivariate t's."""
        return float(0.5 * (self.freedom * np.log1p(distance / self.process.tail)).sum())

    def _weight(self, distance: Array) -> Array:
        """Return what each breath (N,) counts in the quadratic that touches `_misfit`."""
        return np.asarray(self.freedom / (self.process.tail + distance))

    def _equations(self, point: Linear, vectors: Array, weight: Array) -> tuple[Array, Array]:
        """Return the normal equations of all vectors, with the effects eliminated."""
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
        return system, pull

    def _step(self, point: Linear, vectors: Array, system: Array, pull: Array, damping: float) -> tuple[Array, Array]:
        """Solve for new vectors, and for the effects that fit them best."""
        damped = system.copy()
        damped[np.diag_indices_from(damped)] *= 1.0 + damping
        change = linalg.solve(damped, pull, assume_a="pos").reshape(self.mean.shape)
        change = np.clip(change, -LARGEST, LARGEST)
        left = point.residual - np.einsum("ntp,np->nt", point.by_vector, change[self.index])
        effects = np.einsum("nef,ntf,nt->ne", point.inner, point.weighted, left)
        return vectors + change, effects


class FreeFit(MarginalFit):
    """The same steps for the sum of absolute errors of free runs: effects stay 0, and no process explains an error.

    Far from any known row a run is on its own. Fitted so, lungs are worse near known rows and much better without any.
    """

    def _linearise(self, vectors: Array, effects: Array) -> Linear:
        run, by_effect, by_vector = derivatives(vectors[self.index], effects, self.breaths, by_vector=True)
        residual = np.where(self.known, self.breaths.known - run.pressure, 0.0)
        # r^2 / |r|: iteratively reweighted least squares; rows nearer than NEAR count by their squares.
        weight = self.known / (SCALE * np.maximum(np.abs(residual), NEAR))
        inverse = weight[:, :, None] * np.eye(weight.shape[1])
        nothing = np.zeros_like(by_effect)
        inner = np.zeros((len(weight), len(EFFECTS), len(EFFECTS)))
        return Linear(inverse, by_vector * self.known[:, :, None], nothing, inner, residual)

    def _misfit(self, distance: Array) -> float:
        return 0.5 * float(distance.sum())

    def _weight(self, distance: Array) -> Array:
        return np.ones_like(distance)

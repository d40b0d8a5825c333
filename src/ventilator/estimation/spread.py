"""How large errors are where the model says that they have such an sd: a curve fitted to errors on labels not seen.

The model's sd is right about normal breaths, too small where a lung drives fast changes, and far too large where few
known rows fit badly. So the curve bends: the log of the factor is linear in the log of the sd between KNOTS.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from threadpoolctl import threadpool_limits

from ventilator.controller import Array

KNOTS: Final = (0.2, 0.7, 3.0)  # cmH2O of the model's sd
ERROR: Final = float(np.sqrt(2.0 / np.pi))  # mean absolute error of a normal variable of sd 1
LOOSE: Final = 0.3  # sd of the log of a factor about that of the curve to begin with
LEAST: Final = 1e-6  # cmH2O of sd below which a row is as good as known
DIGITS: Final = 4  # significant ones of a factor in a file


@dataclass(frozen=True)
class Spread:
    """The factor on the model's sd at each of the KNOTS."""

    factors: tuple[float, ...] = (1.0,) * len(KNOTS)

    def __call__(self, sd: Array) -> Array:
        """Return the sd (...) of errors, cmH2O, where the model's is `sd`; 0 and nan stay."""
        inside = sd > LEAST
        logs = np.interp(np.log(np.where(inside, sd, 1.0)), np.log(KNOTS), np.log(self.factors))
        return np.where(inside, sd * np.exp(logs), sd)

    def fitted(self, error: Array, sd: Array, breath: NDArray[np.int64]) -> Self:
        """Fit the factors to mean absolute errors, by Laplace's likelihood: a large error counts once, not squared.

        Rows of a breath err together, so that its rows count as one in all; this curve is the prior.

        Args:
            error: (n,) cmH2O, absolute, of rows whose truth nothing that made the estimate has seen.
            sd: (n,) cmH2O, the model's.
            breath: (n,) which breath a row is of.
        """
        told = sd > LEAST
        error, sd, breath = error[told], sd[told], breath[told]
        if not len(error):
            return self
        basis = np.stack([np.interp(np.log(sd), np.log(KNOTS), unit) for unit in np.eye(len(KNOTS))], axis=1)
        weight, before = len(np.unique(breath)) / len(breath), np.log(self.factors)

        def misfit(logs: Array) -> tuple[float, Array]:
            by = basis @ logs
            relative = error / (ERROR * sd) * np.exp(-by)
            off = (logs - before) / LOOSE
            value = weight * float((by + relative).sum()) + 0.5 * float(off @ off)
            return value, weight * basis.T @ (1.0 - relative) + off / LOOSE

        with threadpool_limits(1):  # sums must not depend on the number of cores
            found = optimize.minimize(misfit, before, jac=True, method="L-BFGS-B").x
        return replace(self, factors=tuple(float(f"{factor:.{DIGITS}g}") for factor in np.exp(found)))

"""What the tables of benchmarks/open_rows.py are made of: breaths with known truth, errors with intervals, steps.

N breaths, T rows of the longest inspiration, R rows of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from foldline.data import open_rows as prepared_rows
from foldline.data.store import Store
from ventilator import open_rows
from ventilator.estimation import Known, SessionLungs, decoded, smooth
from ventilator.estimation.conditioning import average, smooth_member
from ventilator.estimation.constraints import condition_on_sums, controlled
from ventilator.estimation.inspirations import SATURATED, Inspirations
from ventilator.measure import Recorded

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DRAWS: Final = 2000  # of the bootstrap
STEPS: Final = ("free run", "breath effects", "process", "exact sums", "bounds")
WITHIN: Final = (1, 2)  # sd


class Scored:
    """N breaths whose pressures are known, decoded, and which of their rows are open."""

    def __init__(self, breaths: Recorded, known: Known, pressure: Array, places: NDArray[np.int64]) -> None:
        self.breaths, self.known, self.places = breaths, known, places
        self.length = int((breaths.u_out == 0).sum(axis=1).max())
        self.pressure, self.truth = pressure, pressure[:, : self.length]
        self.inspired: NDArray[np.bool_] = np.asarray(breaths.u_out[:, : self.length] == 0)
        self.exact: NDArray[np.bool_] = np.asarray(~np.isnan(known.pressure[:, : self.length]))
        self.open = self.inspired & ~self.exact
        self.anchored = np.broadcast_to(np.any(self.exact, axis=1, keepdims=True), self.open.shape)

    @classmethod
    def of_frame(cls, frame: pl.DataFrame) -> Self:
        """Decode the breaths of a frame."""
        breaths, known, places = decoded(frame)
        return cls(breaths, known, breaths.pressure, places)

    @classmethod
    def of_store(cls, store: Store) -> Self:
        """Take the breaths of a training table whose rows are prepared for an estimator."""
        rows: dict[str, Any] = prepared_rows.read(store.fingerprint)
        breaths, known = open_rows.breaths_of(rows)
        places = rows[open_rows.PLACES]
        return cls(breaths, known, np.asarray(store.y)[places, 0], places)

    @property
    def labels(self) -> Array:
        """Return pressures (N, 80) of inspiration, nan elsewhere."""
        return np.where(self.breaths.u_out == 0, self.pressure, np.nan)

    def take(self, index: NDArray[np.int64] | Mask) -> Scored:
        """Return some of the breaths."""
        return Scored(self.breaths.take(index), self.known.take(index), self.pressure[index], self.places[index])

    def by_breath(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring values of all rows of the table, (R,), to these breaths' inspirations, (N, T)."""
        return np.asarray(values[self.places[:, : self.length]])


def steps(scored: Scored, lungs: SessionLungs) -> dict[str, Array]:
    """Estimate breaths by ever more of the model: means (N, T), cmH2O; also "sd" and "modelled sd" of the last."""
    breaths, known, length = scored.breaths, scored.known, scored.length
    rows, index = Inspirations.of(breaths, known.pressure), lungs.places(breaths)
    parts = [smooth_member(rows, index, member) for member in lungs.members]
    smoothed = average(parts, [member.kind for member in lungs.members], ~np.isnan(rows.known))
    summed = smoothed.mean.copy()
    for i, one in enumerate(controlled(breaths, known, rows)):
        if one is not None:
            summed[i], _ = condition_on_sums(one, smoothed.mean[i], smoothed.cov[i])
    posterior = smooth(breaths, known, lungs)
    means = (smoothed.free, smoothed.run.pressure, smoothed.mean, summed, posterior.mean[:, :length])
    found = {name: np.minimum(mean, SATURATED) for name, mean in zip(STEPS, means, strict=True)}
    return found | {"sd": posterior.sd[:, :length], "modelled sd": posterior.modelled_sd[:, :length]}


def steps_of_all(scored: Scored, parts: Sequence[tuple[SessionLungs, Mask]]) -> dict[str, Array]:
    """Estimate breaths, each part (N,) of them by lungs of its own; arrays as of `steps`."""
    made: dict[str, Array] = {}
    for lungs, own in parts:
        for step, values in steps(scored.take(own), lungs).items():
            whole = made.setdefault(step, np.zeros_like(scored.truth))
            whole[own, : values.shape[1]] = values
    return made


def held(scored: Scored) -> Array:
    """Interpolate between exact rows, hold the last, and the mean of all exact rows where a breath has none."""
    rows, everywhere = np.arange(scored.length), float(np.nanmean(scored.known.pressure))
    out = np.full(scored.truth.shape, everywhere)
    for i, exact in enumerate(scored.exact):
        if exact.any():
            out[i] = np.interp(rows, rows[exact], scored.known.pressure[i, : scored.length][exact])
    return out


def drawn_means(values: Array, rows: Mask) -> tuple[float, Array]:
    """Return the mean of values (N, T) over rows (N, T), and (DRAWS,) such of breaths that are drawn again."""
    total, count = np.where(rows, values, 0.0).sum(axis=1), rows.sum(axis=1)
    total, count = total[count > 0], count[count > 0]
    places = np.random.default_rng(0).integers(0, len(count), (DRAWS, len(count)))
    return float(total.sum() / count.sum()), total[places].sum(axis=1) / count[places].sum(axis=1)


def interval(values: Array, rows: Mask, signed: bool = False) -> str:
    """Write the mean of values (N, T) over rows (N, T), and its 95 % interval over breaths."""
    if not rows.any():
        return "–"
    mean, drawn = drawn_means(values, rows)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})" if signed else f"{mean:.3f} ({low:.2f}–{high:.2f})"


class Ladder:
    """A table of steps: each with its errors, and how it differs from the step before on the same breaths."""

    def __init__(self, scored: Scored) -> None:
        self.scored, self.errors = scored, dict[str, Array]()
        head = ("step", "lungs fitted to", "open rows", "median", "with an anchor", "without", "change by the step")
        print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")

    def step(self, name: str, fitted_to: str, mean: Array, before: str = "") -> None:
        """Add a step with its means (N, T). before: the step that it goes on from; empty: none is compared."""
        scored = self.scored
        error = self.errors[name] = np.abs(scored.truth - mean)
        parts = [interval(error, scored.open & part) for part in (scored.anchored, ~scored.anchored)]
        less = interval(error - self.errors[before], scored.open, signed=True) if before else ""
        cells = (name, fitted_to, interval(error, scored.open), f"{np.median(error[scored.open]):.3f}", *parts, less)
        print(f"| {' | '.join(cells)} |", flush=True)

    def compare(self, name: str, others: Sequence[str]) -> None:
        """Print how a step differs from some others, over open rows with and without an anchor."""
        scored = self.scored
        groups = {"all": scored.open, "with an anchor": scored.open & scored.anchored}
        groups |= {"without": scored.open & ~scored.anchored}
        print(f"| {name} less | {' | '.join(groups)} |\n|---|{'---|' * len(groups)}")
        for other in others:
            less = self.errors[name] - self.errors[other]
            print(f"| {other} | {' | '.join(interval(less, rows, signed=True) for rows in groups.values())} |")


def lung_steps(
    ladder: Ladder, fits: Sequence[tuple[str, Sequence[tuple[SessionLungs, Mask]]]]
) -> dict[str, dict[str, Array]]:
    """Add the steps of hold and of lungs; return the means (N, T) and sds of each fit. fits: (fitted to, parts)."""
    hold = "hold, or a line between anchors"
    ladder.step(hold, "–", held(ladder.scored))
    made = {}
    for name, parts in fits:
        made[name], before = steps_of_all(ladder.scored, parts), hold
        for step in STEPS:
            ladder.step(step, name, made[name][step], before)
            before = step
    return made


def spread_table(scored: Scored, fits: dict[str, dict[str, Array]]) -> None:
    """Print how sds of the last step agree with its errors, as the model has them and calibrated."""
    head = ("lungs fitted to", "sd", "open rows", "within 1 sd", "within 2 sd", "error / expected error")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for fitted_to, made in fits.items():
        error = np.abs(scored.truth - made["bounds"])
        for name, sd in (("the model's", made["modelled sd"]), ("calibrated", made["sd"])):
            for part, rows in (("with an anchor", scored.anchored), ("without", ~scored.anchored)):
                inside = scored.open & rows
                if inside.any():
                    within = [interval((error <= k * sd).astype(np.float64), inside) for k in WITHIN]
                    print(f"| {fitted_to} | {name} | {part} | {' | '.join(within)} | {ratio(error, sd, inside)} |")


def ratio(error: Array, sd: Array, rows: Mask) -> str:
    """Write the mean error over the mean that a normal error of these sds has, (N, T) each, and its interval."""
    mean, drawn = drawn_means(error, rows)
    expected, of_drawn = drawn_means(np.sqrt(2.0 / np.pi) * sd, rows)
    low, high = np.quantile(drawn / of_drawn, (0.025, 0.975))
    return f"{mean / expected:.2f} ({low:.2f}–{high:.2f})"

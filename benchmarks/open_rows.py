"""Open rows: how far the lungs and the smoother get on what the decoder leaves, step by step.

    ./run.sh bench open_rows --data FOLDER                  the embedded lungs, which have seen no label
    ./run.sh bench open_rows --data FOLDER --folds FILE     also lungs fitted outside each fold of a fold file
    ./run.sh bench open_rows --data FOLDER --ahead          also errors 1, 5 and 12 rows ahead, by R and by valve
    ./run.sh bench open_rows --simulated 2000               the same ladder on simulated breaths

FOLDER holds the competition's train.csv (whose labels are scored) and test.csv (whose decoded rows are fitted).
Errors are mean absolute ones in cmH2O, intervals 95 % of a bootstrap over breaths. docs/open-rows.md has the tables.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator import simulator
from ventilator.estimation import Known, SessionLungs, decoded, embedded, fit_lungs, smooth
from ventilator.estimation.conditioning import average, smooth_member
from ventilator.estimation.constraints import condition_on_sums, controlled
from ventilator.estimation.inspirations import SATURATED, Inspirations
from ventilator.estimation.matched import matched_rig
from ventilator.estimation.parameters import PLACE
from ventilator.measure import Recorded
from ventilator.rig import Rig

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DRAWS: Final = 2000  # of the bootstrap
LONG_GAP: Final = 5  # rows
AHEAD: Final = (1, 5, 12)  # rows
EVERY: Final = 4  # rows between two that are predicted ahead
BINS: Final = (0, 10, 15, 20, 25, 30, 40, 50, 66)  # cmH2O
SHUT: Final = 1e-9  # % of u_in


class Scored:
    """N labelled breaths, decoded, and which of their rows are open."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.breaths, self.known, _ = decoded(frame)
        self.length = int((self.breaths.u_out == 0).sum(axis=1).max())
        self.truth = self.breaths.pressure[:, : self.length]
        self.inspired = self.breaths.u_out[:, : self.length] == 0
        self.exact = ~np.isnan(self.known.pressure[:, : self.length])
        self.open = self.inspired & ~self.exact
        self.anchored = np.broadcast_to(self.exact.any(axis=1)[:, None], self.open.shape)

    @property
    def labels(self) -> Array:
        """Return pressures (N, 80) of inspiration, nan elsewhere."""
        return np.where(self.breaths.u_out == 0, self.breaths.pressure, np.nan)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of train.csv and test.csv")
    parser.add_argument("--folds", type=Path, help="fold file: breath_id, fold")
    parser.add_argument("--ahead", action="store_true", help="errors 1, 5 and 12 rows ahead")
    parser.add_argument("--simulated", type=int, default=0, help="simulated breaths")
    args = parser.parse_args()
    if args.simulated:
        _simulated(args.simulated)
    if args.data is not None:
        _real(args.data, args.folds, args.ahead)


def _simulated(count: int) -> None:
    """Half of the breaths are scored; all lend their decoded rows to the fit."""
    for name, rig in (
        ("as simulated", None),
        ("with the lungs of the estimation", matched_rig(Rig.load(), embedded())),
    ):
        made = simulator.frame(simulator.simulate(count, seed=3, rig=rig), np.arange(count))
        scored = Scored(made.filter(pl.col("breath_id") < count // 2))
        others, known, _ = decoded(made.filter(pl.col("breath_id") >= count // 2))
        told = np.concatenate([known.pressure, scored.known.pressure])
        lungs = fit_lungs(_joined(others, scored.breaths), told)
        share = 100 * scored.open.sum() / scored.inspired.sum()
        print(f"\n## {count // 2} breaths {name}: {int(scored.open.sum())} open rows, {share:.1f} %")
        ladder(scored, [("decoded rows only", [(lungs, np.ones(len(scored.breaths), np.bool_))])])


def _real(folder: Path, folds: Path | None, ahead: bool) -> None:
    train, test = (pl.read_csv(folder / name, glob=False) for name in ("train.csv", "test.csv"))
    scored = Scored(train)
    fits = [("decoded rows only", [(embedded(), np.ones(len(scored.breaths), np.bool_))])]
    if folds is not None:
        fits.append(("and labels outside the fold", fold_fits(scored, test, folds)))
    print(f"\n## {len(scored.breaths)} labelled breaths, {int(scored.open.sum())} open rows")
    final = ladder(scored, fits)
    classes(scored, final)
    over_pressure(scored, final)
    sessions(scored)
    masked_rows(scored)
    if ahead:
        steps_ahead(scored)


def fold_fits(scored: Scored, test: pl.DataFrame, folds: Path) -> list[tuple[SessionLungs, Mask]]:
    """Fit lungs outside each fold: to labels of the others, to decoded rows of test and of the fold itself."""
    table = pl.read_csv(folds, comment_prefix="#")
    fold = dict(zip(table["breath_id"].to_list(), table["fold"].to_list(), strict=True))
    own = np.array([fold[breath] for breath in scored.breaths.breath_id.tolist()])
    others, known, _ = decoded(test)
    fits = []
    for k in sorted(set(own.tolist())):
        held = own == k
        pressure = np.where(held[:, None], scored.known.pressure, scored.labels)
        fits.append((fit_lungs(_joined(others, scored.breaths), np.concatenate([known.pressure, pressure])), held))
    return fits


def _joined(*parts: Recorded) -> Recorded:
    return Recorded(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def ladder(scored: Scored, fits: list[tuple[str, list[tuple[SessionLungs, Mask]]]]) -> dict[str, Array]:
    """Print the error after each step, and return the last step's means (N, T) of the last fit, with their sds."""
    print("\n| step | lungs fitted to | open rows | median | with an anchor | without |\n|---|---|---|---|---|---|")
    _line("hold, or a line between anchors", "–", scored, held(scored))
    final: dict[str, Array] = {}
    for name, parts in fits:
        made: dict[str, Array] = {}
        for lungs, own in parts:
            for step, mean in steps(scored.breaths.take(own), scored.known.take(own), lungs, scored.length).items():
                made.setdefault(step, np.zeros_like(scored.truth))[own] = mean
        for step in ("free run", "breath effects", "process", "exact sums", "bounds"):
            _line(step, name, scored, made[step])
        final = made
    inside = [
        np.mean((np.abs(scored.truth - final["bounds"]) <= k * final["sd"])[scored.open & part])
        for part in (scored.anchored, ~scored.anchored)
        for k in (1, 2)
    ]
    print("\nErrors within 1 and 2 sd: with an anchor {:.2f}, {:.2f}; without {:.2f}, {:.2f}".format(*inside))
    return final


def steps(breaths: Recorded, known: Known, lungs: SessionLungs, length: int) -> dict[str, Array]:
    """Estimate N breaths by ever more of the model: means (N, T), cmH2O, and the sd of the last."""
    rows, index = Inspirations.of(breaths, known.pressure), lungs.places(breaths)
    parts = [smooth_member(rows, index, member) for member in lungs.members]
    smoothed = average(parts, [member.kind for member in lungs.members], ~np.isnan(rows.known))
    summed = smoothed.mean.copy()
    for i, one in enumerate(controlled(breaths, known, rows)):
        if one is not None:
            summed[i], _ = condition_on_sums(one, smoothed.mean[i], smoothed.cov[i])
    posterior = smooth(breaths, known, lungs)
    means = {
        "free run": smoothed.free,
        "breath effects": smoothed.run.pressure,
        "process": smoothed.mean,
        "exact sums": summed,
        "bounds": posterior.mean[:, :length],
        "sd": posterior.sd[:, :length],
    }
    return {name: np.minimum(_padded(mean, length), SATURATED) for name, mean in means.items()}


def _padded(values: Array, length: int) -> Array:
    """Add columns of zeros, where the longest breath of a part is shorter than that of all."""
    return np.pad(values, ((0, 0), (0, length - values.shape[1])))


def held(scored: Scored) -> Array:
    """Interpolate between exact rows, hold the last, and the mean of all exact rows where a breath has none."""
    rows, everywhere = np.arange(scored.length), float(np.nanmean(scored.known.pressure))
    out = np.full(scored.truth.shape, everywhere)
    for i, exact in enumerate(scored.exact):
        if exact.any():
            out[i] = np.interp(rows, rows[exact], scored.known.pressure[i, : scored.length][exact])
    return out


def interval(error: Array, rows: Mask) -> str:
    """Return the mean of an error (N, T) over rows (N, T), and its interval over breaths."""
    total, count = np.where(rows, error, 0.0).sum(axis=1), rows.sum(axis=1)
    total, count = total[count > 0], count[count > 0]
    if not len(count):
        return "–"
    drawn = np.random.default_rng(0).integers(0, len(count), (DRAWS, len(count)))
    low, high = np.quantile(total[drawn].sum(axis=1) / count[drawn].sum(axis=1), (0.025, 0.975))
    return f"{total.sum() / count.sum():.3f} ({low:.2f}–{high:.2f})"


def _line(step: str, name: str, scored: Scored, mean: Array) -> None:
    error = np.abs(scored.truth - mean)
    median = f"{np.median(error[scored.open]):.3f}"
    parts = [interval(error, scored.open & part) for part in (scored.anchored, ~scored.anchored)]
    print(f"| {step} | {name} | {interval(error, scored.open)} | {median} | {parts[0]} | {parts[1]} |", flush=True)


def classes(scored: Scored, final: dict[str, Array]) -> None:
    """Print errors by class of open row, as shared by all pages on open rows."""
    error, hold = np.abs(scored.truth - final["bounds"]), np.abs(scored.truth - held(scored))
    print("\n| class of open row | rows | hold | smoother |\n|---|---|---|---|")
    for name, rows in classes_of(scored).items():
        if rows.any():
            print(f"| {name} | {int(rows.sum())} | {hold[rows].mean():.2f} | {interval(error, rows)} |")


def classes_of(scored: Scored) -> dict[str, Mask]:
    """Sort the open rows into classes (N, T)."""
    place, exact = np.arange(scored.length), scored.exact
    before = np.logical_or.accumulate(exact, axis=1)
    after = np.logical_or.accumulate(exact[:, ::-1], axis=1)[:, ::-1]
    shut = scored.breaths.u_in[:, : scored.length] <= SHUT
    full = scored.breaths.u_in[:, : scored.length] >= 100.0
    inner = scored.open & before & after
    long = inner & (_gap(scored.open) >= LONG_GAP)
    first = scored.open & ~before & after
    return {
        "u_in = 0 after the last anchor": scored.open & before & ~after & shut,
        "u_in > 0 after the last": scored.open & before & ~after & ~shut,
        f"inner gap of {LONG_GAP} and more": long,
        "shorter gap": inner & ~long,
        "clipped before the first": first & (place > 0) & (shut | full),
        "unclipped before the first": first & (place > 0) & ~(shut | full),
        "row 0": first & (place == 0),
        "no anchor in the breath": scored.open & ~scored.anchored,
    }


def _gap(rows: Mask) -> NDArray[np.int64]:
    """Return the length (N, T) of the run of True that each row is in; 0 where it is False."""
    out = np.zeros(rows.shape, np.int64)
    for i, row in enumerate(rows):
        edges = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            out[i, start:stop] = stop - start
    return out


def over_pressure(scored: Scored, final: dict[str, Array]) -> None:
    """Print bias and error of free run (all rows) and smoother (open rows), by the pressure that they say."""
    print("\n| pressure as estimated, cmH2O | free run, all rows: bias | error | smoother, open rows: bias | error |")
    print("|---|---|---|---|---|")
    unsaturated = scored.inspired & (scored.truth < SATURATED)
    for low, high in pairwise(BINS):
        cells = []
        for mean, rows in ((final["free run"], unsaturated), (final["bounds"], scored.open)):
            here = rows & (mean >= low) & (mean < high)
            error = (scored.truth - mean)[here]
            cells += (
                [f"{error.mean():+.2f}", f"{np.abs(error).mean():.2f} ({int(here.sum())})"] if here.any() else ["–"] * 2
            )
        print(f"| {low} to {high} | {' | '.join(cells)} |")


def sessions(scored: Scored) -> None:
    """Print the embedded lungs of all sessions, and the error of their free runs on labelled breaths."""
    lungs = embedded()
    index = lungs.places(scored.breaths)
    free = steps(scored.breaths, scored.known, lungs, scored.length)["free run"]
    error = np.where(scored.inspired, np.abs(scored.truth - free), np.nan)
    head = (
        "R, C",
        "session",
        "R, cmH2O/(L/s)",
        "K, /(L/s)²",
        "C, mL/cmH2O",
        "leak, mL/s/cmH2O",
        "L/s at 20 %",
        "breaths",
    )
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    vectors = np.mean([member.vectors for member in lungs.members], axis=0)
    slopes = np.exp(vectors[:, PLACE["slope_0"] :])
    flow = slopes[:, :8] @ np.diff((0.0, 1.0, 2.0, 3.5, 5.0, 7.5, 10.0, 15.0, 20.0))
    for k, session in enumerate(lungs.sessions):
        names = [name for name in ("exploration", "slow", "late_pi") if getattr(session, name)]
        own = index == k
        numbers = [np.exp(vectors[k, PLACE[name]]) for name in ("resistance", "turbulence", "compliance", "leak")]
        shown = f"{numbers[0]:.1f} | {numbers[1]:.0f} | {1e3 * numbers[2]:.1f} | {1e3 * numbers[3]:.2f} | {flow[k]:.3f}"
        mean = f"{int(own.sum())}, free run {np.nanmean(error[own]):.2f}" if own.any() else "0"
        print(f"| {session.r}, {session.c} | {' '.join(names) or 'sweep'} | {shown} | {mean} |")


def masked_rows(scored: Scored) -> None:
    """Print the error where anchors are removed: a breath's open rows are those of another, drawn at random."""
    donor = np.random.default_rng(0).permutation(len(scored.breaths))
    hidden = np.zeros(scored.known.pressure.shape, np.bool_)
    hidden[:, : scored.length] = scored.open[donor]
    posterior = smooth(scored.breaths, scored.known.hide(hidden), embedded())
    error = np.abs(scored.truth - posterior.mean[:, : scored.length])
    rows = hidden[:, : scored.length] & scored.inspired
    print(f"\nOpen rows of another breath, drawn at random ({int(rows.sum())} rows): {interval(error, rows)}")


def steps_ahead(scored: Scored) -> None:
    """Print errors k rows ahead with all true rows before known, by R and by valve."""
    shut = np.zeros(scored.inspired.shape, np.bool_)
    closed = scored.breaths.u_in[:, : scored.length] <= SHUT
    shut[:, 1:] = closed[:, 1:] & closed[:, :-1]
    groups: list[tuple[str, Callable[[], Mask]]] = [("all", lambda: scored.inspired)]
    groups += [(f"R = {r}", lambda r=r: scored.inspired & (scored.breaths.r == r)[:, None]) for r in (5, 20, 50)]
    groups += [("valve shut", lambda: scored.inspired & shut), ("valve open", lambda: scored.inspired & ~shut)]
    print(f"\n| rows ahead | {' | '.join(name for name, _ in groups)} |\n|---|{'---|' * len(groups)}")
    first = replace(embedded(), members=embedded().members[:1])
    for ahead in AHEAD:
        error = np.full(scored.truth.shape, np.nan)
        for row in range(ahead, scored.length, EVERY):
            known = np.where(np.arange(80) <= row - ahead, scored.labels, np.nan)
            error[:, row] = np.abs(scored.truth[:, row] - smooth(scored.breaths, known, first).mean[:, row])
        cells = [f"{np.nanmean(np.where(rows(), error, np.nan)):.3f}" for _, rows in groups]
        print(f"| {ahead} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

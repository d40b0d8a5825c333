"""Open rows: how far lungs, smoother and members get on what the decoder leaves, step by step.

    ./run.sh bench open_rows --data FOLDER                      the embedded lungs, which have seen no label
    ./run.sh bench open_rows --data FOLDER --experiment NAME    also lungs and members of NAME's latest experiment
    ./run.sh bench open_rows --data FOLDER --ahead              also errors 1, 5 and 12 rows ahead, by R and by valve
    ./run.sh bench open_rows --simulated 4000                   members trained on half of simulated breaths, scored
                                                                on the others
    ./run.sh bench open_rows --data FOLDER --curve 2000         errors by the number of labelled breaths, there and on
                                                                up to 2000 simulated ones, and where that may lead

FOLDER holds the competition's train.csv (whose labels are scored) and test.csv (whose decoded rows are fitted). What
is trained here is configs/sample.toml, cells are kept under runs/. Errors are mean absolute ones in cmH2O, intervals
95 % of a bootstrap over breaths. docs/open-rows.md has the tables, and how long they take.
"""

import argparse
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import open_rows_curve, open_rows_members  # noqa: E402
from benchmarks.open_rows_members import BLEND, PROCESSED, Predicted  # noqa: E402
from benchmarks.open_rows_tables import (  # noqa: E402
    Array,
    Ladder,
    Mask,
    Scored,
    held,
    interval,
    lung_steps,
    spread_table,
    steps,
)
from benchmarks.pages import Page  # noqa: E402
from ventilator.estimation import embedded, smooth  # noqa: E402
from ventilator.estimation.inspirations import SATURATED  # noqa: E402
from ventilator.estimation.matched import matched_rig  # noqa: E402
from ventilator.estimation.parameters import PLACE  # noqa: E402
from ventilator.rig import Rig  # noqa: E402

LONG_GAP: Final = 5  # rows
AHEAD: Final = (1, 5, 12)  # rows
EVERY: Final = 4  # rows between two that are predicted ahead
BINS: Final = (0, 10, 15, 20, 25, 30, 40, 50, 66)  # cmH2O
SHUT: Final = 1e-9  # % of u_in
TEST_BREATHS: Final = 1000  # simulated beside those with labels, whose decoded rows lungs are fitted to, too
READERS: Final = ("trees", "networks", BLEND, PROCESSED)  # steps beyond the lungs


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of train.csv and test.csv")
    parser.add_argument("--experiment", help="name of a config with members for open rows that was trained on --data")
    parser.add_argument("--ahead", action="store_true", help="errors 1, 5 and 12 rows ahead")
    parser.add_argument("--simulated", type=int, default=0, help="simulated breaths")
    parser.add_argument("--curve", type=int, default=0, help="labelled simulated breaths at most")
    parser.add_argument("--page", action="store_true", help="write the tables into docs/open-rows.md")
    args = parser.parse_args()
    page = Page(ROOT / "docs" / "open-rows.md" if args.page else None)
    if args.data is not None and not (args.curve or args.simulated):
        _real(args.data, args.experiment, args.ahead, page)
    if args.simulated:
        _simulated(args.simulated, page)
    if args.curve:
        with page.part("curve"):
            open_rows_curve.curves(args.data, args.curve, matched_rig(Rig.load(), embedded()))


def _simulated(count: int, page: Page) -> None:
    """Train on half of the breaths, and score the others."""
    for name, rig in (("simulated", Rig.load()), ("matched", matched_rig(Rig.load(), embedded()))):
        experiment = open_rows_members.of_simulated(count, TEST_BREATHS, name, rig)
        inside = np.random.default_rng(0).permutation(count) < count // 2
        found = open_rows_members.trained(experiment, 0, inside, lambda text: print(text, file=sys.stderr, flush=True))
        scored = Scored.of_store(found.store).take(np.flatnonzero(~inside))
        lungs = [(found.lungs[0][0], np.ones(len(scored.breaths), np.bool_))]
        with page.part(name):
            print(f"{_counted(scored)}\n")
            ladder = Ladder(scored)
            made = lung_steps(ladder, [("and labels of the others", lungs)])
            members(ladder, found, "and labels of the others")
            print()
            spread_table(scored, made)


def _counted(scored: Scored) -> str:
    """Say how many rows there are."""
    rows, count = int(scored.open.sum()), int(scored.inspired.sum())
    without = int((scored.open & ~scored.anchored).any(axis=1).sum())
    return (
        f"{len(scored.breaths):,} breaths; {rows:,} of {count:,} scored rows are open ({100 * rows / count:.1f} %), "
        f"{int((scored.open & ~scored.anchored).sum()):,} of them in {without} breaths without an anchor."
    )


def _real(folder: Path, experiment: str | None, ahead: bool, page: Page) -> None:
    found = None if experiment is None else open_rows_members.of_experiment(experiment, folder)
    frame = folder / "train.csv"
    scored = Scored.of_frame(pl.read_csv(frame, glob=False)) if found is None else Scored.of_store(found.store)
    fits = [("decoded rows only", [(embedded(), np.ones(len(scored.breaths), np.bool_))])]
    if found is not None:
        parts = [(lungs, _held_out(scored, found, series)) for lungs, series in found.lungs]
        fits.append(("and labels outside the fold", parts))
    with page.part("ladder"):
        print(f"{_counted(scored)}\n")
        ladder = Ladder(scored)
        made = lung_steps(ladder, fits)
        if found is not None:
            members(ladder, found, "and labels outside the fold")
    final = made[fits[-1][0]]
    with page.part("spread"):
        spread_table(scored, made)
    with page.part("classes"):
        classes(scored, final, found)
    with page.part("pressure"):
        over_pressure(scored, final)
    with page.part("sessions"):
        sessions(scored)
    with page.part("hidden"):
        masked_rows(scored)
    if ahead:
        with page.part("ahead"):
            steps_ahead(scored)


def _held_out(scored: Scored, found: Predicted, series: np.ndarray) -> Mask:
    """Return which breaths (N,) some series of the table are."""
    return np.isin(found.store.series_of_answer[scored.places[:, 0]], series)


def members(ladder: Ladder, found: Predicted, fitted_to: str) -> None:
    """Add what reads the lungs' channels: trees, networks, blend; each goes on from the step above."""
    scored, before = ladder.scored, "bounds"
    steps = [name for name in READERS if name in found.by_kind]
    for name in steps:
        ladder.step(name, fitted_to, scored.by_breath(found.by_kind[name]), before)
        before = name
    print()
    ladder.compare(steps[-1], ["bounds", *steps[:-1]])
    print("\n| model | open rows | with an anchor | without |\n|---|---|---|---|")
    for label, values in found.by_label.items():
        error = np.abs(scored.truth - scored.by_breath(values))
        parts = [interval(error, scored.open & part) for part in (scored.anchored, ~scored.anchored)]
        print(f"| {label} | {interval(error, scored.open)} | {' | '.join(parts)} |")


def classes(scored: Scored, final: dict[str, Array], found: Predicted | None) -> None:
    """Print errors by class of open row, as shared by all pages on open rows."""
    means = {"hold": held(scored), "smoother": final["bounds"]}
    if found is not None:
        last = [name for name in READERS if name in found.by_kind][-1]
        means[last] = scored.by_breath(found.by_kind[last])
    print(f"| class of open row | rows | {' | '.join(means)} |\n|---|---|{'---|' * len(means)}")
    for name, rows in classes_of(scored).items():
        if rows.any():
            cells = [interval(np.abs(scored.truth - mean), rows) for mean in means.values()]
            print(f"| {name} | {int(rows.sum())} | {' | '.join(cells)} |")


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


def _gap(rows: Mask) -> np.ndarray:
    """Return the length (N, T) of the run of True that each row is in; 0 where it is False."""
    out = np.zeros(rows.shape, np.int64)
    for i, row in enumerate(rows):
        edges = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            out[i, start:stop] = stop - start
    return out


def over_pressure(scored: Scored, final: dict[str, Array]) -> None:
    """Print bias and error of free run (all rows) and smoother (open rows), by the pressure that they say."""
    print("| pressure as estimated, cmH2O | free run, all rows: bias | error | smoother, open rows: bias | error |")
    print("|---|---|---|---|---|")
    unsaturated = scored.inspired & (scored.truth < SATURATED)
    for low, high in pairwise(BINS):
        cells = []
        for mean, rows in ((final["free run"], unsaturated), (final["bounds"], scored.open)):
            here = rows & (mean >= low) & (mean < high)
            error = scored.truth - mean
            size = f"{np.abs(error[here]).mean():.2f} ({int(here.sum())})" if here.any() else "–"
            cells += [interval(error, here, signed=True), size]
        print(f"| {low} to {high} | {' | '.join(cells)} |")


def sessions(scored: Scored) -> None:
    """Print the embedded lungs of all sessions, and the error of their free runs on labelled breaths."""
    lungs = embedded()
    index = lungs.places(scored.breaths)
    free = steps(scored, lungs)["free run"]
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
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
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
    print(f"Open rows of another breath, drawn at random ({int(rows.sum())} rows): {interval(error, rows)}")


def steps_ahead(scored: Scored) -> None:
    """Print errors k rows ahead with all true rows before known, by R and by valve."""
    shut = np.zeros(scored.inspired.shape, np.bool_)
    closed = scored.breaths.u_in[:, : scored.length] <= SHUT
    shut[:, 1:] = closed[:, 1:] & closed[:, :-1]
    groups: list[tuple[str, Mask]] = [("all", scored.inspired)]
    groups += [(f"R = {r}", scored.inspired & (scored.breaths.r == r)[:, None]) for r in (5, 20, 50)]
    groups += [("valve shut", scored.inspired & shut), ("valve open", scored.inspired & ~shut)]
    print(f"| rows ahead | {' | '.join(name for name, _ in groups)} |\n|---|{'---|' * len(groups)}")
    first = replace(embedded(), members=embedded().members[:1])
    for ahead in AHEAD:
        error = np.full(scored.truth.shape, np.nan)
        for row in range(ahead, scored.length, EVERY):
            known = np.where(np.arange(80) <= row - ahead, scored.labels, np.nan)
            error[:, row] = np.abs(scored.truth[:, row] - smooth(scored.breaths, known, first).mean[:, row])
        cells = [f"{np.nanmean(np.where(rows, error, np.nan)):.3f}" for _, rows in groups]
        print(f"| {ahead} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

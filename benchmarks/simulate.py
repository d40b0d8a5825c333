"""The simulator: its speed, its breaths against the competition's, and the error of its lungs on real breaths.

    ./run.sh bench simulate                       speed, and marginals against those known of all 75,450 breaths
    ./run.sh bench simulate --data FOLDER         also: marginals per (R, C) beside real breaths, errors of the lungs
    ./run.sh bench simulate --data FOLDER --forms also: the same errors for simpler forms of the lung

Errors are mean absolute ones (cmH2O) over inspiration, on breaths outside the fit: of a free run, which gets a breath's
first pressure only, and of the same run one step ahead, shifted to the last measured pressure.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator.calibrate import ITERATIONS, fit_lung, free_run, grouped
from ventilator.lung import SETTINGS
from ventilator.measure import Recorded
from ventilator.rig import Session
from ventilator.simulator import frame, simulate, write_competition

QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
FACTS: Final = {  # of the competition's 75,450 labelled breaths
    "pressure quantiles, cmH2O": "4.78 6.12 9.49 15.2 22.9 33.3 43.0",
    "first pressure 5/50/95 %, cmH2O": "4.05 6.19 6.68",
    "rows of inspiration 29/30/31/32, share": "0.302 0.242 0.238 0.216",
    "mean row 10/25/50/75/90 %, ms": "31.75 31.95 33.75 34.05 34.48",
    "last row 0/50/100 %, s": "2.498 2.655 2.937",
    "first u_in 0 / 100, share": "0.305 0.031",
    "largest u_in is 100, share": "0.105",
    "largest u_in 25/50/75 %": "11.4 23.7 52.9",
    "mean u_in 25/50/75 %": "3.7 5.5 8.8",
    "unclipped rows of inspiration, share": "0.864",
}
FORMS: Final[dict[str, Mapping[str, float]]] = {  # parameters held at a value that removes their effect
    "as it is": {},
    "linear resistance": {"turbulence": 1e-6},
    "straight recoil": {"stiffening": 0.0},
    "rigid tube": {"tube": 1e-8},
    "instant inspiratory valve": {"valve_lag": 1e-4},
    "instant expiratory valve": {"outlet_lag": 1e-4},
    "instant sensor": {"sensor_lag": 1e-4},
    "no delay": {"delay": 1e-4},
}


class Errors(NamedTuple):
    """Mean absolute errors (cmH2O) in inspiration."""

    fitted: float
    held_out: float
    median_breath: float
    one_step: float


def marginals(breaths: Recorded) -> dict[str, str]:
    """Measure the marginals named in FACTS."""
    scored = breaths.u_out == 0
    rows = scored.sum(axis=1)
    u_in, largest = breaths.u_in, breaths.u_in.max(axis=1)
    mean_row = np.diff(breaths.time_step, axis=1).mean(axis=1) * 1e3
    open_valve = (u_in > 0) & (u_in < 100)
    values: list[list[float] | NDArray[np.float64]] = [
        np.quantile(breaths.pressure[scored], QUANTILES),
        np.quantile(breaths.pressure[:, 0], (0.05, 0.5, 0.95)),
        [float(np.mean(rows == n)) for n in (29, 30, 31, 32)],
        np.quantile(mean_row, (0.1, 0.25, 0.5, 0.75, 0.9)),
        np.quantile(breaths.time_step[:, -1], (0.0, 0.5, 1.0)),
        [float(np.mean(u_in[:, 0] == end)) for end in (0, 100)],
        [float(np.mean(largest == 100))],
        np.quantile(largest, (0.25, 0.5, 0.75)),
        np.quantile(u_in.mean(axis=1), (0.25, 0.5, 0.75)),
        [float(open_valve[scored].mean())],
    ]
    return {name: " ".join(f"{v:.4g}" for v in value) for name, value in zip(FACTS, values, strict=True)}


def per_setting(breaths: Recorded) -> dict[tuple[int, int], str]:
    """Per (R, C), measure pressure quantiles 5/50/95 %, mean u_in, mean |step| of pressure, in inspiration."""
    found = {}
    for r, c in SETTINGS:
        part = breaths.take((breaths.r == r) & (breaths.c == c))
        scored = part.u_out == 0
        step = np.abs(np.diff(part.pressure, axis=1))[scored[:, 1:]].mean()
        low, mid, high = np.quantile(part.pressure[scored], (0.05, 0.5, 0.95))
        found[r, c] = f"{low:.1f} {mid:.1f} {high:.1f} | {part.u_in[scored].mean():.1f} | {step:.2f}"
    return found


def held_out_errors(
    breaths: Recorded, sessions: list[Session], index: NDArray[np.int64], fixed: Mapping[str, float], iterations: int
) -> Errors:
    """Fit two thirds of each session's breaths and measure the errors of the other third."""
    order = np.argsort(np.random.default_rng(0).random(len(breaths)))
    third = np.empty(len(breaths), dtype=np.int64)
    for k in range(len(sessions)):
        own = order[index[order] == k]
        third[own] = np.arange(len(own)) % 3
    train, test = np.flatnonzero(third != 0), np.flatnonzero(third == 0)
    lung = fit_lung(breaths.take(train), sessions, index[train], fixed=fixed, iterations=iterations)
    residual = free_run(lung.take(index), breaths) - breaths.pressure
    residual[breaths.u_out == 1] = np.nan
    unseen = np.abs(residual[test])
    return Errors(
        float(np.nanmean(np.abs(residual[train]))),
        float(np.nanmean(unseen)),
        float(np.median(np.nanmean(unseen, axis=1))),
        float(np.nanmean(np.abs(np.diff(residual[test], axis=1)))),
    )


def speed(breaths: int) -> None:
    """Print breaths a second in memory and into files, by the clock and per CPU second (for busy machines)."""
    simulate(10, seed=1)  # imports and first allocations are not timed
    began, core = time.perf_counter(), time.process_time()
    simulate(breaths, seed=1)
    made, core_made = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_competition(Path(folder), breaths=breaths * 3 // 5, test_breaths=breaths * 2 // 5, seed=1)
    written, core_written = time.perf_counter(), time.process_time()
    print(f"| {breaths} breaths | breaths/s | breaths per CPU second |\n|---|---|---|")
    print(f"| as arrays, one thread | {breaths / (made - began):,.0f} | {breaths / (core_made - core):,.0f} |")
    print(f"| into Kaggle's files | {breaths / (written - made):,.0f} | {breaths / (core_written - core_made):,.0f} |")


def lungs(table: pl.DataFrame, forms: bool, iterations: int) -> None:
    """Print the errors of the lung, or of all its forms."""
    breaths = Recorded.of(table)
    sessions, index = grouped(breaths)
    breaths, index = breaths.take(index >= 0), index[index >= 0]
    print(f"\n{len(breaths)} breaths of {len(sessions)} sessions; cmH2O")
    print("| form of the lung | fitted | held out | median held-out breath | one step ahead |\n|---|---|---|---|---|")
    for name, fixed in FORMS.items() if forms else [("as it is", FORMS["as it is"])]:
        errors = held_out_errors(breaths, sessions, index, fixed, iterations)
        print(f"| {name} |", " | ".join(f"{error:.3f}" for error in errors), "|", flush=True)
    if forms:
        merged = [Session(r, c, False, False, False) for r, c in SETTINGS]
        setting = np.array([SETTINGS.index(pair) for pair in zip(breaths.r.tolist(), breaths.c.tolist(), strict=True)])
        errors = held_out_errors(breaths, merged, setting, {}, iterations)
        print("| one lung per (R, C), no sessions |", " | ".join(f"{error:.3f}" for error in errors), "|")


def main() -> None:
    """Print the requested tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--breaths", type=int, default=40_000)
    parser.add_argument("--data", type=Path, help="folder with the competition's train.csv")
    parser.add_argument("--forms", action="store_true")
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    args = parser.parse_args()
    speed(args.breaths)
    made = Recorded.of(frame(simulate(args.breaths, seed=2), np.arange(args.breaths)))
    print("\n| marginal | competition | simulated |\n|---|---|---|")
    for name, value in marginals(made).items():
        print(f"| {name} | {FACTS[name]} | {value} |")
    if args.data is not None:
        table = pl.read_csv(args.data / "train.csv", glob=False)
        real, simulated = per_setting(Recorded.of(table)), per_setting(made)
        print("\n(R, C): pressure 5/50/95 % | mean u_in | mean step of pressure, in inspiration")
        print("| R, C | real | | | simulated | | |\n|---|---|---|---|---|---|---|")
        for (r, c), value in real.items():
            print(f"| {r}, {c} | {value} | {simulated[r, c]} |")
        lungs(table, args.forms, args.iterations)


if __name__ == "__main__":
    main()

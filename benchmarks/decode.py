"""Exact decoding: coverage per stage, wrong rows and speed, beside the plain chain inversion.

    ./run.sh bench decode                        1,000 simulated breaths
    ./run.sh bench decode --data FILE            a file of the competition's shape; wrong rows where it has labels
    ./run.sh bench decode --pictures DIR         also draw three decoded breaths: clean, bump, gap

The plain inversion is what the competition's winners did, written anew in numpy: try every controller and every first
pressure, follow the law from row to row, keep what stays on the grid. It handles no bumps, no row 0 and no gaps.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator import controller, simulator
from ventilator.controller import GRID_MIN, GRID_SIZE, GRID_STEP
from ventilator.decoder import DecoderState, decode, state
from ventilator.decoder.check import rounded
from ventilator.decoder.records import KINDS

COMPETITION_BREATHS: Final = 50_300  # of test.csv
PLAIN_BREATHS: Final = 60  # that the plain inversion is timed on: it takes minutes for 1,000
PLAIN_TOLERANCE: Final = 1e-8  # grid steps; far above the rounding of full-precision u_in
PLAIN_RUN: Final = 3  # transitions that identify a controller
COLOURS: Final = {"chain": "tab:blue", "row0": "tab:purple", "bump": "tab:orange", "gap": "tab:green"}

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def main(argv: list[str] | None = None) -> int:
    """Print the table; return 1 if a row is wrong."""
    parser = argparse.ArgumentParser(
        description="Coverage and speed of exact decoding beside the plain chain inversion."
    )
    parser.add_argument("--data", type=Path, help="CSV of the competition's shape (default: simulated breaths)")
    parser.add_argument("--first", type=int, default=0, help="smallest breath_id to take of it")
    parser.add_argument("--breaths", type=int, default=1000, help="simulated breaths")
    parser.add_argument("--pictures", type=Path, help="folder for three decoded breaths as PNG")
    options = parser.parse_args(argv)
    frame = pl.read_csv(options.data, glob=False) if options.data else simulated(options.breaths)
    frame = frame.filter(pl.col("breath_id") >= options.first)
    decode(frame.head(80 * 50))  # compile, or load what is compiled
    exact, seconds = timed(frame)
    short, _ = timed(rounded(frame))
    plain, plain_breaths, plain_seconds = timed_plain(frame)
    print(f"{'share of scored rows, %':32}{'as printed':>12}{'10 digits':>12}{'plain':>12}")
    for kind in KINDS[1:]:
        print(f"{kind:32}{share(frame, exact, kind):12.2f}{share(frame, short, kind):12.2f}")
    sample = spread(frame, plain_breaths)
    totals = share(frame, exact), share(frame, short), 100 * len(plain) / scored(sample)
    print(f"{'all exact kinds':32}" + "".join(f"{total:12.2f}" for total in totals))
    bad = [wrong(frame, exact), wrong(frame, short), wrong(sample, plain)]
    print(f"{'wrong rows':32}" + "".join(f"{'no labels' if n is None else n:>12}" for n in bad))
    speeds = frame["breath_id"].n_unique() / seconds, plain_breaths / plain_seconds
    print(f"{'breaths/s':32}{speeds[0]:12.0f}{'':12}{speeds[1]:12.1f}   ratio {speeds[0] / speeds[1]:.0f}")
    minutes = [COMPETITION_BREATHS / speed / 60 for speed in speeds]
    print(f"{f'{COMPETITION_BREATHS:,} breaths, minutes':32}{minutes[0]:12.1f}{'':12}{minutes[1]:12.1f}")
    if options.pictures:
        draw(frame, options.pictures)
    return int(any(bad[:2]))


def simulated(breaths: int) -> pl.DataFrame:
    """Simulate labelled breaths of seed 0."""
    return simulator.frame(simulator.simulate(breaths, 0), np.arange(breaths))


def timed(frame: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """Return exact rows, and seconds."""
    start = time.perf_counter()
    return decode(frame), time.perf_counter() - start


def scored(frame: pl.DataFrame) -> int:
    """Count the rows of inspiration."""
    return int((frame["u_out"] == 0).sum())


def share(frame: pl.DataFrame, exact: pl.DataFrame, kind: str | None = None) -> float:
    """Return the exact rows of a kind, or of all, in % of the scored rows."""
    rows = exact if kind is None else exact.filter(pl.col("kind") == kind)
    return 100 * len(rows) / scored(frame)


def wrong(frame: pl.DataFrame, exact: pl.DataFrame) -> int | None:
    """Count exact rows with another pressure than the label; None without labels."""
    if "pressure" not in frame.columns:
        return None
    both = exact.join(frame.select("id", label="pressure"), on="id", maintain_order="left")
    found, truth = (controller.grid_index(both[name].to_numpy()) for name in ("pressure", "label"))
    return int(np.count_nonzero(found != truth))


def spread(frame: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return `count` breaths spread evenly over a frame."""
    keys = frame["breath_id"].unique(maintain_order=True)
    keys = keys.gather(np.linspace(0, len(keys) - 1, min(count, len(keys))).astype(np.int64))
    return frame.filter(pl.col("breath_id").is_in(keys.to_list()))


def timed_plain(frame: pl.DataFrame) -> tuple[pl.DataFrame, int, float]:
    """Return rows of the plain inversion on a sample of breaths, their number, and seconds."""
    sample = spread(frame, PLAIN_BREATHS)
    start, rows = time.perf_counter(), []
    breaths = sample.partition_by("breath_id", maintain_order=True)
    for breath in breaths:
        rows += plain_inversion(breath.filter(pl.col("u_out") == 0))
    seconds = time.perf_counter() - start
    return (
        pl.DataFrame(rows, schema={"id": frame.schema["id"], "pressure": pl.Float64}, orient="row"),
        len(breaths),
        seconds,
    )


def plain_inversion(breath: pl.DataFrame) -> list[tuple[int, float]]:
    """Return id and pressure of the rows that the law alone gives; rows are one inspiration."""
    u, t = breath["u_in"].to_numpy(), breath["time_step"].to_numpy()
    a = np.asarray(controller.smoothing(np.diff(t, prepend=0.0)))
    free = (u > 0) & (u < 100)
    for start in range(1, len(u) - PLAIN_RUN):
        if not free[start : start + PLAIN_RUN + 1].all():
            continue
        for kp, ki, kt in _plain_controllers(u, a, start):
            if len(_plain_chain(u, a, free, start, kp, ki, kt)) > PLAIN_RUN:
                return _plain_rows(breath["id"].to_list(), u, a, free, (kp, ki, kt))
    return []


def _plain_controllers(u: Floats, a: Floats, start: int) -> list[tuple[float, float, float]]:
    """Return controllers under which some pressure of row `start` puts the next one on the grid."""
    found = []
    for kp, ki, kt in itertools.product(controller.KP_GAINS, controller.KI_GAINS, controller.KT_TARGETS):
        if kp + ki > 0:
            _, integral = _plain_starts(u[start], kp, ki, kt)
            error = (u[start + 1] - ki * (1 - a[start + 1]) * integral) / (kp + ki * a[start + 1])
            if np.any(_on_grid(kt - error)):
                found.append((kp, ki, kt))
    return found


def _plain_starts(u: float, kp: float, ki: float, kt: float) -> tuple[Floats, Floats]:
    """Return pressures (nan where u does not depend on them) and integrals that an unclipped row may have."""
    if kp == 0:
        return np.array([np.nan]), np.array([u / ki])
    if ki == 0:
        return np.array([kt - u / kp]), np.zeros(1)
    grid = controller.grid_pressure(np.arange(GRID_SIZE))
    return grid, (u - kp * (kt - grid)) / ki


def _on_grid(pressure: Floats) -> NDArray[np.bool_]:
    x = (pressure - GRID_MIN) / GRID_STEP
    return np.asarray((np.abs(x - np.rint(x)) < PLAIN_TOLERANCE) & (x > -0.5) & (x < GRID_SIZE - 0.5))


def _plain_chain(
    u: Floats, a: Floats, free: NDArray[np.bool_], start: int, kp: float, ki: float, kt: float
) -> list[float]:
    """Return the longest chain of pressures from row `start`, whose own is nan where Kp = 0."""
    best: list[float] = []
    for first, integral in zip(*_plain_starts(u[start], kp, ki, kt), strict=True):
        if ki == 0 and not _on_grid(np.asarray(first)):
            break
        chain = [float(first)]
        for j in range(start + 1, len(u)):
            error = (u[j] - ki * (1 - a[j]) * integral) / (kp + ki * a[j])
            if not free[j] or not _on_grid(np.asarray(kt - error)):
                break
            chain.append(float(controller.grid_pressure(controller.grid_index(kt - error))))
            integral = (u[j] - kp * (kt - chain[-1])) / ki if ki else 0.0
        best = chain if len(chain) > len(best) else best
    return best


def _plain_rows(
    ids: list[int], u: Floats, a: Floats, free: NDArray[np.bool_], gains: tuple[float, float, float]
) -> list[tuple[int, float]]:
    rows, j = [], 1
    while j < len(u) - 1:
        chain = _plain_chain(u, a, free, j, *gains) if free[j] and free[j + 1] else []
        if len(chain) > 1:
            rows += [(ids[j + i], p) for i, p in enumerate(chain) if p == p]
        j += max(1, len(chain) if len(chain) > 1 else 1)
    return rows


def draw(frame: pl.DataFrame, folder: Path) -> None:
    """Draw three breaths as PNG: the first clean one, the one with most bump rows, the one with most gap rows."""
    known = state(frame)
    breath = frame["breath_id"].to_numpy()
    counts = {kind: _per_breath(breath, known.kind == KINDS.index(kind)) for kind in COLOURS}
    clean = (counts["bump"] + counts["gap"] == 0) * counts["chain"]
    folder.mkdir(parents=True, exist_ok=True)
    for name, score in (("clean", clean), ("bump", counts["bump"]), ("gap", counts["gap"])):
        rows = breath == np.unique(breath)[int(np.argmax(score))]
        _picture(frame.filter(rows), known, np.flatnonzero(rows), folder / f"{name}.png")


def _per_breath(breath: Ints, hit: NDArray[np.bool_]) -> Ints:
    _, place = np.unique(breath, return_inverse=True)
    return np.bincount(place, weights=hit).astype(np.int64)


def _picture(breath: pl.DataFrame, known: DecoderState, rows: Ints, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = rows[breath["u_out"].to_numpy() == 0]
    breath = breath.filter(pl.col("u_out") == 0)
    t, kind = breath["time_step"].to_numpy(), known.kind[rows]
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(7, 5), layout="constrained")
    if "pressure" in breath.columns:
        top.plot(t, breath["pressure"], color="0.8", label="label")
    for name, colour in COLOURS.items():
        hit = kind == KINDS.index(name)
        if hit.any():
            top.plot(t[hit], controller.grid_pressure(known.grid[rows][hit]), "o", ms=4, color=colour, label=name)
    bottom.plot(t, breath["u_in"], ".-", color="tab:blue", label="u_in")
    bottom.plot(t, known.bump[rows], "--", color="tab:orange", label="bump")
    kp, ki, kt = known.kp[rows[0]], known.ki[rows[0]], known.kt[rows[0]]
    top.set(
        ylabel="pressure, cmH2O",
        title=f"Kp {kp:g}, Ki {ki:g}, target {kt:g} cmH2O; {np.count_nonzero(kind)} of {len(t)} rows",
    )
    bottom.set(xlabel="time_step, s", ylabel="u_in, %")
    top.legend()
    bottom.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())

"""Fit the simulator's rig to labelled breaths.

    python -m ventilator.calibrate DATA_FOLDER [--without-breaths FILE] [--decoded FILE] [--out FILE]

The lungs run free: they start at a breath's first pressure, are driven by its real commands and see no other pressure.
The loss is the mean absolute error in inspiration, plus a tenth of that in expiration, plus a ridge on how far a
session's parameters are from those common to all sessions of its R or C. Gradients come from torch through the very
`lung.advance` that the simulator runs. Breaths and rows without a pressure are allowed: they count for clocks and
shares. What the lungs do not explain is modelled as flutter of the inflow; `_with_matched_flutter` sets its strength.
"""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from ventilator import measure
from ventilator.controller import C_VALUES, GRID_SIZE, R_VALUES, STEPS, Array, grid_pressure
from ventilator.lung import SETTINGS, Lung, advance, resistive, resting, supply
from ventilator.measure import Recorded
from ventilator.rig import NUMBERS, Rig, Session, sessions_of
from ventilator.simulator import simulate

SETTING_SHARES: Final = (0.110, 0.109, 0.111, 0.082, 0.085, 0.106, 0.182, 0.109, 0.107)  # of lung.SETTINGS, all breaths
ROWS: Final = STEPS  # rows of a breath in the loss
ITERATIONS: Final = 250  # steps of Adam, enough to converge
LEARNING_RATE: Final = 0.04  # of Adam; most parameters are logarithms, so a step changes them by some 4 % at most
EXPIRATION_WEIGHT: Final = 0.1  # expiration is not scored, but it alone shows the outlet and the PEEP
FEWEST: Final = 4  # labelled breaths that a session needs to be fitted
LONGEST_DELAY_S: Final = 0.03  # below the shortest row (31.2 ms): lung.advance splits a row at the delay
INSPIRATORY_NOISE: Final = 0.05  # cmH2O, sd of the sensor over a still lung (second differences at u_in = 0)
EXPIRATORY_NOISE: Final = 0.18  # cmH2O, the same while the idle flow leaves through the expiratory valve
STRENGTHS: Final = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)  # of the flutter, tried in simulation
MATCHING_BREATHS: Final = 12288  # simulated for each strength: two whole blocks of the stream

FIRST_GUESS: Final[dict[str, list[float]]] = {  # of the positive parameters: one value, or one for each R or C
    "valve_lag": [0.015],
    "tube": [0.0002],
    "outlet": [0.08],
    "outlet_lag": [0.02],
    "sensor_lag": [0.02],
    "resistance": [3.5, 9.0, 26.0],
    "turbulence": [2.2, 9.6, 17.0],
    "compliance": [0.0095, 0.022, 0.044],
}
FIRST_CURVE: Final = (16, 17, 23, 23, 18, 19, 15, 13, 12, 9, 8, 7, 7)  # mL/s per %, between lung.KNOTS
RIDGE: Final = {"curve": 0.002, "stiffening": 0.003, "peep": 0.01}  # cmH2O of loss per squared deviation
RIDGE_OTHERS: Final = 0.004  # the same of every other parameter


def calibrate(frame: pl.DataFrame, *, iterations: int = ITERATIONS) -> Rig:
    """Fit the rig that produced breaths of the competition.

    Args:
        frame: the competition's columns; pressure (cmH2O) null, or missing, where unknown. Only these breaths are used,
            so a fold is held out by leaving it out.
        iterations: steps of the optimiser; the default converges.

    Raises:
        ValueError: if no session has enough labelled breaths, or a breath has not 80 rows.
    """
    breaths = Recorded.of(frame)
    sessions, index = grouped(breaths)
    breaths = breaths.take(index >= 0)
    index = index[index >= 0]
    labelled = np.flatnonzero(breaths.labelled)
    lung = fit_lung(breaths.take(labelled), sessions, index[labelled], iterations=iterations)
    measured = [
        _session_numbers(breaths.take(index == k), lung.take(np.full((index == k).sum(), k)))
        for k in range(len(sessions))
    ]
    arrays: dict[str, Any] = {name: np.array([numbers[name] for numbers in measured]) for name in measured[0]}
    rig = Rig(sessions=sessions, lung=lung, share=_shares(sessions, index), **arrays)
    return _with_matched_flutter(rig, breaths.take(labelled), index[labelled])


def fit_lung(
    breaths: Recorded,
    sessions: list[Session],
    index: NDArray[np.int64],
    *,
    fixed: Mapping[str, float] | None = None,
    iterations: int = ITERATIONS,
) -> Lung:
    """Fit the lungs (S,) of sessions to labelled breaths (N,); `index` (N,) holds each breath's place in `sessions`.

    `fixed` holds parameters at a value, in the units of `Lung`: it shows how much a parameter lowers the error.
    """
    fit = _Fit(sessions, fixed or {})
    with _one_thread():
        fit.run(breaths, index, iterations)
    return fit.detached()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: so few breaths gain nothing from more, and sums would depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def free_run(lung: Lung, breaths: Recorded, rows: int = ROWS) -> Array:
    """Simulate pressures (N, rows), cmH2O, of N lungs from each breath's first pressure and its commands alone."""
    with torch.no_grad():
        tensors = Lung(**{field.name: torch.as_tensor(getattr(lung, field.name)) for field in fields(Lung)})
        return np.asarray(_rollout(tensors, *_tensors(breaths, rows)))


def grouped(breaths: Recorded) -> tuple[list[Session], NDArray[np.int64]]:
    """Group breaths by session.

    Returns:
        The sessions with at least FEWEST labelled breaths, sorted, and each breath's place among them (N,); -1: none.

    Raises:
        ValueError: if no session has that many.
    """
    names = sessions_of(breaths.r, breaths.c, breaths.time_step, breaths.u_in)
    counts: dict[Session, int] = {}
    for name, known in zip(names, breaths.labelled.tolist(), strict=True):
        counts[name] = counts.get(name, 0) + known
    kept = sorted(name for name, count in counts.items() if count >= FEWEST)
    if not kept:
        raise ValueError(
            f"Calibration needs a session of {FEWEST} labelled breaths at least; got {len(counts)} smaller ones."
        )
    place = {name: k for k, name in enumerate(kept)}
    return kept, np.array([place.get(name, -1) for name in names])


def _shares(sessions: list[Session], index: NDArray[np.int64]) -> Array:
    """Compute each session's share (S,) of all breaths: the competition's share of its (R, C), split as given."""
    count = np.bincount(index, minlength=len(sessions)).astype(np.float64)
    setting = np.array([SETTINGS.index((name.r, name.c)) for name in sessions])
    within = count / np.bincount(setting, weights=count)[setting]
    share = within * np.array(SETTING_SHARES)[setting]
    return np.asarray(share / share.sum())


def _session_numbers(breaths: Recorded, lung: Lung) -> dict[str, float]:
    """Measure clock, start, flutter and noise of one session; the keys are fields of `Rig`."""
    known = np.flatnonzero(breaths.labelled)
    seen, own = breaths.take(known), lung.take(known)
    drop = resistive(own, supply(own, seen.u_in[:, :ROWS].T)).T
    inspiration = seen.u_out[:, :ROWS] == 0
    residual = np.where(inspiration, seen.pressure[:, :ROWS] - free_run(own, seen), np.nan)
    noise = {"inspiratory_noise": INSPIRATORY_NOISE, "expiratory_noise": EXPIRATORY_NOISE}
    return measure.clock(breaths) | {"start": measure.start(seen)} | measure.flutter(residual, drop) | noise


def _with_matched_flutter(rig: Rig, breaths: Recorded, index: NDArray[np.int64]) -> Rig:
    """Scale the rig's flutter, session by session, so that simulated pressures are as rough as recorded ones.

    The residual of a lung fitted without flutter contains misfit too, so flutter measured on it is too strong; and the
    closed loop reacts to it. Roughness is simulated at several strengths, and the strength is interpolated.
    """
    target = _roughness(breaths.pressure, breaths.u_out, index, len(rig))
    seen = []
    for strength in STRENGTHS:
        made = simulate(MATCHING_BREATHS, seed=0, rig=replace(rig, flutter=strength * rig.flutter))
        seen.append(_roughness(made.pressure, made.u_out, made.session, len(rig)))
    # np.interp needs rising abscissae; simulated roughness may fall a little by chance.
    scale = [np.interp(t, np.maximum.accumulate(s), STRENGTHS) for t, s in zip(target, np.array(seen).T, strict=True)]
    return replace(rig, flutter=rig.flutter * np.array(scale))


def _roughness(pressure: Array, u_out: Array | NDArray[np.int64], index: NDArray[np.int64], count: int) -> Array:
    """Compute each session's mean absolute second difference (count,), cmH2O, of pressures in settled inspiration."""
    bend = np.abs(np.diff(pressure, n=2, axis=1))
    bend = np.where(u_out[:, 2:] == 0, bend, np.nan)[:, measure.SETTLED :]
    return np.array([np.nanmean(bend[index == k]) for k in range(count)])


class _Fit(torch.nn.Module):
    """Hold parameters common to an R, a C or all sessions, and each session's own deviation from them."""

    def __init__(self, sessions: list[Session], fixed: Mapping[str, float]) -> None:
        super().__init__()
        count = len(sessions)
        held = {"leak": 0.0} | dict(fixed)
        self.fixed = {name: torch.full((count,), value, dtype=torch.float64) for name, value in held.items()}
        self.group = {
            "resistance": torch.tensor([R_VALUES.index(name.r) for name in sessions]),
            "turbulence": torch.tensor([R_VALUES.index(name.r) for name in sessions]),
            "compliance": torch.tensor([C_VALUES.index(name.c) for name in sessions]),
        }
        self.everyone = torch.zeros(count, dtype=torch.int64)
        common = {name: torch.tensor(guess, dtype=torch.float64).log() for name, guess in FIRST_GUESS.items()}
        common["curve"] = (torch.tensor([FIRST_CURVE], dtype=torch.float64) / 1000.0).log()
        common["delay"] = torch.zeros(1, dtype=torch.float64)
        common["peep"] = torch.full((1,), 5.0, dtype=torch.float64)
        common["stiffening"] = torch.zeros(1, dtype=torch.float64)
        self.common = torch.nn.ParameterDict(common)
        self.own = torch.nn.ParameterDict(
            {name: torch.zeros(count, *part.shape[1:], dtype=torch.float64) for name, part in common.items()}
        )
        self.gain = torch.nn.Parameter(torch.zeros(count, 1, dtype=torch.float64))  # of the whole curve

    def lung(self) -> Lung:
        """Build the sessions' lungs (S,) as tensors with gradients."""
        raw = {name: part[self.group.get(name, self.everyone)] + self.own[name] for name, part in self.common.items()}
        raw["curve"] = raw["curve"] + self.gain
        positive = {name: raw[name].exp() for name in (*FIRST_GUESS, "curve")}
        delay = LONGEST_DELAY_S * torch.sigmoid(raw["delay"])
        others = {"delay": delay, "peep": raw["peep"], "stiffening": raw["stiffening"]}
        return Lung(**(positive | others | self.fixed))

    def detached(self) -> Lung:
        """Return the sessions' lungs (S,) as numpy arrays."""
        lung = self.lung()
        return Lung(**{field.name: getattr(lung, field.name).detach().numpy() for field in fields(Lung)})

    def ridge(self) -> Tensor:
        """Compute the penalty on the sessions' deviations, in the loss's unit."""
        total = RIDGE_OTHERS * self.gain.square().mean()
        for name, part in self.own.items():
            total = total + RIDGE.get(name, RIDGE_OTHERS) * part.square().sum() / len(part)
        return total

    def run(self, breaths: Recorded, index: NDArray[np.int64], iterations: int) -> None:
        """Fit by Adam with a cosine schedule, on all breaths at once."""
        start, u_in, out, dt = _tensors(breaths, ROWS)
        target = torch.as_tensor(breaths.pressure[:, :ROWS])
        weight = _weights(breaths)
        place = torch.as_tensor(index)
        optimiser = torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
        for _ in range(iterations):
            lung = self.lung()
            each = Lung(**{field.name: getattr(lung, field.name)[place] for field in fields(Lung)})
            # Unknown pressures have weight 0, but 0 times nan is nan: they become numbers first.
            error = (_rollout(each, start, u_in, out, dt) - target.nan_to_num()).abs()
            loss = (weight * error).sum() + self.ridge()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()


def _weights(breaths: Recorded) -> Tensor:
    """Compute weights (N, ROWS) of the loss; unknown pressures and those at the end of the sensor's range have none."""
    pressure, out = breaths.pressure[:, :ROWS], breaths.u_out[:, :ROWS] == 1
    # The last grid value may stand for any pressure above it; 1e-6 cmH2O is far below a grid step and above printing.
    known = ~np.isnan(pressure) & (pressure < float(grid_pressure(GRID_SIZE - 1)) - 1e-6)
    inspiration, expiration = known & ~out, known & out
    # max(): without any known expiration this is 0 / 1, not 0 / 0.
    weight = inspiration / inspiration.sum() + EXPIRATION_WEIGHT * expiration / max(expiration.sum(), 1)
    return torch.as_tensor(weight)


def _tensors(breaths: Recorded, rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return first pressures (N,), u_in and u_out (N, rows), dt (N, rows - 1); unknown starts are medians."""
    first = measure.first_pressures(breaths)
    dt = np.diff(breaths.time_step[:, :rows], axis=1)
    u_in, out = torch.as_tensor(breaths.u_in[:, :rows]), torch.as_tensor(breaths.u_out[:, :rows])
    return torch.as_tensor(first), u_in, out, torch.as_tensor(dt)


def _rollout(lung: Lung, start: Tensor, u_in: Tensor, out: Tensor, dt: Tensor) -> Tensor:
    """Simulate sensed pressures (N, T), cmH2O, of N lungs under T rows of commands."""
    state = resting(lung, start, torch)
    sensed = [state.sensed]
    flow = supply(lung, u_in.T, torch)  # (T, N) L/s
    for row in range(dt.shape[1]):
        state = advance(lung, state, flow[row], out[:, row], dt[:, row], torch)
        sensed.append(state.sensed)
    return torch.stack(sensed, dim=1)


def main() -> None:
    """Fit a rig from the command line and write its numbers file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds train.csv and, for clocks and shares, test.csv")
    parser.add_argument("--without-breaths", type=Path, help="file of breath_ids to leave out, one a line")
    parser.add_argument("--decoded", type=Path, help="CSV of id, pressure: exact rows of test.csv")
    parser.add_argument("--out", type=Path, default=NUMBERS, help="numbers file to write")
    args = parser.parse_args()
    calibrate(_read(args.folder, args.without_breaths, args.decoded)).save(args.out)


def _read(folder: Path, without: Path | None, decoded: Path | None) -> pl.DataFrame:
    """Read labelled and unlabelled breaths of a folder into one table; the unlabelled get negative breath_ids."""
    train = pl.read_csv(folder / "train.csv", glob=False)
    if without is not None:
        held_out = [int(line) for line in without.read_text().split()]
        train = train.filter(~pl.col("breath_id").is_in(held_out))
    test = pl.read_csv(folder / "test.csv", glob=False).with_columns(-1 - pl.col("breath_id"))
    if decoded is not None:
        known = pl.read_csv(decoded, glob=False).select("id", "pressure")
        test = test.join(known, on="id", how="left", maintain_order="left")  # a join promises no order by itself
    return pl.concat([train, test], how="diagonal_relaxed")


if __name__ == "__main__":
    main()

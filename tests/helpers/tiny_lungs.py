"""Breaths of one simulated session whose lung, breath effects and noise are known."""

from dataclasses import dataclass

import numpy as np

from ventilator.controller import Array
from ventilator.estimation import SessionLungs, parameters
from ventilator.estimation.inspirations import Inspirations, Run, free_run
from ventilator.estimation.lungs import Member, places, settings_of
from ventilator.estimation.parameters import EFFECTS, PLACE, Prior
from ventilator.estimation.process import Process, remainder
from ventilator.measure import Recorded
from ventilator.rig import Session, sessions_of
from ventilator.simulator import simulate

PROCESS = Process(tail=1000.0)  # nearly normal, as the noise that is drawn below


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """N breaths and the truth behind their pressures."""

    breaths: Recorded  # with the readings as pressure, nan in expiration
    guess: SessionLungs  # where a fit may begin
    truth: SessionLungs
    run: Run  # of the true lungs with the true effects


def drawn(count: int, seed: int = 0) -> Drawn:
    """Draw breaths: commands from the simulator, pressures from lungs whose numbers are shifted from the guess."""
    rng = np.random.default_rng(seed)
    made = simulate(3000, seed)
    names = sessions_of(made.r, made.c, made.time_step, made.u_in)
    session = next(name for name in sorted(set(names)) if name[:4] == (20, 20, False, True))
    own = made.take(np.flatnonzero([name == session for name in names])[:count])
    breaths = Recorded(
        breath_id=np.arange(len(own)),
        r=own.r,
        c=own.c,
        time_step=own.time_step,
        u_in=own.u_in,
        u_out=own.u_out.astype(np.float64),
        pressure=np.full(own.u_in.shape, np.nan),
    )
    guess = parameters.means(*settings_of((session,)))
    true = guess.copy()
    shifts = {"resistance": 0.4, "turbulence": -0.3, "compliance": 0.3, "slope_3": 0.2, "slope_7": 0.3}
    for name, shift in shifts.items():
        true[:, PLACE[name]] += shift
    rows, index = Inspirations.of(breaths, breaths.pressure), places((session,), breaths)
    effects = rng.normal(size=(len(own), len(EFFECTS))) * np.sqrt(PROCESS.effects())
    run = free_run(true[index], effects, rows)
    cov = remainder(PROCESS, run, rows, np.exp(true[index, PLACE["compliance"]]))
    noise = np.einsum("ntu,nu->nt", np.linalg.cholesky(cov), rng.normal(size=run.pressure.shape))
    breaths.pressure[:, : run.pressure.shape[1]] = np.where(rows.there, run.pressure + noise, np.nan)
    return Drawn(breaths=breaths, guess=_lungs(session, guess), truth=_lungs(session, true), run=run)


def hidden(breaths: Recorded, seed: int = 0) -> Array:
    """Return the readings (N, 80) with a stretch of ten rows of each breath unknown."""
    first = np.random.default_rng(seed).integers(0, 20, len(breaths))[:, None]
    row = np.arange(breaths.u_in.shape[1])
    return np.where((row >= first) & (row < first + 10), np.nan, breaths.pressure)


def _lungs(session: Session, vectors: Array) -> SessionLungs:
    member = Member(kind="marginal", prior=Prior(), process=PROCESS, vectors=vectors)
    return SessionLungs(sessions=(session,), members=(member,), provenance="drawn")

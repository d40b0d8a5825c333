"""Make the embedded lungs: fit them to the decoded rows of an unlabelled file, and nothing else.

    python -m ventilator.estimation.embed DATA/test.csv [--out lungs.json] [--rig rig.toml]

`lungs.json` was made so, and `rig.toml`, whose clocks and shares simulated breaths have that match these lungs.
Pressures in the file are not looked at. The sizes of process.py are fitted too, by their marginal likelihood, in turns
with the lungs; embed_spread.py calibrates the sd in the end, and can do so alone.
"""

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import optimize, special
from threadpoolctl import threadpool_limits

from ventilator.calibrate import calibrate
from ventilator.controller import Array
from ventilator.decoder.file_reading import read
from ventilator.estimation import parameters
from ventilator.estimation.conditioning import smooth_member
from ventilator.estimation.embed_spread import embed_spread
from ventilator.estimation.fit import fit_member
from ventilator.estimation.inspirations import Inspirations, derivatives
from ventilator.estimation.known import decoded
from ventilator.estimation.lungs import EMBEDDED, Member, SessionLungs, places, settings_of
from ventilator.estimation.matched import DECODED
from ventilator.estimation.parameters import PLACE, Prior
from ventilator.estimation.process import Process, masked, remainder
from ventilator.measure import Recorded
from ventilator.rig import sessions_of

# Members: their average is better than each. A small `session` says that all sessions had one and the same lung, tube
# and valves, and differ in the valve's curve alone: free runs then are far better. Near known rows loose members are.
KINDS: Final = (
    ("marginal", Prior()),
    ("marginal", Prior(session=2.0, shape=0.2)),
    ("marginal", Prior(session=0.1)),
    ("free", Prior(session=0.05)),
    ("free", Prior(session=0.05, shape=0.2)),
)
TURNS: Final = 3  # of lungs and process
FIRST_STEPS, LATER_STEPS = 30, 20
FURTHEST: Final = 1.5  # by which the log of a size may move in a turn
PULL: Final = 0.02  # nats per squared log by which a size is held where the rows do not tell it


def embed(breaths: Recorded, pressure: Array, provenance: str) -> SessionLungs:
    """Fit all members' lungs and sizes to N breaths with known pressures (N, 80), from the first guess."""
    told = np.flatnonzero(~np.isnan(pressure).all(axis=1))
    sessions = tuple(sorted(set(sessions_of(breaths.r, breaths.c, breaths.time_step, breaths.u_in))))
    rows, index = Inspirations.of(breaths, pressure), places(sessions, breaths)
    rows, index = rows.take(told), index[told]
    guess = parameters.means(*settings_of(sessions))
    lungs = SessionLungs(sessions=sessions, members=(), provenance=provenance)
    members: list[Member] = []
    first = Member(kind="marginal", prior=Prior(), process=Process(), vectors=guess)
    for kind, prior in KINDS:
        steps, turns = (LATER_STEPS, 1) if members else (FIRST_STEPS, TURNS)
        member = fit_member(rows, index, lungs, replace(first, kind=kind, prior=prior), steps)
        for _ in range(turns):
            member = replace(member, process=fit_process(rows, index, member))
            member = fit_member(rows, index, lungs, member, LATER_STEPS)
        members.append(member)
        first = members[0]
    return replace(lungs, members=tuple(members))


def fit_process(breaths: Inspirations, index: NDArray[np.int64], member: Member) -> Process:
    """Fit the sizes of a process to breaths about a member's lungs: the most likely ones, by L-BFGS."""
    with threadpool_limits(1):
        likelihood = _Likelihood(breaths, index, member)
        start = likelihood.start
        bounds = list(zip(start - FURTHEST, start + FURTHEST, strict=True))
        found = optimize.minimize(likelihood, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": 15})
    return likelihood.process(found.x)


class _Likelihood:
    """Minus the log marginal likelihood of known rows (nats) as a function of the logarithms of a process' sizes."""

    def __init__(self, breaths: Inspirations, index: NDArray[np.int64], member: Member) -> None:
        self.names = [field.name for field in fields(Process)]
        self.start = np.log([getattr(member.process, name) for name in self.names])
        self.breaths, self.known = breaths, ~np.isnan(breaths.known)
        effects = smooth_member(breaths, index, member).effects
        vectors = member.vectors[index]
        self.compliance = np.exp(vectors[:, PLACE["compliance"]])
        self.run, self.by_effect, _ = derivatives(vectors, effects, breaths, by_vector=False)
        base = self.run.pressure - np.einsum("nte,ne->nt", self.by_effect, effects)
        self.residual = np.where(self.known, breaths.known - base, 0.0)

    def process(self, logs: Array) -> Process:
        """Build the process of such sizes."""
        return Process(**{name: float(value) for name, value in zip(self.names, np.exp(logs), strict=True)})

    def __call__(self, logs: Array) -> float:
        process = self.process(logs)
        cov = (self.by_effect * process.effects()) @ self.by_effect.transpose(0, 2, 1)
        cov += remainder(process, self.run, self.breaths, self.compliance)
        root = np.linalg.cholesky(masked(cov, self.known))
        distance = (np.linalg.solve(root, self.residual[:, :, None])[:, :, 0] ** 2).sum(axis=1)
        spread = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        tail, rows = process.tail, self.known.sum(axis=1)
        log = special.gammaln((tail + rows) / 2.0) - special.gammaln(tail / 2.0) - 0.5 * rows * np.log(tail * np.pi)
        log -= spread + 0.5 * (tail + rows) * np.log1p(distance / tail)
        return float(-log.sum() + PULL * ((logs - self.start) ** 2).sum())


def main() -> None:
    """Write the embedded lungs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="test.csv of the competition; only its decoded rows are used")
    parser.add_argument("--out", type=Path, default=EMBEDDED)
    parser.add_argument("--rig", type=Path, default=DECODED)
    args = parser.parse_args()
    frame = read(args.file)
    breaths, known, places = decoded(frame)
    seen = (
        f"decoded rows of {len(breaths)} unlabelled breaths of {args.file.name} "
        f"({int(np.count_nonzero(~np.isnan(known.pressure)))} rows); no label"
    )
    lungs = embed(breaths, known.pressure, seen)
    pressure = np.empty(places.size)
    pressure[places.ravel()] = known.pressure.ravel()
    rig = calibrate(frame.with_columns(pl.Series("pressure", pressure).fill_nan(None)))
    rig.save(args.rig, f"Fitted to {seen}.")
    args.out.write_text(embed_spread(lungs, rig).to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()

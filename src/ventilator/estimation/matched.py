"""A simulator's rig with the lungs that were fitted for estimation: leak, one device for all sessions, less flutter.

    rig = matched_rig(Rig.load(DECODED), embedded())
    breaths = simulate(30000, seed=1, rig=rig)
    breaths = simulate_matched(30000, seed=1)  # of many lungs, drawn about those

Clocks, shares and noise are those of the given rig. The one at DECODED has seen decoded rows of unlabelled breaths
alone, as the embedded lungs; `ventilator.estimation.embed` makes both. The package's own rig.toml has seen the labels
of the labelled sample: where a score on these is to be reported, it is not the one to take.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ventilator.controller import PEEP
from ventilator.estimation.inspirations import lungs_of
from ventilator.estimation.lungs import SessionLungs, embedded
from ventilator.estimation.parameters import EFFECTS, PLACE, SESSION_SPREADS
from ventilator.loop import BLOCK, Breaths
from ventilator.lung import SETTINGS, supply
from ventilator.rig import Rig
from ventilator.simulator import simulate

DECODED: Final = Path(__file__).with_name("rig.toml")
VARIANTS: Final = 64  # of a session's lungs in one rig: with a few a model learns these, not how far lungs are off
PERTURBED: Final = 0.3  # of what sessions vary by: about what a fit of their lungs leaves open
START_SPREAD: Final = 0.25  # cmH2O, sd of a variant's start: so that row 0 is nearly as uncertain as in real breaths
FLUTTER: Final = 0.5  # of the rig's: what a lung without a leak left was taken for flutter, too
GAIN_SPREAD, RESISTANCE_SPREAD, COMPLIANCE_SPREAD = 0.04, 0.08, 0.05  # sd between runs of logs


def matched_rig(
    rig: Rig, lungs: SessionLungs, *, flutter: float = FLUTTER, perturbed: float = 0.0, seed: int | Sequence[int] = 0
) -> Rig:
    """Return the rig with the lungs of `lungs`.

    Args:
        rig: its sessions, clocks, shares and noise are kept.
        lungs: of sessions; one that they lack has the lung of its (R, C).
        flutter: factor on the rig's flutter.
        perturbed: every session's lung is drawn around the fitted one, by so many times what sessions vary by: a model
            that is trained on several such rigs does not trust one fit.
        seed: of that draw.
    """
    place = {session: k for k, session in enumerate(lungs.sessions)}
    own = [place.get(s, len(place) + SETTINGS.index((s.r, s.c))) for s in rig.sessions]
    free = [member for member in lungs.members if member.kind == "free"] or list(lungs.members)
    vectors = np.mean([member.vectors[own] for member in free], axis=0)
    vectors += perturbed * SESSION_SPREADS * np.random.default_rng(seed).standard_normal(vectors.shape)
    lung = lungs_of(vectors, np.zeros((len(own), len(EFFECTS))))
    # What flows in at the end of expiration leaves by the outlet: so a breath begins at its session's start pressure.
    idle = supply(lung, np.full(len(own), PEEP))
    lung = replace(lung, peep=vectors[:, PLACE["start"]] - idle / lung.outlet)
    first = vectors[:, PLACE["first_start"]]
    return replace(
        rig,
        lung=lung,
        start=first,
        flutter=flutter * rig.flutter,
        gain_spread=GAIN_SPREAD,
        resistance_spread=RESISTANCE_SPREAD,
        compliance_spread=COMPLIANCE_SPREAD,
    )


def varied_rig(
    rig: Rig,
    lungs: SessionLungs,
    *,
    variants: int = VARIANTS,
    perturbed: float = PERTURBED,
    seed: int | Sequence[int] = 0,
) -> Rig:
    """Return a rig in which each session comes `variants` times, with lungs that are drawn about the fitted ones.

    What flutters, and what varies between runs, is what the lungs' own fit has found (`process.Process`), so that a
    smoother with these lungs errs on its breaths about as it does on real ones: in no session alike.

    Args:
        rig: its sessions, clocks, shares and noise are kept.
        lungs: of sessions; with a member that was fitted to the marginal likelihood.
        variants: of each session.
        perturbed: by how many times what sessions vary by the lungs are drawn.
        seed: of that draw.
    """
    process = next(member.process for member in lungs.members if member.kind == "marginal")
    arrays = {name: value for name, value in vars(rig).items() if isinstance(value, np.ndarray)}
    repeated: dict[str, Any] = {name: np.tile(value, variants) for name, value in arrays.items()}
    repeated["share"] = repeated["share"] / variants
    many = replace(
        rig,
        sessions=list(rig.sessions) * variants,
        lung=rig.lung.take(np.tile(np.arange(len(rig)), variants)),
        **repeated,
    )
    many = matched_rig(many, lungs, perturbed=perturbed, seed=seed)
    late = START_SPREAD * np.random.default_rng(seed).spawn(1)[0].standard_normal(len(many))
    return replace(
        many,
        lung=replace(many.lung, peep=many.lung.peep + late),
        start=many.start + late,
        flutter=np.full(len(many), process.flutter),
        flutter_1=np.exp(-many.period / process.flutter_s),
        flutter_2=np.zeros(len(many)),
        gain_spread=process.gain,
        resistance_spread=process.resistance,
        compliance_spread=process.compliance,
    )


def simulate_matched(breaths: int, seed: int, *, rig: Rig | None = None) -> Breaths:
    """Simulate breaths that are to the embedded lungs about what real ones are (`varied_rig`, a new one each block).

    Args:
        breaths: how many, at least one.
        seed: of lungs and breaths.
        rig: whose clocks, shares and noise they have; None: the one at DECODED.

    Raises:
        ValueError: if `breaths` is less than 1.
    """
    rig = Rig.load(DECODED) if rig is None else rig
    parts = []
    for number, begin in enumerate(range(0, max(breaths, 1), BLOCK)):
        own = varied_rig(rig, embedded(), seed=(seed, number))
        parts.append(simulate(min(BLOCK, breaths - begin), seed, rig=own, first=number * BLOCK))
    return Breaths.join(parts)

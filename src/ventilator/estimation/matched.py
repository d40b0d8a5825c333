"""A simulator's rig with the lungs that were fitted for estimation: leak, one device for all sessions, less flutter.

    rig = matched_rig(Rig.load(), embedded())
    breaths = simulate(30000, seed=1, rig=rig)

Clocks, shares and noise are those of the given rig. The committed rig.toml has seen the labels of the labelled sample:
where a score on these is to be reported, give a rig that was calibrated on other rows.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from ventilator.controller import PEEP
from ventilator.estimation.inspirations import lungs_of
from ventilator.estimation.lungs import SessionLungs
from ventilator.estimation.parameters import EFFECTS, PLACE, SESSION_SPREADS
from ventilator.lung import SETTINGS, supply
from ventilator.rig import Rig

FLUTTER: Final = 0.5  # of the rig's: what a lung without a leak left was taken for flutter, too
GAIN_SPREAD, RESISTANCE_SPREAD, COMPLIANCE_SPREAD = 0.04, 0.08, 0.05  # sd between runs of logs


def matched_rig(
    rig: Rig, lungs: SessionLungs, *, flutter: float = FLUTTER, perturbed: float = 0.0, seed: int = 0
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

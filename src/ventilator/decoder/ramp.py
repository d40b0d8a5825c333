"""Stage c for breaths without a controller: a long bump hides the loop almost everywhere.

During a start ramp, or a wide triangle, the PI loop can fall to 0: then u is the bump, a straight line. After the line
is subtracted, the rest of u must be a breath of the one gain pair that runs with bumps use, under one of six targets.

The tests must come from rows off the line: a constant shift of all pressures is absorbed by the line's intercept, and
constant pressure gives a line too. So rows on the line count as PI <= 0 and as nothing else.
"""

from typing import Final

import numpy as np

from ventilator.decoder.bump import ERROR, Cleaned, triangle
from ventilator.decoder.chain import all_runs
from ventilator.decoder.identify import total
from ventilator.decoder.law import TARGETS, blank, contradicts, without_bump
from ventilator.decoder.line import lines
from ventilator.decoder.records import Breath, Gains
from ventilator.decoder.row0 import pair_evidence

ACCEPT: Final = 7.0  # net digits; 1.7 of them account for some 50 hypotheses (lines and targets)
RIVAL: Final = 3.0  # digits by which the best must lead: the second is then 1,000 times less likely


def ramp(b: Breath, kp: float, ki: float, tau: float) -> tuple[int, Cleaned]:
    """Find a line that leaves a clean breath: its target's number and the breath without it; else (-1, as it was).

    Rows 0 and 1 count as well where tau, tau_0 in s, is known (else nan).
    """
    found = lines(b)
    most, second, target = 0.0, 0.0, -1
    cleaned = Cleaned(b, np.zeros(len(b.y)), False)
    for i in range(int(found.size[0])):
        bump = triangle(b, found.slope[i], found.start[i], found.end[i])
        if contradicts(b, bump, ERROR):
            continue
        clean = without_bump(b, bump, ERROR)
        for kt in range(len(TARGETS)):
            g = Gains(kp, ki, float(TARGETS[kt]))
            evidence = total(clean, g) or pair_evidence(clean, g, tau)
            if evidence <= most:
                second = max(second, evidence)
            elif all_runs(clean, g, blank(len(b.y))):
                most, second, target, cleaned = evidence, most, kt, Cleaned(clean, bump, True)
    if most < max(ACCEPT, second + RIVAL):
        return -1, Cleaned(b, np.zeros(len(b.y)), False)
    return target, cleaned

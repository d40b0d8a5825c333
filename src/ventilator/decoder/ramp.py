"""Stage c for breaths without a controller: a long bump hides the loop almost everywhere (decoder.md, 3.2).

A start ramp, or a wide triangle, can exceed what the PI loop asks for: then PI = 0 and u is the bump, a straight
line. Take the line off, and what is left must be a breath of the one gain pair that runs with bumps use, under one of
six targets.

The tests must come from rows off the line: a constant shift of all pressures is absorbed by the line's intercept, and
constant pressure draws a line too. So the line's rows count for nothing here but PI <= 0.
"""

from typing import Final

import numpy as np

from ventilator.decoder.bump import ERROR, Verdict, triangle
from ventilator.decoder.chain import all_runs
from ventilator.decoder.identify import total
from ventilator.decoder.law import TARGETS, Breath, Gains, blank, contradicts, without_bump
from ventilator.decoder.line import lines

ACCEPT: Final = 7.0  # net digits; 1.7 pay for some 50 hypotheses
RIVAL: Final = 3.0  # digits by which the best must lead


def ramp(b: Breath, kp: float, ki: float) -> tuple[int, Verdict]:
    """Number of the target and the breath without its bump; (-1, unchanged) if no line leaves a clean breath."""
    found = lines(b)
    most, second, target = 0.0, 0.0, -1
    verdict = Verdict(b, np.zeros(len(b.y)), False)
    for i in range(int(found.size[0])):
        bump = triangle(b, found.slope[i], found.start[i], found.end[i])
        if contradicts(b, bump, ERROR):
            continue
        clean = without_bump(b, bump, ERROR)
        for kt in range(len(TARGETS)):
            g = Gains(kp, ki, float(TARGETS[kt]))
            evidence = total(clean, g)
            if evidence <= most:
                second = max(second, evidence)
            elif all_runs(clean, g, blank(len(b.y))):
                most, second, target, verdict = evidence, most, kt, Verdict(clean, bump, True)
    if most < max(ACCEPT, second + RIVAL):
        return -1, Verdict(b, np.zeros(len(b.y)), False)
    return target, verdict

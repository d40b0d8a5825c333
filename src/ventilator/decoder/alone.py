"""Stage c, rows of bump alone as guesses: bumps that neither a line of three rows nor an anchor shows.

Where PI <= 0, u is the bump itself. Two such rows fix one side of a bump, a third one the foot of its other side. Which
rows they are is not known, so every two are tried, and with every third; each guess is a whole bump, and u without it
must be a breath of the gain pair that runs with bumps use.

Tests under one guessed side are not independent: shift all its pressures by whole steps, let its foot move along, and u
stays the same. If one of them passes by chance, all do. So the digits of a single test must outweigh the guesses,
however many tests pass. What such a shift can't do is put PI at 0 in a given row: that is what the guess adds.
"""

from typing import Final

import numpy as np

from ventilator.decoder.bump import ERROR, NET, Cleaned, Trial, triangle
from ventilator.decoder.chain import all_runs
from ventilator.decoder.identify import total
from ventilator.decoder.kernels import helper, kernel
from ventilator.decoder.law import PURE, SAFETY, Y_MAX, blank, contradicts, digits, step_tolerance, without_bump
from ventilator.decoder.line import FLATTEST
from ventilator.decoder.records import Breath, Floats, Gains

MOST: Final = 1024  # guesses that inequalities leave; a breath with more is given up


@helper
def _off_line(b: Breath, i: int, j: int, row: int) -> bool:
    """Return whether a row lies beside the line through rows i and j, by more than the three errors explain."""
    share = (b.t[row] - b.t[i]) / (b.t[j] - b.t[i])
    error = b.w[row] + abs(1.0 - share) * b.w[i] + abs(share) * b.w[j]
    return bool(abs(b.y[row] - b.y[i] - share * (b.y[j] - b.y[i])) > SAFETY * error)


@helper
def _last_on_line(b: Breath, i: int, j: int) -> int:
    """Return the last unclipped row on the line through i and j; -1 where an earlier pair of rows has made it."""
    for row in range(j):
        if row != i and b.clip[row] == 0 and not _off_line(b, i, j, row):
            return -1
    last = j
    for row in range(j + 1, len(b.y)):
        if b.clip[row] == 0 and not _off_line(b, i, last, row):
            last = row
    return last


@helper
def _possible(b: Breath, slope: float, start: float, end: float, slack: float) -> bool:
    """Return whether u without the bump stays within 0 and 100 %; u is never below a bump."""
    for j in range(len(b.y)):
        bump = slope * max(0.0, min(b.t[j] - start, end - b.t[j]))
        if (b.clip[j] == 0 and not -slack <= b.y[j] - bump <= Y_MAX + slack) or (b.clip[j] == -1 and bump > slack):
            return False
    return True


@kernel
def guesses(b: Breath) -> tuple[Floats, int, int]:
    """List every bump that two rows, or three, would be if they were bump alone.

    Returns (MOST, 4) slope (grid steps per s), start, end (s) and error (error bounds of the worst row), how many of
    these are filled (MOST + 1: too many), and how many were tried.
    """
    n, found, size, tried = len(b.y), np.empty((MOST, 4)), 0, 0
    for i in range(n):
        for j in range(i + 1, n):
            if b.clip[i] != 0 or b.clip[j] != 0 or abs(b.y[j] - b.y[i]) < FLATTEST * (b.t[j] - b.t[i]):
                continue
            last = _last_on_line(b, i, j)
            if last < 0:
                continue
            slope = (b.y[last] - b.y[i]) / (b.t[last] - b.t[i])
            foot = b.t[i] - b.y[i] / slope
            error = max(ERROR, 1.0 + 2.0 * (b.t[n - 1] - b.t[0]) / (b.t[last] - b.t[i]))
            slack = PURE * (1.0 + error) * np.max(b.w)
            others = range(last + 1, n) if slope > 0.0 else range(-1, i)
            for row in others:
                if row >= 0 and (b.clip[row] != 0 or not _off_line(b, i, last, row)):
                    continue
                tried += 1
                start, end = foot, -np.inf
                if slope > 0.0:
                    end = b.t[row] + b.y[row] / slope
                else:
                    start, end = -np.inf if row < 0 else b.t[row] + b.y[row] / slope, foot
                if start >= end or not _possible(b, abs(slope), start, end, slack):
                    continue
                if size == MOST:
                    return found, MOST + 1, tried
                found[size, 0], found[size, 1], found[size, 2], found[size, 3] = abs(slope), start, end, error
                size += 1
    return found, size, tried


@kernel
def widest_test(b: Breath, g: Gains) -> float:
    """Compute the digits of the weakest test between two unclipped rows."""
    least = np.inf
    for j in range(1, len(b.y)):
        if b.clip[j] == 0 and b.clip[j - 1] == 0:
            least = min(least, digits(step_tolerance(b, g, j)))
    return float(least)


@kernel
def clean_evidence(b: Breath, kp: float, ki: float, targets: Floats) -> Floats:
    """Compute the digits of all chains under each target (grid steps); 0 where a pair of rows is not explained."""
    evidence = np.zeros(len(targets))
    for number in range(len(targets)):
        g = Gains(kp, ki, targets[number])
        if all_runs(b, g, blank(len(b.y))):
            evidence[number] = total(b, g)
    return evidence


def alone(b: Breath, gains: list[Gains], floor: float) -> list[tuple[int, Trial]]:
    """Find the bumps whose guess is proven: the number of one of `gains`, and the breath without the bump.

    `gains` differ in their target alone. One test outweighs all guesses by NET digits, all tests together by `floor`,
    and every pair of rows is explained.
    """
    found, size, tried = guesses(b)
    if size > MOST or tried == 0:
        return []
    cost, proven = float(np.log10(tried * len(gains))), []
    kp, ki, targets = gains[0].kp, gains[0].ki, np.array([g.c for g in gains])
    for slope, start, end, error in found[:size]:
        bump = triangle(b, slope, start, end)
        if contradicts(b, bump, error):
            continue
        clean = without_bump(b, bump, error)
        nets = clean_evidence(clean, kp, ki, targets) - cost
        for number in np.flatnonzero(nets >= floor).tolist():
            if widest_test(clean, gains[number]) - cost >= NET:
                own = blank(len(b.y))
                all_runs(clean, gains[number], own)
                proven.append((number, Trial(float(nets[number]), Cleaned(clean, bump, True), own)))
    return proven

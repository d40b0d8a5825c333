"""Stage a, first half: which of the 2,640 controllers drove this breath.

For one pair of unclipped rows and one controller, the second index is affine in the first, so 950 guesses are one
tight loop. Starts are tried in order until one chain has CERTAIN digits; breaths without such a chain are judged by the
sum over all starts.

Aliases determine the further design. Under constant pressure any two gains of equal sum give the same u, and swapped
gains give nearly the same u under small changes; so every triple with the sum and target of a candidate is scored
too, over the whole breath, and gains without a bump must explain every pair of neighbours (`chain.all_runs`).
"""

from typing import Final

import numpy as np

from ventilator.controller import GRID_SIZE, KI_GAINS, KP_GAINS
from ventilator.decoder.chain import chains, first_row, guess, needs_guess, run_end
from ventilator.decoder.kernels import helper, kernel
from ventilator.decoder.law import TARGETS, WIDEST, blank, step_tolerance
from ventilator.decoder.records import Breath, Floats, Gains

KP: Final = np.array(KP_GAINS)
KI: Final = np.array(KI_GAINS)
N_KP, N_KI, N_KT = len(KP), len(KI), len(TARGETS)

CERTAIN: Final = 25.0  # digits of one chain that end the search: chance makes no such chain
CANDIDATES: Final = 6  # controllers rescored when no chain is certain
FLOOR: Final = 2.0  # net digits a chain must have to count towards its controller
ALIAS: Final = 0.75  # share of the best one's digits from which on a controller counts as a possible alias
RIVALS: Final = 12  # controllers kept at most
ACCEPT: Final = 10.0  # total net digits of an identified controller; 3.4 of them account for the 2,640 tried


@kernel
def gains_of(code: int) -> Gains:
    """Return controller number 0 .. 21 * 21 * 6 - 1; the first of each target, with both gains 0, is none."""
    pair = code // N_KT
    return Gains(KP[pair // N_KI], KI[pair % N_KI], TARGETS[code % N_KT])


@helper
def _any_on_grid(offset: float, slope: float, tolerance: float) -> bool:
    """Return whether offset + slope * k is near an integer for some k in 0..949."""
    hits = 0  # counted to the end, because a loop without an early exit is vectorised by the compiler
    for k in range(GRID_SIZE):
        x = offset + slope * k
        hits += abs(x - np.rint(x)) <= tolerance
    return hits > 0


@helper
def start_evidence(b: Breath, g: Gains, start: int, end: int) -> float:
    """Compute the net digits of the best chain from row `start`, 0 if there is none."""
    if needs_guess(g):
        a = b.a[start + 1]
        den = g.kp + g.ki * a
        slope = g.kp * (1.0 - a) / den
        offset = g.c - (b.y[start + 1] - (1.0 - a) * (b.y[start] - g.kp * g.c)) / den
        # Most controllers are excluded here, before any chain is followed.
        if offset >= GRID_SIZE or offset + slope * GRID_SIZE < -1.0:
            return 0.0
        tolerance = step_tolerance(b, g, start + 1)
        if tolerance > WIDEST or not _any_on_grid(offset, slope, tolerance):
            return 0.0
    return max(0.0, guess(b, g, start, end)[2])


@helper
def search(b: Breath, score: Floats) -> None:
    """Add to `score` (one entry a controller) the digits of its chains, start by start, until one chain is certain."""
    for start in range(len(b.y) - 1):
        if b.clip[start] != 0 or b.clip[start + 1] != 0:
            continue
        end, best = run_end(b, start), 0.0
        for code in range(len(score)):
            g = gains_of(code)
            if g.kp + g.ki == 0.0 or start < first_row(g):
                continue
            found = start_evidence(b, g, start, end)
            score[code] += found
            best = max(best, found)
        if best > CERTAIN:
            return


@helper
def search_pair(b: Breath, pair: int, score: Floats) -> bool:
    """Do what `search` does for the targets of one pair of gains alone; return whether one chain is certain."""
    for start in range(len(b.y) - 1):
        if b.clip[start] != 0 or b.clip[start + 1] != 0:
            continue
        end = run_end(b, start)
        for code in range(pair * N_KT, (pair + 1) * N_KT):
            g = gains_of(code)
            if start >= first_row(g):
                found = start_evidence(b, g, start, end)
                score[code] += found
                if found > CERTAIN:
                    return True
    return False


@kernel
def total(b: Breath, g: Gains) -> float:
    """Compute the net digits of all chains of the breath under a controller."""
    return chains(b, g, FLOOR, blank(len(b.y)))


@helper
def rescore(b: Breath, score: Floats) -> Floats:
    """Sum the evidence, one entry a controller, for the leaders of `score` and all of equal Kp + Ki and target."""
    evidence = np.zeros(len(score))
    done = np.zeros(len(score), np.bool_)
    for _ in range(CANDIDATES):
        leader = int(np.argmax(score))
        if score[leader] <= 0.0:
            break
        score[leader] = 0.0
        g = gains_of(leader)
        for code in range(leader % N_KT, len(score), N_KT):
            other = gains_of(code)
            if not done[code] and abs(other.kp + other.ki - g.kp - g.ki) < 1e-9:  # sums of rounded decimals
                done[code] = True
                evidence[code] = total(b, other)
    return evidence


@kernel
def scores(b: Breath, pair: int) -> Floats:
    """Compute the total net digits of every rescored controller, 0 for the others.

    Four breaths in ten have the exploration gains of their R and C, `pair` (-1: none): they are tried first.
    """
    score = np.zeros(N_KP * N_KI * N_KT)
    if pair < 0 or not search_pair(b, pair, score):
        score[:] = 0.0
        search(b, score)
    return rescore(b, score)


def leaders(evidence: Floats, least: float) -> list[int]:
    """List the controllers (numbers, see `gains_of`) of at least so many digits, best first, RIVALS at most."""
    order = np.argsort(-evidence, kind="stable")  # equal evidence: by number, on every machine
    return [int(code) for code in order[:RIVALS] if evidence[code] >= least]


def identified(evidence: Floats) -> list[int]:
    """List the controllers that `scores` says may have driven the breath, best first; none: nothing proven.

    Aliases have nearly the same evidence as the truth (a test weighs a little more under larger gains), so all that
    come near the best are returned; the later stages refute them or agree on what they share.
    """
    best = float(evidence.max())
    return leaders(evidence, max(ACCEPT, ALIAS * best)) if best >= ACCEPT else []

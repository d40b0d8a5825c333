"""The decoder against known truth: simulated breaths, real ones where there are any, and inputs without pressure."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ventilator import simulator
from ventilator.controller import grid_index, target
from ventilator.decoder import decode, state
from ventilator.decoder.breaths import table
from ventilator.decoder.check import bends, disagreements, rounded
from ventilator.decoder.decoder_state import DecoderState
from ventilator.decoder.digits import significant
from ventilator.decoder.frame_decoding import breath_of, decode_breath, suspects
from ventilator.decoder.identify import ACCEPT
from ventilator.decoder.records import UNKNOWN, Breath

REAL = Path(os.environ.get("FOLDLINE_REAL_DATA", Path(__file__).parents[2] / "../shared/data/ventilator"))
IDENTIFIABLE = 4  # chain rows that a breath needs for its controller to stand out among 2,640
real = pytest.mark.skipif(not (REAL / "test.csv").exists(), reason=f"no real breaths at {REAL} (FOLDLINE_REAL_DATA)")


def wrong(frame: pl.DataFrame, exact: pl.DataFrame) -> int:
    both = exact.join(frame.select("id", truth="pressure"), on="id", how="left", maintain_order="left")
    return int(np.count_nonzero(grid_index(both["pressure"].to_numpy()) != grid_index(both["truth"].to_numpy())))


def coverage(frame: pl.DataFrame, exact: pl.DataFrame) -> float:
    return 100 * len(exact) / int((frame["u_out"] == 0).sum())


def simulated(breaths: int, seed: int) -> tuple[pl.DataFrame, simulator.Breaths]:
    truth = simulator.simulate(breaths, seed)
    return simulator.frame(truth, np.arange(breaths)), truth


def decodable(truth: simulator.Breaths) -> dict[str, np.ndarray]:
    """Rows (N, T) of identifiable breaths that have an equation of their own.

    chain: an unclipped neighbour before it (or after it when Kp > 0), no bump on either. row0: Kp > 0, unclipped, a
    chain row behind it, a phase that expiration shows. gap: a single clipped row, chain rows on both sides. bump: on
    a triangle with three unclipped rows on each side and chain rows on both ends.
    """
    kp, ki = truth.kp[:, None], truth.ki[:, None]
    tau = truth.tau_0[:, None] + truth.time_step
    free = (truth.u_in > 0) & (truth.u_in < 100) & (truth.u_out == 0) & (kp + ki > 0)
    under = (tau > truth.bump_start[:, None]) & (tau < truth.bump_end[:, None]) & (truth.bump_slope[:, None] != 0)
    clean = free & ~under
    clean[:, 0] &= truth.kp == 0
    before, after = np.zeros_like(clean), np.zeros_like(clean)
    before[:, 1:], after[:, :-1] = clean[:, :-1], clean[:, 1:]
    chain = clean & (before | (after & (kp > 0))) & (ki > 0)
    chain[:, 0] = False
    chain &= np.count_nonzero(chain, axis=1, keepdims=True) >= IDENTIFIABLE
    row0 = np.zeros_like(chain)
    row0[:, 0] = free[:, 0] & ~under[:, 0] & chain[:, 1] & (truth.kp > 0) & ~truth.late_pi
    gap = np.zeros_like(chain)
    gap[:, 2:-1] = ~free[:, 2:-1] & chain[:, 1:-2] & chain[:, 3:] & (truth.u_out[:, 3:] == 0) & (kp > 0)
    return {"chain": chain, "row0": row0, "gap": gap, "bump": _under_triangles(truth, tau, free & under, chain)}


def _under_triangles(truth: simulator.Breaths, tau: np.ndarray, under: np.ndarray, chain: np.ndarray) -> np.ndarray:
    rows = np.zeros_like(under)
    for i in np.flatnonzero((truth.bump_slope != 0) & np.isfinite(truth.bump_start)):
        inside = np.flatnonzero((tau[i] > truth.bump_start[i]) & (tau[i] < truth.bump_end[i]))
        apex = (truth.bump_start[i] + truth.bump_end[i]) / 2
        sides = np.count_nonzero(tau[i, inside] < apex), np.count_nonzero(tau[i, inside] > apex)
        if min(sides) < 3 or inside[0] < 3 or not under[i, inside].all() or inside[-1] > 76:
            continue
        last = inside[-1] + 2
        pi_open = _command(truth, tau, i)[inside] > 1e-9
        rows[i, inside] = chain[i, inside[0] - 2] and chain[i, last] and truth.u_out[i, last] == 0 and pi_open.all()
    return rows


def _command(truth: simulator.Breaths, tau: np.ndarray, i: int) -> np.ndarray:
    error = np.asarray(target(tau[i], truth.kt[i])) - truth.pressure[i]
    return np.asarray(truth.kp[i] * error + truth.ki[i] * truth.integral[i])


def check_simulated(breaths: int, seed: int) -> None:
    frame, truth = simulated(breaths, seed)
    known = state(frame)
    exact = known.kind > 0
    assert np.array_equal(known.grid[exact], grid_index(frame["pressure"].to_numpy())[exact])
    assert not np.any(exact.reshape(breaths, -1)[truth.mode == 2])  # open loop: u_in holds no pressure
    for kind, rows in decodable(truth).items():
        found = np.count_nonzero(exact & rows.ravel())
        assert found >= 0.99 * np.count_nonzero(rows), (kind, found, np.count_nonzero(rows))


def segments(breaths: int, seed: int, digits: int) -> dict[str, int]:
    """Decode stretches of 3 to 11 rows, where chains alone often prove nothing; count claimed stretches by rule."""
    frame = rounded(simulated(breaths, seed)[0], digits)
    breaths_of, rng = table(frame), np.random.default_rng(seed)
    claims, tau = {"chains": 0, "bump": 0, "gaps": 0}, 0.05  # s: behind the target's ramp
    for i in range(breaths):
        b, rows = breath_of(breaths_of, i), int(rng.integers(3, 12))
        first = int(rng.integers(1, len(b.y) - rows))
        part = Breath(*(array[first : first + rows].copy() for array in b))
        named = suspects(part, int(breaths_of.pair[i]), tau)
        code, track, *_ = decode_breath(part, int(breaths_of.pair[i]), tau, np.nan)
        if code < 0:
            continue
        truth = grid_index(frame["pressure"].to_numpy()[breaths_of.start[i] + first :][:rows])
        known = track.k != UNKNOWN
        assert np.array_equal(track.k[known], truth[known]), (i, first, rows)
        digits_of = named[0].digits
        claims["chains" if digits_of > ACCEPT else "bump" if digits_of == ACCEPT else "gaps"] += 1
    return claims


def test_short_stretches_are_proven_by_gaps_or_left() -> None:
    assert segments(100, 6, 17)["gaps"] >= 2


@pytest.mark.slow
@pytest.mark.parametrize("digits", [17, 10])
def test_many_short_stretches(digits: int) -> None:
    claims = segments(3000, 6, digits)
    assert claims["gaps"] >= 45
    assert claims["bump"] >= (5 if digits == 17 else 0)


def test_simulated_breaths() -> None:
    check_simulated(300, 0)


@pytest.mark.slow
def test_many_simulated_breaths() -> None:
    check_simulated(5000, 1)


@pytest.mark.slow
def test_ten_digits_of_simulated_breaths() -> None:
    frame, _ = simulated(1000, 2)
    assert wrong(frame, decode(rounded(frame))) == 0


def nothing_in(u: np.ndarray, frame: pl.DataFrame, *, precisions: tuple[int, ...] = (17, 10)) -> None:
    for digits in precisions:
        empty = rounded(frame.with_columns(u_in=u), digits)
        assert len(decode(empty)) == 0


def test_random_and_noisy_inputs_hold_nothing() -> None:
    frame, _ = simulated(60, 3)
    rng, u = np.random.default_rng(0), frame["u_in"].to_numpy()
    nothing_in(rng.uniform(0, 100, len(u)), frame)
    nothing_in(np.clip(u + rng.uniform(-1e-4, 1e-4, len(u)), 0, 100), frame)


@pytest.mark.slow
def test_two_thousand_empty_breaths_of_each_kind() -> None:
    """At 10 digits only, where chance has more room."""
    frame, truth = simulated(2000, 4)
    rng, u = np.random.default_rng(1), frame["u_in"].to_numpy()
    nothing_in(rng.uniform(0, 100, len(u)), frame, precisions=(10,))
    nothing_in(np.clip(u + rng.uniform(-1e-4, 1e-4, len(u)), 0, 100), frame, precisions=(10,))
    tau = truth.tau_0[:, None] + truth.time_step
    alone = np.where(truth.u_out == 1, truth.u_in, np.clip(rng.uniform(10, 60, (2000, 1)) * (1.2 - tau), 0, 100))
    nothing_in(alone.ravel(), frame, precisions=(10,))


@real
@pytest.mark.slow
def test_labelled_real_breaths() -> None:
    frame = pl.read_csv(REAL / "train.csv")
    digits = {key[0]: max(significant(u)[0] for u in rows["u_in"]) for key, rows in frame.group_by("breath_id")}
    full = [key for key, most in digits.items() if most >= 15]
    late, is_full = pl.col("breath_id") >= 125_000, pl.col("breath_id").is_in(full)
    sets = {  # rows, digits, coverage at least (%)
        "late": (frame.filter(late & is_full), 17, 87.2),
        "late, 10 digits": (frame.filter(late & is_full), 10, 85.4),
        "early": (frame.filter(~late & is_full), 17, 89.0),
        "early, 10 digits": (frame.filter(~late & is_full), 10, 88.0),
        "short-printed": (frame.filter(~is_full), 17, 78.6),
    }
    for name, (rows, count, least) in sets.items():
        exact = decode(rounded(rows, count))
        assert wrong(rows, exact) == 0, name
        assert coverage(rows, exact) >= least, (name, coverage(rows, exact))


@real
@pytest.mark.slow
def test_unlabelled_real_breaths_at_two_precisions() -> None:
    frame = pl.read_csv(REAL / "test.csv")
    full, short = state(frame), state(rounded(frame))
    assert len(disagreements(full, short)) == 0
    assert len(bends(frame, full)) == 0
    assert covered(frame, full) >= 84.1
    assert covered(frame, short) >= 82.6


def covered(frame: pl.DataFrame, known: DecoderState) -> float:
    return float(100 * np.count_nonzero(known.kind) / int((frame["u_out"] == 0).sum()))


@real
@pytest.mark.slow
def test_real_breaths_with_noise_hold_nothing() -> None:
    """2,000 breaths: the real 1,000, twice; all digits the first time, 10 of them the second."""
    frame, rng = pl.read_csv(REAL / "test.csv"), np.random.default_rng(2)
    u = frame["u_in"].to_numpy()
    for digits in (17, 10):
        noisy = np.where((u > 0) & (u < 100), np.clip(u + rng.uniform(-1e-4, 1e-4, len(u)), 0, 100), u)
        nothing_in(noisy, frame, precisions=(digits,))

"""decode: the frame in, exact rows out; bad input makes no crash and no claim."""

import sys

import numpy as np
import polars as pl
import pytest
from decoder_handmade import INSPIRATION, clock, frame, pressures, u_in

from ventilator.controller import grid_pressure
from ventilator.decoder import breaths, decode, state
from ventilator.decoder.frame_decoding import Finding, Suspect, breath_of
from ventilator.decoder.records import OPTIONS, Breath
from ventilator.decoder.row0 import phase

COLUMNS = ["id", "pressure", "kind", "kp", "ki", "kt"]


@pytest.fixture(scope="module")
def good() -> tuple[pl.DataFrame, np.ndarray]:
    (t, tau_0), k = clock(), pressures(low=60, high=300)
    return frame(u_in(k, t, tau_0, (0.3, 4.0, 30.0), integral=5.0123456789012), t), k


def wrong(exact: pl.DataFrame, k: np.ndarray) -> int:
    rows = exact["id"].to_numpy() % 1000 - 1
    return int(np.count_nonzero(np.abs(exact["pressure"].to_numpy() - grid_pressure(k[rows])) > 1e-9))


def test_columns_and_gains(good: tuple[pl.DataFrame, np.ndarray]) -> None:
    exact = decode(good[0])
    assert exact.columns == COLUMNS
    assert len(exact) == INSPIRATION
    assert wrong(exact, good[1]) == 0
    assert exact.select("kp", "ki", "kt").unique().rows() == [(0.3, 4.0, 30.0)]
    assert set(exact["kind"]) == {"chain", "row0"}


def test_rows_may_lie_in_any_order(good: tuple[pl.DataFrame, np.ndarray]) -> None:
    mixed = pl.concat([good[0], good[0].with_columns(pl.col("id") + 1000, pl.col("breath_id") + 1)])
    mixed = mixed.sample(fraction=1.0, shuffle=True, seed=0)
    exact = decode(mixed)
    assert wrong(exact, good[1]) == 0
    assert exact["id"].to_list() == [i for i in mixed["id"] if i in set(exact["id"])]
    assert len(exact) == 2 * INSPIRATION


def test_threads_and_order_change_nothing(good: tuple[pl.DataFrame, np.ndarray]) -> None:
    many = pl.concat([good[0].with_columns(pl.col("breath_id") + i, pl.col("id") + 1000 * i) for i in range(200)])
    done: list[int] = []
    assert decode(many, progress=done.append).equals(decode(many))
    assert done == [64, 128, 192, 200]


@pytest.mark.parametrize(("offset", "shared"), [(0.0, INSPIRATION), (1e-3, 10)])
def test_what_controllers_do_not_share_is_no_constraint(
    good: tuple[pl.DataFrame, np.ndarray], monkeypatch: pytest.MonkeyPatch, offset: float, shared: int
) -> None:
    """Two controllers that explain the same pressures: rows are exact, but neither's integrals, clipping or gaps."""
    module, plain = sys.modules["ventilator.decoder.frame_decoding"], state(good[0])
    suspects, later_stages = module.suspects, module.later_stages
    best = suspects(*_arguments(good[0]))[0].digits

    def rivals(*of: object) -> list[Suspect]:
        (own,) = suspects(*of)
        return [own, own._replace(digits=own.digits - 1.0)]

    def stages(b: Breath, suspect: Suspect, *of: object) -> Finding:
        found: Finding = later_stages(b, suspect, *of)
        found.track.J[10:] += offset * (suspect.digits != best)
        clip = found.cleaned.clean.clip.copy()
        clip[20] = -1
        clean = found.cleaned.clean._replace(clip=clip)
        return found._replace(cleaned=found.cleaned._replace(clean=clean))

    monkeypatch.setattr(module, "suspects", rivals)
    monkeypatch.setattr(module, "later_stages", stages)
    both = state(good[0])
    assert np.array_equal(both.grid, plain.grid) and np.array_equal(both.kind, plain.kind)
    np.testing.assert_array_equal(both.integral[:shared], plain.integral[:shared])
    assert np.isnan(both.integral[shared:INSPIRATION]).all()
    assert not both.clip.any()
    monkeypatch.setattr(module, "suspects", suspects)
    assert state(good[0]).clip.any()


def _arguments(table: pl.DataFrame) -> tuple[Breath, int, float]:
    """What `suspects` is given of a frame's only breath."""
    rows = breaths.table(table)
    return breath_of(rows, 0), int(rows.pair[0]), phase(rows.t, rows.u)


def test_pressure_is_not_used(good: tuple[pl.DataFrame, np.ndarray]) -> None:
    assert decode(good[0].with_columns(pressure=pl.lit(7.0))).equals(decode(good[0]))


@pytest.mark.parametrize("kind", [pl.String, pl.Float64])
def test_numbers_may_be_text(good: tuple[pl.DataFrame, np.ndarray], kind: type[pl.DataType]) -> None:
    assert decode(good[0].with_columns(pl.col("u_in", "time_step", "R", "u_out").cast(kind))).equals(decode(good[0]))


@pytest.mark.parametrize("rows", [0, 1, 2, 29, 31, 79])
def test_breaths_of_other_lengths(good: tuple[pl.DataFrame, np.ndarray], rows: int) -> None:
    exact = decode(good[0].head(rows))
    assert wrong(exact, good[1]) == 0
    assert len(exact) >= rows - 51 if rows > 70 else True


def test_without_u_out_the_sure_rows_are_decoded(good: tuple[pl.DataFrame, np.ndarray]) -> None:
    exact = decode(good[0].drop("u_out"))
    assert wrong(exact, good[1]) == 0
    assert len(exact) >= INSPIRATION - 2


def test_other_lungs_are_decoded_without_bump_gains(good: tuple[pl.DataFrame, np.ndarray]) -> None:
    exact = decode(good[0].with_columns(R=pl.lit(7.5), C=pl.lit(33)))
    assert (len(exact), wrong(exact, good[1])) == (INSPIRATION, 0)


@pytest.mark.parametrize(
    "change",
    [
        pl.col("u_in").cast(pl.Int64),
        pl.col("u_in") + 200,
        pl.col("u_in") - 50,
        pl.lit(None, pl.Float64).alias("u_in"),
        pl.lit(float("nan")).alias("u_in"),
        pl.lit("x").alias("u_in"),
        pl.lit(0.0).alias("time_step"),
        pl.col("time_step").reverse(),
        pl.col("time_step").round(4),
        pl.lit(None, pl.Int64).alias("R"),
        pl.col("id").alias("C"),
        (1 - pl.col("u_out")).alias("u_out"),
        pl.lit(1).alias("u_out"),
        pl.lit(3).alias("u_out"),
        pl.lit(None, pl.Int64).alias("u_out"),
        pl.lit(0).alias("breath_id") + pl.col("id"),
    ],
)
def test_broken_columns_make_no_claim(good: tuple[pl.DataFrame, np.ndarray], change: pl.Expr) -> None:
    assert len(decode(good[0].with_columns(change))) == 0


def test_a_value_that_was_cut_is_passed_by(good: tuple[pl.DataFrame, np.ndarray]) -> None:
    cut = good[0].with_columns(
        pl.when(pl.col("id") == 1012).then(pl.col("u_in").round(1)).otherwise("u_in").alias("u_in")
    )
    exact = decode(cut)
    assert wrong(exact, good[1]) == 0
    assert len(exact) >= INSPIRATION - 1


def test_float32_makes_no_false_claim(good: tuple[pl.DataFrame, np.ndarray]) -> None:
    assert wrong(decode(good[0].with_columns(pl.col("u_in", "time_step").cast(pl.Float32))), good[1]) == 0


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match=r"needs the columns id, .* lacks C, u_in and has id, breath_id, R, time_step"):
        decode(pl.DataFrame({"id": [1], "breath_id": [1], "R": [5], "time_step": [0.0]}))


def test_state_lies_row_by_row(good: tuple[pl.DataFrame, np.ndarray]) -> None:
    known, k = state(good[0]), good[1]
    rows = slice(1, INSPIRATION)
    assert np.array_equal(known.grid[rows], k[rows])
    assert np.allclose(known.error[rows], 30.0 - grid_pressure(k[rows]))
    a = np.diff(good[0]["time_step"].to_numpy())[: INSPIRATION - 1]
    a = a / (a + 0.5)
    integral = known.integral[:INSPIRATION]
    assert np.allclose(integral[1:], (1 - a) * integral[:-1] + a * known.error[rows])
    assert known.options.shape == (80, OPTIONS)
    assert np.all(known.bump[:INSPIRATION] == 0.0)
    assert np.isnan(known.integral[INSPIRATION:]).all()

"""The estimator of open rows on flat rows of a frame: aligned with them, exact where they are, better with labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ventilator import decoder, open_rows
from ventilator.controller import STEPS
from ventilator.estimation import CHANNELS, embedded
from ventilator.simulator import simulate

COUNT = 12


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return simulated(COUNT)


def simulated(count: int) -> pl.DataFrame:
    """Simulated breaths, ids in the order of the rows."""
    made = simulate(count, 5)
    each = {"R": made.r, "C": made.c, "breath_id": np.arange(count) + 7}
    columns = {name: np.repeat(values, STEPS) for name, values in each.items()}
    flat = {name: getattr(made, name).ravel() for name in ("time_step", "u_in", "u_out", "pressure")}
    return pl.DataFrame({**columns, **flat}).with_row_index("id")


@pytest.fixture(scope="module")
def rows(frame: pl.DataFrame) -> dict[str, Any]:
    return open_rows.prepared(frame)


def test_exact_rows_are_the_decoders_in_the_frames_order(frame: pl.DataFrame, rows: dict[str, Any]) -> None:
    found = decoder.decode(frame.drop("pressure"))
    expected = np.full(frame.height, np.nan)
    expected[found["id"].to_numpy()] = found["pressure"].to_numpy()
    np.testing.assert_array_equal(open_rows.exact(rows), expected)
    assert 0 < found.height < frame.height


def test_decoded_rows_are_what_the_decoder_returns(frame: pl.DataFrame) -> None:
    mixed = frame.sample(fraction=1.0, shuffle=True, seed=1).with_columns(id=pl.int_range(pl.len()))
    expected = decoder.decode(mixed)
    assert open_rows.decoded(open_rows.prepared(mixed)).equals(expected) and expected.height


def test_the_pressure_of_the_frame_is_not_looked_at(frame: pl.DataFrame, rows: dict[str, Any]) -> None:
    other = open_rows.prepared(frame.with_columns(pressure=pl.lit(1.0)))
    for name, values in rows.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_masked_rows_are_fewer_and_lie_as_those_of_another_breath(rows: dict[str, Any]) -> None:
    kept = {name: values.copy() for name, values in rows.items()}
    left = open_rows.masked(rows, np.random.default_rng(3), np.ones(COUNT * STEPS, dtype=bool))
    before, after = (~np.isnan(each["known.pressure"]) for each in (rows, left))
    inspired = rows["breaths.u_out"] == 0
    assert after.sum() < before.sum() and not (after & ~before).any()
    drawn = np.random.default_rng(3).integers(0, COUNT, COUNT)
    np.testing.assert_array_equal(after, before & (before[drawn] | ~(inspired & inspired[drawn])))
    assert np.isnan(left["known.integral"][before & ~after]).all()
    for name, values in kept.items():
        np.testing.assert_array_equal(values, rows[name], err_msg=name)  # what was prepared stays as it is
    found = open_rows.estimated(left, embedded())
    np.testing.assert_array_equal(found.exact, ~np.isnan(open_rows.exact(left)))
    assert np.isfinite(found.channels).all()


def test_masks_are_drawn_from_the_given_breaths_alone(rows: dict[str, Any]) -> None:
    """Others are held out: what of them is exact, their inputs say, must not change what a fold is trained on."""
    own = np.arange(COUNT // 2)
    among = np.zeros(COUNT * STEPS, dtype=bool)
    among[rows["places"][own]] = True
    other = {**rows, "known.pressure": rows["known.pressure"].copy()}
    other["known.pressure"][COUNT // 2 :] = np.nan
    one, changed = (
        open_rows.masked(each, np.random.default_rng(3), among)["known.pressure"][own] for each in (rows, other)
    )
    np.testing.assert_array_equal(one, changed)
    assert np.isnan(one).sum() > np.isnan(rows["known.pressure"][own]).sum()


def test_a_breath_of_which_nothing_is_left_has_no_controller(rows: dict[str, Any]) -> None:
    bare = {**rows, "known.pressure": rows["known.pressure"].copy()}
    bare["known.pressure"][1:] = np.nan  # so that nearly all draw a breath without any exact row
    left = open_rows.masked(bare, np.random.default_rng(0), np.ones(COUNT * STEPS, dtype=bool))
    nothing = ~(~np.isnan(left["known.pressure"]) & (rows["breaths.u_out"] == 0)).any(axis=1)
    assert nothing.sum() >= COUNT - 1 and np.isnan(left["known.kt"][nothing]).all()
    assert (left["known.clip"][nothing] == 0).all() and np.isnan(left["known.bump"][nothing]).all()


def test_an_estimate_is_exact_where_rows_are_and_follows_their_order(frame: pl.DataFrame, rows: dict[str, Any]) -> None:
    found, exact = open_rows.estimated(rows, embedded()), open_rows.exact(rows)
    assert found.channels.shape == (frame.height, len(CHANNELS)) and open_rows.names() == CHANNELS
    np.testing.assert_array_equal(found.exact, ~np.isnan(exact))
    np.testing.assert_allclose(found.mean[found.exact], exact[found.exact], rtol=0, atol=1e-9)
    assert not found.sd[found.exact].any() and np.isfinite(found.mean).all() and np.isfinite(found.channels).all()
    inspired = frame["u_out"].to_numpy() == 0
    assert (found.sd[inspired & ~found.exact] > 0).all()
    np.testing.assert_array_equal(
        found.channels[inspired, CHANNELS.index("mean")], found.mean[inspired].astype(np.float32)
    )
    breaths = np.random.default_rng(0).permutation(COUNT)
    places = (breaths[:, None] * STEPS + np.arange(STEPS)).ravel()
    moved = open_rows.estimated(open_rows.prepared(frame[places]), embedded())
    np.testing.assert_allclose(moved.mean, found.mean[places], rtol=0, atol=1e-9)


def test_estimates_depend_on_the_sources_that_are_imported_for_them_and_no_others() -> None:
    """A text that is missing would leave stale cells; one too many would train cells again for nothing."""
    folder = Path(open_rows.estimation.__file__ or "").parent
    reached, left = set[str](), ["fit", "known", "lungs", "smoother", "channels"]  # what open_rows.py takes from them
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            text = (folder / f"{name}.py").read_text(encoding="utf-8")
            left += re.findall(r"^from ventilator\.estimation\.(\w+) import", text, re.MULTILINE)
            for several in re.findall(r"^from ventilator\.estimation import (.+)$", text, re.MULTILINE):
                left += several.split(", ")
    listed = {path.stem for path in open_rows.sources() if path.parent == folder and path.suffix == ".py"}
    assert listed == reached and folder / "lungs.json" in open_rows.sources()


def test_matched_breaths_depend_on_the_sources_that_make_them_and_on_the_embedded_lungs() -> None:
    """Breaths are simulated once for the same text: one that is missing would leave older ones in use."""
    folder = Path(open_rows.estimation.__file__ or "").parent
    text = (folder / "matched.py").read_text(encoding="utf-8")
    taken = {f"{name}.py" for name in re.findall(r"^from ventilator\.estimation\.(\w+) import", text, re.MULTILINE)}
    listed = {path.name for path in open_rows.simulated_by()}
    assert listed == taken | {"matched.py", "lungs.json", "rig.toml"}
    assert all(path.exists() for path in open_rows.simulated_by())


@pytest.mark.slow
@pytest.mark.learned
def test_fitted_lungs_come_back_and_fit_labels_better() -> None:
    frame = simulated(150)  # of a dozen, one or two a session, no lung can be told
    rows = open_rows.prepared(frame)
    labels = np.where(frame["u_out"].to_numpy() == 0, frame["pressure"].to_numpy(), np.nan)
    lungs = open_rows.fitted([(rows, labels)])
    again = open_rows.read(lungs.to_json())
    open_ = ~np.isnan(labels) & np.isnan(open_rows.exact(rows))
    before, after, stored = (
        np.abs(open_rows.estimated(rows, each).mean - labels)[open_].mean() for each in (embedded(), lungs, again)
    )
    assert after < before
    assert stored == pytest.approx(after, rel=1e-2)


def test_classes_by_hand() -> None:
    nan = np.nan
    known = np.full((2, STEPS), nan)
    known[0, [3, 4, 7, 13]] = 9.0
    u_in = np.full((2, STEPS), 20.0)
    u_in[0, [2, 15]] = 0.0
    found = open_rows.classes(
        {"known.pressure": known, "breaths.u_in": u_in, "places": np.arange(2 * STEPS).reshape(2, STEPS)[::-1]}
    )
    assert (found[:STEPS] == "no exact row in the breath").all()
    assert found[STEPS : STEPS + 17].tolist() == [
        "row 0",
        "unclipped before the first exact row",
        "clipped before the first exact row",
        "exact",
        "exact",
        "gap of 1 to 4",
        "gap of 1 to 4",
        "exact",
        *["gap of 5 and more"] * 5,
        "exact",
        "u > 0 after the last exact row",
        "u = 0 after the last exact row",
        "u > 0 after the last exact row",
    ]


def test_every_source_that_counts_is_listed() -> None:
    names = {path.name for path in open_rows.sources()}
    assert {"open_rows.py", "lung.py", "rig.py", "smoother.py", "lungs.json", "fit.py"} <= names

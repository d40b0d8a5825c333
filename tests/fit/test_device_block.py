"""Series on the device: scaled, cropped and stacked by hand, in pieces of any size."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from lab import INSIDE, padded, small_store, with_features

from foldline.fit import device_block, padded_lengths, scaler
from foldline.fit.device_block import place_block
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.fit.scaler import Scaler

CPU = torch.device("cpu")
PLAIN = Scaler(np.array([1.0, 0.0, -2.0]), np.array([2.0, 1.0, 4.0]), np.array([5.0, 0.0]), np.array([2.0, 1.0]), ())


def test_labelled_series_have_their_labels_and_a_weight_of_1_for_each_scored_row() -> None:
    data = small_store()
    labelled, rows = labelled_series(data, INSIDE), data.rows(INSIDE)
    assert np.array_equal(labelled.y, data.y[rows]) and np.array_equal(labelled.weight, data.scored[rows])
    assert labelled.weight.dtype == np.float32 and labelled.known.all()


def test_a_fold_by_hand() -> None:
    data = small_store(static=True)
    fold = place_block([labelled_series(data, np.array([5, 2]))], PLAIN, 4, CPU)
    assert fold.mask is not None and len(fold) == 2
    for row, series in enumerate((5, 2)):  # of 6 and 3 steps, cropped to 4
        real = min(4, int(data.lengths[series]))
        assert fold.mask[row].tolist() == [step < real for step in range(4)]
        rows = data.rows(np.array([series]))[:real]
        x = data.features(rows)
        np.testing.assert_allclose(fold.x[row, :real], (x - PLAIN.center) / PLAIN.scale, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(fold.y[row, :real, 0], (data.y[rows, 0] - 5) / 2, rtol=1e-6)
        np.testing.assert_allclose(fold.y[row, :real, 1], data.y[rows, 1], rtol=1e-6)
        assert not fold.y[row, real:].any() and not fold.weight[row, real:].any()
        assert fold.weight[row, :real].tolist() == data.scored[rows].tolist()
        assert fold.known is not None and fold.known[row].all(dim=1).tolist() == fold.mask[row].tolist()
    assert fold.static.tolist() == [[2], [1]] and fold.codes == 3
    assert fold.hidden[0] == -0.5 and fold.hidden[1:].isnan().all()


def test_there_is_no_mask_where_all_steps_are_real() -> None:
    data, long = small_store(), np.array([5, 3, 4])
    assert place_block([labelled_series(data, long)], PLAIN, 4, CPU).mask is None
    assert place_block([labelled_series(data, long)], PLAIN, 4, CPU).known is None
    assert place_block([labelled_series(data, long)], PLAIN, 5, CPU).mask is not None


def test_sets_of_different_lengths_stand_one_after_the_other() -> None:
    data, short = small_store(), small_store(series=3, steps=2, seed=1)
    rows = short.rows(np.array([1]))
    half = np.full(2, 0.5, dtype=np.float32)
    pseudo = LabelledSeries(short, np.array([1]), short.y[rows], np.ones((2, 2), dtype=bool), half, half > 0)
    fold = place_block([labelled_series(data, np.array([3, 5])), pseudo], PLAIN, 6, CPU)
    assert fold.mask is not None and fold.mask.sum(dim=1).tolist() == [4, 6, 2]
    assert fold.weight[2].tolist() == [0.5, 0.5, 0, 0, 0, 0]
    np.testing.assert_allclose(fold.x[2, :2], (short.features(rows) - PLAIN.center) / PLAIN.scale, rtol=1e-5, atol=1e-6)
    assert (fold.x[2, 2:] == 0).all() and (fold.y[2, 2:] == 0).all()
    alone = place_block([pseudo], PLAIN, 6, CPU)
    assert torch.equal(fold.x[2], alone.x[0]) and torch.equal(fold.y[2], alone.y[0])


@pytest.mark.parametrize("size", [1, 100, 1 << 30])
def test_pieces_of_any_size_make_the_same_fold(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_store()
    fitted = scaler.fit("robust", data, INSIDE, 0)
    whole = place_block([labelled_series(data, INSIDE)], fitted, 5, CPU)
    monkeypatch.setattr(device_block, "BYTES_PER_CHUNK", size)
    assert torch.equal(place_block([labelled_series(data, INSIDE)], fitted, 5, CPU).x, whole.x)


def test_a_batch_is_an_index() -> None:
    fold = place_block([labelled_series(small_store(static=True), INSIDE)], PLAIN, 6, CPU)
    index = torch.tensor([4, 0, 4])
    batch = fold.batch(index)
    for name in ("x", "static", "mask", "y", "weight", "scored", "known"):
        assert torch.equal(getattr(batch, name), getattr(fold, name)[index])
    full = replace(fold, mask=None).batch(index)
    assert full.mask is None and torch.equal(full.x, batch.x)


def test_the_crop_follows_the_last_step_that_any_series_scores() -> None:
    data = small_store()  # steps 0 to 3 are scored
    assert [padded_lengths.kept_steps(margin, data) for margin in (-1, 0, 1, 9)] == [6, 4, 5, 6]
    scored = data.scored.copy()
    scored[data.rows(np.array([5]))[5]] = True
    assert padded_lengths.kept_steps(0, replace(data, scored=scored)) == 6


def test_what_is_not_known_is_0_and_says_so() -> None:
    known = np.array([[True, False]] * 4)
    some = replace(labelled_series(small_store(series=6, steps=6), np.array([3])), known=known)
    fold = place_block([some], PLAIN, 4, CPU)
    assert fold.known is not None and torch.equal(fold.known[0], torch.from_numpy(known))
    assert (fold.y[0, :, 1] == 0).all() and (fold.y[0, :, 0] != 0).all()


@pytest.mark.parametrize("fill", ["zero", "forward"])
def test_missing_features_are_filled_and_padding_stays_0(fill: Literal["zero", "forward"]) -> None:
    data = small_store()
    x = padded(data)
    x[5, [0, 2, 3], 0] = np.nan  # of 6 steps; the first has none before it
    x[5, :, 2] = np.nan
    fold = place_block(
        [labelled_series(with_features(data, x, missing=True), np.array([5, 2]))], replace(PLAIN, fill=fill), 6, CPU
    )
    got, scaled = fold.x[0].numpy(), (x[5] - PLAIN.center) / PLAIN.scale
    np.testing.assert_allclose(got[[1, 4, 5], 0], scaled[[1, 4, 5], 0], rtol=1e-6)
    np.testing.assert_allclose(got[:, 1], scaled[:, 1], rtol=1e-6)
    assert got[0, 0] == 0 and not got[:, 2].any() and not fold.x[1, 3:].any()
    assert got[2:4, 0].tolist() == ([0, 0] if fill == "zero" else [got[1, 0]] * 2)

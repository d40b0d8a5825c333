"""Masks of known values that each epoch draws: what is shown is not learned from, whichever form the data have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from lab import small_store
from test_indexed_dataset import equal

from foldline.data.known_masks import KnownMasks
from foldline.data.store import Store
from foldline.fit import device_dataset, drawn_masks, scaler, training_windows
from foldline.fit.indexed_dataset import IndexedDataset
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.fit.row_sources import StoredRows

CPU, INSIDE = torch.device("cpu"), np.array([0, 2, 3, 5])


def store(weight: bool = False) -> Store:
    """Series of which test series show about half the steps."""
    data, rng = small_store(), np.random.default_rng(0)
    lengths = np.array([3, 4, 5, 6, 6])
    masks = KnownMasks(rng.random(lengths.sum()) < 0.5, lengths)
    given = masks.drawn(data.lengths, np.random.default_rng(9))
    known = np.array(data.known)
    known[::7] = False
    return replace(
        data,
        observed=1,
        known=known,
        given=given & known.all(axis=1),
        eligible=data.scored,
        masks=masks,
        scored=data.scored & ~given & known.all(axis=1),
        weight=rng.random(len(given)) if weight else None,
    )


def parts(weight: bool = False) -> list[LabelledSeries]:
    """Labelled series, and test series with pseudo-labels, whose store has no masks to draw."""
    data = store(weight)
    other = replace(data, masks=None, eligible=None)
    return [labelled_series(data, INSIDE), labelled_series(other, np.array([1, 4]))]


def test_an_epoch_asks_for_what_it_does_not_show() -> None:
    own, other = parts()
    masks = drawn_masks.of_training([own, other])
    assert masks is not None
    first, again, later = masks.of_epoch(3, 0), masks.of_epoch(3, 0), masks.of_epoch(3, 1)
    count = len(own.y)
    assert np.array_equal(first.shown, again.shown) and not np.array_equal(first.shown, later.shown)
    known, eligible = own.known.all(axis=1), own.store.eligible
    assert eligible is not None and not (first.shown[:count] & ~known).any()
    asked = eligible[own.store.answers(own.series)] & known & ~first.shown[:count]
    np.testing.assert_array_equal(first.scored[:count], asked)
    np.testing.assert_array_equal(first.weight[:count], asked.astype(np.float32))
    for drawn in (first, later):  # pseudo-labelled series keep their own
        np.testing.assert_array_equal(drawn.scored[count:], other.scored)
        np.testing.assert_array_equal(drawn.weight[count:], other.weight)


def test_without_known_values_nothing_is_drawn() -> None:
    assert drawn_masks.of_training([labelled_series(small_store(), INSIDE)]) is None


def test_weights_have_the_mean_one_in_each_epoch() -> None:
    masks = drawn_masks.of_training(parts(weight=True)[:1])
    assert masks is not None
    for epoch in range(3):
        drawn = masks.of_epoch(0, epoch)
        np.testing.assert_allclose(drawn.weight[drawn.scored].mean(), 1.0, rtol=1e-5)
        assert not drawn.weight[~drawn.scored].any()


def test_batches_show_the_epochs_mask_from_the_device_and_from_the_store() -> None:
    sets = parts()
    fitted, lengths = scaler.fit("standard", sets[0].store, INSIDE, 0), (4, 6)
    own = np.concatenate([part.store.lengths[part.series] for part in sets])
    masks = drawn_masks.of_training(sets)
    assert masks is not None
    resident = device_dataset.place(sets, fitted, lengths, CPU, masks)
    whole = training_windows.whole_series(np.minimum(own, lengths[-1]))
    streamed = IndexedDataset(sets, fitted, lengths, whole, StoredRows(sets), CPU, masks=masks)
    order = np.arange(len(own))
    for epoch in (0, 1):
        drawn = masks.of_epoch(7, epoch)
        each = [data.of_epoch(7, epoch).batches(order, len(own)) for data in (resident, streamed)]
        for one, other in zip(next(each[0]), next(each[1]), strict=True):
            assert equal(one, other)
            shown = one.x[..., -1] > 0.5
            assert torch.equal(one.x[..., -3:-1], torch.where(shown.unsqueeze(-1), one.y, 0.0))
            assert not (one.scored & shown)[: len(INSIDE)].any()
        seen = sum(int((part.x[..., -1] > 0.5).sum()) for part in resident.batches(order, len(own)).__next__())
        steps = np.arange(len(drawn.shown)) - np.repeat(masks.begins, masks.counts)
        assert seen == int(drawn.shown[steps < lengths[-1]].sum())

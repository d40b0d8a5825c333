"""Masked pre-training: what is hidden, what is asked for, and what is left of it in a network's weights."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from augmented import MASK, batch, channels
from lab import INSIDE, PARAMS, TRAIN, exhaust, fitted, silent, small_store, weights

from foldline.data.store import Store
from foldline.fit import masked_steps, scaler
from foldline.fit.batch import Batch
from foldline.fit.labelled_series import unlabelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.train_config import TrainConfig

MASKED = PretrainConfig(source="masked", hidden=0.3, stretch=3)


def hidden(given: Batch, config: PretrainConfig = MASKED, seed: int = 0) -> Batch:
    torch.manual_seed(seed)
    return masked_steps.hide(given, channels(), config)


@pytest.mark.parametrize("on_series", [False, True])
def test_numbers_are_hidden_and_asked_for_and_nothing_else(on_series: bool) -> None:
    given = batch(on_series=on_series)
    made = hidden(given)
    gone = made.x != given.x
    assert gone.any() and not gone[..., 3:].any() and not gone[~MASK].any()  # neither flags, statics nor padding
    assert (made.x[gone] == 0).all() and torch.equal(made.y, given.x)
    assert torch.equal(made.known, gone)  # what is missing is 0 before and after: it is not asked for
    assert torch.equal(made.weight, gone.sum(dim=-1).float()) and torch.equal(made.scored, gone.any(dim=-1))
    assert made.auxiliary is None and made.mask is given.mask
    steps = gone[..., :2].any(dim=-1)
    assert torch.equal(gone[..., 0][steps], gone[..., 1][steps])  # all numbers of a step at once


def test_steps_are_hidden_in_stretches_by_their_share() -> None:
    many = batch(None, series=3000)
    gone = hidden(many, replace(MASKED, hidden=0.3, stretch=4)).known[..., 0]  # type: ignore[index]
    assert abs(float(gone.float().mean()) - 0.3) < 0.02
    for step in (0, 5, 11):  # the ends are no more rarely hidden than the middle
        assert abs(float(gone[:, step].float().mean()) - 0.3) < 0.04
    inner = gone[:, 4:8] & ~gone[:, 3:7]  # begins of stretches: the three steps behind are hidden, too
    assert all(gone[series, step + 4 : step + 8].all() for series, step in inner.nonzero().tolist())


def test_swapped_noise_is_of_another_series_at_the_same_step() -> None:
    given = batch(None)
    made = hidden(given, replace(MASKED, noise="swap"))
    gone = made.known[..., 0]  # type: ignore[index]
    for series, step in gone.nonzero().tolist():
        assert made.x[series, step, 0] in given.x[:, step, 0]
    assert (made.x[..., 0] != given.x[..., 0]).any()


def test_the_loss_is_the_mean_error_of_what_is_hidden() -> None:
    given, head = hidden(batch()), masked_steps.NumbersHead(7, 5)
    raw = head(torch.randn(8, 12, 7), None).detach()
    by_hand = [abs(float(raw[place] - given.y[place])) for place in map(tuple, given.known.nonzero().tolist())]  # type: ignore[union-attr]
    loss = head.loss(raw, given.y, given.weight, given.known)
    assert float(loss) == pytest.approx(np.mean(by_hand), rel=1e-5)


def pretrained(data: Store, train: TrainConfig = TRAIN, seed: int = 0) -> NetworkCell:
    """A network that has learned the inputs of some series."""
    cell = NetworkCell("hybrid", PARAMS, train, scaler.fit("robust", data, INSIDE, 0))
    parts = [unlabelled_series(data, INSIDE), unlabelled_series(data, np.array([2, 5]))]
    with tempfile.TemporaryDirectory() as folder:
        exhaust(cell.fit(parts, seed, silent, Path(folder), masked=MASKED))
    return cell


def test_the_body_learns_and_the_head_stays_as_it_was_drawn() -> None:
    data = small_store()
    untrained, made = weights(pretrained(data, replace(TRAIN, epochs=0))), weights(pretrained(data))
    drawn = weights(fitted(train=replace(TRAIN, epochs=0)))
    assert untrained == drawn and made.keys() == drawn.keys()
    assert {name for name in made if made[name] == drawn[name]} == {name for name in made if name.startswith("head.")}


def test_it_learns_what_is_hidden() -> None:
    rows: list[dict[str, float]] = []

    def note(kind: str, **values: float) -> None:
        rows.extend([values] if kind == "epoch" else [])

    data = small_store(series=40)
    cell = NetworkCell("hybrid", PARAMS, replace(TRAIN, epochs=30, lr=1e-2), scaler.fit("robust", data, INSIDE, 0))
    x = np.repeat(np.linspace(-2, 2, 40), data.lengths).astype(np.float32)[:, None].repeat(3, axis=1)
    same_everywhere = replace(data, x=x)  # each number is that of the steps beside it
    with tempfile.TemporaryDirectory() as folder:
        exhaust(cell.fit([unlabelled_series(same_everywhere, np.arange(40))], 0, note, Path(folder), masked=MASKED))
    assert np.mean([row["loss"] for row in rows[-3:]]) < 0.6 * rows[0]["loss"]


def test_labels_do_not_matter() -> None:
    data = small_store()
    other = replace(data, y=data.y[::-1].copy(), scored=~data.scored)
    assert weights(pretrained(data)) == weights(pretrained(other))


@pytest.mark.parametrize("train", [replace(TRAIN, resident="off"), replace(TRAIN, ema=0.9), replace(TRAIN, micro=2)])
def test_it_goes_with_other_ways_to_train(train: TrainConfig) -> None:
    made, plain = weights(pretrained(small_store(), train)), weights(pretrained(small_store()))
    assert made.keys() == plain.keys() and (made == plain) == (train.resident == "off")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden": 0.0}, "hidden must be between"),
        ({"hidden": 1.0}, "hidden must be"),
        ({"stretch": 0}, "stretch must"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PretrainConfig(source="masked", **given)  # type: ignore[arg-type]

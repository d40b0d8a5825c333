"""Training: cropping, the learning rate, determinism, and nothing of the held-out series in the weights."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_scaler import dense

from foldline import scaler, trainer
from foldline.errors import UserError
from foldline.trainer import NetworkCell, TrainConfig

PARAMS = {"width": 4, "dropout": 0.1, "blocks": [{"kind": "bilstm"}, {"kind": "conv"}]}
TRAIN = TrainConfig(epochs=2, batch=3, device="cpu")
INSIDE = np.array([0, 1, 3, 4, 7, 8, 9])


def silent(kind: str, **values: Any) -> None:
    """An emitter for nobody."""


def fitted(data: Any = None, seed: int = 0, train: TrainConfig = TRAIN, emit: trainer.Emit = silent) -> NetworkCell:
    data = data or dense()
    cell = NetworkCell("hybrid", PARAMS, train, scaler.fit("robust", data, INSIDE, 0))
    cell.fit(data, INSIDE, seed, emit)
    return cell


def weights(cell: NetworkCell) -> dict[str, bytes]:
    assert cell.network is not None
    return {name: value.numpy().tobytes() for name, value in cell.network.state_dict().items()}


def test_same_seed_same_bits_and_another_seed_others() -> None:
    torch.rand(7)  # the state of the global generator must not matter
    assert weights(fitted()) == weights(fitted()) != weights(fitted(seed=1))


def test_the_held_out_series_change_no_weight() -> None:
    data = dense()
    x, y = data.x.copy(), np.array(data.y)
    held = np.setdiff1d(np.arange(10), INSIDE)
    x[held], y[held] = 1e3, -1e3
    assert weights(fitted(replace(data, x=x, y=y))) == weights(fitted(data))


def test_it_saves_loads_and_predicts_to_the_last_bit(tmp_path: Path) -> None:
    data, cell = dense(), fitted()
    cell.save(tmp_path)
    again = NetworkCell("hybrid", PARAMS, TRAIN, cell.scaler)
    again.load(tmp_path, data)
    everyone = np.arange(10)
    predicted = cell.predict(data, everyone)
    assert predicted.shape == (10, 6, 2) and predicted.dtype == np.float64
    assert np.array_equal(again.predict(data, everyone), predicted)
    np.testing.assert_allclose(cell.predict(data, everyone[::-1]), predicted[::-1], rtol=1e-5, atol=1e-6)


def test_cropping_keeps_the_margin_and_repeats_the_last_step() -> None:
    data = dense()  # steps 0 to 3 are scored
    assert [trainer.kept_steps(margin, data) for margin in (-1, 0, 1, 9)] == [6, 4, 5, 6]
    cropped = fitted(train=replace(TRAIN, margin=0)).predict(data, np.arange(10))
    assert cropped.shape == (10, 6, 2)
    assert np.array_equal(cropped[:, 4], cropped[:, 3]) and np.array_equal(cropped[:, 5], cropped[:, 3])


def test_steps_behind_the_crop_change_nothing() -> None:
    data, config = dense(), replace(TRAIN, margin=0)
    x = data.x.copy()
    x[:, 4:] += 50.0 * data.mask[:, 4:, None]
    plain = NetworkCell("hybrid", PARAMS, config, scaler.fit("none", data, INSIDE, 0))
    other = NetworkCell("hybrid", PARAMS, config, plain.scaler)
    plain.fit(data, INSIDE, 0, silent)
    other.fit(replace(data, x=x), INSIDE, 0, silent)
    assert weights(plain) == weights(other)


def test_events_tell_of_every_epoch_and_step() -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    fitted(emit=lambda kind, **values: heard.append((kind, values)))
    progress = [values["done"] for kind, values in heard if kind == "progress"]
    assert progress == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])  # 7 series in batches of 3: 3 steps an epoch
    epochs = [values for kind, values in heard if kind == "epoch"]
    assert [values["epoch"] for values in epochs] == [1, 2] and all(math.isfinite(row["loss"]) for row in epochs)


def test_a_loss_that_diverges_is_the_users_to_mend() -> None:
    with pytest.raises(UserError, match=r"training loss became .* in epoch \d of hybrid. Lower train.lr"):
        fitted(train=replace(TRAIN, lr=1e30, clip=0.0, epochs=4))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", {0: 0.5, 1: 1.0, 50: 1.0, 99: 1.0}),
        ("flat-cosine", {0: 0.5, 74: 1.0, 75: 1.0, 87: 0.531395, 100: 0.0}),
        ("cosine", {0: 0.5, 1: 1.0, 51: 0.5, 100: 0.0}),
    ],
)
def test_the_learning_rate_by_hand(schedule: str, expected: dict[int, float]) -> None:
    factor = trainer.lr_factor(schedule, 100)  # warm-up: 2 steps
    assert {step: factor(step) for step in expected} == pytest.approx(expected, abs=1e-4)


def test_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, used in ((True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert TrainConfig().device_used == used
    assert TrainConfig(device="cpu").device_used == "cpu"


def test_a_prediction_does_not_hang_on_the_other_series_of_its_file() -> None:
    data, cell = dense(), fitted(train=replace(TRAIN, margin=1))
    scored = data.scored.copy()
    scored[:, 3:] = False  # alone, these series would be cropped earlier than the ones that were learnt from
    short = replace(data, scored=scored)
    assert trainer.kept_steps(1, short) < trainer.kept_steps(1, data) == cell.steps
    assert cell.predict(short, INSIDE).tobytes() == cell.predict(data, INSIDE).tobytes()

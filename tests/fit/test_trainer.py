"""Training: cropping, determinism, what may be watched, which weights predict, and nothing of the held-out series."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import (
    EVERYTHING,
    INSIDE,
    PARAMS,
    TRAIN,
    checkpoint,
    exhaust,
    fitted,
    padded,
    silent,
    small_store,
    weights,
    with_features,
)

from foldline.core.errors import UserError
from foldline.fit import labelled_series, scaler, trainer, training_step
from foldline.fit.divergence import Diverged
from foldline.fit.network_cell import NetworkCell
from foldline.fit.padded_lengths import kept_steps
from foldline.fit.train_config import TrainConfig
from foldline.models.blocks import BLOCKS
from foldline.models.ops.covariates import Clock

CALM = {**PARAMS, "dropout": 0.0}


def history(train: TrainConfig, **given: Any) -> tuple[list[dict[str, float]], NetworkCell]:
    """The epochs' rows of a training, and the trained cell."""
    rows: list[dict[str, float]] = []
    cell = fitted(train=train, emit=lambda kind, **values: rows.append(values) if kind == "epoch" else None, **given)
    return rows, cell


def test_same_seed_same_bits_and_another_seed_others() -> None:
    torch.rand(7)  # the state of the global generator must not matter
    assert weights(fitted()) == weights(fitted()) != weights(fitted(seed=1))


def test_the_same_bits_with_every_part_of_the_recipe() -> None:
    data = small_store(static=True)
    one, same, other = (fitted(data, train=EVERYTHING, seed=seed) for seed in (0, 0, 1))
    assert weights(one) == weights(same) != weights(other)


@pytest.mark.parametrize("train", [TRAIN, EVERYTHING], ids=["plain", "everything"])
def test_the_held_out_series_change_no_weight(train: TrainConfig) -> None:
    data = small_store(static=True)
    x, y, static = padded(data), np.array(data.y), data.static.copy()
    held = np.setdiff1d(np.arange(10), INSIDE)
    x[held], y[data.rows(held)], static[held] = 1e3, -1e3, 0
    (one, before), (other, after) = (
        history(train, data=some) for some in (data, with_features(data, x, y=y, static=static))
    )
    assert weights(after) == weights(before)
    assert [row["loss"] for row in other] == [row["loss"] for row in one]


def test_it_saves_loads_and_predicts_to_the_last_bit(tmp_path: Path) -> None:
    data, cell = small_store(), fitted()
    cell.save(tmp_path)
    again = NetworkCell("hybrid", PARAMS, TRAIN, cell.scaler)
    again.load(tmp_path, data)
    everyone = np.arange(10)
    predicted, spread = cell.predict(data, everyone)
    assert predicted.shape == (len(data.scored), 2) and predicted.dtype == np.float64 and spread is None
    assert np.array_equal(again.predict(data, everyone)[0], predicted)
    backwards = cell.predict(data, everyone[::-1])[0]
    np.testing.assert_allclose(backwards, predicted[data.rows(everyone[::-1])], rtol=1e-5, atol=1e-6)


def test_a_heads_spread_is_in_the_targets_own_unit(tmp_path: Path) -> None:
    data, cell = small_store(), fitted(params={**PARAMS, "head": {"kind": "laplace"}})
    cell.save(tmp_path)
    ten_times = replace(cell.scaler, y_scale=10 * cell.scaler.y_scale)
    far = NetworkCell("hybrid", cell.params, TRAIN, ten_times)
    far.load(tmp_path, data)
    (_, spread), (_, wide) = (some.predict(data, INSIDE) for some in (cell, far))
    assert spread is not None and wide is not None
    assert spread.shape == (len(data.rows(INSIDE)), 2) and (spread > 0).all()
    np.testing.assert_allclose(wide, 10 * spread)


@pytest.mark.parametrize("kind", BLOCKS)
def test_no_series_at_all_are_predicted_too(kind: str) -> None:
    """A cell that holds out nothing writes out-of-fold predictions nevertheless."""
    none = np.zeros(0, dtype=np.int64)
    for head, knows in (("l1", False), ("laplace", True)):
        cell = fitted(params={"width": 4, "time": "f1", "blocks": [{"kind": kind}], "head": {"kind": head}})
        values, spread = cell.predict(small_store(), none)
        assert values.shape == (0, 2) and (spread is not None) == knows
        assert spread is None or spread.shape == (0, 2)


def test_a_network_that_reads_the_time_reads_it_in_its_own_unit(tmp_path: Path) -> None:
    cell = fitted(params={"width": 4, "time": "f1", "blocks": [{"kind": "time2vec"}], "head": {"kind": "l1"}})
    data, place = small_store(), small_store().names.index("f1")
    scaled = (padded(data) - cell.scaler.center) / cell.scaler.scale
    again = NetworkCell(cell.name, cell.params, TRAIN, cell.scaler)
    cell.save(tmp_path)
    again.load(tmp_path, data)
    for known in (cell, again):
        assert known.network is not None
        clock = known.network.clock
        assert isinstance(clock, Clock)
        np.testing.assert_allclose(clock(torch.as_tensor(scaled)), padded(data)[..., place], atol=1e-5)


def test_a_time_that_is_no_feature_is_refused() -> None:
    with pytest.raises(UserError, match="model hybrid: time must name a feature, but 'f9' is none"):
        fitted(params={"width": 4, "time": "f9", "blocks": [{"kind": "time2vec"}], "head": {"kind": "l1"}})


def test_cropping_keeps_the_margin_and_repeats_the_last_step() -> None:
    data = small_store()  # steps 0 to 3 are scored
    assert [kept_steps(margin, data) for margin in (-1, 0, 1, 9)] == [6, 4, 5, 6]
    cropped, _ = fitted(train=replace(TRAIN, margin=0)).predict(data, np.arange(10))
    assert cropped.shape == (len(data.scored), 2)
    padded, long = data.pad(cropped), data.lengths == 6
    assert np.array_equal(padded[long, 4], padded[long, 3]) and np.array_equal(padded[long, 5], padded[long, 3])


def test_steps_behind_the_crop_change_nothing(tmp_path: Path) -> None:
    data, config = small_store(), replace(TRAIN, margin=0)
    x = padded(data)
    x[:, 4:] += 50.0 * data.mask()[:, 4:, None]
    plain = NetworkCell("hybrid", PARAMS, config, scaler.fit("none", data, INSIDE, 0))
    other = NetworkCell("hybrid", PARAMS, config, plain.scaler)
    exhaust(plain.fit([labelled_series.labelled_series(data, INSIDE)], 0, silent, tmp_path / "plain"))
    exhaust(other.fit([labelled_series.labelled_series(with_features(data, x), INSIDE)], 0, silent, tmp_path / "other"))
    assert weights(plain) == weights(other)


def test_every_epoch_and_step_is_an_event() -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    fitted(emit=lambda kind, **values: events.append((kind, values)))
    progress = [values["done"] for kind, values in events if kind == "progress"]
    assert progress == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])  # 7 series in batches of 3: 3 steps an epoch
    epochs = [values for kind, values in events if kind == "epoch"]
    assert [values["epoch"] for values in epochs] == [1, 2] and all(math.isfinite(row["loss"]) for row in epochs)


def test_an_epochs_loss_is_the_mean_over_all_its_scored_steps() -> None:
    """With a rate of nothing the weights stay, so the slow reference is one look at every series."""
    data = small_store()
    (row,), cell = history(replace(TRAIN, epochs=1, lr=1e-30), data=data, params=CALM)
    assert row["loss"] == pytest.approx(scaled_error(cell, data, INSIDE), rel=1e-5)


def scaled_error(cell: NetworkCell, data: Any, series: np.ndarray) -> float:
    """Mean absolute error over the scored steps of some series, in scaled units."""
    rows = data.rows(series)
    errors = np.abs(cell.predict(data, series)[0] - data.y[rows]) / cell.scaler.y_scale
    return float(errors.mean(axis=-1)[data.scored[rows]].mean())


def test_a_loss_that_diverges_is_a_users_error(tmp_path: Path) -> None:
    data = small_store()
    (tmp_path / "keys.json").write_text(str(list(range(100, 110))))
    with pytest.raises(UserError, match=r"training loss of hybrid was not finite at step \d of epoch \d, on the .* 10"):
        fitted(replace(data, path=tmp_path), train=replace(TRAIN, lr=1e30, clip=0.0, epochs=4))


def poisoned(folder: Path, victim: int) -> Any:
    """Ten series called a to j; one of them holds a NaN."""
    (folder / "keys.json").write_text(str(list("abcdefghij")).replace("'", '"'))
    data = small_store()
    x = padded(data)
    x[victim, 0, 1] = np.nan
    return with_features(data, x, path=folder)


@pytest.mark.parametrize("victim", [1, 8])
def test_a_poisoned_series_is_named_with_epoch_and_step_and_no_checkpoint_holds_it(victim: int, tmp_path: Path) -> None:
    data, config = poisoned(tmp_path, victim), replace(TRAIN, checkpoint_s=0.0)
    clean = scaler.fit("robust", small_store(), INSIDE, 0)
    order = INSIDE[trainer.shuffled(np.zeros(len(INSIDE)), 3, 0, 0)].tolist()
    step = order.index(victim) // 3
    messages = []
    for _ in range(2):  # again from the checkpoint: the rate and the batch are what they were, and so is the end
        cell = NetworkCell("hybrid", PARAMS, config, clean)
        with pytest.raises(UserError) as caught:
            exhaust(cell.fit([labelled_series.labelled_series(data, INSIDE)], 0, silent, tmp_path))
        messages.append(str(caught.value))
    named = ", ".join("abcdefghij"[number] for number in order[3 * step : 3 * step + 3])
    assert f"not finite at step {step + 1} of epoch 1, on the series {named}." in messages[0]
    assert messages[1] == messages[0]
    assert (tmp_path / "checkpoint.safetensors").exists() == (step > 0)
    assert step == 0 or all(np.isfinite(value).all() for value in checkpoint(tmp_path).values())


@pytest.mark.parametrize(("step", "checkpoint_s", "clip"), [(1, 0.0, 1.0), (2, 1e9, 0.0), (3, 1e9, 1.0)])
def test_gradients_that_are_not_finite_reach_no_checkpoint_though_the_loss_is(
    step: int, checkpoint_s: float, clip: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen before the checkpoint that follows, by the next step's loss, or at the end of the epoch."""
    honest, steps = training_step.backward, iter(range(1, 100))

    def backward(state: Any, *given: Any) -> torch.Tensor:
        loss = honest(state, *given)
        if next(steps) == step:
            next(state.network.parameters()).grad.view(-1)[0] = math.inf
        return loss

    monkeypatch.setattr(training_step, "backward", backward)
    said = "training loss of hybrid was not finite at step 3" if step == 2 else f"gradient of .* finite at step {step}"
    with pytest.raises(UserError, match=f"The {said} of epoch 1, on the series"):
        fitted(calm_keys(tmp_path), train=replace(TRAIN, checkpoint_s=checkpoint_s, clip=clip), folder=tmp_path)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def calm_keys(folder: Path) -> Any:
    """Ten sound series called a to j."""
    (folder / "keys.json").write_text(str(list("abcdefghij")).replace("'", '"'))
    return replace(small_store(), path=folder)


def test_many_named_series_are_counted(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(str(list(range(40))))
    data = replace(small_store(series=40), path=tmp_path)
    message = Diverged("training loss", 2, 5, list(range(20))).message(
        "net", [labelled_series.labelled_series(data, np.arange(40))]
    )
    assert "at step 5 of epoch 2" in message and "14, 15 and 4 more." in message and "16," not in message


def test_a_prediction_does_not_hang_on_the_other_series_of_its_file() -> None:
    data, cell = small_store(), fitted(train=replace(TRAIN, margin=1))
    scored = data.scored.copy()
    scored[data.step_of_answer >= 3] = (
        False  # alone, these series would be cropped earlier than the ones that were learnt from
    )
    short = replace(data, scored=scored)
    assert kept_steps(1, short) < kept_steps(1, data) == cell.lengths[-1]
    assert cell.predict(short, INSIDE)[0].tobytes() == cell.predict(data, INSIDE)[0].tobytes()


def test_every_series_comes_once_an_epoch_and_each_epoch_in_another_order() -> None:
    one, seeds = np.zeros(50), ((0, 0), (0, 1), (1, 0), (0, 0))
    orders = [trainer.shuffled(one, 3, seed, epoch).tolist() for seed, epoch in seeds]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] == orders[3] and len({tuple(order) for order in orders}) == 3


# ---------------------------------------------------------------- compiled


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_compiled_blocks_learn_the_same_and_leave_plain_weights(tmp_path: Path) -> None:
    params = {"width": 4, "blocks": [{"kind": "conv"}, {"kind": "transformer", "heads": 2}]}
    data = small_store()
    plain, compiled = (fitted(data, train=replace(TRAIN, compile=some), params=params) for some in (False, True))
    np.testing.assert_allclose(compiled.predict(data, INSIDE)[0], plain.predict(data, INSIDE)[0], rtol=1e-3, atol=1e-3)
    assert weights(compiled).keys() == weights(plain).keys()
    compiled.save(tmp_path)
    again = NetworkCell("hybrid", params, TRAIN, compiled.scaler)
    again.load(tmp_path, data)
    assert weights(again) == weights(compiled)

"""Full device memory: the message gives what fits, or the batch goes through in parts and nothing else changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from lab import INSIDE, PARAMS, TRAIN, fitted, small_store, weights

from foldline.cli.main import main
from foldline.core.errors import UserError
from foldline.fit import (
    device_block,
    labelled_series,
    network_build,
    out_of_memory,
    scaler,
    step_time,
    trainer,
    training_step,
)
from foldline.fit.batch import Batch
from foldline.fit.network_cell import NetworkCell
from foldline.fit.train_config import TrainConfig, WatchConfig
from foldline.fit.training_state import State
from foldline.models import heads
from foldline.models.contract import Targets
from foldline.models.systems.hybrid import Hybrid

CALM = {**PARAMS, "dropout": 0.0}  # dropout would draw other numbers in parts of another size
WHOLE = replace(TRAIN, batch=7)
FULL = {  # what each library says
    "torch": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "CUDA": RuntimeError("CUDA error: out of memory"),
    "cuDNN": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "cuDNN 9": RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "MPS": RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB). Tried to allocate 1.00 GB."),
    "CPU": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096000000 bytes."),
    "CPU of Windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4096000000 bytes."),
}


@pytest.mark.parametrize("library", FULL)
def test_full_memory_is_recognised_whoever_says_it(library: str) -> None:
    assert out_of_memory.is_out_of_memory(FULL[library])


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("out of memory"),
        UserError("The device's memory is full"),
    ],
)
def test_other_errors_are_no_full_memory(error: Exception) -> None:
    assert not out_of_memory.is_out_of_memory(error)

    def fail() -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        out_of_memory.attempt(fail)
    with pytest.raises(type(error), match=str(error)), out_of_memory.reporting_full_memory("full"):
        fail()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A device with room for so many series in a pass: room[0]; then the sizes of the passes that were tried."""
    honest, tried = Hybrid.forward, [10**6]

    def forward(self: Hybrid, x: torch.Tensor, *given: Any) -> torch.Tensor:
        if self.training:
            tried.append(len(x))
            if len(x) > tried[0]:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, x, *given)

    monkeypatch.setattr(Hybrid, "forward", forward)
    yield tried


def closely(one: NetworkCell, other: NetworkCell) -> bool:
    """The same weights but for the rounding of sums."""
    mine, theirs = (cell.network.state_dict() for cell in (one, other) if cell.network is not None)
    return all(torch.allclose(mine[name], theirs[name], rtol=1e-3, atol=1e-5) for name in mine)


@pytest.mark.parametrize(("limit", "fits"), [(6, 3), (3, 3), (2, 1), (1, 1)])
def test_the_message_gives_the_largest_batch_that_fits(limit: int, fits: int, room: list[int]) -> None:
    room[0] = limit
    with pytest.raises(UserError) as caught:
        fitted(train=WHOLE, params=CALM)
    assert f"is full with 7 series in a pass; {fits} fit. Set train.batch={fits}, or keep the" in str(caught.value)
    assert f"train.micro={fits}, or let that be found by itself: train.on_oom=halve." in str(caught.value)


def test_a_last_batch_that_is_smaller_is_called_by_its_own_size(room: list[int]) -> None:
    room[0] = 2
    with pytest.raises(UserError, match=r"is full with 7 series in a pass; 1 fit"):
        fitted(train=replace(TRAIN, batch=64), params=CALM)


def test_where_halving_is_allowed_the_result_is_that_of_the_whole_batch(room: list[int]) -> None:
    whole = fitted(train=WHOLE, params=CALM)
    in_parts = fitted(train=replace(WHOLE, micro=3), params=CALM)
    room[0] = 4
    tried = len(room)
    halved = fitted(train=replace(WHOLE, on_oom="halve"), params=CALM)
    assert weights(halved) == weights(in_parts)
    assert closely(halved, whole) and room[tried:] == [7, 3, 3, 1, 3, 3, 1, 3, 3, 1]  # tried, found, and two steps


def test_what_was_found_once_is_not_looked_for_again_not_even_after_a_kill(room: list[int], tmp_path: Path) -> None:
    train = replace(WHOLE, on_oom="halve", checkpoint_s=0.0)
    room[0] = 3
    cell = NetworkCell("hybrid", CALM, train, scaler.fit("robust", small_store(), INSIDE, 0))
    labelled_sets = [labelled_series.labelled_series(small_store(), INSIDE)]
    steps = cell.fit(labelled_sets, 0, lambda kind, **_: None, tmp_path)
    next(steps)
    assert room[1:] == [7, 3, 3, 1, 3, 3, 1]  # too much; tried in parts; done in parts
    steps.close()
    again = NetworkCell("hybrid", CALM, train, cell.scaler)
    for _ in again.fit(labelled_sets, 0, lambda kind, **_: None, tmp_path):
        pass
    assert room[8:] == [3, 3, 1]


@pytest.mark.parametrize("library", FULL)
def test_every_librarys_error_makes_the_passes_smaller(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    halved, honest = fitted(train=replace(WHOLE, micro=3), params=CALM), Hybrid.forward

    def forward(self: Hybrid, x: torch.Tensor, *given: Any) -> torch.Tensor:
        if self.training and len(x) > 3:
            raise FULL[library]
        return honest(self, x, *given)

    monkeypatch.setattr(Hybrid, "forward", forward)
    assert weights(fitted(train=replace(WHOLE, on_oom="halve"), params=CALM)) == weights(halved)


def test_memory_that_is_full_in_the_backward_pass_leaves_no_half_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pass gets as far as some gradients; the second one, of fewer series, begins from none."""
    halved, honest, passes = fitted(train=replace(WHOLE, micro=3), params=CALM), torch.Tensor.backward, []

    def backward(self: torch.Tensor, *given: Any, **how: Any) -> None:
        honest(self, *given, **how)
        passes.append(1)
        if len(passes) == 1:
            raise FULL["cuBLAS"]

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    assert weights(fitted(train=replace(WHOLE, on_oom="halve"), params=CALM)) == weights(halved)


@pytest.mark.parametrize("on_oom", ["stop", "halve"])
@pytest.mark.parametrize("batch", [1, 7])
def test_one_series_too_much_has_its_own_sentence(on_oom: str, batch: int, room: list[int]) -> None:
    room[0] = 0
    with pytest.raises(UserError, match=r"full even with one series in a pass. Make the network smaller, crop more"):
        fitted(train=replace(TRAIN, batch=batch, on_oom=on_oom))


@pytest.fixture
def reading_room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A device with room for so many series in a pass that predicts: [0]; then the sizes of the passes tried."""
    honest, tried = Hybrid.forward, [10**6]

    def forward(self: Hybrid, x: torch.Tensor, *given: Any) -> torch.Tensor:
        if not self.training:
            tried.append(len(x))
            if len(x) > tried[0]:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, x, *given)

    monkeypatch.setattr(Hybrid, "forward", forward)
    return tried


def test_predictions_go_in_smaller_parts_where_memory_is_full(reading_room: list[int]) -> None:
    data, cell = small_store(), fitted()
    whole = cell.predict(data, INSIDE)[0]
    reading_room[:] = [2]
    np.testing.assert_allclose(cell.predict(data, INSIDE)[0], whole, rtol=1e-5)
    assert reading_room[1:] == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_one_series_that_can_t_be_predicted_is_a_users_error(reading_room: list[int]) -> None:
    cell = fitted()
    reading_room[0] = 0
    with pytest.raises(UserError, match="is full even with one series in a pass"):
        cell.predict(small_store(), INSIDE)


@pytest.mark.parametrize("size", [1, 4])
def test_one_series_alone_that_does_not_fit_is_not_tried_for_ever(size: int) -> None:
    def full(index: torch.Tensor) -> torch.Tensor:
        if len(index):
            raise FULL["cuDNN"]
        return index

    with pytest.raises(UserError, match="is full even with one series in a pass"):
        next(out_of_memory.in_parts(full, 1, size, torch.device("cpu")))


@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("room", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize("size", [1, 3, 8, 32])
def test_parts_are_never_empty_and_make_up_the_whole(size: int, room: int, at_once: int) -> None:
    sizes: list[int] = []

    def run(index: torch.Tensor) -> torch.Tensor:
        sizes.append(len(index))
        if len(index) > room:
            raise FULL["torch"]
        return index

    parts = list(out_of_memory.in_parts(run, 11, size, torch.device("cpu"), at_once))
    assert torch.cat(parts).tolist() == list(range(11)) and min(sizes) > 0
    assert max(len(part) for part in parts) <= min(size, room)


def test_parts_side_by_side_come_in_order_and_all_end_where_one_fails() -> None:
    """Each waits for the one behind it; the fifth fails, and no thread is left."""
    begun, seen, before = [threading.Event() for _ in range(8)], list[int](), threading.active_count()

    def run(index: torch.Tensor) -> torch.Tensor:
        place = int(index[0])
        begun[place].set()
        assert place % 2 or begun[place + 1].wait(60), "the next part never began"
        if place == 4:
            raise ValueError("a layer's own")
        return index

    with pytest.raises(ValueError, match="a layer's own"):
        for part in out_of_memory.in_parts(run, 8, 1, torch.device("cpu"), at_once=2):
            seen.append(int(part[0]))
    assert seen == [0, 1, 2, 3] and threading.active_count() == before


def keep_watched(scores: list[float], kind: str, **row: float) -> None:
    if kind == "epoch":
        scores.append(row["watched"])


def test_the_watched_score_goes_in_smaller_parts_too(reading_room: list[int]) -> None:
    watching = replace(TRAIN, watch=WatchConfig(share=0.5))
    scores: list[list[float]] = []
    for room in (10**6, 1):
        reading_room[0] = room
        scores.append([])
        fitted(train=watching, emit=partial(keep_watched, scores[-1]))
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_series_that_don_t_fit_at_all_are_a_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any, **how: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "zeros", full)
    labelled_sets = [labelled_series.labelled_series(small_store(series=1000), np.arange(1000))]
    fitted_to = scaler.fit("robust", small_store(), INSIDE, 0)
    with pytest.raises(
        UserError, match=r"full before the first pass: 1000 series of 6 steps .* take \d+\.\d KiB\. Crop"
    ):
        device_block.place_block(labelled_sets, fitted_to, 6, torch.device("cpu"))


# ---------------------------------------------------------------- outside of a pass


def test_moments_are_allocated_before_the_first_pass() -> None:
    """What fits into a pass is then found with the memory that all later steps have."""
    network = torch.nn.Linear(3, 2)
    state = State(network, TRAIN, torch.device("cpu"))
    for weight in network.parameters():
        kept = state.optimiser.state[weight]
        assert {name: value.shape for name, value in kept.items()} == {
            "step": torch.Size(),
            "exp_avg": weight.shape,
            "exp_avg_sq": weight.shape,
        }
        assert all(not value.any() for value in kept.values())


@pytest.mark.parametrize("library", FULL)
def test_a_network_that_does_not_fit_with_its_moments_is_a_users_error(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any, **how: Any) -> torch.Tensor:
        raise FULL[library]

    monkeypatch.setattr(torch, "zeros_like", full)
    with pytest.raises(UserError, match=r"network's weights and the optimiser's moments alone, before the first pass"):
        State(torch.nn.Linear(3, 2), TRAIN, torch.device("cpu"))


@pytest.mark.parametrize("on_oom", ["stop", "halve"])
@pytest.mark.parametrize("library", ["torch", "cuBLAS"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_memory_that_is_full_at_the_update_leaves_the_last_good_checkpoint(
    when: str, library: str, on_oom: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-done step may have changed some weights: it is not saved, and the same command goes on before it."""
    train = replace(TRAIN, on_oom=on_oom, checkpoint_s=0.0)
    whole, honest, steps = weights(fitted(train=train, params=CALM)), torch.optim.AdamW.step, []

    def step(self: torch.optim.AdamW, *given: Any, **how: Any) -> None:
        steps.append(1)
        if len(steps) != 3:
            honest(self, *given, **how)
            return
        if when == "after":
            honest(self, *given, **how)
        raise FULL[library]

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(UserError, match=r"full outside of a pass .*The last checkpoint is kept"):
            fitted(train=train, params=CALM, folder=tmp_path)
    assert len(steps) == 3
    epochs: list[tuple[int, int]] = []
    again = fitted(
        train=train,
        params=CALM,
        folder=tmp_path,
        emit=lambda kind, **reported: (
            epochs.append((reported["epoch"], reported["step"])) if kind == "resumed" else None
        ),
    )
    assert epochs == [(0, 2)] and weights(again) == whole


@pytest.mark.parametrize(("owner", "name"), [(trainer, "augment"), (device_block.Block, "batch")])
def test_memory_that_is_full_where_a_batch_is_made_is_a_users_error(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> Batch:
        raise FULL["torch"]

    monkeypatch.setattr(owner, name, full)
    with pytest.raises(UserError, match="full outside of a pass"):
        fitted()


def test_it_ends_in_one_line_and_exit_code_2(
    rides: Path, home: Path, room: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    room[0] = 2
    assert main(["train", "rides"]) == 2
    err = capsys.readouterr().err
    assert "4 series in a pass; 2 fit" in err and err.count("\n") == 1
    tiny.run("train", "rides", "train.on_oom=halve")


def test_the_probe_of_a_precision_says_it_too(room: list[int]) -> None:
    room[0] = 5
    with pytest.raises(UserError, match=r"7 series in a pass; 3 fit"):
        step_time.seconds_a_step("hybrid", CALM, WHOLE, small_store())


def gradients(head: str, train: TrainConfig) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one batch with weights of 0, 1/2 and 1; targets on a grid, for the head that needs one."""
    data = small_store(series=60)
    gridded = replace(data, y=np.round(2 * np.array(data.y)) / 2)
    fit = scaler.fit("robust", gridded, np.arange(60), 0)
    every = labelled_series.labelled_series(gridded, np.arange(60))
    fold = device_block.place_block([every], fit, 6, torch.device("cpu"))
    torch.manual_seed(0)
    network = network_build.build("hybrid", {**CALM, "head": {"kind": head}}, 3, (), fit.targets)
    state = State(network, train, torch.device("cpu"))
    whole = fold.batch(torch.arange(11))
    torch.manual_seed(1)
    batch: Batch = replace(whole, weight=whole.weight * torch.randint(1, 3, whole.weight.shape) / 2)
    loss = training_step.backward(state, train, [batch])
    return float(loss), {name: value.grad for name, value in network.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("head", heads.serving(Targets(count=1)))
def test_gradients_in_parts_are_those_of_the_whole_batch(head: str) -> None:
    loss, whole = gradients(head, TRAIN)
    for micro in (1, 4):
        other, parts = gradients(head, replace(TRAIN, micro=micro))
        assert other == pytest.approx(loss, rel=1e-5) and parts.keys() == whole.keys()
        for name, expected in whole.items():
            torch.testing.assert_close(parts[name], expected, rtol=1e-4, atol=1e-6, msg=f"{head}: {name}")


def test_memory_that_is_full_where_weights_are_averaged_is_a_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: State) -> None:
        raise FULL["torch"]

    monkeypatch.setattr(State, "average", full)
    with pytest.raises(UserError, match=r"full outside of a pass .* average of weights\)"):
        fitted(train=replace(TRAIN, average=1))

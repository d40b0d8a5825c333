"""What holds on every device: the same tests on the CPU and, where there is one, on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from devices import GPU, device, each_device
from lab import EVERYTHING, INSIDE, PARAMS, TRAIN, exhaust, silent, small_store
from steps import lesson
from torch import Tensor

from foldline.fit import labelled_series, network_size, out_of_memory, precision, residency, scaler
from foldline.fit.network_cell import NetworkCell
from foldline.fit.process_state import use_settings
from foldline.fit.train_config import TrainConfig

CALM = {**PARAMS, "dropout": 0.0, "blocks": [{"kind": "bilstm"}, {"kind": "gru"}, {"kind": "conv"}]}
# Of operations that have no deterministic form on a GPU, and are not in doubt here.
pytestmark = pytest.mark.filterwarnings("ignore:.*eterministic:UserWarning")
TOO_MUCH = 1 << 46  # float32 values: 256 TiB, which no device has


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the process as it was."""
    flag, search = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    tf32 = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = search
    if torch.are_deterministic_algorithms_enabled() != flag:
        torch.use_deterministic_algorithms(flag)


def on(name: str, train: TrainConfig = TRAIN, **changes: Any) -> TrainConfig:
    """A recipe on a device, with the same bits every time."""
    return replace(train, device=name, deterministic="on" if name == "cuda" else "auto", **changes)  # type: ignore[arg-type]


def cell_of(train: TrainConfig, params: dict[str, Any] = PARAMS) -> NetworkCell:
    data = small_store(static=True)
    cell = NetworkCell("hybrid", params, train, scaler.fit("robust", data, INSIDE, 0))
    if train.watch.share:
        from foldline.data.metrics import METRICS

        cell.metric = METRICS["mae"]
    return cell


def steps_of(cell: NetworkCell, folder: Path, seed: int = 0) -> Iterator[None]:
    data = small_store(static=True)
    return cell.fit([labelled_series.labelled_series(data, INSIDE)], seed, silent, folder)


def trained(train: TrainConfig, folder: Path, seed: int = 0, params: dict[str, Any] = PARAMS) -> dict[str, Tensor]:
    cell = cell_of(train, params)
    exhaust(steps_of(cell, folder, seed))
    return weights(cell)


def weights(cell: NetworkCell) -> dict[str, Tensor]:
    assert cell.network is not None
    return {name: value.cpu() for name, value in cell.network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@each_device
def test_the_same_seed_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    one, again, other = (trained(on(name, EVERYTHING), tmp_path / str(n), seed=n // 2) for n in range(3))
    assert same(one, again) and not same(one, other)


@each_device
def test_two_cells_in_turn_on_streams_of_their_own_are_as_each_alone(name: str, tmp_path: Path) -> None:
    alone = [trained(on(name), tmp_path / f"alone-{seed}", seed) for seed in (0, 1)]
    cells = [cell_of(on(name)) for _ in alone]
    turns = [steps_of(cell, tmp_path / str(seed), seed) for seed, cell in enumerate(cells)]
    while turns:
        turns = [turn for turn in turns if next(turn, turn) is not turn]
    assert all(same(weights(cell), expected) for cell, expected in zip(cells, alone, strict=True))


@each_device
@pytest.mark.parametrize("kind", ["fp32", "bf16", "fp16"])
def test_what_was_interrupted_goes_on_with_the_same_bits(name: str, kind: Any, tmp_path: Path) -> None:
    train = on(name, checkpoint_s=0.0, precision=kind, ema=0.9)
    expected = trained(train, tmp_path / "straight")
    begun = steps_of(cell_of(train), tmp_path / "cut")
    for _ in range(4):
        next(begun)
    begun.close()
    assert same(trained(train, tmp_path / "cut"), expected)


@each_device
@pytest.mark.parametrize("kind", ["fp32", "bf16", "fp16"])
def test_the_true_gradient_is_clipped_whatever_the_loss_scale(name: str, kind: Any) -> None:
    train = on(name, batch=7, precision=kind, clip=0.01)
    some = lesson(device(name), train, params=CALM)
    some.step(next(some.batches()))
    norm = torch.stack([weight.grad.norm() for weight in some.state.parameters if weight.grad is not None]).norm()
    assert float(norm) == pytest.approx(0.01, rel=0.02)


@each_device
def test_memory_that_is_full_in_the_backward_pass_makes_it_smaller_and_leaves_its_result(name: str) -> None:
    """A hook on a gradient asks the device's own allocator for more than there is, once."""
    expected = lesson(device(name), on(name, batch=7, micro=3), params=CALM)
    some = lesson(device(name), on(name, batch=7, on_oom="halve"), params=CALM)
    asked: list[int] = []

    def ask(gradient: Tensor) -> None:
        asked.append(1)
        if len(asked) == 1:
            torch.empty(TOO_MUCH, device=name)

    some.state.parameters[0].register_hook(ask)
    losses = [float(each.step(next(each.batches()))) for each in (expected, some)]
    assert some.state.counters.micro == 3 and len(asked) > 1 and losses[0] == pytest.approx(losses[1], rel=1e-5)
    for key, value in expected.weights().items():
        torch.testing.assert_close(some.weights()[key], value, rtol=1e-4, atol=1e-6)


@each_device
def test_a_full_device_is_recognised(name: str) -> None:
    assert out_of_memory.attempt(lambda: torch.empty(TOO_MUCH, device=name)) is None


@each_device
def test_a_padded_series_is_learned_from_as_it_is_alone(name: str) -> None:
    some = lesson(device(name), on(name, batch=7), params=CALM)
    (block,) = some.fold.blocks
    assert block.mask is not None and block.lengths is not None
    network = some.state.network.eval()
    together = network(block.x, block.static, block.mask)
    for place, steps in enumerate(block.lengths.tolist()):
        alone = network(block.x[place : place + 1, :steps], block.static[place : place + 1], None)
        torch.testing.assert_close(together[place : place + 1, :steps], alone, rtol=1e-4, atol=1e-5)


@each_device
def test_each_format_that_auto_tries_learns(name: str) -> None:
    losses = {}
    for kind in precision.candidates(device(name)):
        some = lesson(device(name), on(name, batch=7, precision=kind), params=CALM)
        batch = next(some.batches())
        first, *_, last = (float(some.step(batch)) for _ in range(12))
        assert np.isfinite(last) and last < first, kind
        losses[kind] = first
    assert losses == pytest.approx(dict.fromkeys(losses, losses["fp32"]), rel=0.05)


@each_device
def test_the_memory_that_is_free_is_what_the_device_says(name: str) -> None:
    before = residency.free_bytes(device(name))
    held = torch.ones(1 << 24, device=name)  # 64 MiB
    after = residency.free_bytes(device(name))
    assert 0 < after < 1 << 50 and before <= network_size.memory(name)
    if name == "cuda":  # a machine's memory moves by itself
        assert before - after == pytest.approx(held.nbytes, rel=0.2)


@pytest.mark.parametrize("name", [GPU])
def test_a_gpu_learns_what_the_cpu_learns(name: str) -> None:
    losses = []
    for each in ("cpu", name):
        some = lesson(device(each), on(each, batch=7), params=CALM)
        batch = next(some.batches())
        losses.append([float(some.step(batch)) for _ in range(10)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


@pytest.mark.parametrize("name", [GPU])
def test_fp32_is_fp32_in_products_convolutions_and_recurrences_and_tf32_is_less(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 64, 128)
    layers = (torch.nn.Linear(128, 128), torch.nn.Conv1d(64, 64, 5), torch.nn.LSTM(128, 128, batch_first=True))
    for layer in layers:
        out = layer.double()(x.double())
        exact = out[0] if isinstance(out, tuple) else out
        errors = {}
        for kind in ("fp32", "tf32"):
            use_settings(replace(TRAIN, device="cuda", precision=kind), device(name))
            found = layer.float().to(name)(x.to(name))
            found = found[0] if isinstance(found, tuple) else found
            errors[kind] = float((found.double().cpu() - exact).norm() / exact.norm())
            layer.cpu()
        assert errors["fp32"] < 1e-5 and errors["tf32"] < 1e-2, (layer, errors)
        if isinstance(layer, torch.nn.Linear) and "tf32" in precision.candidates(device(name)):
            assert errors["tf32"] > 1e-5, errors  # factors of ten bits


@pytest.mark.parametrize("name", [GPU])
@pytest.mark.filterwarnings("ignore")
def test_compiled_blocks_learn_what_the_others_learn(name: str, tmp_path: Path) -> None:
    params = {"width": 8, "blocks": [{"kind": "conv"}, {"kind": "transformer", "heads": 2}]}
    plain, compiled = (trained(on(name, compile=some), tmp_path / str(some), params=params) for some in (False, True))
    for key, value in plain.items():
        torch.testing.assert_close(compiled[key], value, rtol=1e-2, atol=1e-3)

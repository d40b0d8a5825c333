"""Settings of the whole process: cells that take turns each keep their own, and nothing is set twice."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lab import INSIDE, PARAMS, TRAIN, exhaust, fitted, jobs, silent, small_store, weights

from foldline.fit import labelled_series, process_state, scaler, step_time
from foldline.fit.network_cell import NetworkCell
from foldline.fit.process_state import use_settings, with_settings
from foldline.fit.train_config import TrainConfig
from foldline.models.systems.hybrid import Hybrid
from foldline.run import turns

WHERE = (("cuda", "on"), ("cuda", "off"), ("cpu", "on"))


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the process as it was."""
    threads, flag, search = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
    )
    tf32 = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = search
    if torch.are_deterministic_algorithms_enabled() != flag:
        torch.use_deterministic_algorithms(flag)


@pytest.fixture
def threads_seen(monkeypatch: pytest.MonkeyPatch) -> dict[int, set[int]]:
    """Width of a network -> numbers of threads that it was ever called with."""
    seen: dict[int, set[int]] = defaultdict(set)
    honest = Hybrid.forward

    def forward(self: Hybrid, *given: Any) -> torch.Tensor:
        hidden = honest(self, *given)
        seen[hidden.shape[-1]].add(torch.get_num_threads())
        return hidden

    monkeypatch.setattr(Hybrid, "forward", forward)
    return seen


def begun(folder: Any, train: TrainConfig, width: int) -> tuple[NetworkCell, Iterator[None]]:
    """A network of that width, and the steps of its training."""
    data = small_store(series=60, steps=10)
    series = np.arange(60)
    cell = NetworkCell("hybrid", {**PARAMS, "width": width}, train, scaler.fit("robust", data, series, 0))
    return cell, cell.fit([labelled_series.labelled_series(data, series)], 0, silent, folder)


def test_cells_of_different_threads_that_take_turns_are_as_if_alone(
    tmp_path: Any, threads_seen: dict[int, set[int]]
) -> None:
    recipes = {4: replace(TRAIN, batch=20, threads=1), 6: replace(TRAIN, batch=20, threads=2)}
    alone = {}
    for width, train in recipes.items():
        cell, steps = begun(tmp_path / f"alone-{width}", train, width)
        assert exhaust(steps) == 6
        alone[width] = weights(cell)
    together = {width: begun(tmp_path / f"both-{width}", train, width) for width, train in recipes.items()}
    for _ in range(7):  # the seventh ends them
        for _, steps in together.values():
            next(steps, None)
    assert threads_seen == {4: {1}, 6: {2}}
    assert {width: weights(cell) for width, (cell, _) in together.items()} == alone


def test_cells_that_take_turns_in_the_executor_train_and_predict_with_their_own_threads(
    rides: Any, home: Any, threads_seen: dict[int, set[int]]
) -> None:
    table = '{{name = "hybrid", label = "{0}", width = {0}, blocks = [{{kind = "conv"}}], train = {{threads = {1}}}}}'
    both = jobs(f"model=[{table.format(4, 1)}, {table.format(6, 2)}]")
    assert {job.cell.model.train.threads for job in both} == {1, 2}
    turns.take_turns(sorted(both, key=lambda job: job.cell.fold or 0), 2, lambda *_: None)
    assert threads_seen == {4: {1}, 6: {2}} and all(job.cell.done for job in both)


def test_predicting_uses_the_cells_own_threads(threads_seen: dict[int, set[int]]) -> None:
    cell = fitted(train=replace(TRAIN, threads=2))
    torch.set_num_threads(1)
    cell.predict(small_store(), INSIDE)
    assert threads_seen == {4: {2}}


def test_deterministic_operations_are_switched_for_each_cells_step() -> None:
    """On a device other than the CPU, whose operations give the same bits anyway."""
    seen: list[tuple[str, bool]] = []

    def steps(switch: str) -> Iterator[None]:
        for _ in range(2):
            seen.append((switch, torch.are_deterministic_algorithms_enabled()))
            yield

    device = torch.device("mps")
    recipes = {switch: replace(TRAIN, deterministic=switch) for switch in ("on", "off")}
    turns = [with_settings(steps(switch), recipe, device) for switch, recipe in recipes.items()]
    for _ in range(2):
        for turn in turns:
            next(turn)
    assert seen == [("on", True), ("off", False)] * 2
    use_settings(recipes["on"], device)
    use_settings(recipes["on"], torch.device("cpu"))
    assert not torch.are_deterministic_algorithms_enabled()


def test_cudnn_searches_for_fast_algorithms_only_where_bits_may_differ() -> None:
    for switch, searches in (("on", False), ("off", True), ("on", False)):
        use_settings(replace(TRAIN, deterministic=switch), torch.device("cuda"))
        assert torch.backends.cudnn.benchmark == searches


def test_tf32_is_what_the_precision_says_and_never_torchs_default() -> None:
    tf32 = torch.backends.cuda.matmul, torch.backends.cudnn
    for precision, products, layers in (
        ("fp32", False, False),
        ("tf32", True, True),
        ("bf16", False, True),
        ("fp16", False, False),
    ):
        use_settings(replace(TRAIN, precision=precision), torch.device("cuda"))
        assert tuple(part.allow_tf32 for part in tf32) == (products, layers), precision
    torch.backends.cudnn.allow_tf32 = True
    use_settings(TRAIN, torch.device("cpu"))
    assert torch.backends.cudnn.allow_tf32  # a CPU knows none: it is the caller's


def test_cublas_gets_a_workspace_of_fixed_size_where_bits_must_be_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = process_state.WORKSPACE
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv(name, ":16:8")
    on, off, cpu = (replace(TRAIN, device=device, deterministic=switch) for device, switch in WHERE)
    process_state.before_gpu([on])
    assert os.environ[name] == ":16:8"  # the user's own
    monkeypatch.delenv(name)
    process_state.before_gpu([off, cpu])
    assert name not in os.environ
    process_state.before_gpu([off, on])
    assert os.environ[name] == ":4096:8"


def test_it_is_set_before_any_cell_is_measured_or_begun(rides: Any, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(
        process_state, "before_gpu", lambda configs: seen.append([config.deterministic for config in configs])
    )
    monkeypatch.setattr(step_time, "seconds_a_step", lambda *_: float(len(seen)))
    jobs("train.precision=auto", "train.deterministic=on")
    assert seen == [["on"]]


def test_what_is_set_already_is_not_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(replace(TRAIN, threads=2), torch.device("cpu"))
    changes: list[int] = []
    honest = torch.set_num_threads
    monkeypatch.setattr(process_state.torch, "set_num_threads", lambda count: (changes.append(count), honest(count)))
    for threads in (2, 2, 1, 1, 2):
        use_settings(replace(TRAIN, threads=threads), torch.device("cpu"))
    assert changes == [1, 2]


def test_what_training_sets_is_set_back_for_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    def set_flag(mode: bool, *, warn_only: bool = False) -> None:
        torch._C._set_deterministic_algorithms(mode, warn_only=warn_only)  # the other one imports the compiler: seconds

    monkeypatch.setattr(torch, "use_deterministic_algorithms", set_flag)
    layers = torch.backends.cudnn.allow_tf32
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.get_rng_state().tolist()
    with pytest.raises(ZeroDivisionError), process_state.kept():
        process_state.use_threads(replace(TRAIN, threads=before[0] + 1))
        set_flag(True, warn_only=True)
        torch.backends.cudnn.benchmark = not before[1]
        torch.backends.cudnn.allow_tf32 = not layers
        torch.manual_seed(7)
        raise ZeroDivisionError
    assert (torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.get_rng_state().tolist()) == before
    assert not torch.are_deterministic_algorithms_enabled() and torch.backends.cudnn.allow_tf32 == layers


@pytest.mark.parametrize("threads", [1, 2])
def test_passes_side_by_side_have_the_cells_threads_and_the_same_bits(
    threads: int, threads_seen: dict[int, set[int]]
) -> None:
    data, series = small_store(series=60, steps=10), np.arange(60)
    cell = fitted(data, train=replace(TRAIN, threads=threads, epochs=1), series=series)
    alone = cell.predict(data, series)[0]
    threads_seen.clear()
    cell.at_once = 3
    assert cell.predict(data, series)[0].tobytes() == alone.tobytes()
    assert threads_seen == {PARAMS["width"]: {threads}}

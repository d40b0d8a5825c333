"""Which number format a body is computed in: probed once, stored, part of the key; head and loss are always fp32."""

from __future__ import annotations

import json
import math
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from lab import EVERYTHING, INSIDE, PARAMS, TRAIN, fitted, planned, small_store, weights
from torch.nn.modules.module import register_module_forward_hook

from foldline.cli.main import main
from foldline.core.errors import UserError
from foldline.experiment import stored_experiment
from foldline.fit import precision, step_time
from foldline.fit.out_of_memory import FullMemory
from foldline.fit.train_config import TrainConfig
from foldline.models.heads.linear import LinearHead

AUTO = replace(TRAIN, precision="auto")


def timed(**seconds: float) -> Any:
    """A measurement that always finds the same; the formats that were measured are kept in `measured`."""

    def measure(config: TrainConfig) -> float:
        measure.measured.append(config.precision)
        return seconds[config.precision]

    measure.measured = []
    return measure


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"fp32": 1.0, "bf16": 0.5}, "bf16"),
        ({"fp32": 1.0, "bf16": 0.94}, "bf16"),
        ({"fp32": 1.0, "bf16": 0.96}, "fp32"),  # not worth it
        ({"fp32": 1.0, "bf16": 3.0}, "fp32"),
    ],
)
def test_auto_takes_the_fastest_and_fp32_where_that_gains_little(
    seconds: dict[str, float], chosen: str, home: Path
) -> None:
    assert precision.resolve(AUTO, {}, timed(**seconds)) == replace(AUTO, precision=chosen)


def test_it_is_measured_once_and_stored_for_the_same_network_and_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = timed(fp32=1.0, bf16=0.5)
    for _ in range(2):
        assert precision.resolve(AUTO, {"model": "a"}, measure).precision == "bf16"
    assert measure.measured == ["fp32", "bf16"]
    precision.resolve(AUTO, {"model": "b"}, measure)
    precision.resolve(replace(AUTO, threads=2), {"model": "a"}, measure)
    assert len(measure.measured) == 6
    stored = sorted((home / "runs" / "probes").glob("*.json"))
    assert len(stored) == 3
    kept = json.loads(stored[0].read_text())
    assert kept["precision"] == "bf16" and kept["seconds_a_step"] == {"bf16": 0.5, "fp32": 1.0}


def test_a_definite_precision_is_never_measured(home: Path) -> None:
    config = replace(TRAIN, precision="fp16")
    assert precision.resolve(config, {}, timed()) is config and not (home / "runs").exists()


def test_candidates_are_what_the_device_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert precision.candidates(torch.device("cpu")) == ["fp32", "bf16"]
    assert precision.candidates(torch.device("mps")) == ["fp32", "fp16"]
    old, new = ["fp16"], ["tf32", "bf16"]
    for capability, more in (((6, 0), old), ((7, 5), old), ((8, 0), new), ((9, 0), new)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_, found=capability: found)
        assert precision.candidates(torch.device("cuda")) == ["fp32", *more]


def test_auto_takes_what_fits_where_fp32_does_not(home: Path) -> None:
    def seconds(config: TrainConfig) -> float:
        if config.precision in full:
            raise FullMemory(f"full with {config.precision}")
        return 1.0

    full = {"fp32"}
    assert precision.resolve(AUTO, {"model": "a"}, seconds).precision == "bf16"
    (stored,) = (home / "runs" / "probes").glob("*.json")
    assert json.loads(stored.read_text())["seconds_a_step"] == {"bf16": 1.0}
    full = {"bf16"}
    assert precision.resolve(AUTO, {"model": "b"}, seconds).precision == "fp32"
    full = {"fp32", "bf16"}
    with pytest.raises(FullMemory, match="full with fp32"):
        precision.resolve(AUTO, {"model": "c"}, seconds)


def test_what_fills_the_memory_is_let_go_before_the_next_format_is_tried(home: Path) -> None:
    alive: list[weakref.ref[torch.nn.Module]] = []

    def seconds(config: TrainConfig) -> float:
        assert not any(other() for other in alive)
        network = torch.nn.Linear(1, 1)
        alive.append(weakref.ref(network))
        if config.precision == "fp32":
            raise FullMemory("full")
        return 1.0

    assert precision.resolve(AUTO, {}, seconds).precision == "bf16" and len(alive) == 2


def test_what_a_device_has_not_is_refused_before_anything_is_trained(rides: Path, home: Path) -> None:
    with pytest.raises(UserError, match=r"'tf32' is what NVIDIA GPUs .* is cpu\. Use 'fp32', or 'auto'"):
        planned("model.0.train.precision=tf32")
    assert not (home / "runs" / "cells").exists()


def choose(kind: str, patch: pytest.MonkeyPatch) -> list[str]:
    """Let the probe find that `kind` is the fastest; the formats that it measured."""
    measured: list[str] = []

    def seconds(name: str, params: Any, config: TrainConfig, data: Any) -> float:
        measured.append(config.precision)
        return 0.1 if config.precision == kind else 1.0

    patch.setattr(step_time, "seconds_a_step", seconds)
    return measured


def test_steps_as_graphs_are_measured_for_themselves(rides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainConfig, "refuse_device", lambda self: None)
    measured = choose("fp32", monkeypatch)
    for graphs in ("false", "true", "true"):
        planned("model.0.train.precision=auto", f"model.0.train.graphs={graphs}")
    assert measured == ["fp32", "bf16"] * 2


def test_the_choice_and_not_auto_is_in_the_key(rides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for kind in ("fp32", "bf16"):
        with monkeypatch.context() as patch:
            patch.setenv("FOLDLINE_HOME", str(rides.parent / kind))
            tiny.install(rides.parent / kind, rides)
            choose(kind, patch)
            chosen, named = (planned(f"model.0.train.precision={word}") for word in ("auto", kind))
            assert [cell.key for cell in chosen] == [cell.key for cell in named]
            assert chosen[0].depends["train"]["precision"] == kind and "precision" not in chosen[-1].depends["train"]
            found[kind] = chosen[0].key
    assert found["fp32"] != found["bf16"]


def test_what_was_trained_is_applied_as_it_was_trained_whatever_is_probed_later(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = choose("bf16", monkeypatch)
    tiny.run("train", "rides", "train.precision=auto", "track.wandb=disabled")
    assert measured == ["fp32", "bf16"]
    tiny.run("train", "rides", "train.precision=auto")
    assert measured == ["fp32", "bf16"] and "nothing to train" in capsys.readouterr().out
    for stored in (home / "runs" / "probes").glob("*.json"):
        stored.write_text(json.dumps({**json.loads(stored.read_text()), "precision": "fp32"}))
    read = stored_experiment.read("rides")
    assert [cell.model.train.precision for cell in read.plan if cell.model.is_network] == ["bf16"] * 2
    assert read.config.train.precision == "auto"
    before = tiny.submission(home)
    for path in (home / "runs" / "cells").glob("*/test-*.npy"):
        path.unlink()
    tiny.run("infer", "rides")
    (written,) = (home / "runs" / "rides" / "latest").glob("infer-*.csv")
    assert written.read_bytes() == before


@pytest.mark.parametrize(("kind", "half"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_the_body_is_computed_in_it_and_head_loss_and_weights_are_fp32(
    kind: str, half: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[torch.dtype]] = {"Conv1d": set(), "L1": set(), "head's input": set(), "loss": set()}
    honest = LinearHead.loss_sum

    def look(module: torch.nn.Module, given: Any, out: Any) -> None:
        if type(module).__name__ in seen:
            seen[type(module).__name__].add(out.dtype)
        if type(module).__name__ == "L1":
            seen["head's input"].add(given[0].dtype)

    def loss(self: LinearHead, *given: Any) -> torch.Tensor:
        value = honest(self, *given)
        seen["loss"].add(value.dtype)
        return value

    monkeypatch.setattr(LinearHead, "loss_sum", loss)
    params = {**PARAMS, "blocks": [{"kind": "conv"}]}
    with register_module_forward_hook(look):
        cell = fitted(train=replace(TRAIN, precision=kind), params=params)
        values, _ = cell.predict(small_store(), INSIDE)
    full = {torch.float32}
    assert seen == {"Conv1d": {half}, "L1": full, "head's input": full, "loss": full} and values.dtype == "float64"
    assert cell.network is not None and {value.dtype for value in cell.network.state_dict().values()} == full
    assert weights(cell) != weights(fitted(train=TRAIN, params=params))


@pytest.mark.parametrize("kind", ["fp32", "bf16"])
def test_a_step_of_a_network_can_be_timed_in_each(kind: str) -> None:
    seconds = step_time.seconds_a_step("hybrid", PARAMS, replace(EVERYTHING, precision=kind), small_store(static=True))
    assert 0 < seconds < math.inf


@pytest.mark.parametrize("asked", ["train.precision=tf32", "train.graphs=true"])
def test_and_before_any_file_is_made(asked: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "rides", asked]) == 2
    err = capsys.readouterr().err
    assert "NVIDIA GPU" in err and err.count("\n") == 1
    assert not list((home / "folds").glob("*")) and not list((home / "runs").glob("*/*.json"))

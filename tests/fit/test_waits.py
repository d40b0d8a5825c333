"""No training step waits for a GPU: no operation of one looks at a value, and lengths are known on the host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from devices import GPU, device
from lab import TRAIN, small_store
from steps import lesson
from torch import Tensor, nn
from torch.autograd.profiler import profile
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils.rnn import PackedSequence

from foldline.data.store import Store
from foldline.fit.augment import augment
from foldline.fit.augmentation import AUGMENTATIONS, Flip, Rotate
from foldline.fit.train_config import AugmentConfig, TrainConfig
from foldline.models import MODELS, packing
from foldline.models.blocks import BLOCKS

# What has a result that the host must know before it goes on: a number, or a size.
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "_unique")
HYBRIDS = {f"hybrid of {kind}": {"width": 8, "time": "f1", "blocks": [{"kind": kind}] * 2} for kind in BLOCKS}
SYSTEMS: dict[str, dict[str, Any]] = {
    "branches": {"branches": [{"blocks": [{"kind": "bilstm"}]}]},
    "deepar": {},
    "esrnn": {},
    "first_place": {"heads": 2},
    "nhits": {"history": 3, "horizon": 9},
    "patchtst": {"heads": 2, "patch": 2, "stride": 1},
    "seq2seq": {"align": 4},
    "tft": {},
    "third_place": {"channels": 4},
    "wavenet": {"layers": 2},
}
FORECASTS = {"nhits"}  # read the known start of their target, and nothing else
SMALL: dict[str, dict[str, Any]] = HYBRIDS | {name: {"width": 8, **table} for name, table in SYSTEMS.items()}
AUGMENT = AugmentConfig(mask_static=0.3, shuffle=0.3)


class Watch:
    """Notes the operations that would wait for a GPU. torch's packed layers read their sizes, on the host, twice."""

    def __init__(self) -> None:
        self.packed = 0
        self._profile = profile(use_kineto=False)

    def _look(self, layer: nn.Module, given: Any, out: Any) -> None:
        self.packed += isinstance(layer, nn.RNNBase) and isinstance(given[0], PackedSequence)

    def __enter__(self) -> Watch:
        self._hook = register_module_forward_hook(self._look)
        self._profile.__enter__()
        return self

    def __exit__(self, *why: Any) -> None:
        self._profile.__exit__(*why)
        self._hook.remove()

    @property
    def seen(self) -> list[str]:
        """The operations, without those reads."""
        events = [event for event in self._profile.function_events if not of_cpus_kernel(event.cpu_parent)]
        names = [event.name.removeprefix("aten::") for event in events]
        return [name for name in names if name.startswith(WAITS)][2 * self.packed :]


def of_cpus_kernel(event: Any) -> bool:
    """Whether an operation is part of one whose CPU form alone looks at numbers of the host: AdamW's steps."""
    return event is not None and (event.name == "aten::_fused_adamw_" or of_cpus_kernel(event.cpu_parent))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The sizes of masks whose lengths the host did not know."""
    seen: list[int] = []
    honest = packing.lengths_of

    def lengths_of(mask: Tensor) -> Tensor:
        if packing._lengths.get(mask) is None:
            seen.append(len(mask))
        return honest(mask)

    monkeypatch.setattr(packing, "lengths_of", lengths_of)
    yield seen


def test_the_watch_sees_what_waits() -> None:
    values = torch.arange(4.0)
    with Watch() as quiet:
        torch.where(values > 1, values, 0.0)[torch.arange(2)].sum()
    with Watch() as watch:
        values.sum().item()
        values[values > 1]
        bool(values[0] > 1)
        values.nonzero()
    assert quiet.seen == [] and len(watch.seen) >= 4


def model_of(form: str) -> str:
    return form.partition(" ")[0]


def data_of(form: str) -> Store:
    return replace(small_store(static=True), observed=int(form in FORECASTS))


def test_every_network_of_the_registry_is_here() -> None:
    assert {name for name, part in MODELS.items() if part.config.kind == "network"} == {"hybrid", *SYSTEMS}


@pytest.mark.parametrize(("form", "precision"), [*((form, "fp32") for form in SMALL), ("hybrid of conv", "fp16")])
def test_no_operation_of_a_step_looks_at_a_value(form: str, precision: Any, looks: list[int]) -> None:
    config = replace(TRAIN, augment=AUGMENT, precision=precision, ema=0.9)
    some = lesson(torch.device("cpu"), config, model_of(form), SMALL[form], data_of(form))
    batches = some.batches()
    some.step(next(batches))
    with Watch() as watch:
        some.step(next(batches))
    assert watch.seen == [] and looks == []


def test_no_part_of_augmentation_looks_at_a_value() -> None:
    mixed = AugmentConfig(
        rotate=Rotate(share=0.5, axes=(("f0", "f1", "f2"),)),
        flip=Flip(share=0.5, columns=("f1",)),
        mixup=0.5,
        mixup_like="f0",
        **{name: part(share=0.5) for name, part in AUGMENTATIONS.items() if name not in ("rotate", "flip")},  # type: ignore[arg-type]
    )
    some = lesson(torch.device("cpu"), TRAIN)
    (first, *_) = some.batches()
    for part in first:
        with Watch() as watch:
            augment(part, mixed, some.fold)
        assert watch.seen == []


def test_mixed_series_are_looked_at_once_a_batch(looks: list[int]) -> None:
    """Which ones are mixed is drawn on the device."""
    config = replace(TRAIN, augment=AugmentConfig(mixup=0.5, mixup_alpha=0.4))
    params = {"width": 4, "embed": 2, "blocks": [{"kind": "bilstm"}] * 3}
    some = lesson(torch.device("cpu"), config, params=params)
    batches = some.batches()
    first = next(batches)
    with Watch() as watch:
        some.step(first)
        padded = sum(part.mask is not None for part in first)
        assert padded and len(looks) == padded
        some.step(next(batches))
    assert watch.seen == []


@pytest.mark.parametrize("resident", ["on", "off"])
@pytest.mark.parametrize("micro", [0, 2])
def test_the_host_knows_the_lengths_of_every_batch_and_of_its_parts(resident: Any, micro: int) -> None:
    config = TrainConfig(**{**vars(TRAIN), "resident": resident, "micro": micro})
    some = lesson(torch.device("cpu"), config)
    seen = 0
    for batch in some.batches():
        for part in (smaller for each in batch for smaller in each.parts(micro)):
            if part.mask is not None:
                assert part.lengths is not None and torch.equal(part.lengths, part.mask.sum(dim=1))
                assert packing._lengths[part.mask] is part.lengths
                seen += 1
    assert seen >= 3


@pytest.mark.parametrize("name", [GPU])
@pytest.mark.parametrize("form", ["hybrid of gru", "hybrid of bilstm", "esrnn", "tft", "seq2seq"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_is_never_waited_for_inside_a_step(name: str, form: str, precision: Any) -> None:
    train = replace(TRAIN, device=name, precision=precision)
    some = lesson(device(name), train, model_of(form), SMALL[form], data_of(form))
    batches = some.batches()
    some.step(next(batches))
    try:
        torch.cuda.set_sync_debug_mode("error")
        for batch in batches:
            some.step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")

"""The contract of models/contract.py over every network that is a whole system; for hybrids: test_model_contract.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from memorising import memorise
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from foldline.models import MODELS, source_of
from foldline.models.contract import Targets
from foldline.models.ops.known_target import known_target
from foldline.models.probes import receptive_field

SERIES, STEPS, FEATURES, LEVELS = 5, 9, 3, (3, 2)
LENGTHS = torch.tensor([9, 1, 4, 8, 3])
MASK = torch.arange(STEPS)[None, :] < LENGTHS[:, None]  # (B, T)

# Name in the messages -> model and table; those that need known target get the first three steps of it.
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "branches": ("branches", {}),
    "branches merged": (
        "branches",
        {
            "branches": [{"blocks": [{"kind": "lstm", "static": "state"}]}, {"width": 4}],
            "blocks": [{"kind": "conv"}],
            "embed": 2,
        },
    ),
    "first_place": ("first_place", {"heads": 2}),
    "third_place": ("third_place", {"channels": 4}),
    "seq2seq": ("seq2seq", {"align": 4}),
    "seq2seq autoregressive": ("seq2seq", {"align": 4, "autoregressive": True}),
    "gnmt": ("seq2seq", {"align": 4, "form": "gnmt", "layers": 3}),
    "gnmt autoregressive": ("seq2seq", {"align": 4, "form": "gnmt", "layers": 3, "autoregressive": True}),
    "deepar": ("deepar", {}),
    "deepar autoregressive": ("deepar", {"form": "autoregressive", "paths": 8}),
    "esrnn": ("esrnn", {}),
    "esrnn causal": ("esrnn", {"causal": True}),
    "esrnn forecast": ("esrnn", {"form": "forecast", "season": 2}),
    "nhits": (
        "nhits",
        {"history": 3, "horizon": 6, "pool_kernel_size": (2, 1), "freq_downsample": (3, 1), "embed": 2},
    ),
    "patchtst": ("patchtst", {"heads": 2, "patch": 4, "stride": 2, "embed": 2}),
    "patchtst published": ("patchtst", {"heads": 2, "patch": 4, "stride": 3, "norm": "batch", "instance": True}),
    "wavenet": ("wavenet", {"layers": 2, "stacks": 2}),
    "wavenet observed": ("wavenet", {"layers": 3}),
    "tft": ("tft", {}),
    "tft causal": ("tft", {"causal": True}),
    **{f"tft no {part}": ("tft", {part: False}) for part in ("gating", "static_encoders", "selection", "recurrence")},
    "tft no attention": ("tft", {"attention": False, "steps": STEPS}),
}
# Every system, in the forms that train differently -> steps that it needs to memorise, changes of its table. A
# likelihood (deepar) needs more, and two layers are enough.
MEMORISING: dict[str, tuple[int, dict[str, Any]]] = {
    "branches": (120, {}),
    "first_place": (120, {}),
    "third_place": (300, {}),
    "seq2seq": (120, {}),
    "seq2seq autoregressive": (120, {}),
    "gnmt": (120, {}),
    "deepar": (600, {"layers": 2}),
    "deepar autoregressive": (600, {"layers": 2}),
    "esrnn": (120, {}),
    "esrnn forecast": (120, {}),
    "nhits": (120, {}),
    "patchtst": (120, {"dropout": 0.0}),
    "wavenet": (120, {}),
    "wavenet observed": (120, {}),
    "tft": (120, {"dropout": 0.0}),
}
OBSERVED = {"esrnn forecast", "nhits", "seq2seq autoregressive", "wavenet observed"}
FORECASTS = {"nhits"}  # read nothing but the known target, and have no answer where it is known
every = pytest.mark.parametrize("form", FORMS)


def causal(form: str) -> bool:
    """What its config declares: an output never depends on later inputs."""
    name, table = FORMS[form]
    return bool(getattr(MODELS[name].config(**table), "causal", False))


def targets_of(form: str, count: int = 2) -> Targets:
    return Targets(count=count, observed=3 if form in OBSERVED else 0)


def input_channels(targets: Targets) -> int:
    """Count the features of a network's input that hold the known target."""
    return targets.count + 1 if targets.observed else 0


def make(form: str, seed: int = 0, count: int = 2, **changes: Any) -> nn.Module:
    name, table = FORMS[form]
    targets = targets_of(form, count)
    torch.manual_seed(seed)
    config = MODELS[name].config(**{"width": 8, **table, **changes})
    network: nn.Module = MODELS[name].make(config, FEATURES + input_channels(targets), LEVELS, targets).eval()
    return network


def batch(form: str, seed: int = 1, series: int = SERIES, steps: int = STEPS, count: int = 2) -> tuple[Tensor, Tensor]:
    """x (B, T, F) with the known target behind, and static codes (B, 2)."""
    random = torch.Generator().manual_seed(seed)
    x, targets = torch.randn(series, steps, FEATURES, generator=random), targets_of(form, count)
    if targets.observed:
        given = (torch.arange(steps) < targets.observed).float().expand(series, -1).unsqueeze(-1)
        x = torch.cat([x, torch.randn(series, steps, count, generator=random) * given, given], dim=-1)
    return x, torch.arange(series)[:, None] % torch.tensor([4, 3])


def trained_on(network: nn.Module, x: Tensor, static: Tensor, mask: Tensor | None, y: Tensor) -> Tensor:
    """Raw outputs as the trainer computes them."""
    more = {"y": y} if getattr(network, "takes_target", False) else {}
    raw: Tensor = network.head(network(x, static, mask, **more).float())
    return raw


def test_every_network_of_the_registry_is_here() -> None:
    networks = {name for name, part in MODELS.items() if part.config.kind == "network"} - {"hybrid"}
    assert {name for name, _ in FORMS.values()} == {FORMS[form][0] for form in MEMORISING} == networks
    assert {form for form in FORMS if causal(form)} > {"esrnn causal", "deepar autoregressive", "wavenet"}


@every
@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (3, 9)])
def test_any_batch_gets_a_finite_prediction_of_its_shape(form: str, shape: tuple[int, int]) -> None:
    network, (x, static) = make(form), batch(form, series=shape[0], steps=shape[1])
    raw = network.head(network(x, static, None))
    scored = torch.ones(shape, dtype=torch.bool)
    prediction = network.head.predict(raw, scored)
    assert prediction.shape == (*shape, 2) and prediction.dtype == torch.float32 and prediction.isfinite().all()


@every
@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "padded"])
def test_finite_gradients_reach_every_parameter(form: str, mask: Tensor | None) -> None:
    network, (x, static) = make(form).train(), batch(form)
    y, known = torch.randn(SERIES, STEPS, 2), None if mask is None else mask.unsqueeze(-1).expand(-1, -1, 2)
    network.head.loss(trained_on(network, x, static, mask, y), y, MASK.float(), known).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@every
def test_permuting_the_batch_permutes_the_output(form: str) -> None:
    network, (x, static), order = make(form), batch(form), torch.tensor([3, 0, 4, 1, 2])
    straight = network(x, static, MASK)[order]
    torch.testing.assert_close(network(x[order], static[order], MASK[order])[MASK[order]], straight[MASK[order]])


@every
def test_no_mask_is_a_mask_that_is_true_everywhere(form: str) -> None:
    network, (x, static) = make(form), batch(form)
    torch.testing.assert_close(network(x, static, None), network(x, static, torch.ones_like(MASK)))


@every
def test_a_padded_series_is_the_series_alone_whatever_stands_behind_it(form: str) -> None:
    network, (x, static) = make(form), batch(form)
    together = network(torch.where(MASK.unsqueeze(-1), x, 1e3 * torch.randn_like(x)), static, MASK)
    for number, length in enumerate(LENGTHS.tolist()):
        alone = network(x[number : number + 1, :length], static[number : number + 1], None)
        torch.testing.assert_close(together[number, :length], alone[0])


@every
def test_declared_causality_is_measured(form: str) -> None:
    network, (x, static) = make(form), batch(form)
    changed = x.clone()
    changed[:, -1, :FEATURES] += 1.0
    before, after = network(x, static, None)[:, :-1], network(changed, static, None)[:, :-1]
    assert torch.equal(before, after) if causal(form) else not torch.allclose(before, after)


@every
def test_gradients_reach_all_steps_or_all_up_to_the_answers_own(form: str) -> None:
    """Free running, an output depends even on steps before its window, through the outputs in between."""
    network, (x, static), step = make(form), batch(form), 4
    found = receptive_field(partial(network, static=static, mask=None), x, step)
    last = targets_of(form).observed if form in FORECASTS else step + 1 if causal(form) else STEPS
    assert found == list(range(last))


@every
def test_eval_mode_is_deterministic(form: str) -> None:
    network, (x, static) = make(form), batch(form)
    assert torch.equal(network(x, static, MASK), network(x, static, MASK))


@every
def test_threads_that_share_it_in_eval_mode_get_the_same_bits(form: str) -> None:
    network, batches = make(form), [batch(form, seed) for seed in range(12)]
    with torch.no_grad():
        alone = [network(*each, MASK) for each in batches]
    run = torch.no_grad()(lambda each: network(*each, MASK))  # each thread has a switch of its own
    with ThreadPoolExecutor(3, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as pool:
        assert all(map(torch.equal, pool.map(run, batches), alone))


@every
def test_in_bfloat16_the_prediction_is_nearly_the_same(form: str) -> None:
    network, (x, static) = make(form), batch(form)
    y, scored = torch.randn(SERIES, STEPS, 2, generator=torch.Generator().manual_seed(2)), torch.ones_like(MASK)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = trained_on(network, x, static, MASK, y)
    exact, rounded = (
        network.head.predict(raw.float(), scored) for raw in (trained_on(network, x, static, MASK, y), rounded)
    )
    torch.testing.assert_close(rounded[MASK], exact[MASK], atol=0.15, rtol=0.15)


@every
def test_saved_and_loaded_weights_give_the_same_bits(form: str, tmp_path: Path) -> None:
    network, (x, static) = make(form), batch(form)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    other = make(form, seed=99)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other.head(other(x, static, MASK)), network.head(network(x, static, MASK)))


@every
def test_mixtures_of_one_code_each_are_the_codes(form: str) -> None:
    network, (x, static) = make(form), batch(form)
    mixture = functional.one_hot(static, 4).float()  # (B, S, L)
    torch.testing.assert_close(network(x, mixture, MASK), network(x, static, MASK))


@pytest.mark.learned
@pytest.mark.parametrize("form", MEMORISING)
def test_it_can_memorise_eight_series(form: str) -> None:
    steps, table = MEMORISING[form]
    network = make(form, count=1, width=32, **table)
    x, static = batch(form, series=8, steps=6, count=1)
    y = torch.randn(8, 6, 1, generator=torch.Generator().manual_seed(2))
    if targets_of(form).observed:
        y[:, :3] = known_target(x, targets_of(form, 1))[0][:, :3]
    scored = torch.ones(8, 6, dtype=torch.bool)
    first = targets_of(form).observed if form in FORECASTS else 0

    def error() -> Tensor:
        predicted = network.head.predict(trained_on(network, x, static, None, y), scored)
        return (predicted - y).abs()[:, first:].mean()

    found = memorise(
        network,
        lambda: network.head.loss(trained_on(network, x, static, None, y), y, scored.float(), None),
        error,
        lr=2e-2,
        steps=steps,
        bound=0.3,
    )
    assert found < 0.3  # of a target whose mean size is 0.8


@every
def test_a_cells_key_knows_every_file_of_the_project_it_imports(form: str) -> None:
    name, table = FORMS[form]
    known_files = {path.name for path in source_of(name, table)}
    for path in source_of(name, table):
        for line in path.read_text(encoding="utf-8").splitlines():
            module = line.removeprefix("from foldline.models.").split(" import")[0]
            if line.startswith("from foldline.models.") and module not in ("heads", "blocks"):
                assert f"{module.split('.')[-1]}.py" in known_files, f"{path.name}: {line}"

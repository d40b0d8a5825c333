"""Networks of ours beside another library's, layer by layer, on copied weights. Run: ./run.sh bench published [--train]

The other library is tsai, which is installed, pinned, into an environment of its own below the cache folder: it needs
another scikit-learn. Weights are drawn here, running statistics too, and copied there; each layer's output, in training
by the statistics of the batch and in prediction by the running ones, the gradient of the input and the statistics after
a step are compared in float64. Ours get the series with padding behind them, tsai's without. Exits 1 where any of them
differs by more than 1e-9 of the largest number.

--train also trains InceptionTime on both sides (published_train.py), and compares ROCKET's features with aeon's, whose
environment is that of `./run.sh bench uea`; --page writes both tables to docs/published.md. It exits 1, too, where the
ranges of a score over the seeds don't overlap, or features differ by more than a step at a bias.

tsai's kernels are odd, 39 for InceptionTime's published 40 and 7 for ResNet's 8, and where a shortcut changes no width
its InceptionTime has no convolution: ours has the same kernels here, and the identity there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foldline.core.console import Terminal
from foldline.models.blocks import inception, se_resnet
from foldline.models.contract import Block

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import environments, published_names, published_train, uea  # noqa: E402
from benchmarks.pages import Page  # noqa: E402

RIVAL = ROOT / "benchmarks" / "published_tsai.py"
VERSION = "1.0.1"  # of tsai
SERIES, CHANNELS, STEPS, PADDED, SEED = 4, 9, 50, 7, 0
CLOSE = 1e-9


@dataclass(frozen=True)
class Network:
    """A network of ours, and where its parts are in tsai's."""

    name: str
    ours: Block  # in float64
    layers: dict[str, Any]  # tsai's name of a layer -> ours, in order
    weights: dict[str, Tensor]  # tsai's name -> parameter or running statistic


def inception_time() -> Network:
    """Make InceptionTime's block at the published sizes."""
    ours = inception.Inception(inception.Config(width=128, kernel=39, norm="batch"), CHANNELS).double()
    published_names.without_second_shortcut(ours)
    return Network("InceptionTime", ours, published_names.layers(ours), published_names.weights(ours))


def residual_network() -> Network:
    """Make Wang's network, without weights of channels, at the published widths and tsai's kernels."""
    config = se_resnet.Config(width=128, kernels=(7, 5, 3), reduction=0, norm="batch")
    ours = se_resnet.SEResNet(config, CHANNELS).double()
    layers: dict[str, Any] = {}
    weights: dict[str, Tensor] = {}
    units: Any = ours.units
    for place, unit in enumerate(units, 1):
        name = f"resblock{place}"
        layers[name] = unit
        for number, (convolution, norm) in enumerate(zip(unit.convolutions, unit.norms, strict=True), 1):
            weights[f"{name}.convblock{number}.0.weight"] = convolution.conv.weight
            weights |= {f"{name}.convblock{number}.1.{key}": value for key, value in norm.state_dict().items()}
        layers[f"{name}.shortcut"] = unit.shortcut
        widened = not isinstance(unit.shortcut.conv, nn.Identity)
        if widened:
            weights[f"{name}.shortcut.0.weight"] = unit.shortcut.conv.weight
        behind = f"{name}.shortcut.1" if widened else f"{name}.shortcut"
        weights |= {f"{behind}.{key}": value for key, value in unit.shortcut.norm.state_dict().items()}
    return Network("ResNet", ours, layers, weights)


def draw_statistics(network: nn.Module) -> None:
    """Give norms weights and running statistics that are not 1 and 0."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def outputs(network: Network, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield what is compared, by name: in prediction and then in training each layer's output, and what a step leaves.

    x: (B, T, C).
    """
    mask = (torch.arange(STEPS + PADDED) < STEPS).expand(len(x), -1)
    padding = 1e3 * torch.randn(len(x), PADDED, x.shape[2], dtype=x.dtype)
    for mode in ("prediction", "training"):
        network.ours.train(mode == "training")
        given, found = x.clone().requires_grad_(), dict[str, Tensor]()
        handles = [
            layer.register_forward_hook(partial(keep, found, f"{mode} {name}"))
            for name, layer in network.layers.items()
        ]
        out = network.ours(torch.cat([given, padding], dim=1), mask)[:, :STEPS].transpose(1, 2)  # (B, width, T)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        for handle in handles:
            handle.remove()
        assert given.grad is not None
        yield from found.items()
        yield f"{mode} output", out.detach()
        yield f"{mode} gradient", given.grad.transpose(1, 2)
    for name, value in network.weights.items():
        if "running" in name:
            yield f"after {name}", value


def keep(found: dict[str, Tensor], name: str, module: nn.Module, inputs: object, output: Tensor) -> None:
    """Keep a layer's output at real steps: its forward hook."""
    found[name] = output.detach()[..., :STEPS]


def compared(network: Network, python: Path, folder: Path) -> dict[str, float]:
    """Return, by what is compared, the largest difference as a share of the largest number."""
    draw_statistics(network.ours)
    x = torch.randn(SERIES, STEPS, CHANNELS, dtype=torch.float64)
    tensors = {"x": x.transpose(1, 2)}
    tensors |= {f"weights {name}": value.detach().clone() for name, value in network.weights.items()}
    tensors |= outputs(network, x)
    path = folder / f"{network.name}.npz"
    arrays: dict[str, Any] = {name: value.numpy() for name, value in tensors.items()}
    np.savez(path, **arrays)
    said = subprocess.check_output([str(python), str(RIVAL), network.name, str(path)], text=True)
    answer: dict[str, float] = json.loads(said.splitlines()[-1])
    return answer


def layer_by_layer(terminal: Terminal, python: Path) -> bool:
    """Compare every network, and print a table of the largest differences. Return whether all are close."""
    rows, worst = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for network in (inception_time(), residual_network()):
            differences = compared(network, python, Path(folder))
            worst = max(worst, *differences.values())
            for kind in ("prediction", "training", "after"):
                of_kind = {name: value for name, value in differences.items() if name.startswith(kind)}
                largest = max(of_kind, key=lambda name: of_kind[name])
                rows.append((network.name, kind, str(len(of_kind)), f"{of_kind[largest]:.1e}", largest))
    columns = ("network", "in", "compared", "largest difference", "where")
    terminal.table(f"beside tsai {VERSION}", columns, rows)
    print(f"largest difference to tsai {VERSION}: {worst:.1e} of the largest number, {CLOSE:.0e} is allowed")
    return worst <= CLOSE


def main() -> int:
    """Compare; 1 where a comparison fails."""
    parser = argparse.ArgumentParser(description="Compare networks with tsai's, layer by layer.")
    parser.add_argument(
        "--train", action="store_true", help="also train both, and compare ROCKET's features with aeon's"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of each side (3)")
    parser.add_argument("--page", action="store_true", help="with --train: write docs/published.md")
    asked = parser.parse_args()
    if asked.seeds < 1 or (asked.page and not asked.train):
        parser.error("--seeds must be at least 1, and --page goes with --train")
    torch.manual_seed(SEED)
    terminal = Terminal()
    tsai = environments.environment(environments.CACHE / "tsai", [f"tsai=={VERSION}"])
    good = layer_by_layer(terminal, tsai)
    if asked.train:
        page = Page(ROOT / "docs" / "published.md" if asked.page else None)
        good &= published_train.run(terminal, tsai, uea.environment(), asked.seeds, page)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())

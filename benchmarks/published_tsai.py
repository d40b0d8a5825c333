"""The other side of benchmarks/published.py, run in tsai's environment: its networks with the weights of a file.

    python benchmarks/published_tsai.py NETWORK FILE      largest differences to the file's numbers, as JSON

Nothing of foldline here.
"""

import argparse
import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np


def network_of(name: str, channels: int) -> Any:
    """Make tsai's network without its pooling and classes."""
    import torch

    with warnings.catch_warnings():  # what its dependencies deprecate
        warnings.simplefilter("ignore")
        from tsai.models.InceptionTime import InceptionBlock  # type: ignore[import-not-found]
        from tsai.models.ResNet import ResNet  # type: ignore[import-not-found]

    if name == "InceptionTime":
        return InceptionBlock(channels).double()
    network = ResNet(channels, 2).double()
    network.squeeze, network.gap, network.fc = (torch.nn.Identity() for _ in range(3))
    return network


def outputs(network: Any, layers: list[str], x: Any) -> dict[str, Any]:
    """Return what is compared, by name: as benchmarks/published.py has it."""
    import torch

    found: dict[str, Any] = {}
    modules = dict(network.named_modules())
    for mode in ("prediction", "training"):
        network.train(mode == "training")
        given = x.clone().requires_grad_()
        hooks = {layer: partial(keep, found, f"{mode} {layer}") for layer in layers}
        handles = [modules[layer].register_forward_hook(hook) for layer, hook in hooks.items()]
        out = network(given)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        for handle in handles:
            handle.remove()
        found |= {f"{mode} output": out.detach(), f"{mode} gradient": given.grad}
    return found


def keep(found: dict[str, Any], name: str, module: Any, inputs: Any, output: Any) -> None:
    """Keep a layer's output: its forward hook."""
    found[name] = output.detach()


def main() -> None:
    """Copy the weights, run, compare."""
    import torch

    parser = argparse.ArgumentParser(description="Compare tsai's network with the numbers of a file.")
    parser.add_argument("network")
    parser.add_argument("file", type=Path)
    asked = parser.parse_args()
    expected = dict(np.load(asked.file))
    x = torch.from_numpy(expected.pop("x"))
    weights = {name[8:]: torch.from_numpy(expected.pop(name)) for name in list(expected) if name.startswith("weights ")}
    network = network_of(asked.network, x.shape[1])
    network.load_state_dict(weights)  # strict: all of its weights are given, and no others
    words = {name.partition(" ")[2] for name in expected if name.startswith("training ")}
    found = outputs(network, sorted(words - {"output", "gradient"}), x)
    found |= {f"after {name}": value for name, value in network.state_dict().items() if "running" in name}
    assert set(found) == set(expected), set(found) ^ set(expected)
    differences = {}
    for name, value in expected.items():
        other = found[name].detach().numpy()
        assert other.shape == value.shape, (name, other.shape, value.shape)
        differences[name] = float(np.abs(other - value).max() / np.abs(value).max())
    print(json.dumps(differences))


if __name__ == "__main__":
    main()

"""The other side of benchmarks/published.py, run in tsai's environment: its networks with the weights of a file.

    python benchmarks/published_tsai.py NETWORK FILE      largest differences to the file's numbers, as JSON
    python benchmarks/published_tsai.py trained FILE      InceptionTime trained as the file says, CPU seconds, as JSON

Nothing of foldline here.
"""

import argparse
import json
import resource
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


def trained(given: dict[str, np.ndarray], weights: dict[str, Any], order: Any) -> np.ndarray:
    """Train tsai's InceptionTime by a plain loop and return the test series' probabilities, (N, classes).

    Args:
        given: x (N, C, T), y (N,), test (N, C, T), filters, classes, batch, clip and weight_decay, and of each step its
            learning rate.
        weights: the first ones; none: as tsai draws them.
        order: returns the order of the series in an epoch, by its number.
    """
    import torch

    with warnings.catch_warnings():  # what its dependencies deprecate
        warnings.simplefilter("ignore")
        from tsai.models.InceptionTime import InceptionTime

    x, y, test = (torch.from_numpy(given[name]) for name in ("x", "y", "test"))
    network = InceptionTime(x.shape[1], int(given["classes"]), nf=int(given["filters"]))
    if weights:
        network.load_state_dict(weights)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1.0, weight_decay=float(given["weight_decay"]))
    rates, batch = given["rates"].tolist(), int(given["batch"])
    per_epoch = -(-len(x) // batch)
    network.train()
    for step, rate in enumerate(rates):
        if step % per_epoch == 0:
            places = torch.as_tensor(order(step // per_epoch))
        chosen = places[step % per_epoch * batch :][:batch]
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(x[chosen]), y[chosen]).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), float(given["clip"]))
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
    network.eval()
    with torch.no_grad():
        return np.asarray(network(test).softmax(dim=-1).numpy())


def train(path: Path) -> None:
    """Train once from the file's weights in its order of series, and once for each of its seeds; add what came out."""
    import torch

    torch.set_num_threads(1)
    given = dict(np.load(path))
    weights = {name[8:]: torch.from_numpy(given[name]) for name in given if name.startswith("weights ")}
    found = {"same start": trained(given, weights, lambda epoch: given["orders"][epoch])}
    for seed in given["seeds"].tolist():
        torch.manual_seed(seed)
        found[f"seed {seed}"] = trained(given, {}, lambda epoch: torch.randperm(len(given["x"])))
    arrays: dict[str, Any] = found
    np.savez(path.with_suffix(".found.npz"), **arrays)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu_s": usage.ru_utime + usage.ru_stime}))


def main() -> None:
    """Copy the weights, run, compare; or train."""
    import torch

    parser = argparse.ArgumentParser(description="Compare tsai's network with the numbers of a file.")
    parser.add_argument("network")
    parser.add_argument("file", type=Path)
    asked = parser.parse_args()
    if asked.network == "trained":
        train(asked.file)
        return
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

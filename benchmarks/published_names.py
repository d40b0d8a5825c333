"""Where the parts of our InceptionTime are in tsai's: for benchmarks/published.py and its trainings."""

from typing import Any

import torch
from torch import Tensor

from foldline.models.blocks.inception import Inception


def without_second_shortcut(ours: Inception) -> None:
    """Make the convolution of a shortcut whose width stays the identity for good: tsai has none there."""
    weight: Any = ours.shortcuts[1].conv.weight  # type: ignore[union-attr]
    weight.requires_grad_(False).copy_(torch.eye(len(weight)).unsqueeze(2))


def layers(ours: Inception) -> dict[str, Any]:
    """Return the layers by tsai's names, in order."""
    modules = {f"inception.{place}": module for place, module in enumerate(ours.modules_in_order)}
    return modules | {f"shortcut.{place}": shortcut for place, shortcut in enumerate(ours.shortcuts)}


def weights(ours: Inception) -> dict[str, Tensor]:
    """Return parameters and running statistics by tsai's names."""
    found: dict[str, Tensor] = {}
    modules: Any = ours.modules_in_order
    for place, module in enumerate(modules):
        if hasattr(module.bottleneck, "conv"):  # one channel has none, here and there
            found[f"inception.{place}.bottleneck.weight"] = module.bottleneck.conv.weight
        for branch, convolution in enumerate(module.convolutions):
            found[f"inception.{place}.convs.{branch}.weight"] = convolution.conv.weight
        found[f"inception.{place}.maxconvpool.1.weight"] = module.of_maximum.conv.weight
        found |= {f"inception.{place}.bn.{key}": value for key, value in module.norm.state_dict().items()}
    first, second = ours.shortcuts
    found["shortcut.0.0.weight"] = first.conv.weight  # type: ignore[union-attr, assignment]
    found |= {f"shortcut.0.1.{key}": value for key, value in first.norm.state_dict().items()}  # type: ignore[union-attr]
    found |= {f"shortcut.1.{key}": value for key, value in second.norm.state_dict().items()}  # type: ignore[union-attr]
    return found

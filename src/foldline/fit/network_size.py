"""How much memory a network's weights need, found before it is made: a network too large would end the process."""

from __future__ import annotations

import os
from typing import Any

import torch

from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit import network_build
from foldline.models.contract import Targets

COPIES = 4  # of each weight while it is trained: itself, its gradient, and two averages of AdamW


def check(label: str, name: str, params: dict[str, Any], data: Store, targets: Targets, device: str) -> int:
    """Refuse a network whose training needs more memory than there is. Takes none itself.

    Args:
        label: of the model, for messages.
        device: that it is trained on: "cpu", "cuda", "mps".

    Returns:
        Bytes of its weights.

    Raises:
        UserError: it is too large, or can't be made for these series.
    """
    with torch.device("meta"):  # shapes only
        network = network_build.build(
            name,
            params,
            data.channels,
            data.levels,
            network_build.with_known_start(targets, data),
            data.names,
            data.places,
        )
    size = sum(int(weight.nbytes) for weight in network.state_dict().values())
    there = memory(device)
    if COPIES * size > there:
        raise UserError(
            f"model {label!r}: its {size // 4:,} weights need {COPIES * size / 2**30:,.1f} GiB while they are trained "
            f"({COPIES} numbers each), but {'this machine' if device != 'cuda' else 'the GPU'} has "
            f"{there / 2**30:,.1f} GiB. Make it smaller: width, layers, blocks."
        )
    return size


def memory(device: str) -> int:
    """Return the bytes of memory of a device."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES"))

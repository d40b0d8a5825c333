"""Where a fold's features are while networks see them (train.resident): on the device, or in the store.

Read from the store they take no memory, and processes that train on one store share what the system keeps of it. Where
they are changes no bit, so that nothing depends on what this finds.
"""

from __future__ import annotations

import psutil
import torch

from foldline.core.byte_sizes import byte_size
from foldline.fit.train_config import TrainConfig

# Of the memory that is free. On a CPU several processes may look at the same moment, and reading costs little there.
SHARE = {"cuda": 0.5, "mps": 0.25, "cpu": 0.125}


def free_bytes(device: torch.device) -> int:
    """Return how much memory of a device is free, or can be made so."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


def decide(config: TrainConfig, needed: int, device: torch.device) -> tuple[bool, str]:
    """Decide whether features are put on the device, and say why not.

    Args:
        needed: bytes that they would take there.

    Returns:
        Whether they are, and a sentence where "auto" leaves them in the store; else "".
    """
    if config.resident != "auto":
        return config.resident == "on", ""
    free = free_bytes(device)
    if needed <= SHARE[device.type] * free:
        return True, ""
    where = "the machine" if device.type == "cpu" else "the device"
    return False, (
        f"its features would take {byte_size(needed)}, and {byte_size(free)} of {where}'s memory are free: batches are "
        f"read from the store (train.resident){_advice(config, needed)}"
    )


def _advice(config: TrainConfig, needed: int) -> str:
    """Name what makes reading faster where the system can't keep a store of so many bytes in memory."""
    if config.shuffle == "blocks" or needed < free_bytes(torch.device("cpu")):
        return ""
    return ', which is larger than memory: train.shuffle = "blocks" reads a disk faster'

"""Which number format a network's body is computed in; head and loss are always fp32.

On a CPU fp32, or bf16 by autocast, which makes some networks slower. On an NVIDIA GPU (process_state.py sets it):

| precision | matrix products | convolutions, recurrences |
|---|---|---|
| fp32 | fp32 | fp32: torch's own default would be TF32 here, and fp32 there |
| tf32 | TF32, head included | TF32 |
| bf16 | bf16 | bf16; recurrences that autocast would make fp16 of are TF32 (models/contract.py) |
| fp16 | fp16, with a loss scale | fp16 |

So `train.precision = "auto"` measures a few steps of each format that the device has, once, and leaves out what its
memory is too small for. The choice is stored under runs/probes; a cell's key holds the choice, not "auto".
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from foldline.core import artefacts, files
from foldline.fit.out_of_memory import FullMemory, free_cache
from foldline.fit.train_config import TrainConfig

GAIN = 1.05  # fp32 stays unless another is at least so many times faster: a smaller gain is a timing's noise


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Make the context for the body's forward pass."""
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    return torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None)


def candidates(device: torch.device) -> list[str]:
    """List the formats to measure on a device: fp32 first."""
    if device.type == "cuda":  # from capability 8.0 (A100) on TF32 and bf16 are computed by the tensor cores
        return ["fp32", "tf32", "bf16"] if torch.cuda.get_device_capability(device)[0] >= 8 else ["fp32", "fp16"]
    return ["fp32", "bf16"] if device.type == "cpu" else ["fp32", "fp16"]


def resolve(config: TrainConfig, what: dict[str, Any], seconds: Callable[[TrainConfig], float]) -> TrainConfig:
    """Replace "auto" by the precision that is used: that of the stored probe, or of one made now.

    Args:
        what: all that the speed depends on besides the machine (network, sizes), JSON-able.
        seconds: measures the seconds of a training step, given a config with a definite precision.

    Raises:
        FullMemory: the device's memory is too small for each of them.
    """
    if config.precision != "auto":
        return config
    path = files.runs() / "probes" / f"{files.digest({'what': what, 'machine': machine(config)})}.json"
    try:
        return replace(config, precision=artefacts.read_json(path)["precision"])
    except artefacts.Damaged as why:
        if path.exists():
            artefacts.say(path, str(why), "it is measured again")
        measured = _measured(config, seconds)
        fastest = min(measured, key=lambda name: measured[name] * (1 if name == "fp32" else GAIN))
        artefacts.write_json(path, {"precision": fastest, "seconds_a_step": measured, "what": what})
        return replace(config, precision=fastest)  # type: ignore[arg-type]


def _measured(config: TrainConfig, seconds: Callable[[TrainConfig], float]) -> dict[str, float]:
    """Measure the seconds of a step in each format of the device that fits its memory.

    Raises:
        FullMemory: none does.
    """
    device, found, full = torch.device(config.device_used), dict[str, float](), list[str]()
    for name in candidates(device):
        try:
            found[name] = seconds(replace(config, precision=name))  # type: ignore[arg-type]
        except FullMemory as error:
            full.append(str(error))  # not the error itself, whose traceback holds what fills the memory
        if full:
            free_cache(device)
    if not found:
        raise FullMemory(full[0])
    return found


def machine(config: TrainConfig) -> dict[str, Any]:
    """Describe what the speed depends on besides the network."""
    device = config.device_used
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return {"device": device, "name": name, "threads": config.threads, "torch": torch.__version__}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor() or platform.machine()} x {os.cpu_count()}"

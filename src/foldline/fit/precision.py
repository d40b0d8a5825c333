"""Which number format a network's body is computed in; head and loss are always fp32.

bf16 is no free switch: on a CPU it makes some nets slower, T4 and P100 lack it (fp16 with a loss scale stands in). So
`train.precision = "auto"` measures a few steps of each that the device has, once; the choice is stored under
runs/probes, and it is the choice, not "auto", that a cell's key holds.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from foldline.core import files
from foldline.fit.train_config import TrainConfig

GAIN = 1.05  # fp32 stays unless another is at least so many times faster


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context for the body's forward pass."""
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    return torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None)


def candidates(device: torch.device) -> list[str]:
    """Formats worth a trial on a device: fp32 first."""
    if device.type == "cuda":
        return ["fp32", "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp16"]
    return ["fp32", "bf16"] if device.type == "cpu" else ["fp32", "fp16"]


def resolve(config: TrainConfig, what: dict[str, Any], seconds: Callable[[TrainConfig], float]) -> TrainConfig:
    """`config` with the precision that is used; "auto" is decided by the stored probe, or by one made now.

    Args:
        what: JSON-able, all that the speed depends on besides the machine: network, sizes.
        seconds: measures a training step, given a config with a definite precision.
    """
    if config.precision != "auto":
        return config
    path = files.runs() / "probes" / f"{files.digest({'what': what, 'machine': machine(config)})}.json"
    if not path.exists():
        names = candidates(torch.device(config.device_used))
        measured = {name: seconds(replace(config, precision=name)) for name in names}  # type: ignore[arg-type]
        fastest = min(measured, key=lambda name: measured[name] * (1 if name == "fp32" else GAIN))
        files.write_json(path, {"precision": fastest, "seconds_a_step": measured, "what": what})
    return replace(config, precision=files.read_json(path)["precision"])


def machine(config: TrainConfig) -> dict[str, Any]:
    """What the speed depends on besides the network."""
    device = config.device_used
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return {"device": device, "name": name, "threads": config.threads, "torch": torch.__version__}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor() or platform.machine()} x {os.cpu_count()}"

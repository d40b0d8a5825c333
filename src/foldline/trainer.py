"""Training one network on one fold: plain tensors on the device, batches by index, one linear loop.

No DataLoader: the fold lives on the device, and a batch is an index. Nothing here looks at the held-out fold: the loop
runs for a fixed number of epochs and keeps the last weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

import models
from foldline import files
from foldline.errors import UserError
from foldline.scaler import Scaler
from foldline.store import Dense

VERSION = 1  # part of a cell's key: raise it when a change here, in scaler.py or store.py changes what comes out
BYTES_PER_CHUNK = 256 << 20  # features scaled and sent to the device at once

Emit = Callable[..., None]  # emit("epoch", epoch=3, of=20, loss=0.1): progress and history


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """[train]: how networks are fitted. A [[model]] may change any of it for itself with `train = {epochs = 10}`."""

    epochs: int = 20
    batch: int = 64  # series
    lr: float = 2e-3  # AdamW's peak learning rate
    weight_decay: float = 0.01
    schedule: Literal["cosine", "flat-cosine", "constant"] = "cosine"  # after a warm-up of 2 % of the steps
    clip: float = 1.0  # largest norm of the gradient; 0: not clipped
    margin: int = -1  # steps kept behind the last scored one, the rest is cropped; -1: nothing is cropped
    precision: Literal["fp32", "bf16"] = "fp32"  # of the body; head and loss are always fp32
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    threads: int = 1  # CPU threads a cell uses; part of the key, because sums depend on it
    seeds: tuple[int, ...] = (0,)  # a cell for each

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ValueError(f"lr must be above 0, but is {self.lr}")
        for name in ("weight_decay", "clip"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be below 0, but is {getattr(self, name)}")
        if self.margin < -1:
            raise ValueError(f"margin must be at least -1, but is {self.margin}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must be different whole numbers, none below 0, but is {list(self.seeds)}")

    @property
    def device_used(self) -> str:
        """The device `auto` stands for on this machine."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError(
                "train.device = 'cuda' needs a GPU that torch can use, but there is none. Use 'auto' or 'cpu'."
            )
        if self.device == "mps" and not torch.backends.mps.is_available():
            raise UserError("train.device = 'mps' needs an Apple GPU, but there is none. Use 'auto' or 'cpu'.")
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


@dataclass
class Resident:
    """Series on the device. Letters as in models/base.py; T is cropped."""

    x: Tensor  # (N, T, F) float32, scaled
    static: Tensor  # (N, S) int64
    mask: Tensor | None  # (N, T) bool; None where all steps are real
    scored: Tensor  # (N, T) bool
    y: Tensor | None  # (N, T, K) float32, scaled

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(x, static, mask) of some series."""
        return self.x[index], self.static[index], None if self.mask is None else self.mask[index]


class NetworkCell:
    """A network with its fold's scaler: fit, predict, save, load."""

    def __init__(self, name: str, params: dict[str, Any], train: TrainConfig, scaler: Scaler) -> None:
        self.name, self.params, self.train, self.scaler = name, params, train, scaler
        self.network: nn.Module | None = None
        self.steps = 0  # T it was fitted on, after cropping

    def fit(self, data: Dense, series: np.ndarray, seed: int, emit: Emit) -> None:
        """Fit on the given series (indices into `data`), and on nothing else."""
        config, device = self.train, torch.device(self.train.device_used)
        _be_deterministic(config.threads, device)
        torch.manual_seed(seed)
        self.steps = kept_steps(config.margin, data)
        fold = self._resident(data, series, device)
        self.network = network = self._build(data).to(device)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=device.type != "mps"
        )
        per_epoch = math.ceil(len(series) / config.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lr_factor(config.schedule, config.epochs * per_epoch))
        order = torch.Generator().manual_seed(seed)
        network.train()
        for epoch in range(config.epochs):
            began, total = time.perf_counter(), torch.zeros((), device=device)
            shuffled = torch.randperm(len(series), generator=order).to(device)
            for step, index in enumerate(torch.split(shuffled, config.batch)):
                with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                    hidden = network(*fold.batch(index))
                loss = network.head.loss(network.head(hidden.float()), fold.y[index], fold.scored[index])  # type: ignore[union-attr, operator, index]
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                if config.clip:
                    nn.utils.clip_grad_norm_(network.parameters(), config.clip)
                optimiser.step()
                schedule.step()
                total += loss.detach() * len(index)
                emit("progress", done=epoch + (step + 1) / per_epoch, of=config.epochs)
            mean = float(total) / len(series)
            if not math.isfinite(mean):
                raise UserError(
                    f"The training loss became {mean} in epoch {epoch + 1} of {self.name}. "
                    "Lower train.lr, or set train.clip = 1."
                )
            seconds = time.perf_counter() - began
            emit("epoch", epoch=epoch + 1, loss=mean, lr=schedule.get_last_lr()[0], **{"time.epoch_s": seconds})

    @torch.no_grad()
    def predict(self, data: Dense, series: np.ndarray) -> np.ndarray:
        """(n, T, K) float64 predictions, in the target's own unit; the last kept step is repeated over cropped ones."""
        assert self.network is not None, "fit or load first"
        device = torch.device(self.train.device_used)
        _be_deterministic(self.train.threads, device)
        self.network.to(device).eval()
        fold = self._resident(data, series, device)
        parts = []
        for index in torch.split(torch.arange(len(series), device=device), 4 * self.train.batch):
            with torch.autocast(device.type, torch.bfloat16, enabled=self.train.precision == "bf16"):
                hidden = self.network(*fold.batch(index))
            parts.append(self.network.head.predict(self.network.head(hidden.float())).cpu())  # type: ignore[union-attr, operator]
        scaled = torch.cat(parts).numpy().astype(np.float64)
        kept = scaled * self.scaler.y_scale + self.scaler.y_center
        missing = data.x.shape[1] - kept.shape[1]
        return np.pad(kept, ((0, 0), (0, missing), (0, 0)), mode="edge")

    def save(self, folder: Path) -> None:
        """weights.safetensors; its metadata holds `steps`."""
        assert self.network is not None, "fit or load first"
        tensors = {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()}
        with files.atomic(folder / "weights.safetensors") as stream:
            stream.write(safetensors.torch.save(tensors, metadata={"steps": str(self.steps)}))

    def load(self, folder: Path, data: Dense) -> None:
        """Read what `save` wrote; `data` tells the number of features and targets."""
        with safetensors.safe_open(folder / "weights.safetensors", framework="pt") as stored:
            self.steps = int(stored.metadata()["steps"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  (no mapping)
        self.network = self._build(data)
        self.network.load_state_dict(tensors)

    def _build(self, data: Dense) -> nn.Module:
        part = models.MODELS[self.name]
        network: nn.Module = part.make(
            part.config(**self.params), len(data.names), data.levels, len(self.scaler.y_center)
        )
        return network

    def _resident(self, data: Dense, series: np.ndarray, device: torch.device) -> Resident:
        # T is that of training, whatever else is in the file: more only where a step is scored that training has not.
        steps = min(max(self.steps, kept_steps(self.train.margin, data)), data.x.shape[1])
        center = torch.from_numpy(self.scaler.center.astype(np.float32)).to(device)
        scale = torch.from_numpy((1 / self.scaler.scale).astype(np.float32)).to(device)
        x = torch.empty(len(series), steps, len(data.names), device=device)
        rows = max(1, BYTES_PER_CHUNK // (4 * data.x.shape[1] * len(data.names)))
        for first in range(0, len(series), rows):
            part = torch.from_numpy(np.ascontiguousarray(data.x[series[first : first + rows], :steps])).to(device)
            x[first : first + rows] = (part - center) * scale
        mask = torch.from_numpy(data.mask[series, :steps]).to(device)
        y = None
        if data.y is not None:
            scaled = (data.y[series, :steps] - self.scaler.y_center) / self.scaler.y_scale
            y = torch.from_numpy(scaled.astype(np.float32)).to(device)
        return Resident(
            x,
            torch.from_numpy(data.static[series]).to(device),
            None if bool(mask.all()) else mask,
            torch.from_numpy(data.scored[series, :steps]).to(device),
            y,
        )


def kept_steps(margin: int, data: Dense) -> int:
    """T after cropping: up to the last scored step of any series, and `margin` more; -1 keeps all."""
    if margin < 0:
        return int(data.x.shape[1])
    last = int(np.flatnonzero(data.scored.any(axis=0))[-1])
    return min(last + 1 + margin, int(data.x.shape[1]))


def lr_factor(schedule: str, steps: int) -> Callable[[int], float]:
    """Step -> factor on the peak rate: up over 2 % of the steps, then flat, cosine to 0, or flat 75 % then cosine."""
    warm = max(1, steps // 50)
    flat = {"cosine": 0.0, "flat-cosine": 0.75, "constant": 1.0}[schedule] * steps

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        begin = max(flat, warm)
        progress = 0.0 if step < begin else (step - begin) / max(1.0, steps - begin)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor


def _be_deterministic(threads: int, device: torch.device) -> None:
    """Same bits for the same threads. The CPU needs no more: the flag would import torch's compiler, for seconds."""
    torch.set_num_threads(threads)
    if device.type != "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)

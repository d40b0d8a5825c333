"""All that training changes, in one place: a checkpoint is this and nothing else, so that a killed run goes on.

It holds no state of random numbers: every draw of a step depends on (seed, epoch, step) alone.
"""

from __future__ import annotations

import copy
import json
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from foldline.core import artefacts
from foldline.fit import checkpoint
from foldline.fit.checkpoint import CHECKPOINT
from foldline.fit.out_of_memory import NETWORK_IS_TOO_LARGE, reporting_full_memory
from foldline.fit.ranks import ALONE
from foldline.fit.step_graphs import StepGraphs
from foldline.fit.train_config import TrainConfig


@dataclass
class Counters:
    """What a checkpoint holds besides tensors; JSON-able."""

    epoch: int = 0  # finished ones
    step: int = 0  # finished ones of the epoch that runs
    seconds: float = 0.0  # spent in the epoch that runs
    averaged: int = 0  # how many weights are in the average
    micro: int = 0  # series per pass, where memory made them fewer than the config says; 0: as the config says
    rate: float = 1.0  # what the plateau schedule has made of the learning rate
    best_score: float | None = None  # of the watched series; None: none was scored yet
    best_epoch: int = 0
    lowered: int = 0  # epoch in which the plateau schedule last lowered the rate
    history: list[dict[str, float]] = field(default_factory=list)  # one row a finished epoch


def _copied(network: nn.Module) -> nn.Module:
    """Copy a network that predicts; on a GPU cuDNN wants a layer's weights in one piece, which a copy takes apart."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if isinstance(module, nn.RNNBase):
            module.flatten_parameters()  # else it is done, with a warning, at every call
    return copied


class State:
    """Network, optimiser, averaged weights, best weights, loss scale, counters."""

    def __init__(self, network: nn.Module, config: TrainConfig, device: torch.device) -> None:
        """Allocate all that training needs beside data and passes.

        Raises:
            UserError: the device's memory is full.
        """
        with reporting_full_memory(NETWORK_IS_TOO_LARGE):
            self._allocate(network.to(device), config, device)
        self.counters = Counters()
        self.graphs = StepGraphs(self.parameters) if config.graphs else None  # nothing that a checkpoint would need

    def _allocate(self, network: nn.Module, config: TrainConfig, device: torch.device) -> None:
        self.network, self.parameters = network, list(network.parameters())
        fused = device.type != "mps"  # one kernel for all weights, which needs no memory; MPS has none
        self.optimiser = torch.optim.AdamW(self.parameters, lr=config.lr, weight_decay=config.weight_decay, fused=fused)
        _allocate_moments(self.optimiser, device if fused else torch.device("cpu"))
        self.ema = config.ema
        self.averaged = _copied(network) if config.ema or config.average else None
        # Early stopping may end training at any epoch: the weights of the last `average` ones are kept, in the host's
        # memory. Without it the first epoch to average is known, and a running mean is enough.
        self.window = deque[list[Tensor]](maxlen=config.average) if config.average and config.watch.stop else None
        self.best = _copied(network) if config.watch.best else None
        self.loss_scale = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self.ranks = ALONE  # the processes that train it
        self.together: nn.Module | None = None  # what exchanges their gradients, where there are several
        self.total = torch.zeros(2, device=device)  # sums over the epoch that runs: loss x weight, weight

    @property
    def predictor(self) -> nn.Module:
        """The network that would predict if training ended here."""
        return self.averaged if self.averaged is not None and self.counters.averaged else self.network

    @property
    def final(self) -> nn.Module:
        """The network that training ends with."""
        return self.predictor if self.best is None else self.best

    def add_loss(self, loss: Tensor, weight: Tensor) -> None:
        """Count a batch's loss, (), in the mean over the epoch that runs. weight: (), of all its steps."""
        self.total += torch.stack([loss * weight, weight])

    @torch.no_grad()
    def average(self) -> None:
        """Take the weights as they are now into the average.

        With `ema` an exponential one over steps; with `average` a plain one over epochs, where training may stop early
        over the last so many of them.
        """
        weights: list[Tensor] = list(self.parameters)
        if self.window is None:
            self._add_to_average(weights)
            return
        self.window.append([weight.to("cpu", copy=True) for weight in weights])
        self.counters.averaged = 0
        for epoch in self.window:
            self._add_to_average([mine.to(weight.device) for mine, weight in zip(epoch, weights, strict=True)])

    def _add_to_average(self, weights: list[Tensor]) -> None:
        """Add to the mean of `counters.averaged` sets of weights.

        The decay of an exponential average is lower at first, (1 + n) / (10 + n), so that the initial weights are soon
        forgotten.
        """
        assert self.averaged is not None, "nothing is averaged"
        count = self.counters.averaged
        mean: list[Tensor] = list(self.averaged.parameters())
        if count == 0:
            torch._foreach_copy_(mean, weights)
        elif self.ema:
            get_ema_multi_avg_fn(min(self.ema, (1 + count) / (10 + count)))(mean, weights, count)  # type: ignore[no-untyped-call]
        else:
            get_swa_multi_avg_fn()(mean, weights, count)  # type: ignore[no-untyped-call]
        self.counters.averaged += 1

    def save(self, folder: Path) -> None:
        """Write a checkpoint, atomically."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self._tensors().items()}
        words = {"counters": json.dumps(asdict(self.counters)), "loss_scale": json.dumps(self.loss_scale.state_dict())}
        checkpoint.write(folder / CHECKPOINT, tensors, words)

    def load(self, folder: Path) -> bool:
        """Go on from the checkpoint of a folder; False where there is none, or a damaged one."""
        path = folder / CHECKPOINT
        if not path.exists():
            return False
        try:
            tensors, words = checkpoint.read(path)
        except artefacts.Damaged as why:
            artefacts.say(folder, str(why), "training starts afresh")
            return False
        self.counters = Counters(**json.loads(words["counters"]))
        if scale := json.loads(words["loss_scale"]):
            self.loss_scale.load_state_dict(scale)
        for name, module in self._modules().items():
            module.load_state_dict(_below(tensors, name))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(tensors, "optimiser").items():
            number, _, key = name.partition(".")
            moments.setdefault(int(number), {})[key] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.total.copy_(tensors["total"])
        if self.window is not None:
            for epoch in range(self.counters.averaged):
                stored_epoch = sorted(_below(tensors, f"window.{epoch}").items())  # by their place among the parameters
                self.window.append([weight for _, weight in stored_epoch])
        return True

    def _modules(self) -> dict[str, nn.Module]:
        modules = {"network": self.network, "averaged": self.averaged, "best": self.best}
        return {name: module for name, module in modules.items() if module is not None}

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {"total": self.total}
        for name, module in self._modules().items():
            tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        moments: dict[int, dict[str, Any]] = self.optimiser.state_dict()["state"]
        for number, values in moments.items():
            tensors |= {f"optimiser.{number}.{key}": value for key, value in values.items()}
        for epoch, weights in enumerate(self.window or ()):
            tensors |= {f"window.{epoch}.{place:06}": weight for place, weight in enumerate(weights)}
        return tensors


def _allocate_moments(optimiser: torch.optim.AdamW, step_device: torch.device) -> None:
    """Allocate AdamW's moments before the first step.

    AdamW does it inside of its first step, after a forward and backward pass that had more room than all later ones:
    the series per pass that fit there would not fit again. step_device: where it counts its steps.
    """
    parameters = [weight for group in optimiser.param_groups for weight in group["params"]]
    moments = {
        number: {
            "step": torch.zeros((), device=step_device),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }
        for number, weight in enumerate(parameters)
    }
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under `prefix.`, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}

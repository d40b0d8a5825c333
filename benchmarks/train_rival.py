"""The rival's side of benchmarks/train.py: a network trained in the 1st-place team's manner. Nothing of foldline here.

Ventilator Pressure Prediction, 2021; written from the description of how the team trained its second network: a
Dataset that makes one breath's tensors at a time, a shuffling DataLoader, float32, all 80 steps, masked L1, Ranger at
8e-4 (flat for three quarters of the steps, then cosine), and after every step the loss fetched into a running average.

Where the description is silent, or the original would be slower, the choice favours the rival:
- Ranger is RAdam with Lookahead (https://arxiv.org/abs/1908.03265, https://arxiv.org/abs/1907.08610), of torch's own
  grouped RAdam; its gradient centralisation is left out. No gradient clipping, no weight decay.
- Workers by device as in WORKERS; on a GPU pinned memory, and workers that outlive an epoch.

    samples_per_second = train(network, x, y, scored, batch=128, steps=20, device=torch.device("cpu"))
"""

import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

WARM_UP = 3  # steps before the clock starts
RATE = 8e-4  # learning rate
FLAT = 0.75  # share of the steps at the full rate
# Worker processes of the DataLoader. On a CPU none: a batch is made in 2 ms of a step's 4 s, and they would take cores.
WORKERS = {"cpu": 0, "cuda": 4}


class Breaths(Dataset[dict[str, Tensor]]):
    """One breath an item, its tensors made when asked for."""

    def __init__(self, x: np.ndarray, y: np.ndarray, scored: np.ndarray) -> None:
        """x: (N, T, F) float32; y: (N, T) float32; scored: (N, T) bool."""
        self.x, self.y, self.scored = x, y, scored

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {
            "x": torch.tensor(self.x[index], dtype=torch.float),
            "y": torch.tensor(self.y[index], dtype=torch.float),
            "scored": torch.tensor(self.scored[index], dtype=torch.float),
        }


class Lookahead:
    """Every `every` steps the weights go back to `share` of the way they have come since the last time."""

    def __init__(self, optimiser: torch.optim.Optimizer, every: int = 6, share: float = 0.5) -> None:
        self.optimiser, self.every, self.share, self.steps = optimiser, every, share, 0
        self.fast = [weight for group in optimiser.param_groups for weight in group["params"]]
        self.slow = [weight.detach().clone() for weight in self.fast]

    @torch.no_grad()
    def step(self) -> None:
        """A step of the inner optimiser, then, where one is due, the way back."""
        self.optimiser.step()
        self.steps += 1
        if self.steps % self.every == 0:
            for slow, fast in zip(self.slow, self.fast, strict=True):
                slow.lerp_(fast, self.share)
                fast.copy_(slow)


def flat_then_cosine(step: int, total: int) -> float:
    """Share of the learning rate at a step."""
    rest = max(0.0, (step / total - FLAT) / (1 - FLAT))
    return 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))


def masked_l1(predicted: Tensor, y: Tensor, scored: Tensor) -> Tensor:
    """Mean absolute error over the scored steps; all (B, T)."""
    return ((predicted - y).abs() * scored).sum() / scored.sum()


def endless(loader: DataLoader[dict[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """Batch after batch, epoch after epoch."""
    while True:
        yield from loader


def shuffling(data: Breaths, batch: int, device: torch.device, workers: int | None) -> DataLoader[dict[str, Tensor]]:
    """The shuffling DataLoader of whole batches.

    Raises:
        ValueError: fewer breaths than a batch.
    """
    if len(data) < batch:
        raise ValueError(f"A batch must not hold more breaths than there are, but is {batch} of {len(data)}.")
    workers = WORKERS.get(device.type, 0) if workers is None else workers
    pinned, lasting = device.type == "cuda", workers > 0
    return DataLoader(
        data, batch, shuffle=True, num_workers=workers, pin_memory=pinned, drop_last=True, persistent_workers=lasting
    )


def train(
    network: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    scored: np.ndarray,
    batch: int,
    steps: int,
    device: torch.device,
    workers: int | None = None,
) -> float:
    """Train the network in place and return the samples per second of `steps` steps, after WARM_UP others.

    Args:
        network: `network(x, static, mask)` gives (B, T, H), `network.head` of that (B, T, 1).
        x: (N, T, F) float32, scaled.
        y: (N, T) float32, cmH2O.
        scored: (N, T) bool, the steps that count.
        batch: breaths a step.
        steps: steps that are timed.
        device: where the network trains.
        workers: processes of the DataLoader; None: WORKERS.
    """
    network.to(device).train()
    head: nn.Module = network.head  # type: ignore[assignment]
    radam = torch.optim.RAdam(network.parameters(), lr=RATE, betas=(0.95, 0.999), eps=1e-5)
    ranger, total = Lookahead(radam), WARM_UP + steps
    schedule = torch.optim.lr_scheduler.LambdaLR(radam, lambda step: flat_then_cosine(step, total))
    batches = endless(shuffling(Breaths(x, y, scored), batch, device, workers))
    static, average, start = torch.zeros(batch, 0, dtype=torch.long, device=device), 0.0, 0.0
    for step in range(total):
        if step == WARM_UP:
            start = time.perf_counter()  # `.item()` below has waited for the device
        item = {name: tensor.to(device, non_blocking=True) for name, tensor in next(batches).items()}
        predicted = head(network(item["x"], static, None)).squeeze(-1)  # (B, T)
        loss = masked_l1(predicted, item["y"], item["scored"])
        radam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        ranger.step()
        schedule.step()
        average += (loss.item() - average) / (step + 1)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - start
    if not math.isfinite(average):
        raise ValueError(f"The rival's loss must stay finite, but its average over {total} steps is {average}.")
    return batch * steps / seconds

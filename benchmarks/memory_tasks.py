"""Long memory: the adding problem and copy memory with an LSTM, a GRU, a TCN and a Transformer of equal size. Run:

    ./run.sh bench memory_tasks                          # T = 200, some 25 minutes on a core
    ./run.sh bench memory_tasks --length 600 --steps 5000

Tasks of Hochreiter & Schmidhuber 1997 in the form of Bai, Kolter & Koltun 2018, https://arxiv.org/abs/1803.01271
(section 4; table 1 is printed beside our figures, their lengths are 600 and 1000):

    adding   T pairs (a number of [0, 1], a flag); two flags are 1, one in each half. The target at the end: the sum of
             the two numbers. Mean squared error; 0.167 for a constant prediction of 1
    copy     10 symbols of 8, T blanks, 11 delimiters; the target: blanks, then the 10 symbols. Cross entropy per step;
             10 ln 8 / (T + 20) for a prediction that knows where the symbols stand, but not which they are

Blocks are those of the hybrid, stacked without anything between, the convolutions causal with a window of at least
T; each has the width whose number of weights comes nearest to the paper's (adding 70,000, copy 16,000: within 7 %).
`hops` is the path from the first step to the last that a gradient takes, counted on the network (models/probes.py).
All train with Adam at one rate, gradients clipped at 1, on fresh series each step, and are tested on 1,000 others.

The paper differs: rate, clipping and forget bias of its recurrent networks were searched for, and its TCNs are deeper
than their window needs (adding, T = 200: 7 levels of kernel 6; ours 5 of 7). Of T = 200 it shows curves over 7,000
steps (figure 2): the TCN is soon near 0, the GRU later, the LSTM stays far worse.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.core.console import Terminal
from foldline.models.blocks import build, configure
from foldline.models.probes import path_length

TERMINAL = Terminal()  # of this process: its minutes run from here

BATCH, TEST, RATE = 32, 1000, 2e-3
HEADS = 2  # of attention; few, so that a width can be found for any number of weights
KINDS = ("lstm", "gru", "tcn", "transformer")
SYMBOLS, BLANK, DELIMITER, COPIED = 8, 0, 9, 10
PAPER = {  # Bai et al. 2018, table 1: loss at T = 600 (adding) and T = 1000 (copy)
    "adding": {"lstm": "0.164", "gru": "5.3e-5", "tcn": "5.8e-5"},
    "copy": {"lstm": "0.0204", "gru": "0.0197", "tcn": "3.5e-5"},
}


@dataclass(frozen=True)
class Task:
    """A task at one length: what goes in, how it is scored, the size of its networks, and the loss without memory."""

    name: str
    inputs: int
    outputs: int
    weights: int
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]]  # count -> x (N, steps, inputs), y
    loss: Callable[[Tensor, Tensor], Tensor]  # (N, steps, outputs), y -> scalar
    forgetful: float


def adding(length: int) -> Task:
    """The adding problem over `length` steps."""

    def draw(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        numbers, flags = torch.rand(count, length, generator=random), torch.zeros(count, length)
        half = length // 2
        for low, high in ((0, half), (half, length)):
            flags.scatter_(1, torch.randint(low, high, (count, 1), generator=random), 1.0)
        return torch.stack([numbers, flags], dim=2), (numbers * flags).sum(dim=1)

    def loss(out: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss(out[:, -1, 0], y)

    return Task("adding", 2, 1, 70_000, draw, loss, 1 / 6)


def copy(length: int) -> Task:
    """Copy memory over `length` blanks."""
    steps = length + 2 * COPIED

    def draw(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        symbols = torch.randint(1, SYMBOLS + 1, (count, COPIED), generator=random)
        x, y = torch.full((count, steps), BLANK), torch.full((count, steps), BLANK)
        x[:, :COPIED], y[:, -COPIED:] = symbols, symbols
        x[:, -COPIED - 1 :] = DELIMITER
        return functional.one_hot(x, SYMBOLS + 2).float(), y

    def loss(out: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(out.flatten(0, 1), y.flatten())

    return Task("copy", SYMBOLS + 2, SYMBOLS + 1, 16_000, draw, loss, COPIED * math.log(SYMBOLS) / steps)


TASKS = {"adding": adding, "copy": copy}


class Network(nn.Module):
    """Blocks of one kind and a linear map: (N, steps, inputs) -> (N, steps, outputs)."""

    def __init__(self, kind: str, task: Task, steps: int, width: int) -> None:
        super().__init__()
        table, depth = table_of(kind, steps)
        blocks, inputs = [], task.inputs
        for _ in range(depth):
            blocks.append(build(*configure({**table, "kind": kind, "width": width}), inputs, 0))
            inputs = width
        self.blocks, self.out = nn.ModuleList(blocks), nn.Linear(width, task.outputs)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, None)
        out: Tensor = self.out(x)
        return out


def table_of(kind: str, steps: int) -> tuple[dict[str, object], int]:
    """(a block's table, how many of them) for series of `steps` steps."""
    if kind == "tcn":
        kernel = 7
        levels = math.ceil(math.log2((steps - 1) / (2 * (kernel - 1)) + 1))  # so that the window covers them
        return {"kernel": kernel, "levels": levels, "causal": True}, 1
    return (
        ({"heads": HEADS, "ffn": 4}, 2)
        if kind == "transformer"
        else ({"bidirectional": False} if kind == "gru" else {}, 1)
    )


def size(network: nn.Module) -> int:
    """Number of weights."""
    return sum(weight.numel() for weight in network.parameters())


def sized(kind: str, task: Task, steps: int) -> Network:
    """The network of that kind whose number of weights is nearest to the task's."""
    widths = range(HEADS, 257, HEADS if kind == "transformer" else 1)
    with torch.device("meta"):
        sizes = {width: size(Network(kind, task, steps, width)) for width in widths}
    return Network(kind, task, steps, min(widths, key=lambda width: abs(sizes[width] - task.weights)))


class Unrolled(nn.Module):
    """A recurrence that calls a cell at each step: inside nn.LSTM and nn.GRU the steps can't be seen."""

    def __init__(self, kind: str, inputs: int) -> None:
        super().__init__()
        self.cell: nn.Module = (nn.LSTMCell if kind == "lstm" else nn.GRUCell)(inputs, 8)

    def forward(self, x: Tensor) -> Tensor:
        state, states = None, []
        for step in x.unbind(1):
            state = self.cell(step, state)
            states.append(state if isinstance(state, Tensor) else state[0])
        return torch.stack(states, dim=1)


def hops(kind: str, task: Task, steps: int) -> int:
    """Hops from the first step to the last: cells of a recurrence, levels of a TCN, attentions of a Transformer."""
    x = torch.randn(1, steps, task.inputs)
    if kind in ("lstm", "gru"):
        unrolled = Unrolled(kind, task.inputs).double()  # in float32 a gradient dies on so long a way
        return path_length(unrolled, x.double(), [unrolled.cell])
    network = Network(kind, task, steps, 8).eval()
    blocks: list[Any] = list(network.blocks)
    found = [part for block in blocks for part in (block.levels if kind == "tcn" else [block.gather])]
    return path_length(network, x, found)


def batches(task: Task, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Fresh series, for ever."""
    random = torch.Generator().manual_seed(seed)
    while True:
        yield task.draw(BATCH, random)


def train(network: Network, task: Task, steps: int, seed: int, rate: float) -> float:
    """Train in place; seconds a step."""
    optimiser, series = torch.optim.Adam(network.parameters(), lr=rate), batches(task, seed)
    network.train()
    began = time.perf_counter()
    with TERMINAL.bar(task.name, "steps") as update:
        for step in range(steps):
            x, y = next(series)
            optimiser.zero_grad()
            task.loss(network(x), y).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            update(step + 1, steps)
    return (time.perf_counter() - began) / steps


@torch.no_grad()
def tested(network: Network, task: Task) -> float:
    """Return the mean loss on test series."""
    random, losses = torch.Generator().manual_seed(2**31), []
    network.eval()
    for _ in range(TEST // 50):
        x, y = task.draw(50, random)
        losses.append(task.loss(network(x), y).item())
    return sum(losses) / len(losses)


def compare(task: Task, arguments: argparse.Namespace) -> None:
    """One task's table."""
    steps = task.draw(1, torch.Generator())[0].shape[1]
    print(f"\n{task.name}, T = {arguments.length}, {arguments.steps} steps; without memory {task.forgetful:.3g}")
    print(f"{'':14}{'weights':>9}{'hops':>7}{'ms a step':>11}{'loss':>10}{'paper':>9}")
    for kind in arguments.kinds:
        torch.manual_seed(arguments.seed)
        network = sized(kind, task, steps)
        seconds = train(network, task, arguments.steps, arguments.seed, arguments.rate)
        row = f"{kind:14}{size(network):>9,}{hops(kind, task, steps):>7}{1e3 * seconds:>11.0f}"
        print(f"{row}{tested(network, task):>10.2g}{PAPER[task.name].get(kind, '-'):>9}", flush=True)


def main() -> None:
    """All tasks, all kinds."""
    parser = argparse.ArgumentParser(description="Adding problem and copy memory, four systems at equal size.")
    parser.add_argument("--length", type=int, default=200, help="T; 600 and 1000 are the paper's")
    parser.add_argument("--steps", type=int, default=2000, help="of training, of 32 series each")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rate", type=float, default=RATE, help="Adam's learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.tasks:
        compare(TASKS[name](arguments.length), arguments)


if __name__ == "__main__":
    main()

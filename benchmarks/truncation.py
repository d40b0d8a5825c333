"""How much history an LSTM uses: its predictions when it starts anew k steps before each of them. Run:

    ./run.sh bench truncation                 # two stacked LSTMs on simulated breaths, a few minutes on a core
    ./run.sh bench truncation --kind stable   # the same, kept a contraction
    ./run.sh bench truncation --twin          # and a feed-forward net trained for each k

After Miller & Hardt 2019, https://arxiv.org/abs/1805.10369 (section 4): cut to its last k inputs a recurrence is a
feed-forward net on them. Where the curve reaches the whole model's error, no earlier step matters. The inputs are the
valves (u_in, u_out), the duration of a step, R and C: no sums over the past, which would carry history around the
recurrence. Columns: mean absolute error of held-out scored steps in cmH2O, and the mean distance to the whole model's
predictions; lambda, the factor by which that distance falls a step, from the row before; twin, the error of a
feed-forward net that is trained on the last k inputs alone, gated convolutions with as many weights.
"""

import argparse
from bisect import bisect_left
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from foldline.core.console import Terminal
from foldline.models.contract import Targets
from foldline.models.probes import truncated
from foldline.models.systems.hybrid import Config, Hybrid
from ventilator.simulator import frame, simulate

TERMINAL = Terminal()  # of this process: its minutes run from here

STEPS, BATCH, RATE = 80, 64, 3e-3  # of a breath; breaths a training step; Adam's peak rate
HELD_OUT = 200  # breaths the curve is measured on
HISTORY = (1, 2, 5, 10, 20, 40, 80)  # k
WIDTHS = range(2, 513, 2)  # that a twin may have


def breaths(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Simulate inputs (N, 80, 5), pressure (N, 80) in cmH2O, and which steps are scored (N, 80) bool."""
    table = frame(simulate(count, seed), np.arange(count))

    def plane(name: str) -> np.ndarray:
        return table[name].to_numpy().astype(np.float64).reshape(count, STEPS)

    duration = np.diff(plane("time_step"), axis=1, prepend=0.0)
    x = np.stack([plane("u_in") / 30, plane("u_out"), duration / 0.03, np.log(plane("R")), np.log(plane("C"))], axis=2)
    x[:, :, 3:] -= x[:, :, 3:].mean(axis=(0, 1))
    pressure = torch.from_numpy(plane("pressure").astype(np.float32))
    return torch.from_numpy(x.astype(np.float32)), pressure, torch.from_numpy(plane("u_out") == 0)


def network_of(kind: str, width: int) -> Hybrid:
    """Make a network of two causal blocks under one linear map."""
    table = {"kind": kind} if kind == "lstm" else {"kind": kind, "bidirectional": False}
    return Hybrid(Config(width=width, blocks=(table, table)), 5, (), Targets(count=1))


def twin_of(steps: int, weights: int) -> Hybrid:
    """Make a feed-forward net on the last `steps` inputs, of the width with the number of weights nearest to this."""

    def made(width: int) -> Hybrid:
        window, point = ({"kernel_size": size, "context": size, "layers": 1, "causal": True} for size in (steps, 1))
        blocks = ({"kind": "glu", **window}, {"kind": "glu", **point})
        return Hybrid(Config(width=width, blocks=blocks), 5, (), Targets(count=1))

    with torch.device("meta"):
        large = bisect_left(WIDTHS, weights, key=lambda width: size(made(width)))
        near = WIDTHS[max(0, large - 1) : large + 1]
        width = min(near, key=lambda width: abs(size(made(width)) - weights))
    return made(width)


def size(network: Hybrid) -> int:
    """Count the weights."""
    return sum(weight.numel() for weight in network.parameters())


def predict(network: Hybrid, x: Tensor) -> Tensor:
    """Predict (N, T, 5) -> (N, T, 1), scaled."""
    out: Tensor = network.head(network(x, torch.zeros(len(x), 0, dtype=torch.long), None))
    return out


def train(network: Hybrid, x: Tensor, y: Tensor, scored: Tensor, epochs: int) -> None:
    """Train in place on (N, T, 5), scaled (N, T) and (N, T), rate falling to 0."""
    steps = epochs * (len(x) // BATCH)
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    order = torch.cat([torch.randperm(len(x))[: len(x) // BATCH * BATCH] for _ in range(epochs)])
    with TERMINAL.bar("training", "steps") as update:
        for number, chosen in enumerate(torch.split(order, BATCH), start=1):
            optimiser.zero_grad()
            loss = network.head.loss(predict(network, x[chosen]), y[chosen, :, None], scored[chosen].float(), None)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            update(number, steps)


def curve(
    network: Hybrid, x: Tensor, y: Tensor, scored: Tensor, scale: float, history: tuple[int, ...] = HISTORY
) -> list[tuple[int, float, float]]:
    """Return (k, mean absolute error, mean distance to the whole model's predictions), both in cmH2O."""
    run = partial(predict, network)
    whole, rows = truncated(run, x, STEPS)[..., 0], []
    for steps in history:
        cut = truncated(run, x, steps)[..., 0]
        distance = [float((cut - other)[scored].abs().mean()) * scale for other in (y, whole)]
        rows.append((steps, distance[0], distance[1]))
    return rows


def table(rows: list[tuple[int, float, float]], twins: dict[int, float]) -> Iterator[str]:
    """Yield lines: a head, and one for each k. twins: errors in cmH2O, of none or of all k."""
    yield f"{'k':>4}{'error':>10}{'distance':>10}{'lambda':>8}{'twin':>10}"[: None if twins else -10]
    before: tuple[int, float] | None = None
    for steps, error, distance in rows:
        fall = (distance / before[1]) ** (1 / (steps - before[0])) if before and distance else None
        twin = f"{twins[steps]:>10.3f}" if twins else ""
        yield f"{steps:>4}{error:>10.3f}{distance:>10.4f}{'-' if fall is None else f'{fall:.3f}':>8}{twin}"
        before = (steps, distance)


def main() -> None:
    """Train, and print the curve."""
    parser = argparse.ArgumentParser(description="Error of an LSTM cut to its last k inputs.")
    parser.add_argument("--kind", choices=("lstm", "gru", "stable", "mingru", "minlstm", "lru"), default="lstm")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--breaths", type=int, default=2000, help="to train on")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--twin", action="store_true", help="train a feed-forward net on the last k inputs for each k")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    x, pressure, scored = breaths(arguments.breaths, arguments.seed)
    centre, scale = float(pressure[scored].mean()), float(pressure[scored].std())
    held, held_pressure, held_scored = breaths(HELD_OUT, arguments.seed + 1)

    def trained(network: Hybrid, *history: int) -> list[tuple[int, float, float]]:
        train(network, x, (pressure - centre) / scale, scored, arguments.epochs)
        return curve(network.eval(), held, (held_pressure - centre) / scale, held_scored, scale, history)

    network, twins = network_of(arguments.kind, arguments.width), dict[int, float]()
    rows = trained(network, *HISTORY)
    for steps in HISTORY if arguments.twin else ():
        twins[steps] = trained(twin_of(steps, size(network)), STEPS)[0][1]
    print(f"2 x {arguments.kind} {arguments.width}, {arguments.breaths} simulated breaths, {arguments.epochs} epochs")
    print("\n".join(table(rows, twins)))


if __name__ == "__main__":
    main()

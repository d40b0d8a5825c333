"""What `./run.sh bench published --train` adds: InceptionTime trained here and by a plain loop of tsai's, and ROCKET.

Three small sets of aeon's wheel (uea.py). Both networks have the same width, depth, kernels, epochs, batches, AdamW,
learning rates, clipping and scaled series, without augmentation. Trained twice: from the same first weights in the same
order of series, where only rounding may differ, and from weights and orders that each side draws by its own seeds. A
hybrid as a user writes it, with its linear map, shortcut convolution and norm around the block, stands beside.
ROCKET's features are those of aeon's fitted kernels, which ours are given.
"""

import csv
import json
import math
import resource
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import published_names
from benchmarks.pages import Page
from foldline.core.console import Terminal
from foldline.fit import network_build, trainer
from foldline.fit.device_block import Block as DeviceBlock
from foldline.fit.device_dataset import DeviceDataset
from foldline.fit.process_state import with_settings
from foldline.fit.train_config import TrainConfig, lr_factor
from foldline.fit.training_state import State
from foldline.models import heads
from foldline.models.blocks import inception
from foldline.models.contract import Targets
from foldline.models.ops import rocket_features
from foldline.models.ops.rocket_features import Kernels

BENCHMARKS = Path(__file__).resolve().parent
TSAI, AEON = BENCHMARKS / "published_tsai.py", BENCHMARKS / "published_aeon.py"
LOADERS = BENCHMARKS / "uea_aeon.py"
SETS = ("GunPoint", "BasicMotions", "ItalyPowerDemand")
WIDTH, KERNEL = 32, 39  # tsai's kernels are odd
TRAIN = TrainConfig(epochs=30, batch=16, lr=2e-3, device="cpu", checkpoint_s=1e9)
CPU = torch.device("cpu")
CLOSE, TIES = 1e-4, 0.01  # of ROCKET's features: rounding; the most that may differ by a step at the bias
TRAINED = (
    *("set", "score", "foldline, by seed", "tsai, by seed", "hybrid, by seed", "our mean in tsai's range"),
    *("tsai's mean in ours", "same start: probabilities apart by", "CPU s, ours and tsai's"),
)
KERNEL_COLUMNS = ("set", "form", "pooling", "compared", "largest difference", "a step at the bias differs")


@dataclass(frozen=True)
class Series:
    """A set: N series of C channels and T steps, scaled by the training part, and their classes."""

    name: str
    x: np.ndarray  # (N, C, T) float32
    y: np.ndarray  # (N,) int64
    test: np.ndarray  # likewise, of the test part
    truth: np.ndarray
    classes: int

    @property
    def rates(self) -> list[float]:
        """Learning rate of each step."""
        steps = TRAIN.epochs * math.ceil(len(self.x) / TRAIN.batch)
        return [TRAIN.lr * lr_factor(TRAIN, step, steps) for step in range(steps)]


class Plain(nn.Module):
    """InceptionTime as tsai has it: the block, the mean over time, one linear map. Its `head` has loss and classes."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.body = inception.Inception(inception.Config(width=WIDTH, kernel=KERNEL, norm="batch"), channels)
        targets = Targets(count=classes, kind="multiclass", level="series")
        self.head = heads.build({"kind": "softmax", "pool": ["mean"]}, WIDTH, targets)
        published_names.without_second_shortcut(self.body)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, C) -> (B, T, width)."""
        out: Tensor = self.body(x, mask)
        return out

    def weights(self) -> dict[str, Tensor]:
        """Return its weights and running statistics by tsai's names."""
        of_block = {f"inceptionblock.{name}": value for name, value in published_names.weights(self.body).items()}
        linear: Any = next(module for module in self.head.modules() if isinstance(module, nn.Linear))
        return of_block | {"fc.weight": linear.weight, "fc.bias": linear.bias}


def hybrid(channels: int, classes: int) -> nn.Module:
    """Make the network of `blocks = [{kind = "inception", norm = "batch", skip = false}]`."""
    params = {
        "width": WIDTH,
        "blocks": ({"kind": "inception", "kernel": KERNEL, "norm": "batch", "skip": False},),
        "head": {"kind": "softmax", "pool": ["mean"]},
    }
    targets = Targets(count=classes, kind="multiclass", level="series")
    return network_build.build("hybrid", params, channels, (), targets)


def placed(series: Series) -> DeviceDataset:
    """Bring the training part to where the engine's loop takes it from."""
    count, channels = series.x.shape[:2]
    counted = torch.ones(count, 1)
    block = DeviceBlock(
        places=np.arange(count),
        x=torch.from_numpy(series.x.transpose(0, 2, 1).copy()),
        static=torch.zeros(count, 0, dtype=torch.long),
        mask=None,
        known=None,
        has_unknown=False,
        y=nn.functional.one_hot(torch.from_numpy(series.y), series.classes).float().unsqueeze(1),
        weight=counted,
        scored=counted.bool(),
        absent={},
        hidden=torch.full((channels,), math.nan),
        codes=1,
    )
    return DeviceDataset((block,))


def trained(network: nn.Module, series: Series, seed: int) -> np.ndarray:
    """Train by the engine's loop and return the test series' probabilities, (N, classes)."""
    state = State(network, TRAIN, CPU)
    with tempfile.TemporaryDirectory() as folder:
        turns = trainer.train(state, TRAIN, seed, placed(series), None, lambda kind, **values: None, Path(folder))
        for _ in with_settings(turns, TRAIN, CPU):
            pass
    network.eval()
    with torch.no_grad():
        test = torch.from_numpy(series.test.transpose(0, 2, 1).copy())
        head: Any = network.head
        found: Tensor = head.predict(head(network(test, torch.zeros(len(test), 0, dtype=torch.long), None)), None)
    return found[:, 0].numpy()


def drawn(make: Any, series: Series, seed: int) -> np.ndarray:
    """Train a network whose weights and order a seed draws."""
    torch.manual_seed(seed)
    return trained(make(series.x.shape[1], series.classes), series, seed)


def read(name: str, python: Path, folder: Path) -> Series:
    """Let aeon write a set of series of one length, and read it."""
    subprocess.check_call([str(python), str(LOADERS), "export", name, str(folder)])
    values, labels = {}, {}
    for part, answers in (("train", "train_labels"), ("test", "truth")):
        table = np.genfromtxt(folder / f"{part}.csv", delimiter=",", skip_header=1, dtype=str)
        with (folder / f"{answers}.csv").open(newline="", encoding="utf-8") as stream:
            labels[part] = [row["target"] for row in csv.DictReader(stream)]
        values[part] = table[:, 2:].astype(np.float64).reshape(len(labels[part]), -1, table.shape[1] - 2)
    center, scale = values["train"].mean(axis=(0, 1)), values["train"].std(axis=(0, 1))
    known = sorted(set(labels["train"]))
    x, test = (((values[part] - center) / scale).astype(np.float32).transpose(0, 2, 1) for part in ("train", "test"))
    y, truth = (np.array([known.index(label) for label in labels[part]]) for part in ("train", "test"))
    return Series(name, np.ascontiguousarray(x), y, np.ascontiguousarray(test), truth, len(known))


def by_tsai(
    series: Series, start: dict[str, Tensor], seeds: Sequence[int], python: Path, folder: Path
) -> tuple[dict[str, np.ndarray], float]:
    """Train tsai's network; return the probabilities of each training by its name, and CPU seconds of all.

    start: the weights of the first training, whose order of series is that of our seed 0.
    """
    blocks = np.zeros(len(series.x), dtype=np.int64)
    orders = [trainer.shuffled(blocks, TRAIN.batch, 0, epoch) for epoch in range(TRAIN.epochs)]
    given: dict[str, Any] = {name: getattr(series, name) for name in ("x", "y", "test", "classes", "rates")}
    given |= {"filters": WIDTH // inception.BRANCHES, "batch": TRAIN.batch, "clip": TRAIN.clip}
    given |= {"weight_decay": TRAIN.weight_decay, "orders": np.stack(orders), "seeds": np.array(seeds)}
    path = folder / f"{series.name}.npz"
    given |= {f"weights {name}": value.detach().numpy() for name, value in start.items()}
    np.savez(path, **given)
    said = subprocess.check_output([str(python), str(TSAI), "trained", str(path)], text=True)
    cpu_s: float = json.loads(said.splitlines()[-1])["cpu_s"]
    return dict(np.load(path.with_suffix(".found.npz"))), cpu_s


def scores(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return accuracy and log loss, in nats, of probabilities (N, classes)."""
    likely = np.clip(found[np.arange(len(truth)), truth].astype(np.float64), 1e-15, 1)
    return float((found.argmax(axis=1) == truth).mean()), float(-np.log(likely).mean())


def cpu() -> float:
    """CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def inside(mean: float, of: Sequence[float]) -> str:
    """Say whether a number is within the range of others."""
    return "inside" if min(of) <= mean <= max(of) else "outside"


def compared(series: Series, seeds: Sequence[int], python: Path, folder: Path) -> tuple[list[list[str]], bool]:
    """Train both on a set; return rows of the table, and whether the ranges of accuracy and log loss overlap."""
    torch.manual_seed(0)
    same = Plain(series.x.shape[1], series.classes)
    theirs, their_s = by_tsai(series, same.weights(), seeds, python, folder)
    began, found = cpu(), {}
    apart = float(np.abs(trained(same, series, 0) - theirs["same start"]).max())
    found["foldline"] = [scores(drawn(Plain, series, seed), series.truth) for seed in seeds]
    our_s = cpu() - began
    found["tsai"] = [scores(theirs[f"seed {seed}"], series.truth) for seed in seeds]
    found["hybrid"] = [scores(drawn(hybrid, series, seed), series.truth) for seed in seeds]
    rows, overlap = [], True
    for place, (what, digits) in enumerate((("accuracy", 3), ("log loss", 4))):
        each = {side: [pair[place] for pair in pairs] for side, pairs in found.items()}
        ours, others = each["foldline"], each["tsai"]
        overlap &= min(ours) <= max(others) and min(others) <= max(ours)
        numbers = [", ".join(f"{value:.{digits}f}" for value in each[side]) for side in ("foldline", "tsai", "hybrid")]
        verdicts = [inside(float(np.mean(ours)), others), inside(float(np.mean(others)), ours)]
        more = [f"{apart:.1e}", f"{our_s:.0f}, {their_s:.0f}"] if place == 0 else ["", ""]
        rows.append([series.name, what, *numbers, *verdicts, *more])
    return rows, overlap


def rocket_rows(series: Series, python: Path, folder: Path) -> tuple[list[list[str]], bool]:
    """Compute the features of aeon's kernels; return rows of the table, and whether they are equal but for ties."""
    path = folder / f"{series.name}-rocket.npz"
    np.savez(path, x=series.x, test=series.test)
    subprocess.check_call([str(python), str(AEON), str(path)])
    rows, equal, theirs = [], True, dict(np.load(path.with_suffix(".found.npz")))
    for form, pools in (("mini", 1), ("multi", 4), ("multi, differences", 4)):
        kernels = Kernels(*(theirs[f"{form} {name}"] for name in rocket_features.ARRAYS))
        test = np.diff(series.test, axis=2) if "differences" in form else series.test
        out = np.empty((len(test), len(kernels.biases), pools), dtype=np.float32)
        kernels.transform([np.ascontiguousarray(each) for each in test], pools, out, 1)
        unlike = np.abs(out[:, :, 0] - theirs[f"{form} share"]) > CLOSE  # a step at the bias is above it on one side
        equal &= unlike.mean() < TIES
        for pool, what in enumerate(("share", "mean", "mean place")[:pools]):
            apart = np.abs(out[:, :, pool] - theirs[f"{form} {what}"])
            others = float(apart[~unlike].max())
            equal &= others < CLOSE * (1 + float(np.abs(out[:, :, pool]).max()))
            rows.append([series.name, form, what, f"{apart.size:,}", f"{others:.1e}", f"{int(unlike.sum()):,}"])
    return rows, equal


def run(terminal: Terminal, tsai: Path, aeon: Path, count: int, page: Page) -> bool:
    """Train and compare on all sets, with so many seeds; print the tables. Return whether all is as it should be."""
    trained_rows: list[list[str]] = []
    kernel_rows: list[list[str]] = []
    good = True
    with tempfile.TemporaryDirectory() as made, terminal.bar("published", "sets") as update:
        folder = Path(made)
        for number, name in enumerate(SETS, 1):
            series = read(name, aeon, folder / name)
            rows, fine = rocket_rows(series, aeon, folder)
            kernel_rows, good = kernel_rows + rows, good and fine
            rows, fine = compared(series, range(count), tsai, folder)
            trained_rows, good = trained_rows + rows, good and fine
            update(number, len(SETS))
    with page.part("training"):
        print(markdown(TRAINED, trained_rows))
    with page.part("kernels"):
        print(markdown(KERNEL_COLUMNS, kernel_rows))
    return good


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows))

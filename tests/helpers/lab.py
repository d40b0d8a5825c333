"""Small stores, networks and cells for tests of the trainer: everything fits in a second and on a page.

`small_store` makes series, `fitted` trains a network on some of them, `planned` and `jobs` take the rides' config.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.torch

from foldline.data import featurize, folds, loading
from foldline.data.metrics import METRICS, Metric
from foldline.data.store import Store
from foldline.experiment import config
from foldline.fit import scaler, trainer
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.train_config import AugmentConfig, TrainConfig, WatchConfig
from foldline.fit.trainer import Emit
from foldline.run import planning
from foldline.run.cells import Cell, Job
from foldline.run.plan_inputs import PlanInputs

PARAMS = {"width": 4, "dropout": 0.1, "blocks": [{"kind": "bilstm"}, {"kind": "conv"}]}
TRAIN = TrainConfig(epochs=2, batch=3, device="cpu")
INSIDE = np.array([0, 1, 3, 4, 7, 8, 9])  # the series to train on, of ten
EVERYTHING = TrainConfig(  # every option of [train] at once
    epochs=3,
    batch=3,
    micro=2,
    device="cpu",
    schedule="plateau",
    ema=0.9,
    margin=1,
    augment=AugmentConfig(mixup=0.5, mixup_alpha=0.4, mask_static=0.3, shuffle=0.3),
    watch=WatchConfig(share=0.3, best=True, patience=1),
)
EVERYTHING_WORDS = [  # the same for the rides, as overrides
    "train.micro=2",
    "train.schedule=plateau",
    "train.ema=0.9",
    "train.margin=0",
    "train.augment={mixup = 0.5, mixup_alpha = 0.4, mask_static = 0.3, shuffle = 0.3}",
    "train.watch={share = 0.3, best = true, patience = 1}",
    "model.0.dropout=0.2",
    "model.0.embed=2",
]


def small_store(series: int = 10, steps: int = 6, features: int = 3, seed: int = 0, static: bool = False) -> Store:
    """Series of 1 to `steps` steps, two targets, steps 0 to 3 scored; `static`: a column of 2 values, in feature 0."""
    rng = np.random.default_rng(seed)
    lengths = np.arange(series) % steps + 1
    real = np.arange(steps)[None, :] < lengths[:, None]
    x = (rng.normal(2.0, 3.0, size=(series, steps, features)) * real[..., None]).astype(np.float32)
    y = rng.normal(5.0, 2.0, size=(series, steps, 2)) * real[..., None]
    return Store(
        path=Path("store"),
        names=tuple(f"f{number}" for number in range(features)),
        x=x[real],
        static=1 + np.arange(series)[:, None] % 2 if static else np.zeros((series, 0), dtype=np.int64),
        lengths=lengths,
        scored=(real & (np.arange(steps) < 4))[real],
        y=y[real],
        known=np.ones((int(real.sum()), 2), dtype=bool),
        labelled=True,
        observed=0,
        fingerprint="print",
        levels=(2,) if static else (),
        of_static=tuple(static and number == 0 for number in range(features)),
    )


def padded(data: Store) -> np.ndarray:
    """(N, longest, F) float32 features of all series, 0 behind their ends: a copy."""
    return np.array(data.features_padded(np.arange(len(data.lengths)), data.longest))


def with_features(data: Store, x: np.ndarray, **changed: Any) -> Store:
    """The same series with other features (N, longest, F); what is behind a series' end has no place."""
    return replace(data, x=x[data.mask()], **changed)


def silent(kind: str, **values: Any) -> None:
    """Emit nothing."""


def exhaust(steps: Iterator[None]) -> int:
    """Run something that pauses after every step to its end; return the number of steps."""
    return sum(1 for _ in steps)


def fitted(
    data: Store | None = None,
    seed: int = 0,
    train: TrainConfig = TRAIN,
    emit: Emit = silent,
    folder: Path | None = None,
    params: dict[str, Any] = PARAMS,
    series: np.ndarray = INSIDE,
    labelled_sets: Sequence[LabelledSeries] = (),
    metric: Metric = METRICS["mae"],
) -> NetworkCell:
    """A network fitted on `series` of `data` (and on more sets), its checkpoints in `folder` or thrown away."""
    data = small_store() if data is None else data
    cell = NetworkCell("hybrid", params, train, scaler.fit("robust", data, series, 0), metric)
    with tempfile.TemporaryDirectory() as thrown_away:
        exhaust(cell.fit([labelled_series(data, series), *labelled_sets], seed, emit, folder or Path(thrown_away)))
    return cell


def weights(cell: NetworkCell) -> dict[str, bytes]:
    """The network's tensors, as bytes."""
    assert cell.network is not None
    return {name: value.numpy().tobytes() for name, value in cell.network.state_dict().items()}


def checkpoint(folder: Path) -> dict[str, np.ndarray]:
    """The tensors of the checkpoint in a folder."""
    return {
        name: value.numpy() for name, value in safetensors.torch.load_file(folder / "checkpoint.safetensors").items()
    }


def plan_inputs(chosen: config.Config) -> PlanInputs:
    """Make what the cells of a config share; there are no series to pre-train on."""
    table = loading.load(chosen.data)
    made_folds, _ = folds.obtain(chosen.folds, chosen.name, table.train)
    train, test = (featurize.obtain(part, chosen.features, table.levels) for part in (table.train, table.test))
    return PlanInputs(chosen.data, chosen.features, train, made_folds, test.fingerprint)


def planned(*overrides: str) -> list[Cell]:
    """The cells of the rides with overrides; trains nothing."""
    chosen = config.load(Path("rides"), list(overrides))
    return planning.plan(plan_inputs(chosen), chosen.models)


def keys(*overrides: str) -> list[str]:
    """Their keys."""
    return [cell.key for cell in planned(*overrides)]


def jobs(*overrides: str) -> list[Job]:
    """The rides' cells that are still to do; nothing is to be predicted."""
    chosen = config.load(Path("rides"), list(overrides))
    shared = plan_inputs(chosen)
    return planning.jobs(planning.plan(shared, chosen.models), shared.train.path, shared.folds, None)


def at_step(number: int, patch: pytest.MonkeyPatch, act: Any) -> None:
    """Do something while the so-manieth step of this process is made."""
    honest, count = trainer.reseed, iter(range(1, 10_000))

    def reseed(*given: Any) -> None:
        if next(count) == number:
            act()
        honest(*given)

    patch.setattr(trainer, "reseed", reseed)


def fake(device: str = "cpu", threads: int = 1, key: str = "fake", trees: bool = False) -> Any:
    """As much of a job as the planning of workers looks at. trees: they are no network."""
    model = SimpleNamespace(
        train=SimpleNamespace(device_used=device, threads=threads, processes=1),
        on_gpu=device != "cpu" and not trees,
        processes=1,
    )
    return FakeJob(SimpleNamespace(model=model, name="fake", before=()), key)


@dataclass
class FakeJob:
    """What is given out by a schedule."""

    cell: Any
    key: str
    since: float | None = None
    train: Path | None = None
    beside: int = 0


def needing(key: str, *needs: str) -> Any:
    """A job that begins when those with the keys `needs` are done."""
    job = fake(key=key)
    job.cell.before = tuple(SimpleNamespace(key=other) for other in needs)
    return job

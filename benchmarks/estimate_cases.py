"""The cells of benchmarks/estimates.py: each model, each block, and what makes cells dearer; and their made-up data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.models import blocks

SERIES, STEPS = 128, 64  # of the training table; half as many to predict
CONFIG = """
[data]
source = "{source}"
id = "{id}"
key = "series"
order = "time"
inputs = {inputs}
static = ["place"]
target = ["pressure"]
{data}

[features]
families = ["raw", "time", "lags", "static"]

[folds]
kind = "stratified-group"
k = {folds}

[train]
epochs = {epochs}
batch = {batch}
device = "cpu"
{train}

[[model]]
{model}

[track]
wandb = "disabled"
"""


CLASSES = ("calm", "gust", "storm")
OF_SERIES = f"""level = "series"
kind = "multiclass"
metric = "accuracy"
classes = {list(CLASSES)}"""
FIELDS = ("id", "inputs", "data", "folds", "epochs", "batch", "train", "model")  # of a case that its config has
KNOWN = 16  # first steps of a known start


@dataclass(frozen=True)
class Case:
    """A cell to estimate and to train."""

    name: str
    model: str = 'name = "hybrid"'  # lines of its [[model]]
    epochs: int = 4
    batch: int = 16
    train: str = ""  # further lines of [train]
    data: str = ""  # and of [data]
    series: int = SERIES
    steps: tuple[int, int] = (STEPS, STEPS)  # shortest and longest series
    sensors: int = 0  # further inputs
    folds: int = 2

    @property
    def inputs(self) -> list[str]:
        """Name the columns of inputs."""
        return ["push", "valve", *(f"sensor{number}" for number in range(self.sensors))]

    @property
    def on_series(self) -> bool:
        """Whether each series has one answer, a class."""
        return self.data == OF_SERIES

    @property
    def id(self) -> str:
        """Name the column of ids."""
        return "series" if self.on_series else "row"


BLOCKS = tuple(blocks.BLOCKS)  # each alone in a hybrid, 64 wide
ALONE = 'name = "hybrid"\ntime = "time"\nblocks = [{{kind = "{kind}"}}]'
HYBRID = 'name = "hybrid"\nblocks = [{kind = "bilstm"}, {kind = "transformer"}]\n'
ENCODER = 'name = "hybrid"\nblocks = [{kind = "transformer"}]\n'
SMALL = 'name = "hybrid"\nwidth = 16\nblocks = [{kind = "conv"}]\n'
LISTED = (
    *(Case(kind, ALONE.format(kind=kind), epochs=6) for kind in BLOCKS),
    Case("branches", 'name = "branches"\nbranches = [{blocks = [{kind = "bilstm"}, {kind = "conv"}]}]', epochs=6),
    Case("catboost", 'name = "catboost"\nrounds = 300'),
    Case("deepar", 'name = "deepar"'),
    Case(
        "deepar, autoregressive",
        'name = "deepar"\nform = "autoregressive"',
        data=f"observed = {KNOWN}",
        epochs=2,
        series=16,
    ),
    Case("esrnn", 'name = "esrnn"'),
    Case("esrnn, forecast", 'name = "esrnn"\nform = "forecast"', data=f"observed = {KNOWN}"),
    Case("first_place", 'name = "first_place"', epochs=1),
    Case("hybrid"),
    Case("lightgbm", 'name = "lightgbm"\nrounds = 300'),
    Case("nhits", f'name = "nhits"\nhistory = {KNOWN}\nhorizon = {STEPS}', data=f"observed = {KNOWN}", epochs=12),
    Case("patchtst", 'name = "patchtst"', epochs=1),
    Case("rocket", 'name = "rocket"', data=OF_SERIES, series=400),
    Case("seq2seq", 'name = "seq2seq"', epochs=1),
    Case("seq2seq, autoregressive", 'name = "seq2seq"\nautoregressive = true', data=f"observed = {KNOWN}", epochs=1),
    Case("tft", 'name = "tft"', epochs=1),
    Case("third_place", 'name = "third_place"\nwidth = 256', epochs=1),
    Case("generating wavenet", 'name = "wavenet"', data=f"observed = {KNOWN}"),
    Case("xgboost", 'name = "xgboost"\nrounds = 300'),
    # what makes cells dearer
    Case("a class a series", HYBRID, data=OF_SERIES),
    Case("lightgbm, a class a series", 'name = "lightgbm"\nrounds = 100', data=OF_SERIES),
    Case("lightgbm, early stopping", 'name = "lightgbm"\nrounds = 300', train="watch = {share = 0.2, stop = 300}"),
    Case("lightgbm, many rows", 'name = "lightgbm"\nrounds = 100', series=2000),
    Case("catboost, many rows", 'name = "catboost"\nrounds = 100', series=2000),
    Case("watched", HYBRID, train="watch = {share = 0.4, best = true}"),
    Case(
        "augmented", SMALL, epochs=8, train="augment = {mixup = 0.5, time_warp = {share = 0.5}, jitter = {share = 1}}"
    ),
    Case("views", SMALL, epochs=1, series=512, train="tta = {reverse = true, scale = [0.9, 1.1]}"),
    Case("lengths", HYBRID, steps=(8, 512)),
    Case("curriculum", HYBRID, steps=(8, 512), train="sample = {curriculum = 1.0}"),
    Case("masked pre-training", f'{HYBRID}pretrain = {{source = "masked"}}'),
    Case("teacher", epochs=16, model=f'{SMALL}[[model]]\n{SMALL}label = "student"\nteacher = {{of = ["hybrid"]}}'),
    Case("windows", HYBRID, steps=(1000, 1000), series=16, train="windows = {length = 100}"),
    Case("patches", HYBRID, steps=(1000, 1000), series=16, train="patches = {rows = 4}"),
    Case("batch of 512", SMALL, series=2048, batch=512),
    Case("long", SMALL, series=8, steps=(21_600, 21_600), epochs=1, batch=64),
    Case("long, attention", ENCODER, series=4, steps=(10_800, 10_800), epochs=1, batch=64),
)
CASES = {case.name: case for case in LISTED}


def config_of(case: Case, folder: Path) -> Path:
    """Write the files and the config of a case; return the config's path."""
    name = re.sub(r"\W+", "-", case.name)
    source = folder / f"data-{name}"
    source.mkdir()
    train, test = _table(case, case.series, 0), _table(case, case.series // 2, 1)
    train.write_csv(source / "train.csv")
    answers = test.unique(case.id, maintain_order=True)
    if "observed" in case.data:
        answers = answers.filter(pl.col("step") >= KNOWN)
        test = test.with_columns(pressure=pl.when(pl.col("step") < KNOWN).then("pressure"))
    else:
        test = test.drop("pressure")
    test.write_csv(source / "test.csv")
    answers.select(case.id, "pressure").write_csv(source / "sample_submission.csv")
    path = folder / "configs" / f"{name}.toml"
    path.parent.mkdir(exist_ok=True)
    fields = {name: getattr(case, name) for name in FIELDS}
    path.write_text(CONFIG.format(source=source, **fields), encoding="utf-8")
    return path


def _table(case: Case, count: int, seed: int) -> pl.DataFrame:
    """Make `count` labelled series of a case."""
    random = np.random.default_rng(seed)
    lengths = random.integers(case.steps[0], case.steps[1] + 1, count)
    series = np.repeat(np.arange(count), lengths)
    step = np.arange(len(series)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    push = random.uniform(0.0, 5.0, len(series))
    place = series % 3
    sensors = {name: random.standard_normal(len(series)) for name in case.inputs[2:]}
    columns = sensors | {
        "row": np.arange(len(series)) + seed * 10**7,
        "series": series + seed * 10**6,
        "step": step,
        "time": step * 0.1,
        "push": push,
        "valve": random.integers(0, 2, len(series)),
        "place": place,
    }
    if case.on_series:
        push += place
        return pl.DataFrame({**columns, "push": push, "pressure": np.array(CLASSES)[place]})
    pressure = np.convolve(push, np.exp(-np.arange(20) / 5))[: len(push)] * (1 + place)
    return pl.DataFrame({**columns, "pressure": pressure})

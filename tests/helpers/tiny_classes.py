"""A competition of any kind of target, one answer a series or one a step, that trains in a second or two: birds' songs.

    songs = Songs("multiclass")              # or Songs("binary", "step", metric="log_loss"), ...
    songs.install(home, tmp_path / "songs")  # writes the tables and the config `songs`
    tiny.run("train", "songs")

Change `frames()` before `write` to make bad input. Inputs tell the classes apart, but not perfectly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import tiny

KINDS = ("regression", "binary", "multiclass", "multilabel", "ordinal", "distribution")
LEVELS = ("series", "step")
METRICS = {
    "regression": "mae",
    "binary": "auc",
    "multiclass": "f1",
    "multilabel": "log_loss",
    "ordinal": "qwk",
    "distribution": "kl",
}
LABELS = {
    "binary": ("calm", "alarm"),
    "multiclass": ("wren", "robin & co", "tit"),
    "ordinal": ("low", "middle", "high"),
}
SHARES = ("wren_vote", "robin_vote", "tit_vote")  # columns of a distribution, votes
FLAGS = ("trill", "whistle")  # columns of several labels

TRAINING = """
[folds]
kind = "stratified-group"
k = 2

[train]
epochs = 2
batch = 8
device = "cpu"

[[model]]
name = "hybrid"
width = 4
blocks = [{{kind = "conv", kernel = 3}}]

[[model]]
name = "lightgbm"
rounds = 20
min_data_in_leaf = 2
"""  # how all competitions of songs are trained
TRAINING += tiny.SERIAL
BY_VOLUME = """
higher_is_better = False

def score(solution, submission, row_id_column_name):
    error = (solution["answer"] - submission["answer"]).abs()
    return float((error * solution["volume"]).sum() / solution["volume"].sum())
"""  # a metric file for data.metric_columns = ["volume"]
DATA = """
[data]
source = "{source}"
level = "{level}"
id = "{id}"
key = "song"
order = "second"
inputs = ["pitch", "volume"]
static = {static}
"""  # of all competitions of songs
CONFIG = """
target = {target}
kind = "{kind}"
metric = "{metric}"
classes = {classes}
{more}

[features]
families = {families}
"""


@dataclass(frozen=True)
class Songs:
    """A variant of the competition."""

    kind: str = "multiclass"
    level: str = "series"  # ids are the key there, and rows of their own at the level "step"
    metric: str = ""  # empty: one that is usual for the kind
    statics: bool = True  # whether there is a static column, the site
    probabilities: bool = False  # multiclass: whether the sample has a column a class, instead of the label
    targets: tuple[str, ...] = ()  # names of the target's columns; empty: as many as the kind has
    series: int = 24  # of the training table
    test_series: int = 6
    steps: int = 8  # of the longest series; every third one is two steps shorter
    more: str = ""  # further lines of [data], such as a group

    @property
    def id(self) -> str:
        """Name the column of ids."""
        return "song" if self.level == "series" else "row"

    @property
    def labels(self) -> tuple[str, ...]:
        """List the labels of the classes, in order; empty for kinds that have none."""
        return LABELS.get(self.kind, ())

    @property
    def target(self) -> tuple[str, ...]:
        """Name the columns of the target."""
        return self.targets or {"multilabel": FLAGS, "distribution": SHARES}.get(self.kind, ("answer",))

    def frames(self) -> dict[str, pl.DataFrame]:
        """Make the three tables, by the stem of their file."""
        test = self.table(501, self.test_series, seed=1).drop(self.target)
        return {"train": self.table(1, self.series, seed=0), "test": test, "sample_submission": self.sample(test)}

    def table(self, first: int, count: int, seed: int) -> pl.DataFrame:
        """Make `count` labelled series; rows and songs are numbered on from `first`."""
        rng = np.random.default_rng(seed)
        lengths = self.steps - 2 * (np.arange(count) % 3 == 2)
        series, start = np.repeat(np.arange(count), lengths), np.cumsum(lengths) - lengths
        step = np.arange(lengths.sum()) - start[series]
        voice = np.arange(count) % 3  # which of the three birds it is, and how high a rank
        moving = (step >= lengths[series] // 2) if self.level == "step" else 0  # answers change in mid-song
        bird = (voice[series] + moving) % 3
        pitch = bird + rng.normal(scale=0.6, size=len(step))
        columns = {
            "row": np.arange(len(step)) + first * 1000,
            "song": [f"s{number + first}" for number in series],
            "second": step * 0.5,
            "pitch": pitch,
            "volume": rng.uniform(size=len(step)) + 0.3 * bird,
            "site": np.array(["hill", "river"])[series % 2],
        }
        frame = pl.DataFrame({**columns, **self._answers(bird, rng.uniform(size=count)[series])})
        frame = frame if self.statics else frame.drop("site")
        return frame.drop("row") if self.level == "series" else frame

    def _answers(self, bird: np.ndarray, chance: np.ndarray) -> dict[str, object]:
        """Answer each row. bird: (rows,) 0, 1 or 2; chance: (rows,) between 0 and 1, constant inside a series."""
        if self.kind == "regression":
            return {name: bird * (place + 1.0) + chance for place, name in enumerate(self.target)}
        if self.kind == "multilabel":
            flags = (bird[:, None] + np.arange(len(self.target))) % 3 == 1
            return {name: flags[:, place].astype(int) for place, name in enumerate(self.target)}
        if self.kind == "distribution":
            votes = 1 + 5 * (bird[:, None] % len(self.target) == np.arange(len(self.target))) + (chance[:, None] > 0.5)
            return {name: votes[:, place] for place, name in enumerate(self.target)}
        return {self.target[0]: np.array(self.labels)[np.minimum(bird, len(self.labels) - 1)]}

    def sample(self, test: pl.DataFrame) -> pl.DataFrame:
        """Make the sample submission of a test table."""
        ids = test.select(self.id).unique(maintain_order=True)
        if self.kind == "multiclass" and self.probabilities:
            return ids.with_columns(pl.lit(1 / len(self.labels)).alias(label) for label in self.labels)
        if self.labels and (self.kind != "binary" or self.metric in ("accuracy", "f1", "mcc")):
            return ids.with_columns(pl.lit(self.labels[0]).alias(self.target[0]))
        return ids.with_columns(pl.lit(0.5).alias(name) for name in self.target)

    def config(self, source: Path) -> str:
        """Write the config of the tables in a folder."""
        families = ["raw", "time", *(["static"] if self.statics else [])]
        families += ["summary"] if self.level == "series" else ["lags"]
        return (DATA + CONFIG + TRAINING).format(
            level=self.level,
            id=self.id,
            static=_listed(["site"] if self.statics else []),
            target=_listed(self.target),
            kind=self.kind,
            metric=self.metric or METRICS[self.kind],
            classes=_listed(self.labels),
            source=source,
            more=self.more,
            families=_listed(families),
        )

    def install(self, home: Path, source: Path, name: str = "songs") -> Path:
        """Write the tables to a folder, and their config under the home folder; return the config's path."""
        tiny.write(source, self.frames())
        return tiny.configure(home, name, self.config(source))


def _listed(names: Sequence[str]) -> str:
    """Write a list of strings in TOML."""
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"

"""A competition of two targets of two kinds, the birds' songs of tiny_classes: which bird it is, and how loud.

birds = Birds()                       # or Birds("step"), Birds(labels=True)
birds.install(home, tmp_path / "birds")
tiny.run("train", "birds")
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import tiny
from tiny_classes import DATA, TRAINING, Songs

CONFIG = """
[[target]]
columns = ["bird"]
kind = "multiclass"
metric = "log_loss"
share = 3
{bird}

[[target]]
columns = ["loudness"]
metric = "mae"
share = 1
{loudness}

[features]
families = ["raw", "time", "static"]
"""


@dataclass(frozen=True)
class Birds:
    """A variant of the competition."""

    level: str = "series"
    labels: bool = False  # whether the sample asks for the bird's label, instead of a probability each
    bird: str = ""  # further lines of the target `bird`
    loudness: str = ""  # and of `loudness`

    @property
    def songs(self) -> Songs:
        """Return the competition of the bird alone."""
        return Songs("multiclass", self.level, targets=("bird",), probabilities=not self.labels)

    def frames(self) -> dict[str, pl.DataFrame]:
        """Make the three tables, by the stem of their file."""
        loud = Songs("regression", self.level, targets=("loudness",)).frames()
        frames = self.songs.frames()
        train = frames["train"].with_columns(loud["train"]["loudness"])
        sample = frames["sample_submission"].with_columns(loudness=pl.lit(0.5))
        return {**frames, "train": train, "sample_submission": sample}

    def install(self, home: Path, source: Path, frames: dict[str, pl.DataFrame] | None = None) -> Path:
        """Write the tables to a folder, and their config under the home folder; return the config's path."""
        tiny.write(source, frames or self.frames())
        own = {"static": '["site"]', "level": self.level, "id": self.songs.id}
        text = (DATA + CONFIG + TRAINING).format(source=source, bird=self.bird, loudness=self.loudness, **own)
        return tiny.configure(home, "birds", text)

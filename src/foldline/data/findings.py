"""What `init` finds in the files of a competition, gathered step by step (see inspection.py)."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from foldline.data.inspected_forecast import SeenForecast


@dataclass
class Findings:
    """Roles of columns and what else a config says of the data; evidence and open questions as sentences."""

    key: str = ""
    order: str = ""
    id: str = ""
    group: str = ""
    level: str = "step"
    forecast: SeenForecast | None = None  # test is the future of series in train
    length: int = 0  # rows of a window, at the level "window"
    kind: str = "regression"
    labels: str = ""  # file with the targets of the training series, without its ending
    template: str = ""  # that makes the ids of the submission
    column: str = ""  # of the submission, where it is not called as the target
    copies: dict[str, str] = field(default_factory=dict)  # second name -> column
    target: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)  # columns of test with the target where it is known
    inputs: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)  # inputs of text
    static: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    by_time: str = ""  # column by which all of test lies after train
    asks_labels: bool = False  # the sample submission has a column called like the target
    evidence: dict[str, str] = field(default_factory=dict)  # role and column, or key of the config -> why
    unclear: list[str] = field(default_factory=list)


def changing(frame: pl.DataFrame, key: str, names: list[str]) -> list[str]:
    """List the columns that change inside a series, whose rows stand together."""
    inside = (frame[key] == frame[key].shift(1)).fill_null(False)
    return [name for name in names if bool((inside & frame[name].ne_missing(frame[name].shift(1))).any())]

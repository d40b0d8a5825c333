"""A decoder and an estimator of open rows for the rides, so that the engine's part needs no ventilator.

Every third step is "decoded": read off the truth. The estimator predicts power times a factor that it fits, and leaves
three channels: the first is the deviation before calibration halves it. `install` puts both in the ventilator's place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tiny

from foldline.core import files
from foldline.data import exact_rows, open_rows
from foldline.data.channel_files import ChannelFiles
from foldline.data.exact_rows import Exact
from foldline.data.table import Table
from foldline.models.systems.smoother import Smoother

EVERY = 3  # steps
RANKED_STEP = 1
NAMES = ("sd", "ahead", "guess")
PARTS = (tiny.rides(1, 12, 10, 0), tiny.rides(501, 4, 10, 1), tiny.rides(901, 6, 10, 2))  # the last to pre-train on
SPEEDS = {int(row): speed for part in PARTS for row, speed in part.select("row", "speed").iter_rows()}
MODELS = """
[[model]]
name = "smoother"

[[model]]
name = "lightgbm"
channels_from = "smoother"
rounds = 5
min_data_in_leaf = 2

[[model]]
name = "hybrid"
channels_from = "smoother"
width = 4
blocks = [{kind = "bilstm"}]

[blend]
method = "mean"

[post]
decode = true
snap = false
"""


class Estimate(NamedTuple):
    mean: np.ndarray
    sd: np.ndarray
    exact: np.ndarray
    channels: np.ndarray


def decoded(table: Table) -> np.ndarray:
    """Speed at every third step, NaN elsewhere."""
    speeds = np.array([SPEEDS[row] for row in table.frame["row"].to_list()])
    return np.where(table.step % EVERY == 0, speeds, np.nan)


def ranked(fingerprint: str, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """The estimate of step 1 of each ride, rounded; NaN elsewhere: a value that only the estimator's mean can give."""
    assert ((sd == 0) == (np.arange(len(sd)) % 10 % EVERY == 0)).all()
    return np.where(np.arange(len(mean)) % 10 == RANKED_STEP, np.round(mean), np.nan)


def configure(home: Path, source: Path) -> Path:
    """Write the config `rides` with the estimator and its readers."""
    text = tiny.CONFIG.format(source=source)
    return tiny.configure(home, "rides", text[: text.index("[[model]]")] + MODELS + text[text.index("[track]") :])


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the toys in place."""
    prepared: dict[str, dict[str, np.ndarray]] = {}

    def obtain(table: Table, *_: Any) -> None:
        prepared[table.fingerprint] = {"power": table.frame["power"].to_numpy(), "exact": decoded(table)}

    def obtain_exact(table: Table, *_: Any) -> Exact:
        values = decoded(table)
        return Exact(values, np.where(np.isnan(values), "", "third"))

    def fit(self: Smoother, parts: Sequence[tuple[Mapping[str, np.ndarray], np.ndarray]]) -> None:
        power = np.concatenate([rows["power"] for rows, _ in parts])
        known = np.concatenate([values for _, values in parts])
        told = ~np.isnan(known)
        self.fitted = float((power[told] * known[told]).sum() / np.square(power[told]).sum())

    def estimate_by(rows: Mapping[str, np.ndarray], factor: float) -> Estimate:
        exact, guess = ~np.isnan(rows["exact"]), rows["power"] * factor
        mean, sd = np.where(exact, rows["exact"], guess), np.where(exact, 0.0, 0.5)
        ahead = np.roll(rows["power"].reshape(-1, 10), -1, axis=1).ravel()
        return Estimate(mean, sd, exact, np.stack([2 * sd, ahead, guess], axis=1))

    def estimate(self: Smoother, rows: Mapping[str, np.ndarray]) -> Estimate:
        return estimate_by(rows, self.fitted)

    def embedded_channels(fingerprint: str) -> ChannelFiles:
        found = ChannelFiles(files.runs() / f"embedded-{fingerprint}.npy", files.runs() / f"estimate-{fingerprint}.npy")
        found.write(estimate_by(prepared[fingerprint], 0.5))  # type: ignore[arg-type]
        return found

    def masked(rows: Mapping[str, np.ndarray], number: int, among: np.ndarray) -> dict[str, np.ndarray]:
        assert among.any() and not among.all()
        hidden = np.arange(len(rows["exact"])) % 2 == number % 2
        return {**rows, "exact": np.where(hidden, np.nan, rows["exact"])}

    monkeypatch.setattr(open_rows, "masked", masked)
    monkeypatch.setattr(open_rows, "obtain", obtain)
    monkeypatch.setattr(open_rows, "read", prepared.__getitem__)
    monkeypatch.setattr(open_rows, "obtain_embedded", lambda *_: None)
    monkeypatch.setattr(open_rows, "embedded_channels", embedded_channels)
    monkeypatch.setattr(open_rows, "exact", lambda rows: rows["exact"])
    monkeypatch.setattr(open_rows, "names", lambda: NAMES)
    monkeypatch.setattr(open_rows, "ranked", ranked)
    monkeypatch.setattr(open_rows, "code", lambda: "toy")
    monkeypatch.setattr(
        open_rows, "classes", lambda print_: np.where(np.arange(len(prepared[print_]["power"])) % 2, "odd", "even")
    )
    monkeypatch.setattr(exact_rows, "obtain", obtain_exact)
    monkeypatch.setattr(exact_rows, "check", lambda *_: None)  # the toy decodes rides, not breaths
    monkeypatch.setattr(Smoother, "fit", fit)
    monkeypatch.setattr(Smoother, "estimate", estimate)
    monkeypatch.setattr(
        Smoother, "save", lambda self, folder: (folder / "smoother.json").write_text(json.dumps(self.fitted))
    )
    monkeypatch.setattr(
        Smoother,
        "load",
        lambda self, folder: setattr(self, "fitted", json.loads((folder / "smoother.json").read_text())),
    )

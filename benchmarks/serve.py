"""How long a predictor takes for one series of 80 steps, beside what its models alone take, and beside `infer`.

    ./run.sh bench serve [--calls 300] [--write]

Trains the quickstart once for one epoch (weights change no speed; runs/bench/serve), blended by the mean so that every
cell is used. Then, with one thread: p50 and p99 of `predict` on one series; of all forward passes and LightGBM calls of
the same cells on arrays that are ready, measured in turn with it; and of `infer` on one series, a process each. By the
clock, and in processor time, which other work on the machine hardly changes. The goal: p50 at most that of the models
alone and 30 %, or 10 ms, whichever is more. --write puts the table into docs/how-to/serve.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "how-to" / "serve.md"
BEGIN, END = "<!-- ./run.sh bench serve --write: from here -->", "<!-- to here -->"
KEYS = ("train.epochs=1", "blend.method=mean", "track.wandb=disabled")
INFERS = 3  # processes
COLUMNS = {  # of the table: share of the calls, and by the clock (0) or in processor time (1)
    "p10": (0.1, 0),
    "p50": (0.5, 0),
    "p99": (0.99, 0),
    "p50, processor": (0.5, 1),
}
Spent = tuple[float, float]  # s by the clock, and of processor time


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300, help="series that are answered")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    from foldline.core import files

    os.environ["FOLDLINE_HOME"] = str(files.runs() / "bench" / "serve")
    os.environ["OMP_NUM_THREADS"] = "1"
    verb("train", *KEYS)
    served, alone = measured(arguments.calls)
    one = one_series()
    infers = sorted(spent(lambda: verb("infer", f"data.source={one}"))[0] for _ in range(INFERS))
    text = table(served, alone, infers[INFERS // 2], arguments.calls)
    print(text)
    if arguments.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def verb(name: str, *words: str) -> None:
    """Run a verb on the quickstart, in a process of its own."""
    command = [sys.executable, "-m", "foldline", name, str(ROOT / "configs" / "quickstart.toml"), *words, "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def spent(call: Callable[[], Any]) -> Spent:
    """Return how long a call takes, s, by the clock and in processor time."""
    began, used = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - began, time.process_time() - used


def one_series() -> Path:
    """Write the first test series into a folder of its own."""
    rows = test_rows()
    folder = Path(os.environ["FOLDLINE_HOME"]) / "one"
    folder.mkdir(exist_ok=True)
    rows.filter(rows["breath_id"] == rows["breath_id"][0]).write_csv(folder / "test.csv")
    return folder


def test_rows() -> Any:
    """Read the rows of the test table, as a gateway does."""
    import polars as pl

    from foldline.data import source_folder
    from foldline.serve import load

    return pl.read_csv(source_folder.of(load("quickstart").models[0].stored.config.data) / "test.csv")


def measured(calls: int) -> tuple[list[Spent], list[Spent]]:
    """Return what each `predict` takes, and the models alone on the same series."""
    import torch

    from foldline.serve import load

    torch.set_num_threads(1)
    predictor, rows = load("quickstart"), test_rows()
    series = rows.partition_by("breath_id", maintain_order=True)
    models = models_alone(predictor, series[0])
    served, alone = [], []
    for number in range(calls + 20):
        one = series[number % len(series)]
        served.append(spent(partial(predictor.predict, one)))
        alone.append(spent(models))
    return served[20:], alone[20:]  # the first ones warm up


def models_alone(predictor: Any, rows: Any) -> Callable[[], None]:
    """Return a call of all forward passes and LightGBM calls of a predictor's cells, on arrays that are ready."""
    import numpy as np
    import torch

    from foldline.data.held_features import store_of
    from foldline.fit import datasets
    from foldline.fit.boosting_cell import BoostingCell
    from foldline.fit.labelled_series import unlabelled_series

    model = predictor.models[0]
    table = model.border.arrived(rows).table
    store, part = store_of(table, model.recipe(0, table)), None
    part = unlabelled_series(store, np.arange(1))
    trees, networks = [], []
    for cell in model.plans[0].estimators.values():
        if isinstance(cell, BoostingCell):
            trees.append((cell.model, cell._inputs(store, store.answers(np.arange(1)))))
            continue
        lengths, kept = cell.predictor.lengths_for(store), cell.predictor.kept_for(store)
        fold = datasets.to_predict(part, cell.scaler, lengths, kept, cell.train, torch.device("cpu"))
        networks.append((cell.network, fold.blocks[0].batch(torch.arange(1))))

    @torch.no_grad()
    def call() -> None:
        for network, batch in networks:
            raw = network.head(network(batch.x, batch.static, batch.mask).float(), batch.mask)
            network.head.predict(raw, batch.scored)
        for booster, x in trees:
            booster.predict(x, 1)

    print(f"{len(networks)} networks and {len(trees)} boosters; a series of {table.frame.height} steps")
    return call


def table(served: list[Spent], alone: list[Spent], infer: float, calls: int) -> str:
    """Write the table, and whether the goal is met."""

    def at(values: list[Spent], share: float, clock: int = 0) -> float:
        each = sorted(value[clock] for value in values)
        return 1e3 * each[min(len(each) - 1, int(share * len(each)))]

    def row(name: str, values: list[Spent]) -> str:
        found = [at(values, *which) for which in COLUMNS.values()]
        return f"| {name} | {' | '.join(f'{each:.1f}' for each in found)} |"

    def verdict(which: tuple[float, int]) -> str:
        goal = max(1.3 * at(alone, *which), at(alone, *which) + 10)
        return f"{'met' if at(served, *which) <= goal else 'missed'} ({goal:.1f} ms)"

    return "\n".join(
        [
            f"On {date.today()}, {calls} series of 80 steps, the quickstart's cells, one thread, "
            f"a load of {load_of_machine():.0f} on {os.cpu_count()} cores (ms):",
            "",
            f"| | {' | '.join(COLUMNS)} |",
            f"|---|{'--:|' * len(COLUMNS)}",
            row('`load("quickstart").predict(series)`', served),
            row("all forward passes and LightGBM calls alone, on ready arrays", alone),
            f"| `infer` on one series, a process each, median of {INFERS} | | {1e3 * infer:,.0f} | | |",
            "",
            "The goal is at most what the models alone take and 30 % or 10 ms: "
            + "; ".join(f"{name}: {verdict(which)}" for name, which in COLUMNS.items() if which[0] < 0.9)
            + ". p10 is the tenth of the calls that other work disturbs least.",
        ]
    )


def load_of_machine() -> float:
    """Return how many processes wanted to work in the last minute, on average."""
    return os.getloadavg()[0]


if __name__ == "__main__":
    main()

"""The measured half of benchmarks/growth.py: all stages at one size in a fresh process, a line of JSON for each.

    python -m benchmarks.growth_stages FOLDER '{"series": 2000, ...}' ESTIMATES.json

It says `ready` when it has imported what it needs, and begins when it is sent a line (million_stages.py).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.estimate_cases import Case, config_of
from benchmarks.million_stages import Steps, to_store

NETWORKS, TREES, PREDICTING = "networks, an epoch in each fold", "trees, in each fold", "networks predict"
MODELS = """name = "hybrid"
width = {width}
blocks = [{{kind = "bilstm"}}, {{kind = "conv"}}]

[[model]]
name = "lightgbm"
rounds = 100"""


def case_of(sizes: dict[str, int]) -> Case:
    """Return the made-up competition of some sizes."""
    return Case(
        "growth",
        MODELS.format(width=sizes["width"]),
        epochs=1,
        batch=64,
        series=sizes["series"],
        steps=(sizes["length"], sizes["length"]),
        sensors=sizes["inputs"] - 2,
        folds=sizes["folds"],
    )


def run(folder: Path, sizes: dict[str, int], estimates: Path) -> None:
    """Run all stages; write what --dry-run says of those that train."""
    from foldline.api import train
    from foldline.core.console import Terminal
    from foldline.experiment.config import load
    from foldline.output import report

    config, terminal = load(config_of(case_of(sizes), folder), ["executor.kind=serial"]), Terminal(quiet=True)
    steps, rows = to_store(config), sizes["series"] * sizes["length"]
    planned = train.plan(config, "./run.sh train growth", terminal)
    _train(steps, planned.parts[0][1], rows, estimates)
    honest = report.write

    def write(*given: Any) -> Path:
        steps.done("blend and scores", rows)
        page: Path = honest(*given)
        steps.done("report", rows)
        return page

    report.write = write  # type: ignore[assignment]
    planned.carry_out(terminal)


def _train(steps: Steps, jobs: Any, rows: int, estimates: Path) -> None:
    """Train all cells, networks first; the networks' predictions are made once more, alone."""
    from foldline.data.store import open_store
    from foldline.run import cell_training, estimate
    from foldline.run.executor_config import ExecutorConfig

    found = estimate.estimate(jobs, ExecutorConfig(kind="serial"), time.process_time).models
    networks = [job for job in jobs if job.cell.model.is_network]
    others = [job for job in jobs if not job.cell.model.is_network]
    estimates.write_text(json.dumps(dict(zip((NETWORKS, TREES), (each.total_s for each in found), strict=True))))
    steps.done("estimates", 0)
    for stage, some in ((NETWORKS, networks), (TREES, others)):
        for job in some:
            for _ in cell_training.run(job, lambda kind, **values: None):
                pass
        steps.done(stage, rows)
    test = open_store(networks[0].test)
    loaded = [cell_training.load_estimator(job.cell, test) for job in networks]
    steps.done("load", 0)
    for each in loaded:
        each.predict(test, np.arange(len(test.lengths)))
    steps.done(PREDICTING, rows)


if __name__ == "__main__":
    os.environ["FOLDLINE_HOME"] = sys.argv[1]
    run(Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3]))

"""Members for open rows: those of a trained experiment, or trained here on a split of one's own.

R rows of the training table, N series.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from foldline.cli import report
from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.data import source_folder
from foldline.data.store import Store
from foldline.ensemble import members
from foldline.experiment import config, preparation, stored_experiment
from foldline.experiment.config import Config
from foldline.experiment.preparation import PreparedExperiment
from foldline.run import executors, planning
from foldline.run.cells import Cell, Job
from ventilator import open_rows, simulator
from ventilator.estimation import SessionLungs
from ventilator.rig import Rig

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

CONFIG: Final = "configs/sample.toml"
KINDS: Final = {"estimator": "smoother", "rows": "trees", "network": "networks"}  # how a model is fitted -> its step
BLEND, PROCESSED = "blend", "post-processing"  # that is left out where it changes nothing
SEED: Final = 3  # of simulated breaths


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What members say of rows that they were not trained on; NaN of all others."""

    store: Store  # of the training table
    by_kind: dict[str, Array]  # of KINDS: (R,), mean over its models; and of BLEND, PROCESSED
    by_label: dict[str, Array]  # of each model that reads channels
    lungs: list[tuple[SessionLungs, NDArray[np.int64]]]  # of each fold, with the series that it holds out


def of_experiment(name: str, folder: Path) -> Predicted:
    """Read the latest experiment of a config. folder: of its data, wherever that lies by now."""
    stored = stored_experiment.read(name)
    moved = replace(stored.config, data=replace(stored.config.data, source=str(folder)))
    found = report.gather(stored, moved, Terminal(quiet=True))
    values = {label: each[:, 0] for label, each in found.predictions.items() if label in found.result.labels}
    blend, processed = found.before_post[:, 0], found.result.blended[:, 0]
    predicted = _predicted(found.train, found.plan, values, blend)
    if not np.allclose(blend, processed, rtol=0, atol=1e-9, equal_nan=True):
        predicted.by_kind[PROCESSED] = processed
    return predicted


def prepared(source: Path, folds: str = "") -> PreparedExperiment:
    """Read and check data for CONFIG, whose pre-training is left out: labelled breaths alone are to count.

    folds: the fold file; empty: the config's.
    """
    chosen = config.load(Path(CONFIG), [f"data.source={source}", *([f"folds.file={folds}"] if folds else [])])
    return preparation.prepare(without_pretraining(chosen), Terminal(quiet=True))


def without_pretraining(chosen: Config) -> Config:
    """Return a config whose models are trained on the competition's series alone."""
    return replace(chosen, models=tuple(replace(model, pretrain=None) for model in chosen.models))


def trained(experiment: PreparedExperiment, fold: int, inside: Mask, say: Callable[[str], None]) -> Predicted:
    """Train the models on some series of the training table (N,), and predict all others.

    Cells are kept: the same split is trained once, and that of a fold of the experiment is its own.
    """
    assignment = np.where(inside, -1, fold)
    split = replace(experiment.folds, assignment=assignment, k=fold + 1)
    inputs = replace(experiment.plan_inputs, folds=split)
    models = list({cell.model.label: cell.model for cell in experiment.plan}.values())
    cells = [cell for cell in planning.plan(inputs, models) if cell.fold == fold]
    began = time.perf_counter()

    def on_event(job: Job, kind: str, values: dict[str, Any]) -> None:
        if kind == "done":
            say(f"  {job.cell.name}, {int(inside.sum())} breaths: done after {time.perf_counter() - began:.0f} s")

    jobs = planning.jobs(cells, experiment.train.path, split, experiment.test.path)
    executors.execute(jobs, experiment.config.executor, on_event)
    values = {each.label: each.out_of_fold(experiment.train)[:, 0] for each in members.of_plan(cells)}
    return _predicted(experiment.train, cells, values, np.mean(list(values.values()), axis=0))


def _predicted(store: Store, plan: Sequence[Cell], values: dict[str, Array], blend: Array) -> Predicted:
    fitted_as = {cell.model.label: cell.model.fitted_as for cell in plan}
    by_kind = {
        step: np.mean([each for label, each in values.items() if fitted_as[label] == kind], axis=0)
        for kind, step in KINDS.items()
        if kind in fitted_as.values()
    }
    readers = {label: each for label, each in values.items() if fitted_as[label] != "estimator"}
    estimators = [cell for cell in plan if cell.model.fitted_as == "estimator"]
    lungs = [
        (
            open_rows.read((cell.folder / "smoother.json").read_text(encoding="utf-8")),
            files.read_array(cell.folder / "held_out.npy"),
        )
        for cell in estimators
    ]
    return Predicted(store=store, by_kind=by_kind | {BLEND: blend}, by_label=readers, lungs=lungs)


def of_simulated(breaths: int, test_breaths: int, name: str, rig: Rig) -> PreparedExperiment:
    """Simulate a competition, once for the same sizes, name and code, and read it."""
    matched = [path.read_text(encoding="utf-8") for path in open_rows.simulated_by()]  # lungs among them
    code = files.digest([source_folder.simulator_code(), *matched])[:8]
    folder = files.runs() / "bench" / f"open-rows-{name}-{breaths}-{test_breaths}-{code}"

    def write(draft: Path) -> None:
        simulator.write_competition(draft, breaths=breaths, test_breaths=test_breaths, seed=SEED, rig=rig)

    artefacts.make_folder(folder, write)
    return prepared(folder, f"{folder}-folds.csv")

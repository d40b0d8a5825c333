"""`tune`: a search for better values of a config's keys, resumable, with a final check where it has not looked."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import tomli_w

from foldline.api import asked
from foldline.api.asked import ConfigLike
from foldline.api.page import Page
from foldline.api.session import session
from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.core.json_values import without_nan
from foldline.core.strict_tables import plain
from foldline.evidence.ablation.fold_values import POOLED
from foldline.evidence.tuning import final_check, trial_evaluation, tuning_file, tuning_page, workers
from foldline.evidence.tuning.final_check import FinalCheck
from foldline.evidence.tuning.pruning import score_so_far
from foldline.evidence.tuning.search_progress import SearchProgress
from foldline.evidence.tuning.trial_queue import ENDED, TrialQueue
from foldline.evidence.tuning.tuning_file import Search
from foldline.evidence.tuning.workers import TimeLimit
from foldline.experiment import config as configs
from foldline.experiment import config_files, stored_experiment
from foldline.experiment.config import Config
from foldline.experiment.preparation import PreparedExperiment
from foldline.experiment.runs_index import short_path
from foldline.output.tracking import WandbTracker
from foldline.run import executors


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What `tune` returns."""

    name: str  # the file's
    folder: Path  # runs/NAME/HASH
    trials: pl.DataFrame  # that ended: number, state, score, overrides (list of key=value), why
    best: int  # number of the best trial
    best_config: Path  # best.toml: `train` takes it
    gain: float | None  # of the final check, in the metric's unit, above 0 the best is better; None: the base is best
    verdict: str  # of the final check, a sentence
    report: Page  # shown in Jupyter where it is the value of a cell
    warnings: tuple[str, ...] = ()  # sentences, printed or not


def tune(
    file: ConfigLike = "tune-quickstart",
    *,
    home: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **tables: Any,
) -> Tuning:
    """Search for better values of a config's keys, and check the best one where the search has not looked.

    Args:
        file: of a search: a path, a name in configs/, or its tables with a name.
        home: the folder with runs/, folds/ and configs/; None: as the command line finds it.
        quiet: print nothing.
        tables: tune={"trials": 20} and base="sample.toml" change the search, all other keys its base.

    Raises:
        foldline.Error: a mistake in file or data, before anything is trained; no trial that could be trained.
        KeyboardInterrupt: finished trials are kept, running ones are queued again; the same call goes on.
    """
    began = time.time()
    with session("tune", home, quiet) as notes:
        texts = asked.overrides(tables)
        with asked.as_file(file) as path:
            unplaced = tuning_file.load(path, texts)
        planned = plan(unplaced, notes)
        return _tuning(planned.search, *planned.carry_out(began, notes), notes.warnings)


@dataclass(frozen=True)
class Plan:
    """A search whose base is prepared."""

    search: Search
    ready: PreparedExperiment
    workers: int

    def carry_out(self, began: float, terminal: Terminal) -> tuple[dict[str, Any], str]:
        """Search, run the final check, write best.toml and the page; return what study.json says, and the verdict.

        began: when the command did, s since 1970; tune.hours count from there.
        """
        search = self.search
        search.folder.mkdir(parents=True, exist_ok=True)
        queue = TrialQueue(search)
        files.replace_symlink(search.folder.parent / "latest", search.folder)
        _warm_up(queue, terminal)
        limit = _limit(search, self.workers, began)
        with terminal.bar("trials", "ended") as update:
            progress = SearchProgress(queue, terminal, update)
            with executors.opened(self.ready.config.executor):  # one for all workers
                workers.run_search(search, self.workers, limit, progress.show, WandbTracker)
        return _conclude(queue, self.ready, terminal)


def plan(unplaced: Search, terminal: Terminal, dry: bool = False) -> Plan:
    """Read the data, prepare the base, and say what will be searched.

    Args:
        unplaced: without its folder.
        dry: write no fold file.
    """
    with terminal.bar("reading, folds and features", "tables"):
        ready = trial_evaluation.prepare(unplaced.config({}), unplaced.tune.seeds, dry=dry)
    search = replace(unplaced, folder=folder_of(unplaced, ready))
    count = search.workers(ready.config)
    _summary(search, ready, count, terminal)
    return Plan(search, ready, count)


def folder_of(search: Search, ready: PreparedExperiment) -> Path:
    """Return runs/NAME/HASH: the hash of space, base, data, folds and seeds; not of trials, hours and workers."""
    tables = ready.config.tables()
    cells = sorted(cell.key for cell in trial_evaluation.cells_of_folds(ready, search.tune.folds))
    measured = stored_experiment.measured_by(ready.config.data)
    what = [cells, tables["blend"], tables["post"], *measured, plain(search.space.entries)]
    return files.runs() / search.name / files.digest([*what, search.tune.folds, search.tune.seeds])


def _summary(search: Search, ready: PreparedExperiment, count: int, terminal: Terminal) -> None:
    tune = search.tune
    terminal.say(
        f"{search.name}: from {search.base_name}, {len(ready.train.lengths)} series, study {short_path(search.folder)}"
    )
    limit = f"{tune.trials} trials" + (f" or {tune.hours:g} h" if tune.hours else "")
    terminal.say(
        f"search: {limit}, {tuning_page.named('fold', tune.folds)}, {tuning_page.named('seed', tune.seeds)}, "
        f"{count} worker{'s' * (count != 1)}"
    )
    where = [tuning_page.named(*each) for each in (("fold", tune.check_folds), ("seed", tune.check_seeds))]
    terminal.say(f"final check: {', '.join(where)}")
    rows = [[key, *_described(entry)] for key, entry in search.space.entries.items()]
    terminal.table("", ["space", "values", "where"], rows)


def _described(entry: Any) -> tuple[str, str]:
    if entry.choices is not None:
        values = ", ".join(map(str, entry.names))
    else:
        step = f", step {entry.step}" if entry.step else ", log" if entry.log else ""
        values = f"{entry.low} to {entry.high}{step}"
    return values, ", ".join(f"{key} = {value}" for key, value in entry.when.items())


def _warm_up(queue: TrialQueue, terminal: Terminal) -> None:
    """Queue the values of the base, if they are in the space, and of the configs in tune.warm, which must be in it."""
    search = queue.search
    named = {name: config_files.locate(Path(name)) for name in search.tune.warm}
    known = {name: search.space.express(partial(configs.load, path), name) for name, path in named.items()}
    try:
        base = search.space.express(lambda more: configs.load(search.base, [*search.overrides, *more]), "the base")
        known = {"": base, **known}
    except UserError as error:
        terminal.say(f"the base is not a trial: {error}")
    with queue.leases.queue_lock():
        for name, params in known.items():
            queue.enqueue(params, name)


def _limit(search: Search, workers: int, began: float) -> TimeLimit:
    """Compute the time limit of the search. The final check, two configs on all its folds and seeds, is part of it."""
    tune = search.tune
    pairs = len(tune.check_folds) * len(tune.check_seeds) / (len(tune.folds) * len(tune.seeds))
    return TimeLimit(began + 3600 * tune.hours, 2 * pairs / workers) if tune.hours else TimeLimit()


def _conclude(queue: TrialQueue, ready: PreparedExperiment, terminal: Terminal) -> tuple[dict[str, Any], str]:
    """Run the final check, write all files; return what study.json says, and the verdict in a sentence.

    Raises:
        UserError: no trial is complete yet.
    """
    search, best, metric = queue.search, queue.best, queue.metric
    if best is None:
        raise UserError(f"No trial is complete yet, {queue.ended} have ended. Give more tune.hours or tune.trials.")
    chosen = search.config(best.params)
    same = chosen.tables() == search.config({}).tables()
    found = None if same else final_check.run(search, best.params, ready.competition, terminal, WandbTracker)
    verdict = tuning_page.verdict(found, metric)
    files.write_text(search.folder / "best.toml", best_toml(chosen, ready, verdict))
    files.write_text(search.folder / "study.html", tuning_page.page(queue, metric, found))
    answer = record(queue, found)
    artefacts.write_json(search.folder / "study.json", without_nan(answer))
    if found is not None:
        terminal.table(
            "", [f"mean {metric.name} of the folds", "baseline", "best", "gain"], tuning_page.check_rows(found, metric)
        )
    terminal.say(verdict)
    if (found is not None and found.pooled) or any(trial.user_attrs.get("pooled") for trial in queue.ranked):
        terminal.say(POOLED)
    latest = short_path(search.folder.parent / "latest")
    terminal.say(f"page: {latest / 'study.html'}")
    if queue.ended < search.tune.trials:
        terminal.say(f"{queue.ended} of {search.tune.trials} trials: the same command continues")
    return answer, verdict


def best_toml(chosen: Config, ready: PreparedExperiment, verdict: str) -> str:
    """Write a whole config. It names the fold file, which otherwise would be expected under the config's own name."""
    tables = chosen.tables()
    if not chosen.data.simulated:
        tables["folds"]["file"] = str(short_path(ready.folds.path))
    use = "train it with `./run.sh train THIS_FILE`"
    if chosen.data.partial:
        use = "one of several targets: its [[model]] tables go into the config with [[target]]"
    return f"# {verdict}\n# Written by `./run.sh tune`; {use}.\n{tomli_w.dumps(tables)}"


def record(queue: TrialQueue, found: FinalCheck | None) -> dict[str, Any]:
    """Make study.json: all trials that ended, the best one, the final check."""
    best = queue.best
    trials_ = [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "score": score_so_far(trial),  # of a pruned one: over its finished folds, if any
            "overrides": queue.search.space.overrides(trial.params),
            "why": trial.user_attrs.get("why", ""),
        }
        for trial in queue.trials(*ENDED)
    ]
    checked = None
    if found is not None:
        gain = {name: value if math.isfinite(value) else None for name, value in plain(found.gain).items()}
        checked = {**plain(found), "gain": gain, "optimism": found.optimism}
        checked["verdict"] = found.gain.verdict
    return {
        "metric": queue.metric.name,
        "folder": str(queue.search.folder),
        "trials": trials_,
        "best": None if best is None else best.number,
        "check": checked,
    }


def _tuning(search: Search, found: dict[str, Any], verdict: str, warnings: tuple[str, ...]) -> Tuning:
    check = found["check"]
    schema = {
        "number": pl.Int64(),
        "state": pl.String(),
        "score": pl.Float64(),
        "overrides": pl.List(pl.String()),
        "why": pl.String(),
    }
    return Tuning(
        name=search.name,
        folder=search.folder,
        trials=pl.DataFrame(found["trials"], schema=schema),
        best=found["best"],
        best_config=search.folder / "best.toml",
        gain=None if check is None else check["gain"]["mean"],
        verdict=verdict,
        report=Page(search.folder / "study.html"),
        warnings=warnings,
    )

"""`tune`: a search for better values of a config's keys, resumable, with a final check where it has not looked."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w

from foldline.cli.main import Arguments
from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
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
from foldline.experiment.preparation import PreparedExperiment, short_path
from foldline.output.tracking import WandbTracker


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Search, run the final check, write best.toml and the page."""
    began = time.time()
    unplaced = tuning_file.load(Path(arguments.words[0] if arguments.words else "tune-quickstart"), arguments.overrides)
    with terminal.bar("reading, folds and features", "tables"):
        ready = trial_evaluation.prepare(unplaced.config({}), unplaced.tune.seeds)
    search = replace(unplaced, folder=folder_of(unplaced, ready))
    count = search.workers(ready.config)
    _summary(search, ready, count, terminal)
    if "--dry-run" in arguments.flags:
        terminal.result({"folder": str(search.folder)}, "dry run: nothing was trained")
        return 0
    search.folder.mkdir(parents=True, exist_ok=True)
    queue = TrialQueue(search)
    files.replace_symlink(search.folder.parent / "latest", search.folder)
    _warm_up(queue, terminal)
    with terminal.bar("trials", "ended") as update:
        workers.run_search(
            search, count, _limit(search, count, began), SearchProgress(queue, terminal, update).show, WandbTracker
        )
    return _conclude(queue, ready, terminal)


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
        f"search: {limit}, folds {tuning_page.listed(tune.folds)}, seeds {tuning_page.listed(tune.seeds)}, "
        f"{count} workers"
    )
    terminal.say(
        f"final check: folds {tuning_page.listed(tune.check_folds)}, seeds {tuning_page.listed(tune.check_seeds)}"
    )
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


def _conclude(queue: TrialQueue, ready: PreparedExperiment, terminal: Terminal) -> int:
    """Run the final check, write all files."""
    search, best, metric = queue.search, queue.best, queue.metric
    if best is None:
        raise UserError(f"No trial is complete yet, {queue.ended} have ended. Give more tune.hours or tune.trials.")
    chosen = search.config(best.params)
    same = chosen.tables() == search.config({}).tables()
    found = None if same else final_check.run(search, best.params, ready.competition, terminal, WandbTracker)
    files.write_text(search.folder / "best.toml", best_toml(chosen, ready, tuning_page.verdict(found, metric)))
    files.write_text(search.folder / "study.html", tuning_page.page(queue, metric, found))
    answer = record(queue, found)
    artefacts.write_json(search.folder / "study.json", answer)
    if found is not None:
        terminal.table(
            "", [f"mean {metric.name} of the folds", "baseline", "best", "gain"], tuning_page.check_rows(found, metric)
        )
    terminal.say(tuning_page.verdict(found, metric))
    if (found is not None and found.pooled) or any(trial.user_attrs.get("pooled") for trial in queue.ranked):
        terminal.say(POOLED)
    latest = short_path(search.folder.parent / "latest")
    terminal.say(f"page: {latest / 'study.html'}")
    if queue.ended < search.tune.trials:
        terminal.say(f"{queue.ended} of {search.tune.trials} trials: the same command continues")
    terminal.result(answer, f"best config: {latest / 'best.toml'}")
    return 0


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

"""`tune`: a search for better values of a config's keys, resumable, with a last check where it has not looked."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w

from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.core.schema import plain
from foldline.evidence.tuning import final_check, tuning_file, tuning_page, workers
from foldline.evidence.tuning import trial as trials
from foldline.evidence.tuning.final_check import Check
from foldline.evidence.tuning.pruning import reached
from foldline.evidence.tuning.search_progress import Board
from foldline.evidence.tuning.trial_queue import ENDED, Shared
from foldline.evidence.tuning.tuning_file import Setting
from foldline.evidence.tuning.workers import Limit
from foldline.experiment import config as configs
from foldline.experiment.config import Config
from foldline.experiment.preparation import Prepared, shown
from foldline.output.tracking import WandbTracker


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Search, check, write best.toml and the page."""
    began = time.time()
    asked = tuning_file.load(Path(arguments.words[0] if arguments.words else "tune-quickstart"), arguments.overrides)
    ready = trials.prepared(asked.config({}), asked.tune.seeds)
    setting = replace(asked, folder=folder_of(asked, ready))
    count = setting.workers(ready.config)
    _summary(setting, ready, count, terminal)
    if "--dry-run" in arguments.flags:
        terminal.result({"folder": str(setting.folder)}, "dry run: nothing was trained")
        return 0
    setting.folder.mkdir(parents=True, exist_ok=True)
    shared = Shared(setting)
    files.point(setting.folder.parent / "latest", setting.folder)
    _warm_up(shared, terminal)
    with terminal.bar("trials", "ended") as update:
        workers.search(
            setting, count, _limit(setting, count, began), Board(shared, terminal, update).look, WandbTracker
        )
    return _conclude(shared, ready, terminal)


def folder_of(setting: Setting, ready: Prepared) -> Path:
    """runs/NAME/HASH: the same space on the same base, data, folds and seeds is the same study, however long."""
    tables = ready.config.tables()
    cells = sorted(cell.key for cell in trials.part(ready, setting.tune.folds))
    what = [cells, tables["blend"], tables["post"], ready.config.data.metric, plain(setting.space.entries)]
    return files.runs() / setting.name / files.digest([*what, setting.tune.folds, setting.tune.seeds])


def _summary(setting: Setting, ready: Prepared, count: int, terminal: Terminal) -> None:
    tune = setting.tune
    terminal.say(
        f"{setting.name}: from {setting.base.stem}, {len(ready.train.lengths)} series, study {shown(setting.folder)}"
    )
    limit = f"{tune.trials} trials" + (f" or {tune.hours:g} h" if tune.hours else "")
    terminal.say(
        f"search: {limit}, folds {tuning_page.listed(tune.folds)}, seeds {tuning_page.listed(tune.seeds)}, "
        f"{count} workers"
    )
    terminal.say(
        f"last check: folds {tuning_page.listed(tune.check_folds)}, seeds {tuning_page.listed(tune.check_seeds)}"
    )
    rows = [[key, *_described(entry)] for key, entry in setting.space.entries.items()]
    terminal.table("", ["space", "values", "where"], rows)


def _described(entry: Any) -> tuple[str, str]:
    if entry.choices is not None:
        values = ", ".join(map(str, entry.names))
    else:
        step = f", step {entry.step}" if entry.step else ", log" if entry.log else ""
        values = f"{entry.low} to {entry.high}{step}"
    return values, ", ".join(f"{key} = {value}" for key, value in entry.when.items())


def _warm_up(shared: Shared, terminal: Terminal) -> None:
    """Queue the values of the base, if the space holds them, and of the configs named in tune.warm, which it must."""
    setting = shared.setting
    named = {name: configs.locate(Path(name)) for name in setting.tune.warm}
    known = {name: setting.space.express(partial(configs.load, path), name) for name, path in named.items()}
    try:
        base = setting.space.express(lambda more: configs.load(setting.base, [*setting.overrides, *more]), "the base")
        known = {"": base, **known}
    except UserError as error:
        terminal.say(f"the base is not a trial: {error}")
    with shared.leases.turn():
        for name, params in known.items():
            shared.queue(params, name)


def _limit(setting: Setting, workers: int, began: float) -> Limit:
    """Time for the search; the last check, two configs on all of its folds and seeds, has to fit in as well."""
    tune = setting.tune
    pairs = len(tune.check_folds) * len(tune.check_seeds) / (len(tune.folds) * len(tune.seeds))
    return Limit(began + 3600 * tune.hours, 2 * pairs / workers) if tune.hours else Limit()


def _conclude(shared: Shared, ready: Prepared, terminal: Terminal) -> int:
    """The last check, and all that is left behind."""
    setting, best, metric = shared.setting, shared.best, ready.config.data.metric
    if best is None:
        raise UserError(f"No trial is complete yet, {shared.ended} have ended. Give more tune.hours or tune.trials.")
    chosen = setting.config(best.params)
    same = chosen.tables() == setting.config({}).tables()
    found = None if same else final_check.run(setting, best.params, ready.competition, terminal, WandbTracker)
    files.write_text(setting.folder / "best.toml", best_toml(chosen, ready, tuning_page.verdict(found, metric)))
    files.write_text(setting.folder / "study.html", tuning_page.page(shared, metric, found))
    answer = record(shared, found, metric)
    files.write_json(setting.folder / "study.json", answer)
    if found is not None:
        terminal.table("", [f"mean {metric} of the folds", "baseline", "best", "gain"], tuning_page.check_rows(found))
    terminal.say(tuning_page.verdict(found, metric))
    latest = shown(setting.folder.parent / "latest")
    terminal.say(f"page: {latest / 'study.html'}")
    if shared.ended < setting.tune.trials:
        terminal.say(f"{shared.ended} of {setting.tune.trials} trials: the same command goes on")
    terminal.result(answer, f"best config: {latest / 'best.toml'}")
    return 0


def best_toml(chosen: Config, ready: Prepared, verdict: str) -> str:
    """A whole config. It names the fold file, which otherwise would be looked for under the config's own name."""
    tables = chosen.tables()
    if not chosen.data.simulated:
        tables["folds"]["file"] = str(shown(ready.folds.path))
    return (
        f"# {verdict}\n# Written by `./run.sh tune`; train it with `./run.sh train THIS_FILE`.\n{tomli_w.dumps(tables)}"
    )


def record(shared: Shared, found: Check | None, metric: str) -> dict[str, Any]:
    """study.json: all trials that ended, the best one, the last check."""
    best = shared.best
    trials_ = [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "score": reached(trial),  # of a pruned one: over the folds that it has finished, if any
            "overrides": shared.setting.space.overrides(trial.params),
            "why": trial.user_attrs.get("why", ""),
        }
        for trial in shared.trials(*ENDED)
    ]
    checked = None
    if found is not None:
        gain = {name: value if math.isfinite(value) else None for name, value in plain(found.gain).items()}
        checked = {**plain(found), "gain": gain, "promised": found.promised, "optimism": found.optimism}
        checked["verdict"] = found.gain.verdict
    return {
        "metric": metric,
        "folder": str(shared.setting.folder),
        "trials": trials_,
        "best": None if best is None else best.number,
        "check": checked,
    }

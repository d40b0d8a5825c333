"""What a run is about to do, before it does it: data, folds, cells, and why cells are trained."""

from __future__ import annotations

from collections.abc import Sequence

from foldline.core.console import Terminal
from foldline.data import table_notes
from foldline.experiment.preparation import PreparedExperiment
from foldline.experiment.runs_index import short_path
from foldline.fit import checkpoint
from foldline.run.cells import Cell
from foldline.run.stored_cells import StoredCells

SHOWN_KEYS = 4  # at most, of those in which a cell differs from another one


def print_summary(prepared: PreparedExperiment, terminal: Terminal) -> None:
    """Print what a run is about to do: data, folds, cells, and why cells are trained."""
    config, chosen_folds, plan = prepared.config, prepared.folds, prepared.plan
    source = "simulated" if config.data.simulated else config.data.source
    labelled, unlabelled = len(prepared.train.lengths), len(prepared.test.lengths)
    features = len(prepared.train.names)
    counts = f"{labelled} series to learn from, {unlabelled} to predict, {features} features"
    terminal.say(f"{config.name}: {source}, {counts}")
    if config.default:
        terminal.say(f"models: {config.default}")
    made = "made just now" if chosen_folds.path.exists() else "to be made"
    just_now = f", {made}" if prepared.folds_made else ""
    kind = f"folds: {short_path(chosen_folds.path)} ({chosen_folds.k} {config.folds.kind} folds"
    terminal.say(f"{kind}{just_now})", later=f"{kind})")
    competition = prepared.competition
    table_notes.print_notes(competition.test, competition.sample, competition.levels, terminal, competition.train)
    waiting = [cell for cell in plan if not cell.done]
    paths = [cell.folder / checkpoint.CHECKPOINT for cell in waiting]
    begun = sum(path.exists() and not checkpoint.damage(path) for path in paths)
    resumed = f", {begun} of them begun: from the last checkpoint on" if begun else ""
    finished = f"{len(plan) - len(waiting)} finished, {len(waiting)} to train{resumed}"
    terminal.say(f"cells: {len(plan)}, {finished}", later=f"cells: {len(plan)}, {len(plan)} finished, 0 to train")
    for line in _reasons(waiting):
        terminal.say(f"  {line}", later="")


def _reasons(waiting: Sequence[Cell]) -> list[str]:
    """Say in what cells differ from the nearest finished ones: a line for each set of keys."""
    labels: dict[str, dict[str, None]] = {}
    if not waiting:
        return []
    stored = StoredCells()
    for cell in waiting:
        differing = stored.differing_keys(cell)
        more = f" and {len(differing) - SHOWN_KEYS} more" if len(differing) > SHOWN_KEYS else ""
        if differing:
            labels.setdefault(", ".join(differing[:SHOWN_KEYS]) + more, {})[cell.model.label] = None
    return [
        f"{', '.join(names)}: {'differ' if len(names) > 1 else 'differs'} from the nearest finished cell in {keys}"
        for keys, names in labels.items()
    ]

"""The live page: made whole once, and then its parts, which take the place of older ones in the browser."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from foldline.core import pages
from foldline.core.byte_sizes import byte_size
from foldline.core.durations import duration
from foldline.core.pages import Facts, Line, bars, chart, figures, legend, note, table
from foldline.output.learning_curves import learning_curves
from foldline.output.live.machine_load import Load
from foldline.output.live.remaining import remaining
from foldline.output.live.watched_run import WatchedRun
from foldline.run.progress_file import CellProgress

CSS = Path(__file__).with_name("live.css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_name("live.js").read_text(encoding="utf-8")
SECTIONS = {"cells": "Cells", "scores": "Scores", "learning-curves": "Learning curves", "machine": "Machine"}
TITLE = "title"  # of the window: text, all other parts are HTML
KEPT = "Finished cells and checkpoints are kept: run the same command again, and it goes on."
ONE_DAY_S = 86400.0


def whole(run: WatchedRun, loads: Sequence[Load], own: tuple[int, int]) -> str:
    """Make the page, as the text of an HTML file. loads, own: as in `parts`."""
    found = parts(run, loads, own)
    sections = [(name, f"<div class='part'>{found[f'#{key} .part']}</div>") for key, name in SECTIONS.items()]
    return pages.page(run.name, "live", lead(run), facts(run), sections, CSS, script="live.js")


def parts(run: WatchedRun, loads: Sequence[Load], own: tuple[int, int]) -> dict[str, str]:
    """Make what may change on the page: a CSS selector -> the HTML inside of what it selects.

    Args:
        loads: of the machine, oldest first.
        own: processes of the run, and bytes of memory that they have.
    """
    inside = {
        "cells": _cells(run) + _notes(run),
        "scores": _scores(run),
        "learning-curves": _curves(run),
        "machine": _machine(loads, own),
    }
    return {
        TITLE: _title(run),
        ".lead": escape(lead(run)),
        ".facts": pages.facts_in(facts(run)),
        **{f"#{key} .part": html for key, html in inside.items()},
    }


def _title(run: WatchedRun) -> str:
    share = f"{percent(_share(run))} · " if run.stage == "training" else ""
    return f"{share}{run.name} · live · foldline"


def _share(run: WatchedRun) -> float:
    return sum(cell.done for cell in run.cells) / max(1, len(run.cells))


def lead(run: WatchedRun) -> str:
    """Say in a sentence or two what the run is doing."""
    progress = run.progress
    if run.stage == "nothing":
        return f"Nothing of {run.name} has run yet. This page shows the first run as soon as its cells begin."
    if progress is None:
        return "Finished. It has left no times: an older version of foldline trained it."
    what = progress.verb + ("" if progress.part == run.name else f" of {progress.part}")
    since = f"{what}, begun {clock(progress.began, run.now)}"
    if run.stage == "training":
        return f"{since}, {_left(run)}."
    if run.stage == "concluding":
        return f"{since}: all cells are done. Scores, blend and report come next."
    if run.stage == "finished":
        return f"{since}: finished."
    if run.stage == "failed":
        return f"{since}, has failed: {progress.error or 'an error that it did not name'}"
    return f"{since}, was stopped, last seen {clock(progress.written, run.now)}. {KEPT}"


def clock(moment: float, now: float) -> str:
    """Write a time of this machine's clock, s since 1970; with its date where that was a day ago or more."""
    date = "%Y-%m-%d " if now - moment >= ONE_DAY_S else ""
    return time.strftime(f"{date}%H:%M", time.localtime(moment))


def percent(share: float) -> str:
    """Write a share, 0 to 1, in percent; 100 only where it is all."""
    return f"{math.floor(100 * share + 1e-9)} %"


def _left(run: WatchedRun) -> str:
    assert run.progress is not None, "a run that trains has written its progress"
    left = remaining(run.cells, run.progress.at_a_time, run.now)
    if left.seconds is None:
        return "the time that is left is not known yet"
    return f"{'about' if left.whole else 'at least'} {duration(left.seconds)} left"


def facts(run: WatchedRun) -> Facts:
    """Collect the numbers of the head."""
    done, count = sum(cell.state == "done" for cell in run.cells), len(run.cells)
    found = [(f"{done} of {count}", "cells done")] if count else []
    if run.stage == "training":
        found.insert(0, (percent(_share(run)), "of all cells"))
    scores = (run.record or {}).get("scores")
    if scores and scores[-1][1][-1] is not None:
        found.insert(0, (f"{scores[-1][1][-1]:.4f}", f"{run.metric}, out-of-fold"))
    if run.progress is not None:
        goes_on = run.stage in ("training", "concluding")
        seconds = (run.now if goes_on else run.progress.written) - run.progress.began
        found.append((duration(max(0.0, seconds)), "since the cells began" if goes_on else "from the first cell on"))
    return found


def _cells(run: WatchedRun) -> str:
    """Draw a tile for each cell, by model."""
    if not run.cells:
        return note("There are no cells yet.")
    groups: dict[str, list[CellProgress]] = {}
    for cell in run.cells:
        groups.setdefault(cell.label, []).append(cell)
    drawn = "".join(
        f"<h3>{escape(label)}</h3><div class='tiles'>{''.join(_tile(cell, each, run) for cell in each)}</div>"
        for label, each in groups.items()
    )
    scored = any(cell.held_out is not None for cell in run.cells)
    return drawn + (note(f"Of a cell that is done: {run.metric} on the series that it held out.") if scored else "")


def _tile(cell: CellProgress, group: Sequence[CellProgress], run: WatchedRun) -> str:
    """Draw a cell. group: those of its model."""
    seed = f", seed {cell.seed}" if len({other.seed for other in group}) > 1 else ""
    name = f"{'all series' if cell.fold is None else f'fold {cell.fold}'}{seed}"
    state, said = _state(cell, run)
    return (
        f"<div class='tile {state}' title='{escape(cell.remark or cell.key)}' style='--share:{100 * cell.done:.1f}%'>"
        f"<b>{escape(name)}</b><span>{escape(said)}</span></div>"
    )


def _state(cell: CellProgress, run: WatchedRun) -> tuple[str, str]:
    """Return the class of a cell's tile, and what it says."""
    if cell.state == "training":
        going = run.stage == "training"
        return ("training", percent(cell.done)) if going else ("waiting", f"stopped at {percent(cell.done)}")
    if cell.state == "done":
        return "done", "done" if cell.held_out is None else f"{cell.held_out:.4f}"
    return cell.state, cell.remark if cell.state == "waiting" and cell.remark else cell.state


def _notes(run: WatchedRun) -> str:
    """List what cells have said, and why one has failed."""
    failed = [f"{cell.name}: {cell.remark}" for cell in run.cells if cell.state == "failed"]
    said = [*failed, *(run.progress.notes if run.progress else [])]
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in said)}</ul>" if said else ""


def _scores(run: WatchedRun) -> str:
    """Make the score table of a finished run, or what its cells have reached so far."""
    recorded = (run.record or {}).get("scores")
    if recorded:
        return _recorded(run, recorded) + _link(run)
    return _link(run) + _so_far(run)


def _link(run: WatchedRun) -> str:
    return "" if run.page is None else f"<p><a href='page' target='_blank'>Its page: {run.page.name}</a></p>"


def _recorded(run: WatchedRun, scores: Sequence[Any]) -> str:
    baselines = [[f"baseline: {name}", values] for name, values in (run.record or {}).get("baselines", [])]
    rows = [[name, *map(_number, values)] for name, values in [*baselines, *scores]]
    most = max(map(len, rows))
    columns = [f"out-of-fold {run.metric}", *(f"fold {number}" for number in range(most - 2)), "all rows"]
    full = [[row[0], *[""] * (most - len(row)), *row[1:]] for row in rows]  # some know their score over all rows only
    return table(columns, full) + note("The last row is what was submitted.")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _so_far(run: WatchedRun) -> str:
    """Make a table of the scores of single cells, a row a model and a column a fold; seeds are averaged."""
    scored: dict[str, dict[int, list[float]]] = {}
    for cell in run.cells:
        if cell.held_out is not None and cell.fold is not None:
            scored.setdefault(cell.label, {}).setdefault(cell.fold, []).append(cell.held_out)
    if not scored:
        return note("No cell with a fold is done yet.")
    folds = sorted({cell.fold for cell in run.cells if cell.fold is not None})
    rows = [
        [label, *(_mean(found.get(fold, [])) for fold in folds), _mean(_flat(found))] for label, found in scored.items()
    ]
    columns = [f"{run.metric} of cells", *(f"fold {fold}" for fold in folds), "their mean"]
    return table(columns, rows, plain=True) + note("Before blend, post-processing and exact rows.")


def _flat(found: Mapping[int, Sequence[float]]) -> list[float]:
    return [value for values in found.values() for value in values]


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.4f}" if values else ""


def _curves(run: WatchedRun) -> str:
    histories: dict[str, list[list[dict[str, Any]]]] = {}
    for cell in run.cells:
        histories.setdefault(cell.label, []).append(run.histories.get(cell.key, []))
    drawn = learning_curves(histories, run.kind, run.metric)
    return drawn or note("A cell has a curve once two of its epochs are finished. Trees have none.")


def _machine(loads: Sequence[Load], own: tuple[int, int]) -> str:
    """Draw what the machine is doing, and did in the last minutes."""
    if not loads:
        return note("It is measured while somebody looks: a second is needed.")
    last, (processes, memory) = loads[-1], own
    rows = [
        ("processors", last.cpu, f"{last.cpu:.0f} %"),
        ("memory", last.full, f"{last.full:.0f} % of {byte_size(last.total)}"),
    ]
    if processes:
        rows.append(("memory, this run", 100 * memory / last.total, byte_size(memory)))
    for number, gpu in enumerate(last.gpus):
        rows.append((f"GPU {number}, {gpu.name}", gpu.busy, f"{gpu.busy:.0f} %"))
        rows.append(("its memory", gpu.full, f"{gpu.full:.0f} % of {byte_size(gpu.total)}"))
    return f"<div class='load'>{bars(rows, longest=100, marked=[])}</div>{_past(loads)}"


def _past(loads: Sequence[Load]) -> str:
    if len(loads) < 3:
        return ""
    minutes = np.array([load.time - loads[-1].time for load in loads]) / 60
    marks = [
        Line(x=minutes, y=np.array([load.cpu for load in loads]), style="accent", label="processors"),
        Line(x=minutes, y=np.array([load.full for load in loads]), style="c2", label="memory"),
    ]
    if all(load.gpus for load in loads):
        busy = np.array([np.mean([gpu.busy for gpu in load.gpus]) for load in loads])
        marks.append(Line(x=minutes, y=busy, style="c1", label="GPUs"))
    picture = chart(marks, xlabel="minutes", ylabel="%", width=500, height=180, holds=(0, 100))
    return legend(marks) + figures([("", picture)], least=340)

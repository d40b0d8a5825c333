"""The report: one self-contained HTML page an experiment, made from what its cells left. No request to anywhere."""

from __future__ import annotations

from html import escape

import numpy as np
import tomli_w

from foldline import cells, experiment
from foldline.cells import Cell
from foldline.config import Config
from foldline.exact import Exact
from foldline.experiment import Result
from foldline.series import Competition
from foldline.store import Dense, pad

Found = tuple[Exact | None, Exact | None]

CSS = """
:root{color-scheme:light dark;--line:#d0d7de;--soft:#f6f8fa;--ink:#1f2328;--faint:#59636e;--page:#fff}
@media(prefers-color-scheme:dark){:root{--line:#30363d;--soft:#161b22;--ink:#e6edf3;--faint:#9198a1;--page:#0d1117}}
body{font:15px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--page)}
body{max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}
h2{font-size:1.1rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
p.lead,small{color:var(--faint)}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}tr:last-child td{font-weight:600}
table.plain tr:last-child td{font-weight:400}
pre{background:var(--soft);padding:.8rem 1rem;border-radius:6px;overflow-x:auto;font-size:13px}
.figures{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}
.fact{background:var(--soft);border-radius:6px;padding:.5rem 1rem}
.fact b{display:block;font-size:1.25rem}svg{max-width:100%;height:auto}
"""


def page(
    config: Config, plan: list[Cell], result: Result, train: Dense, competition: Competition, exact: Found, command: str
) -> str:
    """The whole page as text. exact: decoded rows of the train and test tables, None where post.decode is off."""
    sections = [
        ("Scores, out-of-fold", _scores(config, result)),
        ("Best, median and worst series", _panels(config, result, train, competition)),
        ("Read back exactly", _exact(exact, competition)),
        ("Error by step", _by_step(config, result, train, competition)),
        ("Learning curves", _curves(config, plan)),
        ("Blend", _blend(result)),
        ("Cells", _cells(plan)),
        ("How to make it again", _again(config, command)),
    ]
    body = "".join(f"<h2>{escape(title)}</h2>\n{content}\n" for title, content in sections if content)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{escape(config.name)} · foldline</title><style>{CSS}</style></head>\n"
        f"<body>\n{_head(config, plan, result, train, competition)}\n{body}</body></html>\n"
    )


def table(columns: list[str], rows: list[list[str]], plain: bool = False) -> str:
    """An HTML table; `plain`: its last row is not the result."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table class='{'plain' if plain else ''}'><tr>{head}</tr>{lines}</table></div>"


def _head(config: Config, plan: list[Cell], result: Result, train: Dense, competition: Competition) -> str:
    seconds = sum(_seconds(cell) for cell in plan)
    facts = [
        (f"{result.score:.4f}", f"out-of-fold {config.data.metric}"),
        (str(len(train.lengths)), "series to learn from"),
        (str(len(competition.test.lengths)), "series to predict"),
        (str(len(plan)), "cells"),
        (f"{seconds / 60:.1f} min", "training time of all cells"),
    ]
    shown = "".join(f"<div class='fact'><b>{escape(value)}</b>{escape(name)}</div>" for value, name in facts)
    return f"<h1>{escape(config.name)}</h1><p class='lead'>foldline experiment</p><div class='figures'>{shown}</div>"


def _scores(config: Config, result: Result) -> str:
    count = len(next(iter(result.scores.values()))) - 1
    columns = [config.data.metric, *(f"fold {number}" for number in range(count)), "all rows"]
    rows = [[name, *(f"{value:.4f}" for value in values)] for name, values in result.scores.items()]
    note = (
        "<small>Each fold by models that never saw it; blend and grid fitted on the other folds. "
        "The last row is what is submitted.</small>"
    )
    return table(columns, rows) + note


def _series_errors(result: Result, train: Dense) -> np.ndarray:
    """(N,) mean absolute error of each series over its scored steps; NaN without any."""
    error = np.abs(result.blended - np.asarray(train.y)).mean(axis=-1) * train.scored
    count = train.scored.sum(axis=1)
    return np.where(count > 0, error.sum(axis=1) / np.maximum(count, 1), np.nan)


def _panels(config: Config, result: Result, train: Dense, competition: Competition) -> str:
    from foldline import figures

    errors = _series_errors(result, train)
    order = np.argsort(errors)[: int(np.isfinite(errors).sum())]
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    table_ = competition.train
    panels = []
    for name, number in chosen.items():
        rows = table_.frame.slice(int(table_.starts[number]), int(table_.lengths[number]))
        inside = train.scored[number, : len(rows)]
        time, given = (rows[column].to_numpy()[inside] for column in (config.data.order, config.data.inputs[0]))
        title = f"{name}: {config.data.key} {rows[config.data.key][0]}, {errors[number]:.3f}"
        truth = np.asarray(train.y)[number, : len(rows), 0][inside]
        panels.append((title, time, truth, result.blended[number, : len(rows), 0][inside], given))
    picture = figures.series_panels(panels, config.data.order, config.data.target[0])
    target, given = escape(config.data.target[0]), escape(config.data.inputs[0])
    return f"{picture}<small>{target} over the scored steps; in grey below: {given}.</small>"


def _exact(exact: Found, competition: Competition) -> str:
    """How many scored rows were decoded, and how; nothing where post.decode is off."""
    rows = []
    for table_, found in zip((competition.train, competition.test), exact, strict=True):
        if found is not None:
            scored, counts = int(table_.scored.sum()), found.counts(table_.scored)
            kinds = ", ".join(f"{kind} {count}" for kind, count in counts.items())
            rows.append([table_.path.name, str(scored), f"{sum(counts.values()) / scored:.1%}", kinds])
    return table(["file", "scored rows", "exact", "how"], rows, plain=True) if rows else ""


def _by_step(config: Config, result: Result, train: Dense, competition: Competition) -> str:
    from foldline import figures

    y, scored = np.asarray(train.y), train.scored
    count = scored.sum(axis=0)
    kept = count > 0.01 * count.max()  # a few long series would draw noise
    order = pad(competition.train.frame[config.data.order].to_numpy(), train.lengths, y.shape[1])
    time = (order * scored).sum(axis=0)[kept] / count[kept]
    shown = {**dict(zip(result.labels, result.members, strict=True)), "submitted": result.blended}
    errors = {
        name: (np.abs(values - y).mean(axis=-1) * scored).sum(axis=0)[kept] / count[kept]
        for name, values in shown.items()
    }
    return figures.error_by_step(time, errors, config.data.order)


def _curves(config: Config, plan: list[Cell]) -> str:
    from foldline import figures

    curves = {
        model.label: [[row["loss"] for row in cells.history(cell)] for cell in plan if cell.model.label == model.label]
        for model in config.models
    }
    several = {label: losses for label, losses in curves.items() if any(len(values) > 1 for values in losses)}
    return figures.learning_curves(several) if several else "<p>No model here is trained in epochs.</p>"


def _blend(result: Result) -> str:
    if result.blend.weights is None:
        return f"<p>{escape(result.blend.method)} of {escape(', '.join(result.labels))}.</p>"
    rows = [[label, f"{weight:.2f}"] for label, weight in zip(result.blend.labels, result.blend.weights, strict=True)]
    return table([result.blend.method, "weight"], rows, plain=True)


def _seconds(cell: Cell) -> float:
    from foldline import files

    return float(files.read_json(cell.folder / "done.json")["time.train_s"])


def _cells(plan: list[Cell]) -> str:
    rows = []
    for cell in plan:
        losses = [f"{row['loss']:.4f}" for row in cells.history(cell)]  # none of a pre-trained model as it comes
        rows.append([cell.name, cell.key, *(losses[-1:] or [""]), f"{_seconds(cell):.1f}"])
    return table(["cell", "key", "training loss", "seconds"], rows, plain=True)


def _again(config: Config, command: str) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in experiment.environment().items())
    resolved = escape(tomli_w.dumps(config.tables()))
    return (
        f"<pre>{escape(command)}</pre><p><small>{escape(versions)}</small></p>"
        f"<details><summary>resolved config</summary><pre>{resolved}</pre></details>"
    )

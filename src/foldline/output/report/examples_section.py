"""The best, the median and the worst series, and some between: truth, prediction, spread, exact rows and inputs."""

from __future__ import annotations

from html import escape

import numpy as np

from foldline.core.pages import COLORS, Band, Dots, Line, Mark, chart, figures, legend, note
from foldline.output.report.report_data import Evidence

RANKS = {"best": 0.0, "better quarter": 0.25, "median": 0.5, "worse quarter": 0.75, "worst 5 %": 0.95, "worst": 1.0}
BESIDE = 3  # steps that are shown before the first and after the last scored one
TARGETS = 3  # most targets that are drawn


def panels(evidence: Evidence) -> str:
    """A figure a series, by rank of the models' error."""
    errors = evidence.series_error(evidence.modelled)
    order = np.argsort(errors, kind="stable")[: int(np.isfinite(errors).sum())]
    chosen = {name: int(order[round(share * (len(order) - 1))]) for name, share in RANKS.items()}
    marks = {name: _targets(evidence, number) for name, number in chosen.items()}
    items = [
        (_caption(evidence, name, number), _pictures(evidence, number, marks[name])) for name, number in chosen.items()
    ]
    every = [mark for one in marks.values() for target in one for mark in target]
    return f"{legend([*every, *_inputs(evidence, chosen['best'])])}{figures(items)}{note(_remark(evidence))}"


def _remark(evidence: Evidence) -> str:
    text = f"Ranked by the {evidence.config.data.metric} of the {evidence.models}, out-of-fold, over the scored steps."
    spread = next(iter(evidence.spreads), None)
    if spread is not None:
        text += f" Band: {spread} plus and minus the error that it expects itself."
    return f"{text} Below: the inputs, each from its least to its largest value in the series."


def _caption(evidence: Evidence, name: str, number: int) -> str:
    data, table = evidence.config.data, evidence.competition.train
    row = table.frame.row(int(table.starts[number]), named=True)
    statics = "".join(f", {column} {row[column]}" for column in data.static)
    errors = [evidence.series_error(values)[number] for values in (evidence.modelled, evidence.result.blended)]
    said = f"{errors[0]:.3f}"
    if evidence.result.processed:
        said += f" by the models, {errors[1]:.3f} submitted"
    return f"<b>{escape(name)}</b>: {escape(f'{data.key} {row[data.key]}{statics}')}<small>{data.metric} {said}</small>"


def _window(evidence: Evidence, number: int) -> tuple[slice, np.ndarray]:
    """The rows that are drawn, and (rows,) the order column there."""
    table, store = evidence.competition.train, evidence.train
    first, end = int(store.offsets[number]), int(store.offsets[number] + store.lengths[number])
    rows = first + np.flatnonzero(store.scored[first:end])
    shown = slice(max(int(rows[0]) - BESIDE, first), min(int(rows[-1]) + 1 + BESIDE, end))
    time = table.frame[evidence.config.data.order].slice(shown.start, shown.stop - shown.start)
    return shown, time.to_numpy().astype(float)


def _targets(evidence: Evidence, number: int) -> list[list[Mark]]:
    """The marks of each target."""
    shown, time = _window(evidence, number)
    scored = evidence.train.scored[shown]
    exact = np.zeros(len(time), bool) if evidence.known is None else evidence.known[shown] & scored
    found = []
    for target in range(min(TARGETS, evidence.truth.shape[1])):
        truth = evidence.truth[shown, target]
        values = np.where(scored, evidence.modelled[shown, target], np.nan)
        marks: list[Mark] = [*_band(evidence, shown, target, time, scored)]
        marks.append(Line(x=time, y=truth, style="neutral thick", label="truth"))
        marks.append(Line(x=time, y=values, label=evidence.models if len(evidence.members) > 1 else "prediction"))
        if exact.any():
            read = np.where(exact, truth, np.nan)
            marks.append(Dots(x=time, y=read, style="ink", label="read back exactly"))
        found.append(marks)
    return found


def _band(evidence: Evidence, shown: slice, target: int, time: np.ndarray, scored: np.ndarray) -> list[Band]:
    """What the first member with a spread expects."""
    for label, spread in evidence.spreads.items():
        center = evidence.predictions[label][shown, target]
        half = np.where(scored, spread[shown, target], np.nan)
        return [Band(x=time, low=center - half, high=center + half, label=f"{label}: expected error")]
    return []


def _inputs(evidence: Evidence, number: int) -> list[Mark]:
    """Each input from 0 to 1."""
    table, (shown, time) = evidence.competition.train, _window(evidence, number)
    rows = table.frame.slice(shown.start, len(time))
    lines: list[Mark] = []
    for place, name in enumerate(evidence.config.data.inputs[: len(COLORS)]):
        values = rows[name].to_numpy().astype(float)
        height = (values - values.min()) / (np.ptp(values) or 1.0)
        lines.append(Line(x=time, y=height, style=f"{COLORS[place]} thin", label=name))
    return lines


def _pictures(evidence: Evidence, number: int, targets: list[list[Mark]]) -> str:
    """One chart a target, and a flat one of the inputs."""
    data = evidence.config.data
    drawn = [
        chart(marks, ylabel=name, height=190, width=340) for name, marks in zip(data.target, targets, strict=False)
    ]
    return "".join([*drawn, chart(_inputs(evidence, number), xlabel=data.order, height=80, width=340, bare=True)])

"""The page of a study: scores with their evidence, what each system costs, how that grows. One HTML file."""

from __future__ import annotations

from html import escape

import numpy as np

from foldline.core import pages
from foldline.core.pages import Line, bars, chart, figures, note, table
from foldline.evidence.ablation import ablation_wording
from foldline.evidence.ablation.forest_plot import forest
from foldline.evidence.study import study_results
from foldline.evidence.study.study_preparation import PreparedStudy
from foldline.evidence.study.study_results import StudyResult, SystemResult
from foldline.experiment import recorded


def page(study: PreparedStudy, result: StudyResult, command: str) -> str:
    """The whole page as text."""
    sections = [
        ("Scores", _scores(study, result)),
        ("Effects", _effects(result)),
        ("Price", _price(result)),
        ("Growth", _growth(result)),
        ("History", _history(result)),
        ("What this design can and can't say", _remarks(study, result)),
        ("How to make it again", _again(study, command)),
    ]
    settings, base = study.plan.settings, study.ablation.base
    lead = (
        f"{len(result.systems)} systems of {settings.parameters:,} parameters each (± {settings.tolerance:.0%}) on the "
        "same series, folds and seeds."
    )
    facts = [
        (result.ranked[0].system.name, f"lowest {base.config.data.metric}: {result.ranked[0].score:.4f}"),
        (f"{result.found.folds} × {result.found.seeds}", "folds × seeds"),
        (f"{len(base.train.lengths):,}", "series"),
        (str(result.systems[0].step.steps), "steps of a series"),
    ]
    return pages.page(study.plan.name, "study", lead, facts, sections)


def _scores(study: PreparedStudy, result: StudyResult) -> str:
    rows = [study_results.row(each, result.found) for each in result.ranked]
    first, metric = study.systems[0].name, study.ablation.base.config.data.metric
    return table(list(study_results.COLUMNS), rows, plain=True) + note(
        f"Score: {metric}, mean over folds and single seeds. Against the first: difference to {first} in % of its "
        "score, below 0 is better. Interval: resampled series and seeds; it decides nothing. Verdict: corrected t over "
        "folds, after Holm. Peak: memory of a training step."
    )


def _effects(result: StudyResult) -> str:
    return forest(result.found) + note(
        "Thin line: 95 % by the corrected t, for this system alone. Thick line: 95 % of resampled series and seeds. "
        "Rings: folds. Shaded: differences that count as none."
    )


def _price(result: StudyResult) -> str:
    by_time = sorted(result.systems, key=lambda each: each.epoch_s)
    by_memory = sorted(result.systems, key=lambda each: each.step.peak_bytes)
    seconds = [(each.system.name, each.epoch_s, f"{each.epoch_s:.2f} s") for each in by_time]
    memory = [
        (each.system.name, float(each.step.peak_bytes), f"{study_results.mebibytes(each.step.peak_bytes)} MiB")
        for each in by_memory
    ]
    step = result.systems[0].step
    return figures([("seconds an epoch", bars(seconds)), ("peak memory of a step", bars(memory))]) + note(
        f"Both are measured on {step.batch} series of {step.steps} steps, by a process of its own, after all training; "
        "an epoch's seconds are its steps times the fastest that was seen."
    )


def _growth(result: StudyResult) -> str:
    """A picture a system: its seconds a step, the others' in grey; empty where growth was not measured."""
    if not result.systems[0].growth:
        return note("Not measured: add study.growth=true.")
    pictures = [(_caption(each), _seconds(each, result)) for each in result.systems]
    rows = [
        [
            each.system.name,
            *(f"{cost.step_s:.3f} s, {study_results.mebibytes(cost.peak_bytes)} MiB" for cost in each.growth),
        ]
        for each in result.systems
    ]
    steps = [f"{cost.steps} steps" for cost in result.systems[0].growth]
    return figures(pictures, least=240) + table(["", *steps], rows, plain=True)


def _caption(each: SystemResult) -> str:
    time, memory = each.exponents or (float("nan"), float("nan"))
    name = escape(each.system.name)
    return f"<b>{name}</b>: time grows as T<sup>{time:.1f}</sup>, memory as T<sup>{memory:.1f}</sup>"


def _seconds(chosen: SystemResult, result: StudyResult) -> str:
    lines = [_line(each, "neutral thin") for each in result.systems if each is not chosen] + [_line(chosen, "accent")]
    return chart(lines, xlabel="steps of a series", ylabel="seconds a training step", log=True)


def _line(each: SystemResult, style: str) -> Line:
    x, y = (np.array([getattr(cost, name) for cost in each.growth]) for name in ("steps", "step_s"))
    return Line(x=x, y=y, style=style)


def _history(result: StudyResult) -> str:
    """The truncation curves of the systems that look back and nowhere else."""
    found = [each for each in result.systems if each.cuts]
    if not found:
        return note("No system here looks back and nowhere else, so that it could be cut to its last steps.")
    pictures = [(f"<b>{escape(each.system.name)}</b>", _cuts(each)) for each in found]
    rows = [[each.system.name, *(f"{cut.error:.4f}, {cut.distance:.4f}" for cut in each.cuts)] for each in found]
    steps = [f"last {cut.steps}" for cut in found[0].cuts]
    return (
        figures(pictures)
        + table(["", *steps], rows, plain=True)
        + note(
            "Mean absolute error of a system that begins anew k steps before each answer, and how far that is from "
            "what the whole one says (Miller & Hardt 2019). Where the curve is level, nothing further back matters. "
            "Of its first cell, on series that it held out. Features that sum up the past bring it along."
        )
    )


def _cuts(each: SystemResult) -> str:
    x, y = (np.array([getattr(cut, name) for cut in each.cuts]) for name in ("steps", "error"))
    return chart([Line(x=x, y=y)], xlabel="k, steps that it looks back", ylabel="mean absolute error")


def _remarks(study: PreparedStudy, result: StudyResult) -> str:
    names = study_results.undecided(result)
    first = study.systems[0].name
    open_ = f"It cannot tell {', '.join(names)} from {first}." if names else f"It tells every system from {first}."
    said = [
        open_,
        "Every system has as many parameters, and the same features, epochs, learning rate and schedule. That is one "
        "way to be fair: tuned each by itself, or at equal time, they may rank otherwise.",
        *ablation_wording.remarks(result.found),
    ]
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in said) + "</ul>"


def _again(study: PreparedStudy, command: str) -> str:
    pairs = zip(study.systems, study.ablation.prepared, strict=True)
    configs = {f"{system.name}, resolved": prepared.config.tables() for system, prepared in pairs}
    return pages.again(command, recorded.environment(), configs)

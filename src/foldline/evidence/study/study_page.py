"""The page of a study as one HTML file: scores and verdicts, costs, growth, truncation curves."""

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
from foldline.experiment import stored_experiment


def page(study: PreparedStudy, result: StudyResult, command: str) -> str:
    """Make the whole page as text."""
    sections = [
        ("Scores", _scores(study, result)),
        ("Effects", _effects(result)),
        ("Costs", _costs(result)),
        ("Growth", _growth(result)),
        ("Truncation", _truncation_curves(result)),
        ("What this design can and cannot show", _remarks(study, result)),
        ("How to make it again", _again(study, command)),
    ]
    settings, base = study.plan.settings, study.ablation.base
    lead = (
        f"{len(result.systems)} systems of {settings.parameters:,} parameters each "
        f"(± {100 * settings.tolerance:.0f} %) on the same series, folds and seeds."
    )
    facts = [
        (result.ranked[0].system.name, f"best {base.config.data.metric}: {result.ranked[0].score:.4f}"),
        (f"{result.compared.folds} × {result.compared.seeds}", "folds × seeds"),
        (f"{len(base.train.lengths):,}", "series"),
        (str(result.systems[0].step.steps), "steps of a series"),
    ]
    return pages.page(study.plan.name, "study", lead, facts, sections)


def _scores(study: PreparedStudy, result: StudyResult) -> str:
    rows = study_results.rows(result, study)
    first, metric = study.systems[0].name, study.ablation.base.config.data.metric
    return table(list(study_results.COLUMNS), rows, plain=True) + note(
        f"Score: {metric}, mean over folds and single seeds. Against the first: difference to {first} in % of its "
        f"score; {result.compared.metric.better} is better. Bootstrap: over {result.compared.drawn} and seeds; it "
        "does not decide. Verdict: corrected t over "
        "folds, after Holm. Peak: memory of a training step."
    )


def _effects(result: StudyResult) -> str:
    return forest(result.compared) + note(
        "Thin line: 95 % interval of the corrected t, for this system alone. Thick line: 95 % bootstrap interval. "
        "Rings: folds. Shaded: differences that count as none."
    )


def _costs(result: StudyResult) -> str:
    by_time = sorted(result.systems, key=lambda each: each.epoch_s)
    by_memory = sorted(result.systems, key=lambda each: each.step.peak_bytes)
    seconds = [
        (each.system.name, each.epoch_s, f"{study_results.seconds_in_words(each.epoch_s)} s") for each in by_time
    ]
    memory = [
        (each.system.name, float(each.step.peak_bytes), f"{study_results.mebibytes(each.step.peak_bytes)} MiB")
        for each in by_memory
    ]
    step = result.systems[0].step
    return figures([("seconds an epoch", bars(seconds)), ("peak memory of a step", bars(memory))]) + note(
        f"Both are measured on {step.batch} series of {step.steps} steps, by a process of its own, after all training. "
        "Seconds an epoch: its steps times the fastest step."
    )


def _growth(result: StudyResult) -> str:
    """One chart for each system: its seconds a step, the others' in grey; a note where growth was not measured."""
    if not result.systems[0].growth:
        return note("Not measured: add study.growth=true.")
    pictures = [(_caption(each), _seconds(each, result)) for each in result.systems]
    rows = [
        [
            each.system.name,
            *(
                f"{study_results.seconds_in_words(cost.step_s)} s, {study_results.mebibytes(cost.peak_bytes)} MiB"
                for cost in each.growth
            ),
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
    return chart(lines, xlabel="steps of a series", ylabel="seconds a training step", log=True, whole=True)


def _line(each: SystemResult, style: str) -> Line:
    x, y = (np.array([getattr(cost, name) for cost in each.growth]) for name in ("steps", "step_s"))
    return Line(x=x, y=y, style=style)


def _truncation_curves(result: StudyResult) -> str:
    """The truncation curves of the causal systems."""
    found = [each for each in result.systems if each.truncation]
    if not found:
        return note(
            "Not measured: it needs a causal system that sees series whole, and numbers at every step as the target."
        )
    pictures = [(f"<b>{escape(each.system.name)}</b>", _truncation(each)) for each in found]
    rows = [
        [each.system.name, *(f"{point.error:.4f}, {point.distance:.4f}" for point in each.truncation)] for each in found
    ]
    steps = [f"last {point.steps}" for point in found[0].truncation]
    return (
        figures(pictures)
        + table(["", *steps], rows, plain=True)
        + note(
            "Mean absolute error of a system that sees only the last k steps before each prediction, and distance to "
            "its untruncated predictions (Miller & Hardt 2019). Where the curve is flat, earlier steps do not matter. "
            "Measured on its first cell, on held-out series. Features that sum up the past still carry it."
        )
    )


def _truncation(each: SystemResult) -> str:
    x, y = (np.array([getattr(point, name) for point in each.truncation]) for name in ("steps", "error"))
    return chart([Line(x=x, y=y)], xlabel="k, steps that it sees", ylabel="mean absolute error", whole=True)


def _remarks(study: PreparedStudy, result: StudyResult) -> str:
    names = study_results.undecided(result)
    first = study.systems[0].name
    verdicts = f"It cannot tell {', '.join(names)} from {first}." if names else f"It tells every system from {first}."
    sentences = [
        verdicts,
        "Every system has as many parameters, and the same features, epochs, learning rate and schedule. That is one "
        "way to compare: tuned separately, or at equal time, they may rank differently.",
        *ablation_wording.remarks(result.compared),
    ]
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>"


def _again(study: PreparedStudy, command: str) -> str:
    pairs = zip(study.systems, study.ablation.prepared, strict=True)
    configs = {f"{system.name}, resolved": prepared.config.tables() for system, prepared in pairs}
    return pages.reproduction(command, stored_experiment.environment(), configs)

"""The page of an ablation as one HTML file: verdicts, forest plot, remarks on the design, slices, every delta."""

from __future__ import annotations

from html import escape
from itertools import groupby

import numpy as np

from foldline.core import pages
from foldline.core.pages import Facts, collapsed, note, table
from foldline.evidence.ablation import ablation_wording
from foldline.evidence.ablation.ablation_results import AblationResult, VariantResult
from foldline.evidence.ablation.ablation_run import PreparedAblation
from foldline.evidence.ablation.forest_plot import forest
from foldline.experiment import stored_experiment


def page(ablation: PreparedAblation, result: AblationResult, command: str) -> str:
    """Make the whole page as text."""
    plan = ablation.plan
    sections = [
        ("Verdicts", _verdicts(result, plan.base.data.metric)),
        ("Effects", _forest(result)),
        ("What this design can and cannot show", _remarks(result)),
        ("Effects in slices", _slices(result)),
        ("Every fold and seed", _deltas(result)),
        ("How to make it again", _again(ablation, command)),
    ]
    count = len(result.variants) + len(result.failed)
    lead = (
        f"{count} variants of {plan.base.name}, each on the baseline's own folds and seeds."
        if count > 1
        else f"A variant of {plan.base.name}, on the baseline's own folds and seeds."
    )
    return pages.page(plan.name, "ablation", lead, _facts(ablation, result), sections)


def _facts(ablation: PreparedAblation, result: AblationResult) -> Facts:
    cells = {cell.key for prepared in ablation.prepared for cell in prepared.plan}
    return [
        (f"{result.score:.4f}", f"baseline's {ablation.plan.base.data.metric}, one seed"),
        (str(len(result.variants)), f"variant{'s' * (len(result.variants) != 1)}{' compared' * bool(result.failed)}"),
        *([(str(len(result.failed)), "failed")] if result.failed else []),
        (f"{result.folds} × {result.seeds}", "folds × seeds"),
        (f"{len(ablation.base.train.lengths):,}", "series"),
        (str(len(cells)), "cells"),
    ]


def _verdicts(result: AblationResult, measure: str) -> str:
    return table(list(ablation_wording.COLUMNS), ablation_wording.rows(result), plain=True) + note(
        f"{ablation_wording.title(result, measure)}. Effect: score minus the baseline's; "
        f"{result.metric.better} is better."
    )


def _forest(result: AblationResult) -> str:
    return forest(result) + note(
        "Thin line: 95 % interval of the corrected t, for this variant alone. Thick line: 95 % bootstrap interval over "
        f"{result.drawn} and seeds. Rings: folds. Shaded: differences that count as none."
    )


def _remarks(result: AblationResult) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in ablation_wording.remarks(result)) + "</ul>"


def _slices(result: AblationResult) -> str:
    """One table for each group of slices: variants down, slices across."""
    numbered = groupby(enumerate(result.slices), key=lambda pair: pair[1].group)
    tables = [_slice_table(group, [number for number, _ in members], result) for group, members in numbered]
    measure = "" if result.metric.loss is not None else f"Losses of rows, not {result.metric.name}: lower is better. "
    return "<br>".join(tables) + note(
        f"{measure}Effects in % of the slice's baseline; bold where the 95 % bootstrap interval excludes 0. With many "
        "slices and no correction for that, some are bold by chance: take them as hints."
    )


def _slice_table(group: str, members: list[int], result: AblationResult) -> str:
    head = "".join(f"<th>{escape(result.slices[number].name)}</th>" for number in members)
    sizes = "".join(f"<td>{result.slice_sizes[number]:,}</td>" for number in members)
    scores = "".join(f"<td>{result.slice_baseline[number]:.4f}</td>" for number in members)
    lines = [f"<th>{escape(group)}</th>{head}", f"<td>scored values</td>{sizes}", f"<td>baseline</td>{scores}"]
    for found in result.variants:
        effects = "".join(_slice_cell(found, result, number) for number in members)
        lines.append(f"<td>{escape(found.name)}</td>{effects}")
    return f"<div class='scroll'><table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table></div>"


def _slice_cell(found: VariantResult, result: AblationResult, number: int) -> str:
    base, effect, ends = result.slice_baseline[number], found.slice_effects[number], found.slice_intervals[number]
    if base == 0:  # rows that are decoded exactly have no error
        return f"<td>{effect:+.4f}</td>"
    excludes_zero = bool(np.sign(ends[0]) * np.sign(ends[1]) > 0)
    kind = "" if not excludes_zero else "better" if result.gains(float(effect)) else "worse"
    return f"<td class='{kind}'>{effect / abs(base):+.1%}</td>"


def _deltas(result: AblationResult) -> str:
    """Scores of the baseline, deltas of each variant (seeds inside folds), and their variance components."""
    columns = ["", *(f"{fold}.{seed}" for fold in range(result.folds) for seed in range(result.seeds))]
    rows = [["baseline", *(f"{value:.4f}" for value in result.baseline.ravel())]]
    rows += [[found.name, *(f"{value:+.4f}" for value in found.deltas.ravel())] for found in result.variants]
    components = [[found.name, *(f"{np.sqrt(part):.4f}" for part in _variances(found))] for found in result.variants]
    spread = table(["", "between folds", "between seeds", "residual", "corrected error"], components, plain=True)
    return collapsed(
        "scores of the baseline and deltas of the variants, fold.seed", table(columns, rows, plain=True)
    ) + collapsed(
        "variance components of the deltas",
        spread + note("Standard deviations. Between seeds: what a seed does in all folds. Residual: of one training."),
    )


def _variances(found: VariantResult) -> tuple[float, float, float, float]:
    tested = found.significance
    parts = tested.variance
    return parts.split_variance, parts.seed_variance, parts.residual_variance, tested.standard_error**2


def _again(ablation: PreparedAblation, command: str) -> str:
    changes = [[variant.name, variant.changes] for variant in ablation.plan.variants]
    configs = {"the baseline's resolved config": ablation.plan.base.tables()}
    return pages.reproduction(command, stored_experiment.environment(), configs) + collapsed(
        "what each variant changes", table(["variant", "changes"], changes, plain=True)
    )

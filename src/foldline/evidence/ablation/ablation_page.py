"""The page of an ablation: verdicts, forest plot, every delta, slices, and what the design can't say. One HTML file."""

from __future__ import annotations

from html import escape
from itertools import groupby

import numpy as np

from foldline.core import pages
from foldline.core.pages import Facts, folded, note, table
from foldline.evidence.ablation import ablation_wording
from foldline.evidence.ablation.ablation_results import AblationResult, VariantResult
from foldline.evidence.ablation.ablation_run import PreparedAblation
from foldline.evidence.ablation.forest_plot import forest
from foldline.experiment import recorded


def page(study: PreparedAblation, findings: AblationResult, command: str) -> str:
    """The whole page as text."""
    ablation = study.ablation
    sections = [
        ("Verdicts", _verdicts(findings, ablation.base.data.metric)),
        ("Effects", _forest(findings)),
        ("What this design can and can't say", _remarks(findings)),
        ("Where: effects in slices", _slices(findings)),
        ("Every fold and seed", _deltas(findings)),
        ("How to make it again", _again(study, command)),
    ]
    lead = f"{len(findings.variants)} variants of {ablation.base.name}, each on the baseline's own folds and seeds."
    return pages.page(ablation.name, "ablation", lead, _facts(study, findings), sections)


def _facts(study: PreparedAblation, findings: AblationResult) -> Facts:
    cells = {cell.key for prepared in study.prepared for cell in prepared.plan}
    return [
        (f"{findings.score:.4f}", f"baseline's {study.ablation.base.data.metric}, one seed"),
        (str(len(findings.variants)), "variants"),
        (f"{findings.folds} × {findings.seeds}", "folds × seeds"),
        (f"{len(study.base.train.lengths):,}", "series"),
        (str(len(cells)), "cells"),
    ]


def _verdicts(findings: AblationResult, measure: str) -> str:
    rows = [ablation_wording.row(found, findings) for found in findings.variants]
    return table(list(ablation_wording.COLUMNS), rows, plain=True) + note(
        f"{ablation_wording.title(findings, measure)}. Effect: score of the variant minus the baseline's; below 0 is better."
    )


def _forest(findings: AblationResult) -> str:
    return forest(findings) + note(
        "Thin line: 95 % by the corrected t, for this variant alone. Thick line: 95 % of resampled series and "
        "seeds. Rings: folds. Shaded: differences that count as none."
    )


def _remarks(findings: AblationResult) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in ablation_wording.remarks(findings)) + "</ul>"


def _slices(findings: AblationResult) -> str:
    """A table a group: variants down, slices across."""
    numbered = groupby(enumerate(findings.slices), key=lambda pair: pair[1].group)
    tables = [_slice_table(group, [number for number, _ in members], findings) for group, members in numbered]
    return "<br>".join(tables) + note(
        "Effects in % of the slice's baseline; bold where the 95 % interval of resampled series and seeds "
        "leaves 0 out. With so many looks some are bold by chance: they say where to look, not what is so."
    )


def _slice_table(group: str, members: list[int], findings: AblationResult) -> str:
    head = "".join(f"<th>{escape(findings.slices[number].name)}</th>" for number in members)
    sizes = "".join(f"<td>{findings.slice_sizes[number]:,}</td>" for number in members)
    scores = "".join(f"<td>{findings.slice_baseline[number]:.4f}</td>" for number in members)
    lines = [f"<th>{escape(group)}</th>{head}", f"<td>scored values</td>{sizes}", f"<td>baseline</td>{scores}"]
    for found in findings.variants:
        effects = "".join(_slice_cell(found, findings, number) for number in members)
        lines.append(f"<td>{escape(found.name)}</td>{effects}")
    return f"<div class='scroll'><table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table></div>"


def _slice_cell(found: VariantResult, findings: AblationResult, number: int) -> str:
    base, effect, ends = findings.slice_baseline[number], found.slice_effects[number], found.slice_intervals[number]
    if base == 0:  # rows that are read back exactly
        return f"<td>{effect:+.4f}</td>"
    sure = bool(np.sign(ends[0]) * np.sign(ends[1]) > 0)
    kind = "" if not sure else "better" if effect < 0 else "worse"
    return f"<td class='{kind}'>{effect / base:+.1%}</td>"


def _deltas(findings: AblationResult) -> str:
    """Scores of the baseline and deltas of each variant, seeds inside folds."""
    columns = ["", *(f"{fold}.{seed}" for fold in range(findings.folds) for seed in range(findings.seeds))]
    rows = [["baseline", *(f"{value:.4f}" for value in findings.baseline.ravel())]]
    rows += [[found.name, *(f"{value:+.4f}" for value in found.deltas.ravel())] for found in findings.variants]
    noise = [[found.name, *(f"{np.sqrt(part):.4f}" for part in _components(found))] for found in findings.variants]
    spread = table(["standard deviation", "split", "luck", "rest", "corrected error"], noise, plain=True)
    return folded(
        "scores of the baseline and deltas of the variants, fold.seed", table(columns, rows, plain=True)
    ) + folded(
        "where the deltas' spread comes from",
        spread + note("split: between folds; luck: of a seed in all folds; rest: of one training."),
    )


def _components(found: VariantResult) -> tuple[float, float, float, float]:
    noise = found.evidence.noise
    return noise.split, noise.luck, noise.rest, found.evidence.error**2


def _again(study: PreparedAblation, command: str) -> str:
    changes = [[variant.name, variant.changes] for variant in study.ablation.variants]
    configs = {"the baseline's resolved config": study.ablation.base.tables()}
    return pages.again(command, recorded.environment(), configs) + folded(
        "what each variant changes", table(["variant", "changes"], changes, plain=True)
    )

"""How evidence reads: rows of the table, and what a design can and can't say, for the terminal and for the page."""

from __future__ import annotations

import numpy as np
from scipy import special

from foldline.evidence.ablation.ablation_results import AblationResult, VariantResult
from foldline.evidence.ablation.significance import Significance, wilcoxon_floor
from foldline.evidence.ablation.statistical_power import MOST_SEEDS, correction

COLUMNS = ("variant", "verdict", "effect", "of baseline", "95 % of series", "p", "p same", "visible", "more seeds")


def row(found: VariantResult, findings: AblationResult) -> list[str]:
    """One line of the table: what a variant does to the baseline's score, below 0 for better."""
    evidence, score = found.evidence, findings.score
    low, high = found.interval / score
    return [
        found.name,
        verdict(found),
        f"{evidence.effect:+.4f}",
        f"{evidence.effect / score:+.1%}",
        f"{low:+.1%} to {high:+.1%}",
        p_value(evidence.p_holm),
        p_value(evidence.p_equivalence_holm),
        "" if found.identical else f"{evidence.detectable_effect / score:.1%}",
        more_seeds(evidence),
    ]


def verdict(found: VariantResult) -> str:
    """The verdict; that nothing at all differs is said."""
    return "no difference (same)" if found.identical else found.evidence.verdict


def title(findings: AblationResult, measure: str) -> str:
    """What stands above the table."""
    margin = 100 * findings.rule.delta / findings.score
    return (
        f"baseline: {measure} {findings.score:.4f}, mean over folds and single seeds; "
        f"differences within ±{margin:.3g} % are none"
    )


def p_value(p: float) -> str:
    """Two digits that count, none invented."""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def more_seeds(evidence: Significance) -> str:
    """How many seeds more would bring a verdict, if the effect is what it looks like."""
    if evidence.verdict != "cannot tell yet":
        return ""
    if evidence.noise.seeds == 1:
        return "try 1"
    if evidence.seeds_needed is None:
        return f"over {MOST_SEEDS}"
    return str(evidence.seeds_needed - evidence.noise.seeds)


def remarks(findings: AblationResult) -> list[str]:
    """What a reader should know before believing the table, in full sentences."""
    k, seeds, rule = findings.folds, findings.seeds, findings.rule
    critical = special.stdtrit(k - 1, 1 - rule.strictest / 2)
    said = [_wilcoxon(k, rule.alpha), _seeds(seeds), f"The first verdict needs {needed(k, rule.alpha, rule.variants)}."]
    if k < 10:
        ten = special.stdtrit(9, 1 - rule.strictest / 2)
        ratio = ten * np.sqrt(10 * correction(10)) / (critical * np.sqrt(k * correction(k)))
        said.append(
            f"With 10 folds |t| ≥ {ten:.1f} would do, and on the same number of trainings effects {ratio:.0%} as large "
            "would pass: more folds beat more seeds."
        )
    said.append(
        "“95 % of series” resamples series inside their folds, and seeds, of the cells as they are trained. It does "
        "not know what other training series would have done: it describes, the corrected t decides."
    )
    said.append(
        "“p” is that of no effect at all, “p same” that of one beyond the margin, both after Holm over the variants: a "
        f"verdict needs one of them at or below {rule.alpha:g}. A sure difference inside the margin counts as none."
    )
    said.append(
        f"“Visible” is the effect that this design finds in {rule.power:.0%} of ablations at Holm's first step. “More "
        f"seeds” is what would bring a verdict as surely, if the effect is what it looks like; over {MOST_SEEDS}: the "
        "folds disagree, and only more of them, or more series, would tell."
    )
    same = [found.name for found in findings.variants if found.identical]
    if same:
        said.append(f"Same predictions as the baseline, to the last bit: {', '.join(same)}.")
    return said


def _wilcoxon(k: int, alpha: float) -> str:
    floor = wilcoxon_floor(k)
    reach = "it can't reach" if floor > alpha else "it can reach"
    return (
        f"{k} folds can't bring a two-sided Wilcoxon signed-rank test below p = {floor:.4g}, all of one sign: "
        f"{reach} {alpha:g}."
    )


def _seeds(seeds: int) -> str:
    if seeds == 1:
        return (
            "One seed can't tell its own luck in all folds alike from an effect, and a verdict may be false more often "
            "than p says; two seeds can, and can say how many would tell."
        )
    return (
        f"{seeds} seeds share their folds, so they are averaged inside each fold first; as {seeds} repetitions of the "
        "cross-validation they would be counted for more than they are."
    )


def needed(k: int, alpha: float, variants: int) -> str:
    """What the corrected t asks for before Holm's first step is taken; known before anything is trained."""
    critical = special.stdtrit(k - 1, 1 - alpha / variants / 2)
    family = "" if variants == 1 else f", by Holm over {variants} variants"
    return f"p ≤ {alpha / variants:.2g}{family}: |t| ≥ {critical:.1f} with {k - 1} degrees of freedom"

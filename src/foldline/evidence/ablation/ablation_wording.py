"""Rows of the ablation's table, and remarks on what its design can show, as text for the terminal and the page."""

from __future__ import annotations

import numpy as np
from scipy import special

from foldline.evidence.ablation.ablation_results import AblationResult, VariantResult
from foldline.evidence.ablation.fold_values import POOLED
from foldline.evidence.ablation.significance import Significance, wilcoxon_floor
from foldline.evidence.ablation.statistical_power import MOST_SEEDS, correction

BOOTSTRAP, EQUIVALENCE, DETECTABLE, SEEDS = "95 % bootstrap", "p equal", "detectable", "more seeds"
FAILED = "failed"
COLUMNS = ("variant", "verdict", "effect", "of baseline", BOOTSTRAP, "p", EQUIVALENCE, DETECTABLE, SEEDS)


def row(found: VariantResult, result: AblationResult) -> list[str]:
    """Format one line of the table: the variant's effect on the baseline's score, in the direction of the score."""
    tested, share = found.significance, result.share
    low, high = share(found.interval)
    return [
        found.name,
        verdict(found),
        f"{tested.effect:+.4f}",
        f"{share(tested.effect):+.1%}",
        f"{low:+.1%} to {high:+.1%}",
        p_value(tested.p_holm),
        p_value(tested.p_equivalence_holm),
        "" if found.identical else f"{share(tested.detectable_effect):.1%}",
        more_seeds(tested),
    ]


def rows(result: AblationResult) -> list[list[str]]:
    """Format the lines of all variants; those that failed come last."""
    failed = [[name, FAILED, *[""] * (len(COLUMNS) - 2)] for name in result.failed]
    return [*(row(found, result) for found in result.variants), *failed]


def failures(result: AblationResult) -> list[str]:
    """Say of each variant that failed why it did."""
    return [f"{name} failed and is in no comparison: {why}" for name, why in result.failed.items()]


def verdict(found: VariantResult) -> str:
    """Format the verdict; a variant that predicts exactly what the baseline predicts is marked."""
    return "no difference (same)" if found.identical else found.significance.verdict


def title(result: AblationResult, measure: str) -> str:
    """Format the table's title: the baseline's score, and the margin."""
    margin = 100 * result.share(result.rule.delta)
    how = "of all folds together, mean over" if result.pooled else "mean over folds and"
    return (
        f"baseline: {measure} {result.score:.4f} ({result.metric.better} is better), {how} single seeds; "
        f"differences within ±{margin:.3g} % are none"
    )


def p_value(p: float) -> str:
    """Format a p value with two significant digits."""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def more_seeds(tested: Significance) -> str:
    """Format how many more seeds would bring a verdict, if the true effect is the measured one."""
    if tested.verdict != "cannot tell yet":
        return ""
    if tested.variance.seeds == 1:
        return "try 1"
    if tested.seeds_needed is None:
        return f"over {MOST_SEEDS}"
    return str(tested.seeds_needed - tested.variance.seeds)


def remarks(result: AblationResult) -> list[str]:
    """Explain in full sentences how far the table can be trusted."""
    k, rule = result.folds, result.rule
    sentences = [*failures(result), _wilcoxon(k, rule.alpha), _seeds(result.seeds)]
    sentences.append(f"The first verdict needs {needed(k, rule.alpha, rule.variants)}.")
    if k < 10 and rule.ratio is None:
        critical, of_ten = (special.stdtrit(folds - 1, 1 - rule.first_level / 2) for folds in (k, 10))
        ratio = of_ten * np.sqrt(10 * correction(10)) / (critical * np.sqrt(k * correction(k)))
        sentences.append(
            f"With 10 folds |t| ≥ {of_ten:.1f} is enough, and as many trainings find effects {100 * ratio:.0f} % as "
            "large: more folds are better than more seeds."
        )
    sentences += [
        f"“{BOOTSTRAP}” resamples {result.drawn} inside their folds, and seeds, without training again. It knows "
        "nothing of other training series, and does not decide; the corrected t does.",
        f"“p” tests for no effect, “{EQUIVALENCE}” for an effect beyond the margin; both are adjusted by Holm over the "
        f"variants. A verdict needs one of them at or below {rule.alpha:g}. A significant difference inside the margin "
        "counts as none.",
        f"“{DETECTABLE}” is the effect that this design finds in {100 * rule.power:.0f} % of ablations, at Holm's "
        f"first step. “{SEEDS}” would bring a verdict as often, if the true effect is the measured one. Over "
        f"{MOST_SEEDS}: the folds disagree, so more folds or more series are needed.",
    ]
    sentences += _of_the_metric(result)
    same = [found.name for found in result.variants if found.identical]
    if same:
        sentences.append(f"Same predictions as the baseline, to the last bit: {', '.join(same)}.")
    return sentences


def _of_the_metric(result: AblationResult) -> list[str]:
    """Say how a metric that is no mean of losses was taken apart."""
    if result.resampled is None:
        return []
    draws, undefined = result.resampled.draws, result.resampled.undefined
    left_out = f"; {undefined} of them have no score, and are left out" if undefined else ""
    sentences = [POOLED] if result.pooled else []
    why = result.metric.why_resampled or "has no score in a fold of weight 0"
    sentences.append(f"{result.metric.name} {why}: the bootstrap computes it again on {draws:,} resamples{left_out}.")
    if result.metric.loss is not None:
        sentences.append(f"Slices show {result.metric.name} of all their answers together.")
    else:
        sentences.append(
            f"Slices show losses of rows instead of {result.metric.name} (log loss of probabilities, else absolute "
            "error): there lower is better."
        )
    return sentences


def _wilcoxon(k: int, alpha: float) -> str:
    floor = wilcoxon_floor(k)
    reach = "it cannot reach" if floor > alpha else "it can reach"
    return (
        f"With {k} folds a two-sided Wilcoxon signed-rank test has p ≥ {floor:.4g}, even if all folds agree: {reach} "
        f"{alpha:g}."
    )


def _seeds(seeds: int) -> str:
    if seeds == 1:
        return (
            "One seed cannot tell seed variance (what a seed does in all folds) from an effect, so a verdict may "
            "be false more often than p says; two seeds can, and can say how many are needed."
        )
    return (
        f"{seeds} seeds share their folds, so they are averaged inside each fold first. Counted as {seeds} "
        "repetitions of the cross-validation they would get too much weight."
    )


def needed(k: int, alpha: float, variants: int) -> str:
    """Format what Holm's first step needs of the corrected t; known before anything is trained."""
    critical = special.stdtrit(k - 1, 1 - alpha / variants / 2)
    family = "" if variants == 1 else f", by Holm over {variants} variants"
    return f"p ≤ {alpha / variants:.2g}{family}: |t| ≥ {critical:.1f} with {k - 1} degree{'s' * (k > 2)} of freedom"

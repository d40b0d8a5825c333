"""From finished cells to results: losses of each series and seed, scores by fold and slice, effects and verdicts.

The unit is a fold and a seed: the cells of each seed alone are blended and post-processed as `train` does it. So scores
are those of single seeds. `train` averages over its seeds first, and its score is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import exact_rows as decoding
from foldline.data import true_answers
from foldline.data.exact_rows import Exact
from foldline.data.metrics import Metric
from foldline.data.true_answers import TrueAnswers
from foldline.ensemble import members
from foldline.evidence.ablation import bootstrap, significance
from foldline.evidence.ablation.ablation_file import AblateConfig
from foldline.evidence.ablation.ablation_run import PreparedAblation
from foldline.evidence.ablation.scored_answers import Resampled, ScoredAnswers
from foldline.evidence.ablation.significance import Significance
from foldline.evidence.ablation.statistical_power import DecisionRule
from foldline.experiment import loss_table, ranked_rows, scoring
from foldline.experiment.loss_table import Finish, LossTable, Slice
from foldline.experiment.preparation import PreparedExperiment


@dataclass(frozen=True, kw_only=True)
class VariantResult:
    """One variant against the baseline. k folds, S seeds, G slices; scores and effects in the metric's unit."""

    name: str
    changes: str
    scores: np.ndarray  # (k, S)
    deltas: np.ndarray  # (k, S) scores minus the baseline's
    significance: Significance
    interval: np.ndarray  # (2,) 95 % bootstrap interval of the effect
    slice_effects: np.ndarray  # (G,)
    slice_intervals: np.ndarray  # (G, 2)
    identical: bool  # its losses equal the baseline's to the last bit


@dataclass(frozen=True, kw_only=True)
class AblationResult:
    """The baseline's scores, and every variant against it. k folds, S seeds, G slices."""

    metric: Metric
    baseline: np.ndarray  # (k, S) scores
    slices: list[Slice]  # (G,)
    slice_sizes: np.ndarray  # (G,) scored values
    slice_baseline: np.ndarray  # (G,) the baseline's scores
    rule: DecisionRule
    variants: list[VariantResult]
    failed: Mapping[str, str] = field(default_factory=dict)  # variant that could not be trained -> why
    drawn: str = "series"  # what the bootstrap draws
    pooled: bool = False  # the metric is not defined in a fold: fold_values.py
    resampled: Resampled | None = None  # where the metric was computed again on every resample

    @property
    def folds(self) -> int:
        """k."""
        return len(self.baseline)

    @property
    def seeds(self) -> int:
        """S."""
        return int(self.baseline.shape[1])

    @property
    def score(self) -> float:
        """The baseline's score: mean over folds and seeds."""
        return float(self.baseline.mean())

    def share(self, change: Any) -> Any:
        """Return a change of the score, or several, as a share of the baseline's score, with the sign of the change."""
        return change / abs(self.score)

    def gains(self, slice_effect: float) -> bool:
        """Whether an effect in a slice is a gain: by the metric, or by row losses where it is no mean of losses."""
        return (slice_effect if self.metric.loss is None else self.metric.cost(slice_effect)) < 0


def evaluate(ablation: PreparedAblation, terminal: Terminal) -> AblationResult:
    """Compare all variants with the baseline, but those that failed; all their cells are finished.

    Raises:
        UserError: the baseline's score is 0.
    """
    failed, ablation = ablation.failed, ablation.trained
    base, settings = ablation.base, ablation.plan.settings
    exact = _exact(ablation, terminal)
    counted = scoring.counting(base.train, base.folds)
    true = _drawn_together(true_answers.of_store(counted, base.config.data), base)
    table = LossTable.of(counted, None if exact is None else exact.known, true.weight)
    by_sums = true.metric.is_mean_of_losses and _every_fold_counts(table, base.folds.assignment)
    sums, predicted = [], []
    with terminal.bar("scoring", "variants") as update:
        for prepared in ablation.prepared:
            blended = _blended(prepared, settings.seeds, exact)
            sums.append(np.stack([table.losses(np.asarray(prepared.train.y), each, true.metric) for each in blended]))
            if not by_sums:
                predicted.append(np.stack([each[table.scored] for each in blended]))
            update(len(sums), len(ablation.prepared))
    found = _compare(ablation, true, table, np.stack(sums), np.stack(predicted) if predicted else None, terminal)
    return replace(found, failed=failed)


def _every_fold_counts(table: LossTable, fold: np.ndarray) -> bool:
    """Whether no fold has only answers of weight 0, which have no score. fold: (N,)."""
    held = fold >= 0
    return bool((np.bincount(fold[held], table.weights.sum(axis=(1, 2))[held]) > 0).all())


def _drawn_together(true: TrueAnswers, base: PreparedExperiment) -> TrueAnswers:
    """Return answers whose units, which a bootstrap draws whole inside a fold, lie in one fold each."""
    units = _units(base)
    return true if units is None else replace(true, subject=units[true.series])


def _units(base: PreparedExperiment) -> np.ndarray | None:
    """Number what is drawn whole, (N,) int64: groups, with time folds the part of a group in each; None: series."""
    groups = base.train.held_together
    if groups is None or base.folds.time is None:
        return groups
    pairs = np.stack([groups, base.folds.assignment])
    return np.asarray(np.unique(pairs, axis=1, return_inverse=True)[1].ravel())


def _exact(ablation: PreparedAblation, terminal: Terminal) -> Exact | None:
    """Exact rows of the training table; None where neither the baseline nor a variant decodes."""
    if not any(prepared.config.post.decode for prepared in ablation.prepared):
        return None
    with terminal.bar("decoding", "series") as update:
        found = decoding.obtain(ablation.base.competition.train, update)
    if found.doubt:
        terminal.warn(f"{found.doubt}; exact decoding needs the printed digits, so less can be proven.")
    return found


def _blended(prepared: PreparedExperiment, seeds: tuple[int, ...], exact: Exact | None) -> list[np.ndarray]:
    """Blend the cells of each seed as an experiment of their own: for each, (A, K) nested out-of-fold predictions."""
    config, store = prepared.config, prepared.train
    used = exact if config.post.decode else None
    found = []
    for seed in seeds:
        plan = [cell for cell in prepared.plan if cell.seed == seed]
        every = [*members.of_plan(plan), *prepared.outside_members]
        ranked = ranked_rows.of_training(config.post, every, store)
        found.append(scoring.combine(config, every, store, prepared.folds, used, ranked=ranked).blended)
    return found


@dataclass(frozen=True)
class _Scores:
    """Scores of all configs by fold, and what a bootstrap of the metric found."""

    values: np.ndarray  # (1 + V, k, S)
    pooled: bool = False
    resampled: Resampled | None = None
    identical: np.ndarray | None = None  # (1 + V,) bool: predictions are the baseline's; None: losses decide


def _scores(
    ablation: PreparedAblation,
    true: TrueAnswers,
    table: LossTable,
    sums: np.ndarray,
    predicted: np.ndarray | None,
    terminal: Terminal,
) -> _Scores:
    """Score folds and seeds: from sums of losses, or by the metric itself. predicted: (1 + V, S, scored answers, K)."""
    fold = ablation.base.folds.assignment
    if predicted is None:
        whole = loss_table.everything(table.weights)
        return _Scores(loss_table.fold_scores(whole.of(sums), whole.of(table.weights), fold, true.metric.finish))
    answers = ScoredAnswers(true, fold[true.series])
    values, pooled = answers.fold_scores(predicted)
    with terminal.bar("bootstrap", "resamples") as update:
        resampled = answers.effect_intervals(predicted, ablation.plan.settings.bootstrap, pooled, update)
    return _Scores(values, pooled, resampled, (predicted == predicted[0]).all(axis=(1, 2, 3)))


def _compare(
    ablation: PreparedAblation,
    true: TrueAnswers,
    table: LossTable,
    sums: np.ndarray,
    predicted: np.ndarray | None,
    terminal: Terminal,
) -> AblationResult:
    """Compute tests, intervals and slices.

    Args:
        sums: (1 + V, S, N, P, E) losses, the baseline's first; of rows where the metric is no mean of losses.
        predicted: (1 + V, S, scored answers, K), None where sums are all that the metric needs.
    """
    base, settings = ablation.base, ablation.plan.settings
    measured, fold = true.metric, base.folds.assignment
    finish = measured.finish if measured.loss is not None else float
    whole = loss_table.everything(table.weights)
    slices = loss_table.slices(base.train, table.weights, base.config.data.static, base.competition.levels)
    scored = _scores(ablation, true, table, sums, predicted, terminal)
    scores = scored.values
    sliced = np.stack([_slice_scores(each, sums, table, finish) for each in [whole, *slices]])[1:]  # (G, 1 + V)
    intervals = bootstrap.intervals(
        sums, table.weights, fold, [whole, *slices], finish, settings.bootstrap, 0, _units(base)
    )
    if scored.resampled is not None:
        intervals[0] = scored.resampled.intervals
    rule = _rule(settings, float(scores[0].mean()), len(scores) - 1, base.folds.ratio)
    judged = significance.judge(scores[1:] - scores[0], rule, measured.cost)
    same = (sums == sums[0]).all(axis=(1, 2, 3, 4)) if scored.identical is None else scored.identical
    found = [
        VariantResult(
            name=variant.name,
            changes=variant.changes,
            scores=scores[number],
            deltas=scores[number] - scores[0],
            significance=judged[number - 1],
            interval=intervals[0, number - 1],
            slice_effects=sliced[:, number] - sliced[:, 0],
            slice_intervals=intervals[1:, number - 1],
            identical=bool(same[number]),
        )
        for number, variant in enumerate(ablation.plan.variants, start=1)
    ]
    return AblationResult(
        metric=measured,
        baseline=scores[0],
        slices=slices,
        slice_sizes=np.array([each.of(table.counts).sum() for each in slices]),
        slice_baseline=sliced[:, 0],
        rule=rule,
        variants=found,
        drawn=base.config.units,
        pooled=scored.pooled,
        resampled=scored.resampled,
    )


def _rule(settings: AblateConfig, score: float, variants: int, ratio: float | None) -> DecisionRule:
    """The rule of the verdicts, its margin delta in the metric's unit."""
    if score == 0:
        raise UserError(
            "The baseline's score is 0, and differences are shares of it. Take another baseline: with errors, where a "
            "lower score is better; with some skill, where a higher one is."
        )
    return DecisionRule(
        delta=settings.delta * abs(score),
        alpha=settings.alpha,
        power=settings.power,
        variants=variants,
        ratio=ratio,
    )


def _slice_scores(each: Slice, sums: np.ndarray, table: LossTable, finish: Finish) -> np.ndarray:
    """(1 + V,) scores over all values of a slice, mean over seeds."""
    means = each.of(sums).sum(axis=-1) / each.of(table.weights).sum()  # (1 + V, S)
    return np.asarray(np.vectorize(finish, otypes=[float])(means).mean(axis=-1))


def as_json(findings: AblationResult) -> dict[str, Any]:
    """Everything that the page shows, unrounded, for ablation.json."""
    names = [f"{each.group}: {each.name}" for each in findings.slices]
    return {
        "baseline": {"score": findings.score, "scores": findings.baseline.tolist()},
        "better": findings.metric.better,
        "pooled": findings.pooled,
        "resamples": None if findings.resampled is None else findings.resampled.draws,
        "resamples_without_score": None if findings.resampled is None else findings.resampled.undefined,
        "rule": asdict(findings.rule),
        "slices": [
            {"name": name, "values": int(size), "baseline": float(score)}
            for name, size, score in zip(names, findings.slice_sizes, findings.slice_baseline, strict=True)
        ],
        "variants": [_variant_json(each, names) for each in findings.variants],
        "failed": dict(findings.failed),
    }


def _ends(interval: np.ndarray) -> list[float | None]:
    """Convert to JSON values; JSON has no NaN."""
    return [None if np.isnan(end) else float(end) for end in interval]


def _variant_json(found: VariantResult, names: list[str]) -> dict[str, Any]:
    return {
        "name": found.name,
        "changes": found.changes,
        **asdict(found.significance),
        "bootstrap": _ends(found.interval),
        "deltas": found.deltas.tolist(),
        "identical": found.identical,
        "slices": {
            name: {"effect": float(effect), "bootstrap": _ends(ends)}
            for name, effect, ends in zip(names, found.slice_effects, found.slice_intervals, strict=True)
        },
    }

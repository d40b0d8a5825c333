"""From finished cells to results: losses of each series and seed, scores by fold and slice, effects and verdicts.

The unit is a fold and a seed: the cells of each seed alone are blended and post-processed as `train` does it. So scores
are those of single seeds. `train` averages over its seeds first, and its score is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from foldline.blend import members
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import exact_rows as decoding
from foldline.data.exact_rows import Exact
from foldline.data.metrics import metric
from foldline.evidence.ablation import bootstrap, significance
from foldline.evidence.ablation.ablation_file import AblateConfig
from foldline.evidence.ablation.ablation_run import PreparedAblation
from foldline.evidence.ablation.significance import Significance
from foldline.evidence.ablation.statistical_power import DecisionRule
from foldline.experiment import loss_table, scoring
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

    baseline: np.ndarray  # (k, S) scores
    slices: list[Slice]  # (G,)
    slice_sizes: np.ndarray  # (G,) scored values
    slice_baseline: np.ndarray  # (G,) the baseline's scores
    rule: DecisionRule
    variants: list[VariantResult]
    failed: Mapping[str, str] = field(default_factory=dict)  # variant that could not be trained -> why

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


def evaluate(ablation: PreparedAblation, terminal: Terminal) -> AblationResult:
    """Compare all variants with the baseline, but those that failed; all their cells are finished.

    Raises:
        UserError: the baseline's score is 0.
    """
    failed, ablation = ablation.failed, ablation.trained
    base, settings = ablation.base, ablation.plan.settings
    exact = _exact(ablation, terminal)
    table = LossTable.of(base.train, None if exact is None else exact.known)
    sums = []
    with terminal.bar("scoring", "variants") as update:
        for prepared in ablation.prepared:
            sums.append(_losses(prepared, table, settings.seeds, exact))
            update(len(sums), len(ablation.prepared))
    return replace(_compare(ablation, table, np.stack(sums)), failed=failed)


def _exact(ablation: PreparedAblation, terminal: Terminal) -> Exact | None:
    """Exact rows of the training table; None where neither the baseline nor a variant decodes."""
    if not any(prepared.config.post.decode for prepared in ablation.prepared):
        return None
    with terminal.bar("decoding", "series") as update:
        found = decoding.obtain(ablation.base.competition.train, update)
    if found.doubt:
        terminal.warn(f"{found.doubt}; exact decoding needs the printed digits, so less can be proven.")
    return found


def _losses(prepared: PreparedExperiment, table: LossTable, seeds: tuple[int, ...], exact: Exact | None) -> np.ndarray:
    """(S, N, P, E) summed losses of one config; the cells of each seed are combined as an experiment of their own."""
    config, store = prepared.config, prepared.train
    used = exact if config.post.decode else None
    found = []
    for seed in seeds:
        plan = [cell for cell in prepared.plan if cell.seed == seed]
        every = [*members.of_plan(plan), *prepared.outside_members]
        result = scoring.combine(config, every, store, prepared.folds, used)
        found.append(table.losses(np.asarray(store.y), result.blended, metric(config.data.metric)))
    return np.stack(found)


def _compare(ablation: PreparedAblation, table: LossTable, sums: np.ndarray) -> AblationResult:
    """Compute tests, intervals and slices. sums: (1 + V, S, N, P, E) losses, the baseline's first."""
    base, settings = ablation.base, ablation.plan.settings
    finish, fold = metric(base.config.data.metric).finish, base.folds.assignment
    whole = loss_table.everything(table.counts)
    slices = loss_table.slices(base.train, table.counts, base.config.data.static, base.competition.levels)
    scores = loss_table.fold_scores(whole.of(sums), whole.of(table.counts), fold, finish)  # (1 + V, k, S)
    sliced = np.stack([_slice_scores(each, sums, table, finish) for each in slices])  # (G, 1 + V)
    intervals = bootstrap.intervals(sums, table.counts, fold, [whole, *slices], finish, settings.bootstrap, seed=0)
    rule = _rule(settings, float(scores[0].mean()), len(scores) - 1)
    judged = significance.judge(scores[1:] - scores[0], rule)
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
            identical=bool((sums[number] == sums[0]).all()),
        )
        for number, variant in enumerate(ablation.plan.variants, start=1)
    ]
    sizes = np.array([each.of(table.counts).sum() for each in slices])
    return AblationResult(
        baseline=scores[0], slices=slices, slice_sizes=sizes, slice_baseline=sliced[:, 0], rule=rule, variants=found
    )


def _rule(settings: AblateConfig, score: float, variants: int) -> DecisionRule:
    """The rule of the verdicts, its margin delta in the metric's unit."""
    if score == 0:
        raise UserError("The baseline's score is 0, so no variant can be better. Take a baseline with errors.")
    return DecisionRule(delta=settings.delta * score, alpha=settings.alpha, power=settings.power, variants=variants)


def _slice_scores(each: Slice, sums: np.ndarray, table: LossTable, finish: Finish) -> np.ndarray:
    """(1 + V,) scores over all values of a slice, mean over seeds."""
    means = each.of(sums).sum(axis=-1) / each.of(table.counts).sum()  # (1 + V, S)
    return np.asarray(np.vectorize(finish, otypes=[float])(means).mean(axis=-1))


def as_json(findings: AblationResult) -> dict[str, Any]:
    """Everything that the page shows, unrounded, for ablation.json."""
    names = [f"{each.group}: {each.name}" for each in findings.slices]
    return {
        "baseline": {"score": findings.score, "scores": findings.baseline.tolist()},
        "rule": asdict(findings.rule),
        "slices": [
            {"name": name, "values": int(size), "baseline": float(score)}
            for name, size, score in zip(names, findings.slice_sizes, findings.slice_baseline, strict=True)
        ],
        "variants": [_variant_json(each, names) for each in findings.variants],
        "failed": dict(findings.failed),
    }


def _variant_json(found: VariantResult, names: list[str]) -> dict[str, Any]:
    return {
        "name": found.name,
        "changes": found.changes,
        **asdict(found.significance),
        "bootstrap": found.interval.tolist(),
        "deltas": found.deltas.tolist(),
        "identical": found.identical,
        "slices": {
            name: {"effect": float(effect), "bootstrap": [None if np.isnan(end) else float(end) for end in ends]}
            for name, effect, ends in zip(names, found.slice_effects, found.slice_intervals, strict=True)
        },
    }

"""Scores, verdicts, time and memory of each system, from finished cells; as rows and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foldline.core.console import Terminal
from foldline.evidence.ablation import ablation_results, ablation_wording
from foldline.evidence.ablation.ablation_results import AblationResult, VariantResult
from foldline.evidence.study import truncation
from foldline.evidence.study.step_cost import Cost, MeasuredModel, measured
from foldline.evidence.study.study_preparation import PreparedStudy, SizedSystem
from foldline.evidence.study.truncation import TruncationPoint
from foldline.experiment.preparation import PreparedExperiment
from foldline.fit.datasets import count_in_training, steps_in_training

COLUMNS = (
    *("system", "parameters", "width", "score", "against the first", ablation_wording.BOOTSTRAP, "p", "verdict"),
    *("s / epoch", "peak MiB"),
)


@dataclass(frozen=True, kw_only=True)
class SystemResult:
    """One system. k folds, S seeds."""

    system: SizedSystem
    scores: np.ndarray  # (k, S) score of each fold and seed
    comparison: VariantResult | None  # with the first system; None: it is the first
    epoch_s: float  # steps of an epoch times the fastest training step, nothing else running
    step: Cost  # of a training step with the batch and steps that the study trains with
    growth: list[Cost]  # by number of steps; empty: not measured
    truncation: list[TruncationPoint]  # by number of steps that it sees; empty where it does not apply

    @property
    def score(self) -> float:
        """Mean over folds and seeds."""
        return float(self.scores.mean())

    @property
    def verdict(self) -> str:
        """The verdict of its comparison; empty for the first system."""
        return "" if self.comparison is None else ablation_wording.verdict(self.comparison)

    @property
    def exponents(self) -> tuple[float, float] | None:
        """(a, b): time grows as T^a and memory as T^b, between the two longest series; None: not measured."""
        if len(self.growth) < 2:
            return None
        before, last = self.growth[-2:]
        ratio = math.log(last.steps / before.steps)
        memory = math.log(max(1, last.peak_bytes) / max(1, before.peak_bytes)) / ratio
        return math.log(last.step_s / before.step_s) / ratio, memory


@dataclass(frozen=True, kw_only=True)
class Design:
    """What all systems have in common; it makes study.json readable on its own."""

    study: str
    simulated: bool  # whether the series are
    series: int
    parameters: int  # wanted of each system
    metric: str

    @classmethod
    def of(cls, study: PreparedStudy) -> Design:
        """Collect it from a prepared study."""
        base = study.ablation.base
        return cls(
            study=study.plan.name,
            simulated=base.config.data.simulated,
            series=len(base.train.lengths),
            parameters=study.plan.settings.parameters,
            metric=base.config.data.metric,
        )


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """All systems, compared and measured."""

    design: Design
    compared: AblationResult
    systems: list[SystemResult]  # in the file's order

    @property
    def ranked(self) -> list[SystemResult]:
        """The systems, best score first."""
        return sorted(self.systems, key=lambda each: self.compared.metric.cost(each.score))


def evaluate(study: PreparedStudy, terminal: Terminal) -> StudyResult:
    """Compare the systems of a study, but those that failed, and measure their costs; all cells are finished."""
    compared = ablation_results.evaluate(study.ablation, terminal)
    comparisons: list[VariantResult | None] = [None, *compared.variants]
    sized = [system for system in study.systems if system.name not in compared.failed]
    systems = []
    with terminal.bar("time and memory", "systems") as update:
        for system, prepared, each in zip(sized, study.ablation.trained.prepared, comparisons, strict=True):
            scores = compared.baseline if each is None else each.scores
            systems.append(_system_result(study, system, prepared, each, scores))
            update(len(systems), len(sized))
    return StudyResult(design=Design.of(study), compared=compared, systems=systems)


def _system_result(
    study: PreparedStudy,
    system: SizedSystem,
    prepared: PreparedExperiment,
    comparison: VariantResult | None,
    scores: np.ndarray,
) -> SystemResult:
    """Measure a system. scores: (k, S)."""
    settings, model = study.plan.settings, prepared.plan[0].model
    shape = MeasuredModel.of(model, prepared.train)
    steps = steps_in_training(model.train, prepared.train)
    trained_series = float(np.mean([len(prepared.folds.inside(fold)) for fold in range(prepared.folds.k)]))
    all_series, trained = (
        count_in_training(model.train, prepared.train, count) for count in (len(prepared.train.lengths), trained_series)
    )
    batch = min(model.train.batch, math.ceil(all_series))
    step = measured(shape, batch, [steps])[0]
    truncates = truncation.applies(prepared.train, model.train) and truncation.is_causal(model)
    return SystemResult(
        system=system,
        scores=scores,
        comparison=comparison,
        epoch_s=step.step_s * math.ceil(trained / batch),
        step=step,
        growth=measured(shape, settings.batch, settings.steps) if settings.growth else [],
        truncation=truncation.curve(prepared) if truncates else [],
    )


def rows(result: StudyResult, study: PreparedStudy) -> list[list[str]]:
    """Format the lines of all systems, best score first; those that failed come last."""
    failed = [system for system in study.systems if system.name in result.compared.failed]
    blank = [""] * (len(COLUMNS) - 4)
    blank[COLUMNS.index("verdict") - 3] = ablation_wording.FAILED
    lines = [row(each, result.compared) for each in result.ranked]
    return lines + [[system.name, f"{system.parameters:,}", str(system.width), *blank, ""] for system in failed]


def row(result: SystemResult, compared: AblationResult) -> list[str]:
    """Format a line of the table; effects in % of the first system's score."""
    comparison, system = result.comparison, result.system
    against = ["", "", "", "the first"]
    if comparison is not None:
        low, high = compared.share(comparison.interval)
        effect = f"{compared.share(comparison.significance.effect):+.1%}"
        against = [
            effect,
            f"{low:+.1%} to {high:+.1%}",
            ablation_wording.p_value(comparison.significance.p_holm),
            result.verdict,
        ]
    cost = [seconds_in_words(result.epoch_s), mebibytes(result.step.peak_bytes)]
    return [system.name, f"{system.parameters:,}", str(system.width), f"{result.score:.4f}", *against, *cost]


def seconds_in_words(seconds: float) -> str:
    """Format seconds with two decimals, short ones with two digits."""
    return f"{seconds:.2f}" if seconds >= 0.1 else f"{seconds:.2g}"


def mebibytes(size: int) -> str:
    """Format bytes as whole MiB."""
    return f"{size / 2**20:,.0f}"


def undecided(result: StudyResult) -> Sequence[str]:
    """List the systems that the study cannot tell from the first one."""
    return [each.system.name for each in result.systems if each.verdict.startswith("cannot tell")]


def as_json(result: StudyResult) -> dict[str, Any]:
    """Everything that the page shows, unrounded, for study.json."""
    return {
        "design": asdict(result.design),
        "systems": [
            {
                **asdict(each.system),
                "score": each.score,
                "scores": each.scores.tolist(),
                "verdict": each.verdict,
                "time.epoch_s": each.epoch_s,
                "step": asdict(each.step),
                "growth": [asdict(cost) for cost in each.growth],
                "truncation": [asdict(point) for point in each.truncation],
            }
            for each in result.systems
        ],
        "evidence": ablation_results.as_json(result.compared),
    }

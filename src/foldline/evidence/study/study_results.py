"""What is known of each system when all cells are finished: score, evidence, time, memory; as rows and as JSON."""

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
from foldline.evidence.study.step_cost import Cost, Subject, measured
from foldline.evidence.study.study_preparation import PreparedStudy, SizedSystem
from foldline.evidence.study.truncation import TruncationPoint
from foldline.experiment.preparation import Prepared
from foldline.fit.device_dataset import kept_steps

COLUMNS = (
    *("system", "parameters", "width", "score", "against the first", "95 % of series", "p", "verdict"),
    *("s / epoch", "peak MiB"),
)


@dataclass(frozen=True, kw_only=True)
class SystemResult:
    """One system."""

    system: SizedSystem
    scores: np.ndarray  # (k, S) of each fold by each seed
    finding: VariantResult | None  # against the first system; None: it is the first
    epoch_s: float  # of a cell that has the machine for itself: its steps, times the fastest that was measured
    step: Cost  # of a training step as the study trains
    growth: list[Cost]  # by number of steps; empty: not measured
    cuts: list[TruncationPoint]  # by number of steps that it may look back; empty: it looks ahead, too

    @property
    def score(self) -> float:
        return float(self.scores.mean())

    @property
    def verdict(self) -> str:
        """In words; the first system has none."""
        return "" if self.finding is None else ablation_wording.verdict(self.finding)

    @property
    def exponents(self) -> tuple[float, float] | None:
        """(a, b): time grows as T^a and memory as T^b, between the two longest series; None where that is unknown."""
        if len(self.growth) < 2:
            return None
        before, last = self.growth[-2:]
        ratio = math.log(last.steps / before.steps)
        memory = math.log(max(1, last.peak_bytes) / max(1, before.peak_bytes)) / ratio
        return math.log(last.step_s / before.step_s) / ratio, memory


@dataclass(frozen=True, kw_only=True)
class Design:
    """What all systems had in common, for who finds only study.json."""

    study: str
    simulated: bool  # the series
    series: int
    parameters: int  # wanted of each system
    metric: str

    @classmethod
    def of(cls, study: PreparedStudy) -> Design:
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
    """What came out of a study."""

    design: Design
    found: AblationResult
    systems: list[SystemResult]  # in the file's order

    @property
    def ranked(self) -> list[SystemResult]:
        """The best score first."""
        return sorted(self.systems, key=lambda each: each.score)


def reduce(study: PreparedStudy, terminal: Terminal) -> StudyResult:
    """Significance, and what is measured, of a study whose cells are all finished."""
    found = ablation_results.reduce(study.ablation, terminal)
    against: list[VariantResult | None] = [None, *found.variants]
    systems = []
    with terminal.bar("time and memory", "systems") as update:
        for system, prepared, finding in zip(study.systems, study.ablation.prepared, against, strict=True):
            systems.append(_outcome(study, system, prepared, finding, found))
            update(len(systems), len(study.systems))
    return StudyResult(design=Design.of(study), found=found, systems=systems)


def _outcome(
    study: PreparedStudy, system: SizedSystem, prepared: Prepared, finding: VariantResult | None, found: AblationResult
) -> SystemResult:
    settings, model = study.plan.settings, prepared.plan[0].model
    subject = Subject.of(model, prepared.train)
    batch, steps = min(model.train.batch, len(prepared.train.lengths)), kept_steps(model.train.margin, prepared.train)
    taught = len(prepared.train.lengths) * (1 - 1 / prepared.folds.k)
    step = measured(subject, batch, [steps])[0]
    return SystemResult(
        system=system,
        scores=found.baseline if finding is None else finding.scores,
        finding=finding,
        epoch_s=step.step_s * math.ceil(taught / batch),
        step=step,
        growth=measured(subject, settings.batch, settings.steps) if settings.growth else [],
        cuts=truncation.curve(prepared) if truncation.looks_back(model) else [],
    )


def row(outcome: SystemResult, found: AblationResult) -> list[str]:
    """A line of the table; effects in % of the first system's score, below 0 for better."""
    finding, system = outcome.finding, outcome.system
    against = ["", "", "", "the first"]
    if finding is not None:
        low, high = finding.interval / found.score
        effect = f"{finding.evidence.effect / found.score:+.1%}"
        against = [
            effect,
            f"{low:+.1%} to {high:+.1%}",
            ablation_wording.p_value(finding.evidence.p_holm),
            outcome.verdict,
        ]
    price = [f"{outcome.epoch_s:.2f}", mebibytes(outcome.step.peak_bytes)]
    return [system.name, f"{system.parameters:,}", str(system.width), f"{outcome.score:.4f}", *against, *price]


def mebibytes(size: int) -> str:
    """Bytes as whole MiB."""
    return f"{size / 2**20:,.0f}"


def undecided(result: StudyResult) -> Sequence[str]:
    """Systems that the study can't tell from the first one."""
    return [each.system.name for each in result.systems if each.verdict.startswith("cannot tell")]


def as_json(result: StudyResult) -> dict[str, Any]:
    """Everything that was found, for scripts: what the page shows, unrounded."""
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
                "truncation": [asdict(cut) for cut in each.cuts],
            }
            for each in result.systems
        ],
        "evidence": ablation_results.as_json(result.found),
    }

"""Prepare the baseline and all variants, then train the cells that are missing.

Everything is prepared before anything is trained. Cells are those of ordinary runs: a baseline that was trained before
costs nothing, and a variant of [blend] or [post] trains nothing. The test table is predicted only for pseudo-labels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import exact_rows as decoding
from foldline.evidence.ablation.ablation_file import AblationPlan, error_context
from foldline.experiment import preparation
from foldline.experiment.config import Config
from foldline.experiment.preparation import PreparedExperiment
from foldline.run import planning
from foldline.run.cells import Job
from foldline.run.tracker import OpenTracker

BASELINE = "baseline"
ROUNDED_S = 1.0  # file systems may round the time of a file down by as much


@dataclass(frozen=True, kw_only=True)
class PreparedAblation:
    """An ablation whose cells can be trained: the baseline first, then its variants."""

    plan: AblationPlan
    names: list[str]
    prepared: list[PreparedExperiment]

    @property
    def base(self) -> PreparedExperiment:
        """The baseline."""
        return self.prepared[0]

    @property
    def keys(self) -> set[str]:
        """Keys of all cells."""
        return {cell.key for each in self.prepared for cell in each.plan}

    def stages(self, force: bool = False) -> list[list[Job]]:
        """List the jobs that are left, in stages; a cell that several variants share is labelled with the first one."""
        merged: list[dict[str, Job]] = []
        for name, prepared in zip(self.names, self.prepared, strict=True):
            for number, stage in enumerate(self._stages_of(prepared, force)):
                if number == len(merged):
                    merged.append({})
                for job in stage:
                    merged[number].setdefault(job.key, _named(job, name))
        return [list(stage.values()) for stage in merged]

    def _stages_of(self, prepared: PreparedExperiment, force: bool) -> list[list[Job]]:
        has_teacher = any(model.teacher for each in self.prepared for model in each.config.models)
        known = decoding.path_of(prepared.competition.test) if prepared.plan_inputs.exact else None
        test = prepared.test.path if has_teacher else None
        return planning.jobs(prepared.plan, prepared.train.path, prepared.folds.assignment, test, known, force)

    @property
    def folder(self) -> Path:
        """runs/NAME/HASH: the hash of design, variants' names, cells, [blend], [post] and metric."""
        settings = self.plan.settings
        variants = [[name, _hashed(each)] for name, each in zip(self.names, self.prepared, strict=True)]
        design = [settings.delta, settings.alpha, settings.power, settings.bootstrap]
        return files.runs() / self.plan.name / files.digest([design, variants])


def _hashed(prepared: PreparedExperiment) -> list[object]:
    tables = prepared.config.tables()
    keys, sources = (cell.key for cell in prepared.plan), (member.source for member in prepared.outside_members)
    return [tables["blend"], tables["post"], prepared.config.data.metric, sorted(keys), *sorted(sources)]


def _named(job: Job, variant: str) -> Job:
    """The same job with the variant's name in its label, for terminal and wandb; its key stays."""
    model = job.cell.model
    if variant in (BASELINE, model.label):
        return job
    return replace(job, cell=replace(job.cell, model=replace(model, label=f"{model.label} ({variant})")))


def prepare(plan: AblationPlan, terminal: Terminal, dry: bool = False) -> PreparedAblation:
    """Read and check the data once, make features and plans of the baseline and of every variant.

    Raises:
        UserError: whatever is wrong with the data or with a variant's features or models, before anything is trained.
    """
    base = preparation.prepare(plan.base, terminal, dry)
    prepared = [base]
    for variant in plan.variants:
        with error_context(f"{plan.name}, variant {variant.name!r}"):
            prepared.append(_variant_of(base, variant.config, terminal, dry))
    return PreparedAblation(
        plan=plan, names=[BASELINE, *(variant.name for variant in plan.variants)], prepared=prepared
    )


def _variant_of(base: PreparedExperiment, config: Config, terminal: Terminal, dry: bool) -> PreparedExperiment:
    """Prepare a variant on the baseline's tables; where it trains the same cells, also with the baseline's features."""
    if _trained_parts(config) == _trained_parts(base.config):
        return replace(base, config=config)
    return preparation.prepare(config, terminal, dry, base.competition)


def _trained_parts(config: Config) -> tuple[object, ...]:
    """The parts of a config that members depend on; [blend] and [post] only combine them."""
    return config.features, config.models, config.blend.outside


def train(ablation: PreparedAblation, stages: list[list[Job]], terminal: Terminal, open_tracker: OpenTracker) -> None:
    """Train the cells that are missing; wandb's group is the ablation's name.

    Raises:
        UserError: a cell could not be trained; the message names the variants whose cells were running.
    """
    config = replace(ablation.base.config, name=ablation.plan.name)
    began = time.time() - ROUNDED_S
    try:
        preparation.run_cells(config, stages, ablation.folder, "ablate", terminal, open_tracker)
    except UserError as error:
        names = _unfinished(ablation, began)
        if not names:
            raise
        raise UserError(
            f"{ablation.plan.name}, while cells of {' and '.join(map(repr, names))} were trained: {error} Correct that "
            "variant or leave it out; all cells that are finished are kept."
        ) from error


def _unfinished(ablation: PreparedAblation, began: float) -> list[str]:
    """Names of the variants whose cells were begun since then and not finished; a shared cell counts for the first."""
    names, counted = [], set[str]()
    for name, prepared in zip(ablation.names, ablation.prepared, strict=True):
        own = [cell for cell in prepared.plan if cell.key not in counted and not cell.done]
        marks = [cell.folder / "depends.json" for cell in own]
        if any(mark.exists() and mark.stat().st_mtime >= began for mark in marks):
            names.append(name)
        counted |= {cell.key for cell in prepared.plan}
    return names

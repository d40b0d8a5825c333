"""The work of an ablation: everything is prepared before anything is trained, then comes one map over all its cells.

Cells are those of ordinary runs, so a baseline that was trained before costs nothing, and a variant of [blend] or of
[post] never trains. The test table is predicted only where a teacher needs it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import exact_rows as decoding
from foldline.evidence.ablation.ablation_file import Ablation, error_context
from foldline.experiment import preparation
from foldline.experiment.config import Config
from foldline.experiment.preparation import Prepared
from foldline.run import planning
from foldline.run.cells import Job
from foldline.run.tracking import OpenTracker

BASELINE = "baseline"
ROUNDED_S = 1.0  # by how much a file system may date a file back


@dataclass(frozen=True, kw_only=True)
class PreparedAblation:
    """An ablation whose cells can be trained: the baseline first, then its variants."""

    ablation: Ablation
    names: list[str]
    prepared: list[Prepared]

    @property
    def base(self) -> Prepared:
        return self.prepared[0]

    @property
    def keys(self) -> set[str]:
        """Of all its cells."""
        return {cell.key for each in self.prepared for cell in each.plan}

    def stages(self, force: bool = False) -> list[list[Job]]:
        """What there is to train, each cell once however many variants need it, named after the first of them."""
        merged: list[dict[str, Job]] = []
        for name, prepared in zip(self.names, self.prepared, strict=True):
            for number, stage in enumerate(self._stages_of(prepared, force)):
                if number == len(merged):
                    merged.append({})
                for job in stage:
                    merged[number].setdefault(job.key, _named(job, name))
        return [list(stage.values()) for stage in merged]

    def _stages_of(self, prepared: Prepared, force: bool) -> list[list[Job]]:
        taught = any(model.teacher for each in self.prepared for model in each.config.models)
        known = decoding.path_of(prepared.competition.test) if prepared.given.exact else None
        test = prepared.test.path if taught else None
        return planning.jobs(prepared.plan, prepared.train.path, prepared.folds.assignment, test, known, force)

    @property
    def folder(self) -> Path:
        """runs/NAME/HASH: the same ablation of the same cells has the same folder."""
        settings = self.ablation.settings
        what = [[name, _reduced_from(each)] for name, each in zip(self.names, self.prepared, strict=True)]
        design = [settings.delta, settings.alpha, settings.power, settings.bootstrap]
        return files.runs() / self.ablation.name / files.digest([design, what])


def _reduced_from(prepared: Prepared) -> list[object]:
    tables = prepared.config.tables()
    keys, sources = (cell.key for cell in prepared.plan), (member.source for member in prepared.others)
    return [tables["blend"], tables["post"], prepared.config.data.metric, sorted(keys), *sorted(sources)]


def _named(job: Job, variant: str) -> Job:
    """The same work, told of with the variant's name, in the terminal and at wandb; its key stays."""
    model = job.cell.model
    if variant in (BASELINE, model.label):
        return job
    return replace(job, cell=replace(job.cell, model=replace(model, label=f"{model.label} ({variant})")))


def prepare(ablation: Ablation, terminal: Terminal, dry: bool = False) -> PreparedAblation:
    """Read and check the data once, make features and plans of the baseline and of every variant.

    Raises:
        UserError: whatever is wrong with the data or with a variant's features or models, before anything is trained.
    """
    base = preparation.prepare(ablation.base, terminal, dry)
    prepared = [base]
    for variant in ablation.variants:
        with error_context(f"{ablation.name}, variant {variant.name!r}"):
            prepared.append(_variant_of(base, variant.config, terminal, dry))
    return PreparedAblation(
        ablation=ablation, names=[BASELINE, *(variant.name for variant in ablation.variants)], prepared=prepared
    )


def _variant_of(base: Prepared, config: Config, terminal: Terminal, dry: bool) -> Prepared:
    """A variant's config on the baseline's tables; where it trains what the baseline trains, on all that is made."""
    if _made_of(config) == _made_of(base.config):
        return replace(base, config=config)
    return preparation.prepare(config, terminal, dry, base.competition)


def _made_of(config: Config) -> tuple[object, ...]:
    """What members are made of; [blend] and [post] only reduce them."""
    return config.features, config.models, config.blend.outside


def run(study: PreparedAblation, stages: list[list[Job]], terminal: Terminal, open_tracker: OpenTracker) -> None:
    """Train what is not trained; wandb's group is the ablation's name.

    Raises:
        UserError: a cell could not be trained; it says for which variants the cells were that ran just then.
    """
    config = replace(study.base.config, name=study.ablation.name)
    began = time.time() - ROUNDED_S
    try:
        preparation.run_cells(config, stages, study.folder, "ablate", terminal, open_tracker)
    except UserError as error:
        names = _stopped(study, began)
        if not names:
            raise
        raise UserError(
            f"{study.ablation.name}, while cells of {' and '.join(map(repr, names))} were trained: {error} Mend that "
            "variant or leave it out: all cells that are finished are kept."
        ) from error


def _stopped(study: PreparedAblation, began: float) -> list[str]:
    """Those for which cells were begun since then and not finished; a shared cell is that of the first."""
    names, counted = [], set[str]()
    for name, prepared in zip(study.names, study.prepared, strict=True):
        own = [cell for cell in prepared.plan if cell.key not in counted and not cell.done]
        marks = [cell.folder / "depends.json" for cell in own]
        if any(mark.exists() and mark.stat().st_mtime >= began for mark in marks):
            names.append(name)
        counted |= {cell.key for cell in prepared.plan}
    return names

"""Prepare the baseline and all variants, then train the cells that are missing.

Everything is prepared before anything is trained. Cells are those of ordinary runs: a baseline that was trained before
costs nothing, and a variant of [blend] or [post] trains nothing. The test table is
predicted only where a model learns from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path

from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import exact_rows as decoding
from foldline.evidence.ablation.ablation_file import AblationPlan, error_context
from foldline.experiment import cell_runs, preparation, stored_experiment, target_checks
from foldline.experiment.config import Config
from foldline.experiment.preparation import PreparedExperiment
from foldline.run import planning
from foldline.run.cells import Cell, Job
from foldline.run.tracker import OpenTracker
from foldline.run.turns import CellFailed

BASELINE = "baseline"


@dataclass(frozen=True, kw_only=True)
class PreparedAblation:
    """An ablation whose cells can be trained: the baseline first, then its variants."""

    plan: AblationPlan
    names: list[str]
    prepared: list[PreparedExperiment]
    failed: Mapping[str, str] = field(default_factory=dict)  # variant that could not be trained -> why

    @property
    def trained(self) -> PreparedAblation:
        """The same without the variants that failed."""
        left = [name not in self.failed for name in self.names]
        variants = tuple(each for each, kept in zip(self.plan.variants, left[1:], strict=True) if kept)
        return PreparedAblation(
            plan=replace(self.plan, variants=variants),
            names=list(compress(self.names, left)),
            prepared=list(compress(self.prepared, left)),
        )

    @property
    def base(self) -> PreparedExperiment:
        """The baseline."""
        return self.prepared[0]

    @property
    def keys(self) -> set[str]:
        """Keys of all cells."""
        return {cell.key for each in self.prepared for cell in each.plan}

    def jobs(self, force: bool = False) -> list[Job]:
        """List the jobs that are left; a cell that several variants share is labelled with the first one."""
        merged: dict[str, Job] = {}
        for name, prepared in zip(self.names, self.prepared, strict=True):
            for job in self._jobs_of(prepared, force):
                merged.setdefault(job.key, _named(job, name))
        return list(merged.values())

    def _jobs_of(self, prepared: PreparedExperiment, force: bool) -> list[Job]:
        reads_test = any(model.reads_test for each in self.prepared for model in each.config.models)
        known = decoding.path_of(prepared.competition.test) if prepared.plan_inputs.exact else None
        test = prepared.test.path if reads_test else None
        return planning.jobs(prepared.plan, prepared.train.path, prepared.folds, test, known, force)

    def needed(self, prepared: PreparedExperiment) -> dict[str, Cell]:
        """Return all cells that the baseline or a variant needs, by key, those that come first included."""
        return {job.key: job.cell for job in self._jobs_of(prepared, force=True)}

    @property
    def cells(self) -> dict[str, Cell]:
        """All cells that any of them needs, by key."""
        return {key: cell for each in self.prepared for key, cell in self.needed(each).items()}

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
    measured = stored_experiment.measured_by(prepared.config.data)
    return [tables["blend"], tables["post"], *measured, sorted(keys), *sorted(sources)]


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
        target_checks.check_after_training(config, base.train)
        return replace(base, config=config)
    return preparation.prepare(config, terminal, dry, base.competition)


def _trained_parts(config: Config) -> tuple[object, ...]:
    """The parts of a config that members depend on; [blend] and [post] only combine them."""
    return config.features, config.models, config.blend.outside


def train(
    ablation: PreparedAblation,
    force: bool,
    terminal: Terminal,
    open_tracker: OpenTracker,
    *,
    verb: str = "ablate",
    folder: Path | None = None,
) -> PreparedAblation:
    """Train the cells that are missing; wandb's group is the ablation's name.

    A variant with a cell that can't be trained is given up, and said so at once; the others go on.

    Args:
        force: finished cells are trained again.
        verb: the command that runs them.
        folder: of the record, where `live` looks for it; None: the ablation's own.

    Returns:
        the ablation, with the variants that failed.

    Raises:
        UserError: a cell of the baseline failed, or one of every variant; or nothing could go on (a full disk).
    """
    before, folder = {key: _mark(cell) for key, cell in ablation.cells.items()}, folder or ablation.folder
    while True:
        config = replace(ablation.base.config, name=ablation.plan.name)
        jobs = [job for job in ablation.trained.jobs(force) if not _trained_now(job, before)]
        try:
            cells = ablation.trained.cells.values()
            cell_runs.run_cells(config, jobs, cells, folder, verb, terminal, open_tracker)
            return ablation
        except CellFailed as error:
            ablation = _without(ablation, error)
            more = [name for name, why in ablation.failed.items() if why == str(error)]
            terminal.warn(f"{ablation.plan.name}: {' and '.join(map(repr, more))} failed, the others go on: {error}")


def _mark(cell: Cell) -> tuple[int, int] | None:
    """Which done.json a cell has: another one once it is trained again; None without one."""
    try:
        found = (cell.folder / "done.json").stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _trained_now(job: Job, before: Mapping[str, tuple[int, int] | None]) -> bool:
    """Whether this run has trained a cell that it was forced to train. before: the cells' marks when it began."""
    return job.force and replace(job, force=False).finished and _mark(job.cell) != before.get(job.key)


def _without(ablation: PreparedAblation, error: CellFailed) -> PreparedAblation:
    """Note the variants that need a cell which failed.

    Raises:
        UserError: the baseline needs it, or no variant is left.
    """
    pairs = zip(ablation.names, ablation.prepared, strict=True)
    names = [name for name, prepared in pairs if name not in ablation.failed and error.key in ablation.needed(prepared)]
    failed = {**ablation.failed, **dict.fromkeys(names, str(error))}
    if not names or ablation.names[0] in names or len(failed) == len(ablation.plan.variants):
        raise UserError(
            f"{ablation.plan.name}, while cells of {' and '.join(map(repr, names)) or 'no variant'} were trained: "
            f"{error} Correct that or leave it out; all cells that are finished are kept."
        ) from error
    return replace(ablation, failed=failed)

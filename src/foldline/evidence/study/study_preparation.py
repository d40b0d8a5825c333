"""Prepare a study as an ablation: the first system is the baseline, the others are variants.

Training, cells and statistics are those of the ablation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from foldline.core import files
from foldline.core.console import Terminal
from foldline.data import featurize, loading
from foldline.data.store import Store
from foldline.evidence.ablation import ablation_run
from foldline.evidence.ablation.ablation_file import AblationPlan, Variant, error_context
from foldline.evidence.ablation.ablation_run import PreparedAblation
from foldline.evidence.study import width_search
from foldline.evidence.study.study_file import StudyPlan, SystemConfig


@dataclass(frozen=True, kw_only=True)
class SizedSystem:
    """A system with the width that was found for it."""

    name: str
    width: int
    parameters: int


@dataclass(frozen=True, kw_only=True)
class PreparedStudy:
    """A study whose cells can be trained; `systems` and `ablation.prepared` are in the same order."""

    plan: StudyPlan
    systems: list[SizedSystem]
    ablation: PreparedAblation

    @property
    def folder(self) -> Path:
        """runs/NAME/HASH: the hash of the ablation and of what growth is measured on."""
        settings = self.plan.settings
        growth = [settings.steps, settings.batch] if settings.growth else []
        return files.runs() / self.plan.name / files.digest([self.ablation.folder.name, growth])


def prepare(plan: StudyPlan, terminal: Terminal, dry: bool = False) -> PreparedStudy:
    """Read the data, find the widths, prepare every system's cells.

    Raises:
        UserError: whatever is wrong with the data or with a system, before anything is trained.
    """
    with terminal.bar("reading", "MB") as update:
        competition = loading.load(plan.base.data, update)
    featurize.check(competition.train, plan.base.features, competition.levels)
    with terminal.bar("features", "series") as update:
        store = featurize.obtain(competition.train, plan.base.features, competition.levels, update)
    systems = []
    with terminal.bar("widths", "systems") as update:
        for system in plan.systems:
            systems.append(_sized(plan, system, store))
            update(len(systems), len(plan.systems))
    resolved = [plan.config_of(system, made.width) for system, made in zip(plan.systems, systems, strict=True)]
    variants = [
        Variant(name=made.name, changes=f"width {made.width}", config=config)
        for made, config in zip(systems[1:], resolved[1:], strict=True)
    ]
    ablation = AblationPlan(name=plan.name, settings=plan.settings.design, base=resolved[0], variants=tuple(variants))
    prepared = ablation_run.prepare(ablation, terminal, dry)
    return PreparedStudy(
        plan=plan, systems=systems, ablation=replace(prepared, names=[system.name for system in systems])
    )


def _sized(plan: StudyPlan, system: SystemConfig, store: Store) -> SizedSystem:
    settings = plan.settings

    def count(width: int) -> int:
        return width_search.parameters(plan.config_of(system, width).models[0], store)

    with error_context(f"{plan.name}, system {system.name!r}"):
        width, number = width_search.solve(count, settings.parameters, system.multiple, settings.tolerance)
    return SizedSystem(name=system.name, width=width, parameters=number)

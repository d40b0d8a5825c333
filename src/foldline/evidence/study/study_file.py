"""Read the file of a study (a base config, [study], [[system]]s) and check it, before any data is read.

    base = "quickstart.toml"              # beside this file, or a name in configs/: data, features, folds, [train]
    set = ["train.epochs=10"]             # what all systems share; the overrides of the command line

    [study]
    parameters = 60_000

    [[system]]
    name = "bi-LSTM"                      # the first system is what all others are compared with
    multiple = 2                          # its width must be a multiple of this
    model = {name = "hybrid", blocks = [{kind = "bilstm"}, {kind = "bilstm"}]}

A system's model is a [[model]] without `width`, which is found later (width_search.py). On the command line
`study.seeds=[0, 1]` and `base=sample.toml` change the study, everything else its base.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foldline.core import strict_tables
from foldline.core.errors import UserError
from foldline.core.overrides import parse_override, split_overrides
from foldline.evidence.ablation.ablation_file import AblateConfig, error_context
from foldline.experiment import config as configs
from foldline.experiment import config_files
from foldline.experiment.config import Config


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """[study]: the systems' size, the rule of the verdicts, and what growth is measured on."""

    parameters: int = 60_000  # of each system, head included
    tolerance: float = 0.05  # largest share of it by which a system may differ
    seeds: tuple[int, ...] = (0,)  # of each system, in place of train.seeds
    delta: float = 0.01  # differences up to this share of the first system's score are none
    alpha: float = 0.05  # chance of a false verdict among all systems
    bootstrap: int = 2000  # draws
    growth: bool = False  # also measure how time and memory grow with the number of steps
    steps: tuple[int, ...] = (80, 160, 320, 640, 1280)  # of a series, for growth
    batch: int = 8  # series of a step, for growth: the same for all numbers of steps

    def __post_init__(self) -> None:
        if self.parameters < 1 or not 0 < self.tolerance < 1:
            raise ValueError(
                f"parameters must be at least 1 and tolerance between 0 and 1, but they are {self.parameters} and "
                f"{self.tolerance}"
            )
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 1 or self.batch < 1:
            raise ValueError(
                f"steps must rise from at least 1, and batch be at least 1, but they are {list(self.steps)} and "
                f"{self.batch}"
            )
        self.design  # noqa: B018  (building it raises what an ablation raises)

    @property
    def design(self) -> AblateConfig:
        """The same as [ablate] of an ablation."""
        return AblateConfig(seeds=self.seeds, delta=self.delta, alpha=self.alpha, bootstrap=self.bootstrap)


@dataclass(frozen=True, kw_only=True)
class SystemConfig:
    """[[system]]: a model without its width."""

    name: str  # what tables call it
    model: dict[str, Any]  # a [[model]], its width left out
    multiple: int = 1  # the width must be a multiple of this

    def __post_init__(self) -> None:
        if "width" in self.model:
            raise ValueError("a system's model must not give a width: it follows from study.parameters")
        if self.multiple < 1:
            raise ValueError(f"multiple must be at least 1, but is {self.multiple}")


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """The whole file."""

    base: str
    set: tuple[str, ...] = ()
    study: StudyConfig = field(default_factory=StudyConfig)
    system: tuple[SystemConfig, ...]

    def __post_init__(self) -> None:
        names = [system.name for system in self.system]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(
                f"a study compares at least two [[system]]s, each with a name of its own, but they are {names}"
            )


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """A study, resolved as far as possible without data: the systems' widths are still open."""

    name: str  # the file's, without .toml
    settings: StudyConfig
    base: Config  # its models are not used
    systems: tuple[SystemConfig, ...]

    def config_of(self, system: SystemConfig, width: int) -> Config:
        """Make a system's config at a width: the base with this one model and the study's seeds."""
        tables = self.base.tables()
        tables["train"] |= {"seeds": list(self.settings.seeds), "full_seeds": []}
        tables["model"] = [{**system.model, "width": width, "label": system.name}]
        with error_context(f"{self.name}, system {system.name!r}"):
            return configs.without_full_cells(configs.from_tables(self.base.name, tables, "model"))


def load(path: Path, overrides: list[str]) -> StudyPlan:
    """Read the file of a study and check everything that needs no data.

    Raises:
        UserError: no such file, an unknown key or model, a system without a width or with one of its own.
    """
    path = config_files.locate(path)
    own, others = split_overrides(overrides, "study")
    for text in others:
        if parse_override(text)[0][0] in ("model", "system"):
            raise UserError(f"Override {text!r}: a study's models are its [[system]]s; change them in its file.")
    file = _read(path, own)
    with error_context(f"{path}, base"):
        base = configs.load(_base(path, file.base), [*file.set, *others])
    plan = StudyPlan(name=path.stem, settings=file.study, base=base, systems=file.system)
    for system in plan.systems:
        made = plan.config_of(system, 16 * system.multiple).models[0]
        if not made.is_network:
            raise UserError(f"{path}, system {system.name!r}: a study compares networks, but {made.name} is none.")
    return plan


def _read(path: Path, overrides: dict[str, Any]) -> StudyFile:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid TOML: {error}.") from error
    if "system" not in tables:
        raise UserError(f"{path} is no study: it has no [[system]]. Take configs/study-sequence.toml as a pattern.")
    return strict_tables.build(StudyFile, strict_tables.merged(tables, overrides), str(path))


def _base(path: Path, name: str) -> Path:
    """Find the base config: beside the study's file, at that path, or by its name in configs/."""
    places = [path.parent / name, Path(name)]
    return next((place for place in places if place.is_file()), Path(name.removesuffix(".toml")))

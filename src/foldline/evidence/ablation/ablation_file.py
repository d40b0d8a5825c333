"""Read the file of an ablation (a base config, [ablate], [[variant]]s), check it, resolve it into configs.

    base = "quickstart.toml"              # beside this file, or a name in configs/
    set = ["train.epochs=10"]             # what the baseline changes of it; the overrides of the command line

    [ablate]
    seeds = [0, 1]

    [[variant]]
    name = "no convolution"
    drop = ["block.conv"]                 # see droppable_parts.py

    [[variant]]
    name = "wider"
    set = ["model.0.width=96"]

Variants start from the baseline, `set` first, then `drop`. They share its series, folds and seeds, so they may change
[features], [train], [[model]], [blend] and [post] only. On the command line `ablate.seeds=[0]` and `base=sample.toml`
change the ablation, everything else its baseline.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from foldline.core import strict_tables
from foldline.core.errors import UserError, unknown
from foldline.core.overrides import parse_override, split_overrides
from foldline.evidence.ablation.droppable_parts import parts_of
from foldline.experiment import config as configs
from foldline.experiment import config_files
from foldline.experiment.config import Config

OPEN = ("features", "train", "model", "blend", "post")  # tables that a variant may change
SEEDS = ("seeds", "full_seeds")


@dataclass(frozen=True, kw_only=True)
class AblateConfig:
    """[ablate]: the design of the comparison, and the rule of the verdicts."""

    seeds: tuple[int, ...] = (0, 1, 2)  # of each variant and of the baseline, in place of train.seeds
    delta: float = 0.01  # differences up to this share of the baseline's score are none
    alpha: float = 0.05  # chance of one false "helps" or "hurts" among all variants; of one false "no difference"
    power: float = 0.8  # chance with which the "smallest effect" is seen
    bootstrap: int = 2000  # draws

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must be different whole numbers, none below 0, but is {list(self.seeds)}")
        if not self.delta > 0:
            raise ValueError(f"delta must be above 0, but is {self.delta}")
        if not 0 < self.alpha < self.power < 1:
            raise ValueError(f"0 < alpha < power < 1 must hold, but they are {self.alpha} and {self.power}")
        if self.bootstrap < 100:
            raise ValueError(f"bootstrap must be at least 100 draws, but is {self.bootstrap}")


@dataclass(frozen=True, kw_only=True)
class VariantConfig:
    """[[variant]]: what it changes of the baseline."""

    name: str
    set: tuple[str, ...] = ()  # overrides, as on the command line
    drop: tuple[str, ...] = ()  # parts, see droppable_parts.py

    def __post_init__(self) -> None:
        if not self.set and not self.drop:
            raise ValueError("a variant must change something: give set or drop")


@dataclass(frozen=True, kw_only=True)
class AblationFile:
    """The whole file."""

    base: str
    set: tuple[str, ...] = ()
    ablate: AblateConfig = field(default_factory=AblateConfig)
    variant: tuple[VariantConfig, ...]

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.variant]
        if not names:
            raise ValueError("at least one [[variant]] must be given")
        if len({"baseline", *names}) <= len(names):
            raise ValueError(
                f"every variant needs a name of its own, other than 'baseline', but they are {', '.join(names)}"
            )


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A resolved config that is compared with the baseline."""

    name: str
    changes: str  # in words
    config: Config


@dataclass(frozen=True, kw_only=True)
class AblationPlan:
    """An ablation as resolved configs; everything that needs no data has been checked."""

    name: str  # the file's, without .toml
    settings: AblateConfig
    base: Config
    variants: tuple[Variant, ...]


def load(path: Path, overrides: list[str]) -> AblationPlan:
    """Read the file of an ablation and resolve its baseline and variants.

    Raises:
        UserError: no such file, an unknown key or part, a variant that changes nothing or a fixed table.
    """
    path = config_files.locate(path)
    own, others = split_overrides(overrides, "ablate")
    file = _read(path, own)
    source, common = _base(path, file.base), [*file.set, *others]
    with error_context(f"{path}, base"):
        base = _seeded(configs.load(source, common), file.ablate)
    variants = []
    for variant in file.variant:
        with error_context(f"{path}, variant {variant.name!r}"):
            config = _resolved(source, common, variant, file.ablate)
            if config == base:
                raise UserError("it changes nothing, so it would be compared with itself. Change it, or leave it out.")
        changes = ", ".join([*variant.set, *(f"without {part}" for part in variant.drop)])
        variants.append(Variant(name=variant.name, changes=changes, config=config))
    return AblationPlan(name=path.stem, settings=file.ablate, base=base, variants=tuple(variants))


def _base(path: Path, name: str) -> Path:
    """Find the baseline's config: beside the ablation's file, at that path, or by its name in configs/."""
    places = [path.parent / name, Path(name)]
    return next((place for place in places if place.is_file()), Path(name.removesuffix(".toml")))


@contextmanager
def error_context(where: str) -> Iterator[None]:
    """Put `where` in front of the message of a UserError raised inside."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _read(path: Path, overrides: dict[str, Any]) -> AblationFile:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid TOML: {error}.") from error
    if "base" not in tables and "model" in tables:
        raise UserError(
            f"{path} is a config, not an ablation of one. Write a file with base = {path.name!r} and [[variant]]s."
        )
    tables = strict_tables.merged(tables, overrides)
    if "ablate" in tables:
        tables["ablate"] = strict_tables.build(AblateConfig, tables["ablate"], f"{path}: ablate")
    if isinstance(tables.get("variant"), list):
        tables["variant"] = [
            strict_tables.build(VariantConfig, table, f"{path}: variant[{number}]")
            for number, table in enumerate(tables["variant"])
        ]
    return strict_tables.build(AblationFile, tables, str(path))


def _resolved(source: Path, common: list[str], variant: VariantConfig, settings: AblateConfig) -> Config:
    for text in variant.set:
        names, _ = parse_override(text)
        if names[0] not in OPEN or names[-1] in SEEDS:
            raise UserError(
                f"it sets {text!r}, but it is compared on the baseline's series, folds and seeds: it may change "
                f"{', '.join(OPEN)}. Put what all variants share into the file's own `set`, seeds into [ablate]."
            )
    config = configs.load(source, [*common, *variant.set])
    for part in variant.drop:
        tables = config.tables()
        known = parts_of(tables)
        if part not in known:
            raise unknown("part", part, known, "drop")
        known[part](tables)
        config = configs.from_tables(config.name, tables, f"without {part}")
    return _seeded(config, settings)


def _seeded(config: Config, settings: AblateConfig) -> Config:
    """Give every model the ablation's seeds. Cells on all series (full_seeds) are left out: they have no score."""
    models = tuple(
        replace(model, train=replace(model.train, seeds=settings.seeds, full_seeds=())) for model in config.models
    )
    return replace(config, train=replace(config.train, seeds=settings.seeds, full_seeds=()), models=models)

"""Read the file of a search, configs/tune-*.toml.

    base = "quickstart.toml"                   # the config that is varied, and what the result is compared with
    [tune]
    trials = 40
    folds = [0, 1]                             # what the search sees; the final check uses the others
    [space]
    "train.lr" = {low = 1e-4, high = 1e-2, log = true}

`./run.sh tune FILE key=value`: `tune.KEY=...` and `base=...` change this file, all others the base config.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from foldline.core import strict_tables
from foldline.core.errors import UserError, unknown
from foldline.core.overrides import split_overrides
from foldline.evidence.tuning.leases import LOST_S
from foldline.evidence.tuning.search_space import SearchSpace
from foldline.evidence.tuning.storage_retries import LONGEST_S
from foldline.experiment import config as configs
from foldline.experiment import config_files
from foldline.experiment.config import Config

TABLES = ("base", "tune", "space")


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """[tune]: how long to search, on what, and by which rules."""

    trials: int = 40  # that end, pruned ones among them
    hours: float = 0.0  # of one command, the final check included; 0: no limit
    workers: int = 0  # processes; 0: cores / train.threads, and 1 on a GPU
    folds: tuple[int, ...] = ()  # what the search sees; empty: the first half, rounded up
    seeds: tuple[int, ...] = (0,)  # what the search sees
    check_folds: tuple[int, ...] = ()  # of the final check; empty: those that the search does not see, else all
    check_seeds: tuple[int, ...] = (0, 1, 2)  # of the final check
    storage: str = ""  # a journal file, or a url: sqlite://, postgresql://, grpc://HOST:PORT; empty: under runs/
    patience_s: float = LONGEST_S  # how long a storage is waited for that does not answer; then the search ends
    lost_s: float = LOST_S  # a worker on another machine counts as dead so long after its last heartbeat
    sampler: Literal["tpe", "random"] = "tpe"
    seed: int = 0  # of the sampler
    pruner: Literal["median", "third", "none"] = "median"  # how many go on at each fold: the better half, third, all
    startup: int = 5  # trials that must have reached a step before one is pruned there
    warm: tuple[str, ...] = ()  # configs whose values are tried first, after those of the base

    def __post_init__(self) -> None:
        for name in ("trials", "startup"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        for name in ("hours", "workers", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be below 0, but is {getattr(self, name)}")
        for name in ("patience_s", "lost_s"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        for name in ("folds", "seeds", "check_folds", "check_seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values) or min(values, default=0) < 0:
                raise ValueError(f"{name} must be different whole numbers, none below 0, but is {list(values)}")
        if not self.seeds or not self.check_seeds:
            raise ValueError("seeds and check_seeds must each name at least one seed")


@dataclass(frozen=True, kw_only=True)
class Search:
    """A resolved search: what all its trials share. It is pickled to the workers."""

    name: str  # the file's name without .toml: the study's folder under runs/
    base: Path
    overrides: tuple[str, ...]  # of the base, from the command line
    tune: TuneConfig  # folds and check_folds filled in
    space: SearchSpace
    folder: Path = Path()  # runs/NAME/HASH, once the data are known

    @property
    def base_name(self) -> str:
        """Name the base as commands do: CONFIG, or CONFIG.NAME for one of several targets."""
        return self.base.name.removesuffix(".toml")

    def config(self, params: dict[str, Any]) -> Config:
        """Make the config of a trial.

        Args:
            params: entry of [space] -> its value, or the name of its choice; empty: the base itself.

        Raises:
            UserError: the values make no valid config together.
        """
        return configs.load(self.base, [*self.overrides, *self.space.overrides(params)])

    def workers(self, config: Config) -> int:
        """Number of worker processes."""
        models = [model.train for model in config.models]
        if self.tune.workers:
            return self.tune.workers
        if any(model.on_gpu for model in config.models):
            return 1
        return max(1, (os.cpu_count() or 1) // max(train.threads for train in models))


def load(path: Path, overrides: Sequence[str]) -> Search:
    """Read the file of a search, and check each end of its space on the base config; nothing is trained.

    Raises:
        UserError: no such file, broken TOML, unknown key, a value that the base config refuses.
    """
    path = config_files.locate(path)
    own, others = split_overrides(overrides, "tune")
    tables = _read(path, own)
    tune = strict_tables.build(TuneConfig, tables.get("tune", {}), f"{path}: tune")
    space = SearchSpace.build(tables.get("space", {}), f"{path}: space")
    search = Search(name=path.stem, base=_base_path(path, tables), overrides=tuple(others), tune=tune, space=space)
    base = search.config({})  # first, so that an error in the base is not reported as one of an entry
    space.check(search.config, f"{path}: space")
    return replace(search, tune=_folds(tune, base.folds.k, f"{path}: tune"))


def _read(path: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    try:
        tables = strict_tables.merged(tomllib.loads(path.read_text(encoding="utf-8")), overrides)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid TOML: {error}.") from error
    if "space" not in tables and "model" in tables:
        raise UserError(
            f"{path} is a config, not a search from one. Write a file with base = {path.name!r} and [space]."
        )
    for key in tables:
        if key not in TABLES:
            raise unknown("table", key, TABLES, str(path))
    if not isinstance(tables.get("base"), str):
        raise UserError(f'{path}: base must name the config to start from: base = "quickstart.toml".')
    return tables


def _base_path(path: Path, tables: dict[str, Any]) -> Path:
    """Find a config that is named in the file: beside it, else in configs/."""
    base = Path(tables["base"])
    near = path.parent / base
    return near if near.is_file() else config_files.locate_base(base)


def _folds(tune: TuneConfig, k: int, where: str) -> TuneConfig:
    """Fill in and check the folds of the search and of the final check."""
    folds = tune.folds or tuple(range((k + 1) // 2))
    unseen = tuple(fold for fold in range(k) if fold not in folds)
    check = tune.check_folds or unseen or folds
    wrong = [fold for fold in (*folds, *check) if fold >= k]
    if wrong:
        raise UserError(f"{where}: folds are numbered from 0 to {k - 1}, but there is {wrong[0]}. See folds.k.")
    seen = sorted(set(folds) & set(check)), sorted(set(tune.seeds) & set(tune.check_seeds))
    if all(seen):
        raise UserError(
            f"{where}: the final check must look where the search has not, but both use fold {seen[0][0]} with seed "
            f"{seen[1][0]}. Leave folds to the check, or give it seeds of its own: check_seeds = [101, 102, 103]."
        )
    return replace(tune, folds=folds, check_folds=check)

"""Kinds of faults, by their names: the rows of docs/reliability.md, in its order."""

from benchmarks.fault_injection import (
    archives,
    configs,
    damage,
    environment,
    kills,
    meanwhile,
    secrets,
    stops,
    tables,
)
from benchmarks.fault_injection.fault import Fault, Kind, Outcome

__all__ = ["KINDS", "Fault", "Kind", "Outcome"]

KINDS: tuple[Kind, ...] = (
    damage.KIND,
    stops.KIND,
    kills.KIND,
    meanwhile.KIND,
    tables.CSV,
    tables.PARQUET,
    configs.CONFIGS,
    environment.ENVIRONMENT,
    archives.ARCHIVES,
    secrets.SECRETS,
)

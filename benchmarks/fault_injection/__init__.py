"""Kinds of faults, by their names: the rows of docs/reliability.md, in its order."""

from benchmarks.fault_injection import archives, configs, environment, secrets, tables
from benchmarks.fault_injection.fault import Fault, Kind, Outcome

__all__ = ["KINDS", "Fault", "Kind", "Outcome"]

KINDS: tuple[Kind, ...] = (
    tables.CSV,
    tables.PARQUET,
    configs.CONFIGS,
    environment.ENVIRONMENT,
    archives.ARCHIVES,
    secrets.SECRETS,
)

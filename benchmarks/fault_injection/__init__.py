"""Kinds of faults, by their names: the rows of docs/reliability.md, in its order."""

from benchmarks.fault_injection import damage, kills, meanwhile, stops
from benchmarks.fault_injection.fault import Fault, Kind, Outcome

__all__ = ["KINDS", "Fault", "Kind", "Outcome"]

KINDS: tuple[Kind, ...] = (
    damage.KIND,
    stops.KIND,
    kills.KIND,
    meanwhile.KIND,
)

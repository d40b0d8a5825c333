"""Which columns a table is read with, and as what: those with a role, and those that only ids are made of."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foldline.data import known_start, known_values, submission_ids, target_labels
from foldline.data.assemble import Source
from foldline.data.roles import DataConfig
from foldline.data.wanted_columns import ORDER, Numbers, Wanted


@dataclass(frozen=True)
class TableColumns:
    """The columns of a training table (labelled) or of a test table."""

    labelled: bool
    roles: Wanted
    naming: Wanted  # columns that only ids are made of
    numbers: tuple[str, ...]  # columns of numbers: inputs, weight, known steps
    of_metric: tuple[str, ...]  # read as texts: columns of a metric file's solution that have no other role
    has_ids: bool  # whether rows have ids of their own
    starts: bool  # whether a test table has a known start
    knows: bool  # whether it has the columns of data.known
    cuts: bool  # whether a training table is cut into windows

    @classmethod
    def of(cls, source: Source, data: DataConfig, labelled: bool) -> TableColumns:
        """Choose the columns of a table.

        Raises:
            UserError: a test table with a known start lacks the target, or one with known values their columns.
        """
        has_ids = _has_ids(source, data, labelled)
        names = ([data.id] if has_ids else []) + [data.key] + ([data.group] if labelled and data.group else [])
        known = (*names, *data.static, data.order, *data.numeric_inputs)
        more = tuple(name for name in data.metric_columns if labelled and name not in known)
        numbers = (*data.numeric_inputs, *_beside_inputs(data, labelled))
        roles: Wanted = dict.fromkeys(names)
        roles |= dict.fromkeys((*more, *data.static, *data.categorical_inputs), pl.String())
        roles |= {data.order: ORDER} | dict.fromkeys(numbers, pl.Float64())
        roles |= {name: Numbers(markers) for name, markers in data.markers.items()}
        starts = bool(data.observed) and not labelled
        if starts:
            known_start.check(source.path, source.columns(), data)
            roles |= target_labels.wanted(data)
        elif labelled and not data.labels:
            roles |= target_labels.of_training(data)
        knows = _knows(source, data, labelled)
        roles |= dict.fromkeys(data.known if knows else (), pl.Float64())
        others = (*data.target, *data.auxiliary_columns, data.weight)
        return cls(
            labelled=labelled,
            roles=roles,
            naming=submission_ids.wanted(source, data, labelled),
            numbers=numbers,
            of_metric=tuple(name for name in more if name not in others),
            has_ids=has_ids,
            starts=starts,
            knows=knows,
            cuts=labelled and data.level == "window",
        )

    @property
    def all(self) -> Wanted:
        """All columns, once each."""
        return self.naming | self.roles


def _has_ids(source: Source, data: DataConfig, labelled: bool) -> bool:
    """Return whether ids are read: train need not have any, for nobody asks for its rows; windows have none."""
    if data.id_template:
        return False
    cuts = labelled and data.level == "window"
    return not labelled or data.id == data.key or (not cuts and data.id in source.columns())


def _knows(source: Source, data: DataConfig, labelled: bool) -> bool:
    """Return whether the columns of data.known are read: those of train only where they are columns of their own."""
    if not data.known:
        return False
    if not labelled:
        known_values.check(source.path, source.columns(), data)
        return True
    return any(name in source.columns() for name in data.known if name not in data.target)


def _beside_inputs(data: DataConfig, labelled: bool) -> list[str]:
    """List the columns of numbers that are no inputs: known steps, and the weight of a training table."""
    numbers = [data.observed] if isinstance(data.observed, str) else []
    return numbers + ([data.weight] if labelled and data.weight and data.weight not in data.numeric_inputs else [])

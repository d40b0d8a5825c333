"""The sample submission: read, and checked against the answers before anything is trained."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import assemble, competition_file, identity, on_disk, readers, source_folder
from foldline.data.assemble import Source, Sources
from foldline.data.file_table import FileTable
from foldline.data.roles import DataConfig
from foldline.data.submission_addresses import Addresses
from foldline.data.submission_layout import NOWHERE, Layout
from foldline.data.table import Table
from foldline.data.task import Task

SHOWN = 2  # ids in messages


def load(sources: Sources, test: Table) -> pl.DataFrame | None:
    """Read the sample submission, whose columns and row order a submission copies; None where there is none.

    Raises:
        UserError: its rows are not those of the test table, or a column of it has no role.
    """
    if lays_out_itself(test.data):
        return None
    found = sources.sample()
    if found is not None:
        return read(found, test)
    check_without(test)
    return None


def read(source: Source | Path, table: Table) -> pl.DataFrame:
    """Read a sample submission, whose columns and row order a submission copies, and check that it asks for answers.

    source: where it comes from, or the path of its only file.

    Raises:
        UserError: its rows are not those of the table, a column of it has no role, or a label is unknown.
    """
    source = assemble.of_file(source) if isinstance(source, Path) else source
    data, path, names = table.data, source.path, source.columns()
    addresses = Addresses.of(table, names, path)
    known = addresses.known_columns
    columns = known if not data.column_template else [name for name in names if name in known] or known[:1]
    answers = dict.fromkeys(columns, pl.String() if addresses.labels else pl.Float64())
    # As printed: a submission copies the ids, so that it has 1.0 where the sample has.
    sample = source.read({data.id: pl.String(), **answers}).frame
    if data.partial:
        sample, names = _own_part(sample, addresses), [name for name in names if name in (data.id, *columns)]
    difference = Layout.of(table, sample, path).difference()
    if data.column_template:
        _refuse_other_columns(path, names, sample.columns, addresses)
    if difference:
        raise UserError(f"{path} must name each row of {table.path} once, but {difference}. {_way_out(addresses)}")
    if addresses.labels:
        for column in columns:
            _refuse_unknown_labels(path, sample[column], table.task)
    _refuse_other_columns(path, names, sample.columns, addresses)
    return sample.with_columns(on_disk.kept(as_stored(sample[data.id], source))).select(names)


def as_stored(ids: pl.Series, source: Source) -> pl.Series:
    """Return a sample's ids, given as they print, as a submission has them: in Parquet of the sample's own type."""
    if not isinstance(source.table, FileTable) or source.path.suffix != ".parquet":
        return identity.whole(ids)
    kind = readers.types(source.table.found[0].path)[ids.name]
    return ids.cast(kind) if kind.is_numeric() else ids  # else text: merging on another type would fail


def ending(data: DataConfig) -> str:
    """Return the ending of a submission's file: ".parquet" where the sample is such a file, else ".csv"."""
    code = competition_file.of(data.code_path)
    if data.simulated or (code is not None and (code.has("submission") or code.has("tables"))):
        return ".csv"
    found = Sources(data, source_folder.of(data)).sample()
    return ".parquet" if found is not None and found.path.suffix == ".parquet" else ".csv"


def _own_part(sample: pl.DataFrame, addresses: Addresses) -> pl.DataFrame:
    """Leave out the rows of other targets, where each target has rows of its own (data.partial)."""
    data = addresses.table.data
    if not data.templates[0].names_target:
        return sample
    own = pl.concat([identity.texts(ids) for ids in addresses.ids])
    return sample.filter(identity.texts(sample[data.id]).is_in(own.implode()))


def lays_out_itself(data: DataConfig) -> bool:
    """Return whether submission() of competition.py lays predictions out, so that the sample need not be like test."""
    code = competition_file.of(data.code_path)
    return code is not None and code.has("submission")


def check_without(table: Table) -> None:
    """Refuse a layout that can't be made without a sample.

    Raises:
        UserError: two predictions have one address, an answer has none, or some rows lack a column.
    """
    data, layout = table.data, Layout.of(table, None)
    answered = layout.answered if table.of_train is None else layout.answered | table.of_train
    if layout.ids.null_count() or (layout.cells == NOWHERE).any() or not answered.all():
        what = f"{data.id_file} has no id for some rows" if data.id_file else "some ids don't have all columns"
        raise UserError(
            f"{table.path.parent}: without a sample_submission each row of {table.path.name} must have its place in "
            f"the submission, but {what}. Give the sample, or mend data.id_template and data.column_template."
        )


def _way_out(addresses: Addresses) -> str:
    """Say what to do about ids that differ; made ones are shown."""
    data = addresses.table.data
    more = " Take both files from one download; a sample of just the rows that count will do, too."
    if not data.id_template:
        return more.strip()
    made = addresses.ids[0].drop_nulls().head(SHOWN).to_list()
    by = f"data.id_template = {data.id_template!r}" + (f" and {data.id_file}" if data.id_file else "")
    return f"{by} make ids like {', '.join(map(str, made)) or 'none'}: mend them.{more}"


def _refuse_other_columns(path: Path, names: list[str], known: list[str], addresses: Addresses) -> None:
    more, data = [name for name in names if name not in known], addresses.table.data
    if not more:
        return
    if data.column_template:
        raise UserError(
            f"{path} has {shortened([repr(name) for name in more])}, which no answer of {addresses.table.path} has by "
            f"data.column_template = {data.column_template!r}: it makes {shortened(addresses.known_columns)}. Mend it, "
            "or add the steps that lack."
        )
    if data.kind == "multiclass" and not addresses.labels:
        raise UserError(
            f"{path} must have a column for each label of the training table, but has {len(more)} more: "
            f"{shortened(more)}. No model can learn them: take both files from one download."
        )
    raise UserError(
        f"{path} must have the columns {shortened(known)}, but has {shortened(names)}. "
        "Name every wanted column in data.target."
    )


def _refuse_unknown_labels(path: Path, labels: pl.Series, task: Task) -> None:
    """Refuse labels that training has not, unless all rows have the same one: that is to be filled in.

    Raises:
        UserError
    """
    known = {str(label) for label in task.classes}
    found = identity.texts(labels)
    odd = [label for label in found.unique(maintain_order=True).to_list() if label not in known]
    if odd and found.n_unique() > 1:
        raise UserError(
            f"{path}: {labels.name!r} must hold labels of the training table ({shortened(sorted(known))}), but holds "
            f"{odd[0]!r}, which no training series has and no model can learn. Take both files from one download."
        )

"""submission() of competition.py: predictions laid out as no config says, and the checks of what it returns.

Values are checked before, as everywhere (submission.py). Here the file is compared with the sample submission, which
it must be like: its columns, the texts of its first column, and numbers where it has some.
"""

from __future__ import annotations

import io

import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import assemble, competition_file, identity, loading
from foldline.data.roles import DataConfig
from foldline.data.table import Table

AS_SAMPLE = "it must not equal the sample submission"


def laid_out(test: Table, table: pl.DataFrame) -> pl.DataFrame:
    """Call submission() on predictions.

    Args:
        test: the table that they predict.
        table: (A, 1 + columns) ids and predictions, rows in any order.

    Returns:
        What it returns: any shape.

    Raises:
        UserError: it raises, or returns no frame.
    """
    data = test.data
    code = competition_file.of(data.code_path)
    assert code is not None
    names = [data.key, *([] if test.task.on_series else [data.order])]
    beside = test.answers[identity.places(table[data.id], test.answers[data.id])]
    predictions = pl.DataFrame([*(beside[name] for name in names if name != data.id), *table.get_columns()])
    found = code.call("submission", predictions, loading.source_folder(data))
    if isinstance(found, pl.LazyFrame):
        with competition_file.explained(code.path, "what submission() returned"):
            found = found.collect()
    if not isinstance(found, pl.DataFrame):
        raise UserError(f"{code.path}: submission() must return a polars frame, but returned a {type(found).__name__}.")
    return found


def problems(data: DataConfig, raw: bytes) -> list[str]:
    """List what is wrong with a file that submission() has laid out. raw: its bytes."""
    written = pl.read_csv(io.BytesIO(raw), infer_schema=False)
    empty = [name for name in written.columns if written[name].null_count()]
    if written.height == 0 or empty:
        return [f"every cell must have a value, but {shortened(empty) or 'the file'} has empty ones"]
    source = assemble.sample_of(data, loading.source_folder(data))
    if source is None:
        return []
    names = source.columns()
    if written.columns != names:
        return [f"its columns must be {shortened(names)}, but are {shortened(written.columns)}"]
    sample = source.read(dict.fromkeys(names, pl.String())).frame
    found = _ids(written, sample)
    found += [text for name in names[1:] for text in _numbers(written[name], sample[name])]
    if not found and written[:, 1:].equals(sample[:, 1:]):
        found.append(AS_SAMPLE)
    return found


def _ids(written: pl.DataFrame, sample: pl.DataFrame) -> list[str]:
    name = sample.columns[0]
    ours, theirs = written[name], sample[name]
    if ours.equals(theirs):
        return []
    difference = identity.difference(ours, theirs)
    if difference:
        return [f"its {name} must be those of the sample submission, but it {difference}"]
    return [f"its {name} must stand in the sample's order: join the predictions to that file in submission()"]


def _numbers(written: pl.Series, sample: pl.Series) -> list[str]:
    """Refuse what is no finite number in a column where the sample has numbers only."""
    if sample.cast(pl.Float64, strict=False).null_count():
        return []
    numbers = written.cast(pl.Float64, strict=False)
    bad = numbers.is_null() | ~numbers.is_finite().fill_null(False)
    return [f"{written.name} must be a finite number, but is {written.filter(bad)[0]!r} in a row"] if bad.any() else []

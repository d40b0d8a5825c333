"""submission() of competition.py: predictions laid out as no config says, and the checks of what it returns.

Values are checked before, as everywhere (submission.py). Here the file is compared with the sample submission, which
it must be like: its columns, the texts of its first column, and numbers where it has some.
"""

from __future__ import annotations

import io

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import assemble, competition_file, identity, source_folder
from foldline.data.table import Table
from foldline.data.task import Task

AS_SAMPLE = "it must not equal the sample submission"


def plain(test: Table, predictions: np.ndarray) -> pl.DataFrame:
    """Return predictions as submission() gets them: key, order (of steps), id, and a column a number or the label.

    predictions: (A, K), in the order of the table's answers, as the frame is.
    """
    task, data = test.task, test.data
    names = dict.fromkeys([data.key, *([] if task.on_series else [data.order]), data.id])
    if task.submits_labels:
        values = [task.labels(predictions)]
    else:
        values = [pl.Series(name, column) for name, column in zip(task.columns, predictions.T, strict=True)]
    return pl.DataFrame([*(test.answers[name] for name in names), *values])


def laid_out(test: Table, table: pl.DataFrame) -> pl.DataFrame:
    """Call submission() on what `plain` returned; any shape comes back.

    Raises:
        UserError: it raises, or returns no frame.
    """
    code = competition_file.of(test.data.code_path)
    assert code is not None
    found = code.call("submission", table, source_folder.of(test.data))
    if isinstance(found, pl.LazyFrame):
        with competition_file.explained(code.path, "what submission() returned"):
            found = found.collect()
    if not isinstance(found, pl.DataFrame):
        raise UserError(f"{code.path}: submission() must return a polars frame, but returned a {type(found).__name__}.")
    return found


def problems(task: Task, raw: bytes) -> list[str]:
    """List what is wrong with a file that submission() has laid out. raw: its bytes.

    Labels may equal a sample that is filled in alike everywhere, as in submission.py.
    """
    written = pl.read_csv(io.BytesIO(raw), infer_schema=False)
    empty = [name for name in written.columns if written[name].null_count()]
    if written.height == 0 or empty:
        return [f"every cell must have a value, but {shortened(empty) or 'the file'} has empty ones"]
    source = assemble.sample_of(task.data, source_folder.of(task.data))
    if source is None:
        return []
    names = source.columns()
    if written.columns != names:
        return [f"its columns must be {shortened(names)}, but are {shortened(written.columns)}"]
    sample = source.read(dict.fromkeys(names, pl.String())).frame
    found = _ids(written, sample)
    found += [text for name in names[1:] for text in _numbers(written[name], sample[name])]
    alike = task.submits_labels and all(column.n_unique() == 1 for column in sample[:, 1:])
    if not found and not alike and written[:, 1:].equals(sample[:, 1:]):
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

"""competition.py: what no config says of a competition, as a few functions in a file beside the config. All optional:

    def tables(folder: Path) -> dict[str, pl.LazyFrame]:
        '''Make "train", "test" or "sample_submission" of the files in data.source; what is left out is read as ever.'''

    def features(columns: Columns) -> list[pl.Expr]:
        '''Return a feature an expression, as a family does (features/family.py): `competition` in features.families.'''

    def submission(predictions: pl.DataFrame, folder: Path) -> pl.DataFrame:
        '''Lay predictions (key, order, id, and a column each) out as the competition wants its file.'''

[data] names the file: code = "competition.py". Its text is in the key of what it feeds: a table's values are hashed
anyway, and features() without tables() and submission() is in the key of features. docs/how-to/layouts.md has examples.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import functools
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from foldline.core import files, unchanged
from foldline.core.errors import UserError
from foldline.features import Columns, Family, compute

FAMILY = "competition"  # the name of features() in features.families
FUNCTIONS = ("tables", "features", "submission")
ELSEWHERE = ("tables", "submission")  # functions on which no feature depends


@dataclass(frozen=True)
class CompetitionFile:
    """A loaded competition.py."""

    path: Path
    text: str
    module: ModuleType

    def has(self, name: str) -> bool:
        """Return whether it has a function of FUNCTIONS."""
        return callable(getattr(self.module, name, None))

    def family(self) -> Family:
        """Return features() as a family.

        Raises:
            UserError: there is no such function.
        """
        if not self.has("features"):
            raise UserError(
                f"features.families names {FAMILY!r}, but {self.path} has no function features(columns). Write one, or "
                "leave that name out."
            )
        return OwnFeatures(code=self)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call one of its functions.

        Raises:
            UserError: it raises, whatever that is; the message has the line.
        """
        with explained(self.path, f"{name}()"):
            return getattr(self.module, name)(*arguments)

    @property
    def text_of_features(self) -> str:
        """Return the text without the functions on which no feature depends."""
        lines = self.text.split("\n")  # as ast counts them: splitlines() knows other ends, too
        for node in reversed(ast.parse(self.text).body):
            if isinstance(node, ast.FunctionDef) and node.name in ELSEWHERE:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                del lines[first - 1 : node.end_lineno]
        return "\n".join(line.rstrip() for line in lines if line.strip())


def of(path: Path | None) -> CompetitionFile | None:
    """Load the file that data.code names; None where it names none."""
    return None if path is None else load(path)


def load(path: Path) -> CompetitionFile:
    """Load a competition.py, once for each text of it.

    Raises:
        UserError: it is not there, does not run, or has none of the functions.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}, which data.code names, can't be read ({error}). Check the path.") from error
    return _loaded(path, text)


@functools.cache
def _loaded(path: Path, text: str) -> CompetitionFile:
    module = ModuleType(f"foldline_competition_{files.digest([str(path), text])}")
    module.__file__ = str(path)
    unchanged.hidden()
    with explained(path, "the file"):
        code = compile(text, str(path), "exec")  # from its text: nothing is written beside it
        sys.modules[module.__name__] = module  # dataclasses look their module up there
        exec(code, module.__dict__)
    found = CompetitionFile(path, text, module)
    _check_names(found)
    return found


def _check_names(found: CompetitionFile) -> None:
    """Refuse a file without any of the functions, and a name that is nearly one of theirs."""
    defined = [node.name for node in ast.parse(found.text).body if isinstance(node, ast.FunctionDef)]
    for name in defined:
        near = difflib.get_close_matches(name, FUNCTIONS, n=1, cutoff=0.8)
        if near and name not in FUNCTIONS and not found.has(near[0]):
            raise UserError(
                f"{found.path} has a function {name!r}, which nothing calls. Did you mean {near[0]!r}? "
                f"Known: {', '.join(FUNCTIONS)}; helpers of your own begin with an underscore."
            )
    if not any(found.has(name) for name in FUNCTIONS):
        raise UserError(f"{found.path} must have one of the functions {', '.join(FUNCTIONS)}, but has none of them.")


@contextlib.contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a user's code raises into one UserError that names the line.

    path: of the file. what: the subject of the message.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        message = " ".join(str(error).split()).rstrip(".")[:300]
        raise UserError(
            f"{path}{f', line {line}' if line else ''}: {what} raised {type(error).__name__}"
            f"{f': {message}' if message else ''}. Correct it there."
        ) from error


@dataclass(frozen=True, kw_only=True)
class OwnFeatures(Family):
    """features() of a competition.py as a family of features."""

    code: CompetitionFile

    @property
    def lookahead(self) -> bool:
        """Return True: nothing is known of them."""
        return True

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        """Call features().

        Raises:
            UserError: it raises, or returns anything but expressions of different names.
        """
        found = self.code.call("features", columns)
        if not isinstance(found, list | tuple) or not found or not all(isinstance(each, pl.Expr) for each in found):
            raise UserError(
                f"{self.code.path}: features() must return a list of polars expressions, but returned {found!r:.100}."
            )
        with explained(self.code.path, "the name of a feature"):
            names = [each.meta.output_name() for each in found]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UserError(
                f"{self.code.path}: features() must give each feature a name of its own, but {len(twice)} are called "
                f"{twice[0]!r}. Name them by .alias(NAME)."
            )
        return list(found)


@contextlib.contextmanager
def explained_features(families: Sequence[Family]) -> Iterator[None]:
    """Turn what features() of a competition.py raises while features are computed into one UserError.

    families: with its family among them, or not: nothing is caught then.
    """
    own = [family.code.path for family in families if isinstance(family, OwnFeatures)]
    with explained(own[0], "a feature of features()") if own else contextlib.nullcontext():
        yield


def check_inside_series(family: Family, rows: pl.DataFrame, columns: Columns) -> None:
    """Refuse features of an own family that can't be computed, or that look beyond their series.

    rows: of a few whole series.

    Raises:
        UserError
    """
    assert isinstance(family, OwnFeatures)
    path = family.code.path
    with explained_features([family]):
        together = compute(rows, columns, [family])
        alone = pl.concat(
            compute(one, columns, [family]) for one in rows.partition_by(columns.key, maintain_order=True)
        )
    for name in together.columns:
        if not together[name].dtype.is_numeric() and together[name].dtype != pl.Boolean:
            raise UserError(f"{path}: the feature {name!r} must be numbers, but is {together[name].dtype}. Cast it.")
        values, others = (table[name].cast(pl.Float64).to_numpy() for table in (together, alone))
        differing = ~np.isclose(values, others, rtol=1e-9, atol=1e-12, equal_nan=True)
        if differing.any():
            row = int(np.flatnonzero(differing)[0])
            raise UserError(
                f"{path}: the feature {name!r} must depend on its own series only, but in {columns.key} "
                f"{rows[columns.key][row]} it is {others[row]:g} alone and {values[row]:g} beside other series. Write "
                ".over(SERIES), or shifted() (foldline.features.family), or have tables() make it an input."
            )

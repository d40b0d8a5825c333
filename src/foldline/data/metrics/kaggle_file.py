"""A competition's own metric: the file that Kaggle publishes, unchanged, with

    score(solution, submission, row_id_column_name, ...)

on pandas frames. It needs the extra `metric` (pandas). The file is loaded under a private name that is in sys.modules
only while its code runs, and with it `kaggle_metric_utilities`: a file of that name beside it, else an installed one,
else our own (kaggle_utilities.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import inspect
import math
import numbers
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from foldline.core import unchanged
from foldline.core.errors import UserError, unknown
from foldline.data.metrics import kaggle_frames, kaggle_utilities
from foldline.data.metrics.contract import CALL, Metric
from foldline.data.metrics.options import Array, NotScorable
from foldline.data.metrics.resampling import Draw

FIRST = ("solution", "submission", "row_id_column_name")  # of score's parameters, in this order
UTILITIES = "kaggle_metric_utilities"
UTILITIES_FILE = f"{UTILITIES}.py"
DIRECTION = "higher_is_better"  # the key in [data], and a name that a metric file may set to True or False
A_ROW, FRAMES = 3, 5  # effort of an answer's place in two frames, in answers, and of a call, in calls of others
_RUNNING = threading.RLock()  # one metric file at a time: what it imports by name is in sys.modules meanwhile


# Truth and prediction (A, K), weight and groups (A,) or None, all as `Metric.score` got them for these answers, to
# solution and submission. Row ids must be unique in each call, also where a bootstrap repeats answers. `groups` may be
# anything that says of an answer what else the solution holds of it, such as its row's number.
Build = Callable[[Array, Array, Array | None, Array | None], tuple[pl.DataFrame, pl.DataFrame]]


@dataclass(frozen=True, eq=False)
class KaggleFile:
    """A loaded metric file."""

    path: Path
    higher_is_better: bool
    arguments: Mapping[str, Any]  # keywords of score, besides the three
    text: str = field(repr=False)
    module: ModuleType = field(repr=False)

    def score(self, solution: pl.DataFrame, submission: pl.DataFrame, row_id: str) -> float:
        """Call the file's score as Kaggle does: see `kaggle_frames.as_kaggle_gives_them`.

        Raises:
            UserError: frames that do not belong together; an answer that is no number.
            NotScorable: the file raises, or returns NaN or infinity.
        """
        both = kaggle_frames.as_kaggle_gives_them(solution, submission, row_id, self.path)
        try:
            with _running(self.path, self.module):
                found = self.module.score(*both, row_id, **self.arguments)
        except (Exception, SystemExit) as error:  # whatever a file of others may raise; it stays the cause
            raise NotScorable(_sentence(self.path, error)) from error
        if isinstance(found, bool | np.bool_) or not isinstance(found, numbers.Real):
            raise UserError(f"{self.path}: score must return one number, but returned {found!r:.100}.")
        if not math.isfinite(found):
            raise NotScorable(f"{self.path}: score must return a finite number, but returned {float(found)}.")
        return float(found)

    def cost(self, score: float) -> float:
        """Return the score, or minus it, so that lower is better."""
        return -score if self.higher_is_better else score

    def is_better(self, score: float, other: float) -> bool:
        """Return whether a score is better than another one; equal ones are not, nor is NaN."""
        return self.cost(score) < self.cost(other)

    def as_metric(self, build: Build, row_id: str, **fields: Any) -> FileMetric:
        """Make a `Metric` of it, for callers that have arrays.

        Args:
            build: makes solution and submission of some answers.
            row_id: name of the ids' column in both.
            fields: kinds, needs, trained_by, weighted, answers: as `Metric` has them.
        """
        given = {"loss": None, "finish": float, "trained_by": "l2", "weighted": False, **fields}
        return FileMetric(
            **given,
            name=self.path.name,
            higher_is_better=self.higher_is_better,
            file=self,
            build=build,
            row_id=row_id,
        )

    def check_doctests(self) -> int:
        """Run the examples in the file's docstrings, and return how many there are.

        They are the cheapest proof that this pandas serves the file. Numbers are compared as numbers, and errors by the
        class's own name: the files' authors ran them under other versions, in a notebook.

        Raises:
            UserError: one gives something else.
        """
        from foldline.data.metrics import kaggle_doctests

        with _running(self.path, self.module):
            failed, count = kaggle_doctests.run(self.module)
        if failed:
            raise UserError(
                f"{self.path}: {len(failed)} of {count} examples in its docstrings fail under pandas "
                f"{_pandas_version()}: {failed[0]}."
            )
        return count

    @property
    def utilities(self) -> Path:
        """Return where the file's own kaggle_metric_utilities lies, if it has any."""
        return self.path.parent / UTILITIES_FILE

    def key(self) -> dict[str, Any]:
        """Return what a cell's key holds of it: text, arguments, direction, and pandas' version, which may matter.

        The file's own utilities are its text, too.
        """
        beside = {"utilities": hash_of(_text(self.utilities))} if self.utilities.is_file() else {}
        return {
            "file": hash_of(self.text),
            **beside,
            "arguments": dict(self.arguments),
            DIRECTION: self.higher_is_better,
            "pandas": _pandas_version(),
        }


def effort(answers: int) -> int:
    """Return how long a score takes, as a number of answers: frames are made of them, and pandas computes."""
    return A_ROW * answers + FRAMES * CALL


@dataclass(frozen=True, kw_only=True)
class FileMetric(Metric):
    """A metric file as a `Metric`; made by `KaggleFile.as_metric`."""

    file: KaggleFile
    build: Build
    row_id: str

    def _scored(self, truth: Array, prediction: Array, weight: Array | None, groups: Array | None) -> float:
        if not np.isfinite(prediction).all():
            return float("nan")
        return self.file.score(*self.build(truth, prediction, weight, groups), self.row_id)

    def drawn_groups(self, groups: Array | None, draw: Draw) -> Array | None:
        """Return what the file's solution is made of for drawn rows: the same as for the rows themselves."""
        return None if groups is None else groups[draw.rows]

    def effort(self, answers: int, groups: Array | None = None) -> int:
        """Return how long a score takes, as a number of answers: frames are made of them, and pandas computes."""
        return effort(answers)


def from_file(
    path: Path, *, higher_is_better: bool | None = None, arguments: Mapping[str, Any] | None = None
) -> KaggleFile:
    """Load a metric file.

    Args:
        path: ends in .py.
        higher_is_better: None: the file says it by a line `higher_is_better = True` or False; Kaggle's own do not.
        arguments: keywords of score, besides the three.

    Raises:
        UserError: no such file, no pandas; it does not load; its score has another signature; the direction is not
            said, or said in two ways.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        raise UserError(f"data.metric: {path} is no file that ends in .py: give the competition's metric file.")
    if importlib.util.find_spec("pandas") is None:
        raise UserError(
            f"{path}: metric files compute with pandas, which is not installed here: set FOLDLINE_EXTRAS=metric once, "
            "as in `FOLDLINE_EXTRAS=metric ./run.sh doctor`, or install pandas yourself."
        )
    text, given = _text(path), dict(arguments or {})
    module = _load(f"_foldline_metric_{hashlib.sha256(text.encode()).hexdigest()[:12]}", path, text)
    _check_signature(path, module, given)
    return KaggleFile(path, _direction(path, module, higher_is_better), given, text, module)


def hash_of(text: str) -> str:
    """Hash the text of a metric file."""
    return hashlib.sha256(text.encode()).hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: a metric file is a text in UTF-8, but this is not.") from error


def _load(name: str, path: Path, text: str) -> ModuleType:
    """Run the file's text as a module of that name. No byte code is written beside it."""
    module = ModuleType(name)
    module.__file__ = str(path)
    unchanged.hidden()
    try:
        code = compile(text, str(path), "exec", dont_inherit=True)
        with _running(path, module):
            exec(code, vars(module))
    except (Exception, SystemExit) as error:  # whatever a file of others may raise; it stays the cause
        raise UserError(f"{path}: the metric file can't be loaded: {_named(error)}.") from error
    return module


@contextlib.contextmanager
def _running(path: Path, module: ModuleType) -> Iterator[None]:
    """Have the module, and the utilities that it may import, in sys.modules for a while."""
    with _RUNNING:
        before = {name: sys.modules.get(name) for name in (module.__name__, UTILITIES)}
        sys.modules[module.__name__] = module
        utilities = _utilities(path, module)
        if utilities is not None:
            sys.modules[UTILITIES] = utilities
        try:
            yield
        finally:
            for name, earlier in before.items():
                if earlier is None:
                    sys.modules.pop(name, None)
                else:
                    sys.modules[name] = earlier


def _utilities(path: Path, module: ModuleType) -> ModuleType | None:
    """Return the module that a metric file gets as kaggle_metric_utilities; None: the installed one."""
    beside = path.parent / UTILITIES_FILE
    if beside.is_file() and module.__name__ != UTILITIES and path != beside:
        return _load(UTILITIES, beside, _text(beside))
    if UTILITIES in sys.modules or importlib.util.find_spec(UTILITIES) is not None:
        return None
    return kaggle_utilities


def _check_signature(path: Path, module: ModuleType, arguments: Mapping[str, Any]) -> None:
    function = getattr(module, "score", None)
    expected = f"score({', '.join(FIRST)}, ...)"
    if not inspect.isfunction(function):
        raise UserError(f"{path}: a metric file defines a function {expected}, but this one defines none.")
    given = inspect.signature(function)
    if tuple(given.parameters)[:3] != FIRST:
        raise UserError(f"{path}: a metric file defines {expected}, but this one defines score{given}.")
    more = list(given.parameters.values())[3:]
    named = [each for each in more if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    takes_any = any(each.kind is each.VAR_KEYWORD for each in more)
    for name in arguments:
        if name in FIRST or not (takes_any or name in {each.name for each in named}):
            raise unknown("argument", name, [each.name for each in named], f"{path}: data.metric_arguments")
    if lacking := [each.name for each in named if each.default is each.empty and each.name not in arguments]:
        raise UserError(
            f"{path}: score needs the argument {lacking[0]!r}, which has no default: the host sets it on the "
            "competition's page, and you in [data.metric_arguments]."
        )


def _direction(path: Path, module: ModuleType, given: bool | None) -> bool:
    said = getattr(module, DIRECTION, None)
    said = said if isinstance(said, bool) else None
    if given is None and said is None:
        raise UserError(
            f"{path}: nothing says whether a higher score is better: set data.{DIRECTION} = true or false; the "
            "competition's leaderboard shows which."
        )
    if given is not None and said is not None and given is not said:
        raise UserError(f"{path} says {DIRECTION} = {said}, but data.{DIRECTION} is {given}: one of them is wrong.")
    return bool(said if given is None else given)


def _sentence(path: Path, error: BaseException) -> str:
    """Say what a metric file raised. Classes are told apart by name: each file may define its own."""
    if type(error).__name__ == "ParticipantVisibleError":
        return f"{path}: the metric refuses this: {str(error).rstrip('.')}."
    return f"{path}: the metric file raised {_named(error)}."


def _named(error: BaseException) -> str:
    message = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _pandas_version() -> str:
    import pandas

    return str(pandas.__version__)

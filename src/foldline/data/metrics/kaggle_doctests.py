"""The examples in a metric file's docstrings, run as their author's notebook ran them."""

from __future__ import annotations

import doctest
import math
import re
from types import ModuleType
from typing import Any

CLOSE = 1e-9  # relative difference up to which two printed numbers are the same


class Checker(doctest.OutputChecker):
    """Compares numbers as numbers, np.float64(0.5) with 0.5, and errors without their module: it is private here."""

    def __init__(self, module: str) -> None:
        self.module = module

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        """Return whether what was got is what was wanted."""
        want, got = self._plain(want), self._plain(got)
        try:
            return math.isclose(float(want), float(got), rel_tol=CLOSE, abs_tol=1e-12)
        except ValueError:
            return super().check_output(want, got, optionflags | doctest.NORMALIZE_WHITESPACE)

    def _plain(self, text: str) -> str:
        return re.sub(r"np\.\w+\(([^()]*)\)", r"\1", text).replace(f"{self.module}.", "").replace("__main__.", "")


class Runner(doctest.DocTestRunner):
    """Collects one sentence for each example that fails."""

    def __init__(self, module: str) -> None:
        super().__init__(Checker(module), verbose=False)
        self.sentences: list[str] = []

    def report_failure(self, out: Any, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        """Note an example that gave something else."""
        self._note(example, f"gives {got.strip()!r:.200}")

    def report_unexpected_exception(
        self, out: Any, test: doctest.DocTest, example: doctest.Example, exc_info: Any
    ) -> None:
        """Note an example that raised."""
        self._note(example, f"raises {exc_info[0].__name__}: {exc_info[1]}")

    def _note(self, example: doctest.Example, what: str) -> None:
        self.sentences.append(f"{example.source.strip()!r:.200} should give {example.want.strip()!r:.200}, but {what}")


def run(module: ModuleType) -> tuple[list[str], int]:
    """Run all examples of a module: a sentence for each that fails, and how many there are."""
    tests = doctest.DocTestFinder(exclude_empty=True).find(module, module.__name__)
    runner = Runner(module.__name__)
    for test in tests:
        runner.run(test, out=lambda text: None)
    return runner.sentences, sum(len(test.examples) for test in tests)

"""What `./run.sh blend` found: one object, shown as tables, as JSON and on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foldline.blend import study
from foldline.blend.methods import Decision, Tried
from foldline.blend.study import Worth
from foldline.config import Config
from foldline.experiment import Result

Table = tuple[str, list[str], list[list[str]]]  # title, columns, rows


@dataclass(frozen=True)
class Findings:
    """Everything that was found. M members."""

    config: Config
    result: Result
    compared: Decision  # every method
    worths: tuple[Worth, ...]  # (M,)
    correlation: np.ndarray  # (M, M) of errors
    command: str

    @property
    def decided(self) -> bool:
        """The method was left open."""
        return self.config.blend.used == "auto"

    @property
    def score(self) -> float:
        """Nested, before post-processing; with "auto" the method is chosen without the fold that is scored, too."""
        return self.result.rows.metric(self.result.rows.y, self.result.nested.values)

    @property
    def optimism(self) -> float:
        """How much better the blend looks on the rows it was fitted on."""
        return study.optimism(self.result.rows, self.result.blend, self.result.nested)

    @property
    def verdict(self) -> str:
        """One sentence: what is submitted, and why."""
        method, compared = self.result.blend.method, self.compared
        if not self.decided:
            other = "" if method == compared.chosen else f"; with blend.method=auto it would be {compared.chosen}"
            return f"{method}, as the config says{other}"
        if method == compared.best:
            return f"{method}: it scores best, and beats all that is simpler by more than one standard error"
        return f"{method}: the simplest that nothing beats by more than one standard error"

    def tables(self) -> list[Table]:
        """For the terminal."""
        return [self.methods(), self.members(), self.alike(), self.scores()]

    def methods(self) -> Table:
        """Every method, from simple to involved."""
        columns = ["", "all rows", "behind the best", "", *self._folds()]
        rows = []
        for each in self.compared.tried:
            *folds, score = self._by_fold(each.nested.values)
            rows.append([each.method, score, behind(each, self.compared), self._note(each), *folds])
        if self.decided:
            *folds, score = self._by_fold(self.result.nested.values)
            rows.append(["auto", score, "", "chosen without the fold", *folds])
        return f"ways to blend, from simple to involved: nested {self.config.data.metric}", columns, rows

    def members(self) -> Table:
        """Every member: alone, in the blend, and the blend without it."""
        columns = ["member", self.config.data.metric, "weight", "blend without it", "it saves", "s for 1,000 series"]
        rows = [
            [
                each.label,
                f"{each.score:.5f}",
                "" if each.weight is None else f"{each.weight:.3f}",
                f"{each.without:.5f}",
                f"{each.gain:+.5f} ± {each.error:.5f}",
                "" if each.seconds is None else f"{each.seconds:.2f}",
            ]
            for each in self.worths
        ]
        return f"what each member is worth to the blend ({self.result.blend.method})", columns, rows

    def alike(self) -> Table:
        """Correlation of errors."""
        labels = list(self.result.rows.labels)
        rows = [
            [label, *(f"{value:.2f}" for value in line)] for label, line in zip(labels, self.correlation, strict=True)
        ]
        return "how alike the members' errors are: correlation", ["", *labels], rows

    def scores(self) -> Table:
        """From members to what is submitted."""
        columns = [f"out-of-fold {self.config.data.metric}", *self._folds(), "all rows"]
        return "", columns, [[name, *_five(values)] for name, values in self.result.scores.items()]

    def to_json(self) -> dict[str, Any]:
        """For blend.json and --json; what a clock gave is under time."""
        members = [asdict(each) for each in self.worths]
        seconds = {member["label"]: member.pop("seconds") for member in members}
        methods = [
            {name: getattr(each, name) for name in ("method", "score", "behind", "error", "beaten")}
            for each in self.compared.tried
        ]
        return {
            "blend": self.result.blend.method,
            "verdict": self.verdict,
            "score": self.score,
            "optimism": self.optimism,
            "scores": self.result.scores,
            "methods": methods,
            "best": self.compared.best,
            "members": members,
            "correlation": self.correlation.tolist(),
            "time.predict_1000_series_s": seconds,
        }

    def _folds(self) -> list[str]:
        return [f"fold {number}" for number in np.unique(self.result.rows.fold)]

    def _by_fold(self, values: np.ndarray) -> list[str]:
        rows = self.result.rows
        each = [rows.metric(rows.y[rows.fold == fold], values[rows.fold == fold]) for fold in np.unique(rows.fold)]
        return _five([*each, rows.metric(rows.y, values)])

    def _note(self, tried: Tried) -> str:
        notes = ["submitted"] if tried.method == self.result.blend.method else []
        notes += [] if tried.method in self.config.blend.candidates else ["no candidate"]
        return ", ".join(notes + ([f"beaten by {tried.beaten}"] if tried.beaten else []))


def behind(tried: Tried, compared: Decision) -> str:
    """Mean loss above that of the best candidate, and its standard error."""
    return "" if tried.method == compared.best else f"{tried.behind:+.5f} ± {tried.error:.5f}"


def _five(values: Sequence[float]) -> list[str]:
    return [f"{value:.5f}" for value in values]

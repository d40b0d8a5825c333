"""The comparison that `./run.sh blend` makes of all methods and members, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foldline.ensemble.fitted_blend import method_in_words
from foldline.ensemble.methods import MethodComparison, MethodScore
from foldline.evidence.blending import member_contributions
from foldline.evidence.blending.member_contributions import MemberContribution
from foldline.experiment import scoring
from foldline.experiment.config import Config
from foldline.experiment.result import Result

Table = tuple[str, list[str], list[list[str]]]  # title, columns, rows
SECONDS = "s for 1,000 series"


@dataclass(frozen=True)
class BlendComparison:
    """All methods compared, all members weighed. M members."""

    config: Config
    result: Result
    compared: MethodComparison  # every method
    contributions: tuple[MemberContribution, ...]  # (M,)
    correlation: np.ndarray  # (M, M) of errors
    command: str

    @property
    def decided(self) -> bool:
        """Whether the method was chosen by `auto`."""
        return self.config.blend.method_used == "auto"

    @property
    def score(self) -> float:
        """The nested score before post-processing; with "auto" the method, too, is chosen without the scored fold."""
        return self.result.rows.score(self.result.nested.values)

    @property
    def optimism(self) -> float:
        """By how much the in-sample score is better than the nested one."""
        return member_contributions.optimism(self.result.rows, self.result.blend, self.result.nested)

    @property
    def unit(self) -> str:
        """What differences of methods and members are measured in."""
        metric = self.result.rows.metric
        return "mean loss" if metric.is_mean_of_losses else metric.name

    @property
    def verdict(self) -> str:
        """Say in one sentence which method is submitted, and why."""
        method, compared = self.result.blend.method, self.compared
        name, other = method_in_words(method), method_in_words(compared.chosen)
        if not self.decided:
            instead = "" if method == compared.chosen else f"; with blend.method=auto it would be {other}"
            return f"{name}, as the config says{instead}"
        if method == compared.best == next(each.method for each in compared.methods if self._candidate(each)):
            return f"{name}: it scores best, and none is simpler"
        if method == compared.best:
            return f"{name}: it scores best, and beats all that is simpler by more than one standard error"
        return f"{name}: the simplest that no other one beats by more than one standard error"

    @property
    def remarks(self) -> list[str]:
        """Explain the numbers of the tables, a sentence each."""
        metric, method = self.config.data.metric, self.result.blend.method
        sentences = [
            f"optimism {self.optimism:+.5f}: by so much better is the score on the rows that the blend was fitted on"
        ]
        if self.decided:
            fixed = next(each.score for each in self.compared.methods if each.method == method)
            sentences.append(
                f"auto {self.score:.5f}: the {metric} of the whole procedure, where each fold's method was also chosen "
                f"without that fold. It is the blend's score. {method_in_words(method)}, chosen on all folds: "
                f"{fixed:.5f}"
            )
        return [*sentences, *self._units]

    @property
    def _units(self) -> list[str]:
        """Say what “behind the best” and “gain” are measured in, where that is not the score."""
        metric = self.result.rows.metric
        if not metric.is_mean_of_losses:
            return [
                f"“behind the best” and “gain” are in {metric.name}, turned so that lower is better; their errors come "
                f"from {self.config.units} drawn again"
            ]
        if metric.name == "rmse":
            return ["“behind the best” and “gain” are in the mean squared error, not its root"]
        if metric.finish(0.25) != 0.25:
            return [f"“behind the best” and “gain” are in the mean loss that {metric.name} is computed from"]
        return []

    def tables(self) -> list[Table]:
        """All tables, for the terminal."""
        return [self.methods(), self.members(), self.correlations(), self.scores()]

    def methods(self) -> Table:
        """Every method, from simple to complex."""
        columns = ["method", self.result.counted_answers(self.config.data), "behind the best", "remark", *self._folds()]
        rows = []
        for each in self.compared.methods:
            *folds, score = self._by_fold(each.nested.values)
            rows.append([method_in_words(each.method), score, behind(each, self.compared), self._note(each), *folds])
        if self.decided:
            *folds, score = self._by_fold(self.result.nested.values)
            rows.append(["auto", score, "", "the blend's score: chosen without the fold", *folds])
        return f"methods, from simple to complex: nested {self.config.data.metric}", columns, rows

    def members(self) -> Table:
        """Every member: alone, in the blend, and the blend without it."""
        columns = ["member", "gain", "weight", f"{self.config.data.metric} alone", "blend without it", SECONDS]
        rows = [
            [
                each.label,
                f"{signed(each.gain)} ± {each.error:.5f}",
                "" if each.weight is None else f"{each.weight:.3f}",
                f"{each.score:.5f}",
                f"{each.without:.5f}",
                "" if each.seconds is None else f"{each.seconds:.2f}",
            ]
            for each in self.contributions
        ]
        return (
            f"what each member contributes to the blend ({method_in_words(self.result.blend.method)})",
            *_without_empty_columns(columns, rows),
        )

    def correlations(self) -> Table:
        """Correlation of the members' errors."""
        labels = list(self.result.rows.labels)
        rows = [
            [label, *(f"{value:.2f}" for value in line)] for label, line in zip(labels, self.correlation, strict=True)
        ]
        return "correlation of the members' errors", ["member", *labels], rows

    def scores(self) -> Table:
        """Scores of the members, the blend, and each step to the submission."""
        return "scores from the members to the submission", *self.result.table(self.config.data, digits=5)

    def to_json(self) -> dict[str, Any]:
        """Everything for blend.json and --json; measured times are under `time.`."""
        members = [asdict(each) for each in self.contributions]
        seconds = {member["label"]: member.pop("seconds") for member in members}
        methods = [
            {name: getattr(each, name) for name in ("method", "score", "behind", "error", "beaten")}
            for each in self.compared.methods
        ]
        return {
            "blend": self.result.blend.method,
            "verdict": self.verdict,
            "score": self.score,
            "optimism": self.optimism,
            "models_alone": self.result.models_alone,
            "scores": self.result.scores,
            "by_target": self.result.by_target,
            "baselines": self.result.baselines,
            "lost_to_baseline": self.result.lost,
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
        return _five(scoring.by_fold(values, rows, np.unique(rows.fold).tolist()))

    def _candidate(self, tried: MethodScore) -> bool:
        return tried.method in self.config.blend.candidates

    def _note(self, tried: MethodScore) -> str:
        notes = ["chosen" if self.decided else "as the config says"] if tried.method == self.result.blend.method else []
        notes += [] if self._candidate(tried) else ["no candidate"]
        return ", ".join(notes + ([f"beaten by {method_in_words(tried.beaten)}"] if tried.beaten else []))


def _without_empty_columns(columns: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out columns without any entry."""
    kept = [number for number in range(len(columns)) if any(row[number] for row in rows)]
    return [columns[number] for number in kept], [[row[number] for number in kept] for row in rows]


def behind(tried: MethodScore, compared: MethodComparison) -> str:
    """Format the mean loss (or cost) above that of the best candidate, and its standard error."""
    return "" if tried.method == compared.best else f"{signed(tried.behind)} ± {tried.error:.5f}"


def signed(value: float) -> str:
    """Format with sign and five digits; what rounds to 0 has no sign."""
    return f"{value:+.5f}" if round(value, 5) else "0.00000"


def _five(values: Sequence[float]) -> list[str]:
    """Format with five digits; empty where there is no score, as of an AUC in a fold of one class."""
    return ["" if np.isnan(value) else f"{value:.5f}" for value in values]

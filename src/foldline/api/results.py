"""What `train` and `blend` return: scores, out-of-fold predictions and the submission as frames, and where all lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import polars as pl

from foldline.api.page import Page
from foldline.experiment.result import Result, target_columns, target_values
from foldline.experiment.several_targets import JoinedResult
from foldline.output import live
from foldline.output.live import Live
from foldline.output.report import ReportData
from foldline.output.submission import Published


@dataclass(frozen=True, kw_only=True)
class Scored:
    """An experiment's record, or that of one target of several."""

    name: str  # the config's
    folder: Path  # its record: runs/NAME/HASH, or a folder in that
    score: float  # out of fold, of what is submitted
    scores: pl.DataFrame  # a row a baseline, model and step; of several targets a row a target
    oof: pl.DataFrame | None  # out-of-fold rows: ids, fold, truth, predictions; None: of several targets, see `targets`
    report: Page  # shown in Jupyter where it is the value of a cell

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {self.score:.6g} out of fold, {self.folder})"


@dataclass(frozen=True, kw_only=True, repr=False)
class Run(Scored):
    """What `train` returns."""

    submission: pl.DataFrame | None  # as it passed the gate; None: nothing was to be predicted
    submission_path: Path | None  # of real data the copy in submissions/
    targets: Mapping[str, Scored]  # by name; none where there is one
    warnings: tuple[str, ...] = ()  # sentences, printed or not

    def live(self) -> Live:
        """Serve the page that shows the experiment while it trains, on this machine; in Jupyter it is shown inline.

        Returns:
            what serves it, until its `close()`.
        """
        return live.start(self.name, self.folder.parents[2])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished experiment whose submission has passed the gate."""

    name: str
    folder: Path
    page: Path
    published: Published
    parts: Mapping[str, ReportData]  # by the target's name; of one target ""
    joined: JoinedResult | None  # of several targets
    answer: Mapping[str, object]  # what --json prints

    def run(self, warnings: tuple[str, ...]) -> Run:
        """Make what Python gets."""
        if self.joined is None:
            own = scored(self.name, self.folder, self.parts[""])
            score, scores, oof, targets = own.score, own.scores, own.oof, {}
        else:
            score, scores, oof = self.joined.score, scores_of_targets(self.joined), None
            targets = {name: scored(name, self.folder / name, report) for name, report in self.parts.items()}
        return Run(
            name=self.name,
            folder=self.folder,
            score=score,
            scores=scores,
            oof=oof,
            report=Page(self.page),
            submission=self.published.table,
            submission_path=self.published.path,
            targets=MappingProxyType(targets),
            warnings=warnings,
        )


def scored(name: str, folder: Path, report: ReportData) -> Scored:
    """Gather what is known of an experiment of one target."""
    return Scored(
        name=name,
        folder=folder,
        score=report.result.score,
        scores=score_table(report.result),
        oof=out_of_fold(report),
        report=Page(folder / "report.html"),
    )


def score_table(result: Result) -> pl.DataFrame:
    """Tabulate scores: name, baseline (bool), fold_0, ..., the targets where there are several, all.

    Trivial baselines come first; the last row is what is submitted. A score that is not defined is NaN.
    """
    rows = []
    for baseline, scores, by_target in (
        (True, result.baselines, result.baselines_by_target),
        (False, result.scores, result.by_target),
    ):
        for name, (*folds, whole) in scores.items():
            row = {"name": name, "baseline": baseline} | {f"fold_{number}": score for number, score in enumerate(folds)}
            own = target_values(by_target[name], result.rows.metric)
            rows.append(row | dict(zip(target_columns(result.targets), own, strict=True)) | {"all": whole})
    return pl.DataFrame(rows)


def scores_of_targets(joined: JoinedResult) -> pl.DataFrame:
    """Tabulate several targets: name, kind, metric, share, score, best_baseline (its score, null without one)."""
    rows = []
    for part, result in zip(joined.several.parts, joined.results, strict=True):
        best = result.baselines[result.best_baseline][-1] if result.best_baseline else None
        data = part.config.data
        rows.append((part.name, data.kind, data.metric, part.share, result.score, best))
    schema = {"name": pl.String, "kind": pl.String, "metric": pl.String}
    numbers = dict.fromkeys(("share", "score", "best_baseline"), pl.Float64)
    return pl.DataFrame(rows, schema={**schema, **numbers}, orient="row")


def out_of_fold(report: ReportData) -> pl.DataFrame:
    """Tabulate the answers that have a score, one a row: ids, fold, truth_COLUMN and predicted_COLUMN.

    Ids are those columns that the training table has: data.id and, at the level "step", data.order beside data.key. Of
    classes each has a column: its truth is 1 or 0, or a share. Predictions are the nested ones that have the score,
    after post-processing, in the target's own unit.
    """
    result, table = report.result, report.competition.train
    names = dict.fromkeys([table.data.id, table.data.key, *([] if table.task.on_series else [table.data.order])])
    ids = table.answers.select(name for name in names if name in table.answers.columns).filter(result.scored)
    columns = report.train.task.columns
    return pl.DataFrame(
        [
            *ids,
            pl.Series("fold", result.rows.fold),
            *_named("truth", columns, result.rows.y.T),
            *_named("predicted", columns, result.blended[result.scored].T),
        ]
    )


def _named(kind: str, columns: Sequence[str], values: object) -> list[pl.Series]:
    return [pl.Series(f"{kind}_{name}", each) for name, each in zip(columns, values, strict=True)]  # type: ignore[call-overload]

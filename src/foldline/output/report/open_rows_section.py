"""The rows that a decoder leaves open: errors by kind of row and by how it lies to exact ones, and how sure they are.

R answers of the training table, N series, A scored answers that are open.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from foldline.core.pages import Band, Dots, Line, Mark, chart, figures, legend, note, table
from foldline.data import open_rows
from foldline.experiment.scoring import opens
from foldline.fit import estimator_cell
from foldline.output.report import examples_section
from foldline.output.report.report_data import SUBMITTED, ReportData
from foldline.run import estimator_channels

RANKED: Final = "ranked"  # the kind of rows that an estimate settles: they are not exact
RANKED_IN_WORDS: Final = (
    "They are the only solution of the decoder's equation inside the estimator's window: members' columns show what "
    "they would be without. Where the window misses the truth, they are wrong."
)
ESTIMATED: Final = "estimated"  # the kind of rows that no decoder has settled
DRAWS: Final = 1000  # of the bootstrap over series
WORST: Final = 6  # series that are drawn
WITHIN: Final = (1, 2)  # expected deviations


def section(report: ReportData) -> str:
    """Make the section: tables, whether the estimator's deviation is that of its errors, the worst series.

    Empty without an estimator.
    """
    if report.exact[0] is None or not opens(report.config):
        return ""
    return by_kind(report) + _calibrations(report) + worst(report)


def by_kind(report: ReportData) -> str:
    """Make the tables of kinds and classes of rows, members beside what is submitted."""
    exact = report.exact[0]
    assert exact is not None, "an estimator of open rows, so a decoder"
    scored = report.train.scored
    kinds = np.where(exact.known, exact.kinds, np.where(report.is_ranked, RANKED, ESTIMATED))[scored]
    names = open_rows.classes(report.train.fingerprint)[scored]
    of_open = np.where(exact.known[scored] | report.is_ranked[scored], "", names)
    columns = [*report.predictions, "95 %", "share of the score"]
    first, second = (_rows(report, each) for each in (kinds, of_open))
    labels = ["rows", "count", *columns]
    sentence = note(
        f"{report.slice_metric.name} over scored rows, out-of-fold; 95 %: the interval of what is submitted, over "
        "series. Exact rows are read back, by kind of proof; the others are estimated, and only they are learned and "
        "decide the blend. Below, estimated rows by where they lie."
    )
    counts = report.ranked_counts
    about = "" if counts is None else note(f"{counts.sentence.capitalize()}. {RANKED_IN_WORDS}")
    return table(labels, first, plain=True) + table(labels, second, plain=True) + sentence + about


def _rows(report: ReportData, names: np.ndarray) -> list[list[str]]:
    """Make a row for each name but the empty one, most rows first. names: (R scored,) text."""
    found, counts = np.unique(names[names != ""], return_counts=True)
    losses = {label: _loss(report, values) for label, values in report.predictions.items()}
    total, series = losses[SUBMITTED].sum(), report.train.series_of_answer[report.train.scored]
    rows = []
    for name, count in sorted(zip(found.tolist(), counts.tolist(), strict=True), key=lambda each: -each[1]):
        inside = names == name
        means = [f"{each[inside].mean():.4f}" for each in losses.values()]
        own = losses[SUBMITTED][inside]
        mean = Ratio.of(own, np.ones(len(own)), series[inside])
        rows.append(
            [
                name,
                f"{count:,}",
                *means,
                f"{mean.low:.3f} to {mean.high:.3f}",
                f"{own.sum() / total:.1%}" if total else "",
            ]
        )
    return rows


def _loss(report: ReportData, values: np.ndarray) -> np.ndarray:
    """Return the loss of each scored row, (R scored,). values: (R, K)."""
    scored = report.train.scored
    return np.asarray(report.slice_metric.row_loss(report.truth[scored], values[scored]))


class Ratio(NamedTuple):
    """A ratio of two sums, and its 95 % interval over series."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, above: np.ndarray, below: np.ndarray, series: np.ndarray) -> Ratio:
        """Compute it, and draw the series again. All (n,): what is summed, and the series of each."""
        codes = np.unique(series, return_inverse=True)[1]
        sums = np.stack([np.bincount(codes, each) for each in (above, below)])
        drawn = np.random.default_rng(0).integers(0, sums.shape[1], (DRAWS, sums.shape[1]))
        ends = np.quantile(np.divide(*sums[:, drawn].sum(axis=2)), (0.025, 0.975))
        return cls(float(above.sum() / below.sum()), *(float(end) for end in ends))

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def deviations(report: ReportData, label: str) -> dict[str, np.ndarray]:
    """Return the expected deviation of each row's error, (R,), as an estimator's model has it, and calibrated.

    The first is left out where the estimator does not tell it. label: of the estimator.
    """
    own = [cell for cell in report.cells if cell.model.label == label]
    modelled = estimator_channels.modelled_deviation(own, report.train)
    told = {} if modelled is None else {"as modelled": modelled}
    return told | {"calibrated": report.spreads[label][:, 0] / estimator_cell.ERROR}


def _calibrations(report: ReportData) -> str:
    """Tabulate how many errors lie within the deviations that each estimator expects, with an exact row and without."""
    assert report.exact[0] is not None, "an estimator of open rows, so a decoder"
    known, series = report.exact[0].known, report.train.series_of_answer
    anchored = np.bincount(series, known, len(report.train.lengths))[series] > 0
    rows = []
    for model in report.config.models:
        if model.fitted_as != "estimator" or model.label not in report.spreads:
            continue
        error = np.abs(report.predictions[model.label] - report.truth)[:, 0]
        for when, deviation in deviations(report, model.label).items():
            for name, part in (("with an exact row", anchored), ("without", ~anchored)):
                inside = report.train.scored & ~known & part & (deviation > 0)
                if inside.any():
                    rows.append([model.label, when, name, *_calibration(error, deviation, inside, series)])
    if not rows:
        return ""
    columns = ["estimator", "deviation", "series", "rows", "within 1", "within 2", "error / expected"]
    said = note(
        "Share of open rows whose error, out-of-fold, is within one and two of the deviations that the estimator "
        "expects (of a normal error 0.68 and 0.95), and mean error over the mean that it expects; 95 % over series. "
        "Calibrated: by labels outside of the fold."
    )
    return table(columns, rows, plain=True) + said


def _calibration(error: np.ndarray, deviation: np.ndarray, inside: np.ndarray, series: np.ndarray) -> list[str]:
    """Describe errors by their expected deviations; all (R,), `inside` says which count."""
    error, deviation, series = error[inside], deviation[inside], series[inside]
    ones = np.ones(len(error))
    shares = [Ratio.of((error <= k * deviation).astype(float), ones, series) for k in WITHIN]
    expected = Ratio.of(error, estimator_cell.ERROR * deviation, series)
    return [f"{len(error):,}", *map(str, shares), str(expected)]


def worst(report: ReportData) -> str:
    """Draw the series whose submitted error is largest: truth, exact rows, what is submitted, the estimator's band."""
    error = np.nan_to_num(report.series_error(report.result.blended), nan=-1.0)
    label = next((label for label in report.spreads if _is_estimator(report, label)), None)
    if label is None:
        return ""
    order = np.argsort(-error, kind="stable")[:WORST]
    marks = [_marks(report, label, int(number)) for number in order if error[number] > 0]
    captions = [
        examples_section.caption(report, "worst" if not place else f"no. {place + 1}", int(order[place]))
        for place in range(len(marks))
    ]
    label_of_x = report.time_axis.label
    charts = [chart(each, xlabel=label_of_x, ylabel=report.names[0], height=190, width=340) for each in marks]
    said = note(
        f"Series with the largest error of what is submitted. Bands: {label} plus and minus one and two of its "
        "calibrated deviations."
    )
    return (legend(marks[0]) + figures(list(zip(captions, charts, strict=True))) + said) if marks else ""


def _is_estimator(report: ReportData, label: str) -> bool:
    return any(model.label == label and model.fitted_as == "estimator" for model in report.config.models)


def _marks(report: ReportData, label: str, number: int) -> list[Mark]:
    """Make the marks of a series."""
    shown, time = examples_section.window(report, number)
    scored, exact = report.train.scored[shown], report.exact[0]
    assert exact is not None, "an estimator of open rows, so a decoder"
    center = np.where(scored, report.predictions[label][shown, 0], np.nan)
    deviation = report.spreads[label][shown, 0] / estimator_cell.ERROR
    truth = np.where(report.train.known[shown, 0], report.truth[shown, 0], np.nan)
    submitted = np.where(scored, report.result.blended[shown, 0], np.nan)
    bands: list[Mark] = [
        Band(x=time, low=center - k * deviation, high=center + k * deviation, label=f"{label}: one and two deviations")
        for k in reversed(WITHIN)
    ]
    return [
        *bands,
        Line(x=time, y=truth, style="neutral thick", label="truth"),
        Line(x=time, y=submitted, label=SUBMITTED),
        Dots(x=time, y=np.where(exact.known[shown] & scored, truth, np.nan), style="ink", label="read back exactly"),
    ]

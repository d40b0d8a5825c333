"""The forest plot of an ablation: one line a variant, with its effect, both intervals, its folds, and the margin."""

from __future__ import annotations

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure
from scipy import special

from foldline.core.figures import COLORS, NEUTRAL, STYLE, as_written, svg
from foldline.evidence.ablation.ablation_results import AblationResult, VariantResult

COLOR_OF = {"helps": COLORS[2], "hurts": COLORS[5], "no difference": COLORS[0], "cannot tell yet": NEUTRAL}
INCHES_A_LINE = 0.32
TOO_WIDE, LINEAR = 30, 5  # in margins: an axis wider than the first is logarithmic beyond the second


def forest(findings: AblationResult) -> str:
    """Draw <svg>: effects in % of the baseline's score, the best variant on top.

    Thin line: 95 % interval of the corrected t (of one variant, before Holm). Thick line: bootstrap over
    series (or their groups) and seeds. Rings: folds. Shaded: within the margin.
    """
    cost = findings.metric.cost
    order = sorted(findings.variants, key=lambda found: cost(found.significance.effect), reverse=True)
    share = float(findings.share(100))  # % of the baseline's score in one unit of the metric
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 1.1 + INCHES_A_LINE * len(order)), layout="constrained")
        axes = figure.subplots()
        margin = findings.rule.delta * share
        axes.axvspan(-margin, margin, color=NEUTRAL, alpha=0.15, linewidth=0)
        axes.axvline(0, color=NEUTRAL, linewidth=1)
        for height, found in enumerate(order):
            _line(axes, height, found, share)
        axes.set_yticks(range(len(order)), [as_written(found.name) for found in order])
        axes.set(
            xlabel=f"effect, % of the baseline's score ({'left' if cost(1) > 0 else 'right'}: better)",
            ylim=(-0.7, len(order) - 0.3),
        )
        axes.grid(visible=False, axis="y")
        _stretch(axes, margin)
        _legend(figure)
        return svg(figure)


def _line(axes: matplotlib.axes.Axes, height: int, found: VariantResult, share: float) -> None:
    tested, color = found.significance, COLOR_OF[found.significance.verdict]
    half = special.stdtrit(tested.variance.folds - 1, 0.975) * tested.standard_error
    ends = share * np.array([tested.effect - half, tested.effect + half])
    axes.plot(ends, [height, height], color=color, linewidth=1)
    axes.plot(share * found.interval, [height, height], color=color, linewidth=4, alpha=0.55, solid_capstyle="butt")
    folds = share * found.deltas.mean(axis=1)
    axes.plot(folds, np.full(len(folds), height), "o", markersize=4, fillstyle="none", color=color, alpha=0.7)
    axes.plot([share * tested.effect], [height], "D", color=color, markersize=5)


def _stretch(axes: matplotlib.axes.Axes, margin: float) -> None:
    """Make the axis logarithmic beyond LINEAR margins where one large effect would hide all others."""
    if max(np.abs(axes.get_xlim())) <= TOO_WIDE * margin:
        return
    axes.set_xscale("symlog", linthresh=LINEAR * margin)
    axes.set_xlabel(f"{axes.get_xlabel()}, logarithmic beyond {LINEAR * margin:g} %")
    axes.set_xticks([sign * margin * step for step in (1, 3, 10, 30, 100) for sign in (-1, 1)] + [0.0])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())


def _legend(figure: Figure) -> None:
    handles = [
        matplotlib.lines.Line2D([], [], color=color, marker="D", markersize=5, linewidth=1, label=verdict)
        for verdict, color in COLOR_OF.items()
    ]
    figure.legend(handles=handles, frameon=False, fontsize=8, loc="outside lower center", ncols=4)

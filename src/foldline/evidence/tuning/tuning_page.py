"""The page of a search as one HTML file: final check, history, importance, each entry's values, best trials."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib
import numpy as np
import tomli_w
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from foldline.core import pages
from foldline.core.figures import COLORS, NEUTRAL, STYLE, as_written, svg
from foldline.core.pages import Facts, collapsed, note, table
from foldline.core.pages.charts import log_ticks, numbers
from foldline.data.metrics import Metric
from foldline.evidence.ablation.fold_values import POOLED
from foldline.evidence.tuning.final_check import FinalCheck
from foldline.evidence.tuning.pruning import score_so_far
from foldline.evidence.tuning.search_progress import format_value
from foldline.evidence.tuning.search_space import SpaceEntry
from foldline.evidence.tuning.trial_queue import ENDED, TrialQueue
from foldline.evidence.tuning.tuning_file import Search

LISTED = 20  # trials in the table, best first
EDGE = 0.03  # of an axis' length, beyond the scores that it shows: room for a dot at the edge
LABELS = 4  # most numbers along the logarithmic axis of a panel
ENOUGH = 8  # complete trials from which importance says anything


def page(queue: TrialQueue, metric: Metric, check: FinalCheck | None) -> str:
    """Make the whole page as text. check: None if the search found nothing better than its baseline."""
    search = queue.search
    ended = queue.trials(*ENDED)
    complete = [trial for trial in ended if trial.state == TrialState.COMPLETE]
    sections = [
        ("The final check", checked(check, metric, search.tune.folds)),
        ("History", history(ended, metric)),
        ("Importance", importance(queue, complete)),
        ("Values", slices(search, ended, metric)),
        ("Best trials", _trials(queue.ranked)),
        ("Best config", _best(queue)),
    ]
    tune = search.tune
    lead = f"A search from {search.base_name}: {tune.sampler} sampler, {tune.pruner} pruner."
    return pages.page(search.name, "search", lead, _facts(search, ended, complete, metric), sections)


def _facts(search: Search, ended: list[FrozenTrial], complete: list[FrozenTrial], metric: Metric) -> Facts:
    values = [trial.value for trial in complete if trial.value is not None]
    best = min(values, key=metric.cost, default=math.nan)
    return [
        (f"{best:.4f}", f"best {metric.name}"),
        (str(len(complete)), "complete trials"),
        (str(len(ended) - len(complete)), "pruned"),
        (named("fold", search.tune.folds), "seen by the search"),
    ]


def verdict(check: FinalCheck | None, metric: Metric) -> str:
    """Summarise the final check in a sentence."""
    if check is None:
        return "The search found nothing better than the config it started from."
    gain = check.gain
    where = f"on {named('fold', check.folds)} with {named('seed', check.seeds)}"
    if math.isinf(gain.high):
        return f"Can't tell whether the best config is better {where}: too few folds to estimate a variance. Use more."
    change = f"{metric.name} {metric.worse if gain.mean < 0 else metric.better} by {abs(gain.mean):.4f}"
    span = f"95 % interval of the gain {gain.low:.4f} to {gain.high:.4f}, p = {gain.p:.2g}"
    if gain.verdict == "can't tell":
        return f"Can't tell whether the best config is better {where}: {change}, {span}."
    return f"The best config is {gain.verdict} {where}: {change}, {span}."


def named(noun: str, numbers: Sequence[int]) -> str:
    """Name some folds or seeds by their numbers: `fold 0`, `folds 1, 2`."""
    return f"{noun}{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))}"


def check_rows(check: FinalCheck, metric: Metric) -> list[list[str]]:
    """Make rows of a table: where, baseline, best, gain."""
    rows = []
    for name in ("seen", "unseen"):
        pair = [float(np.mean(getattr(scores, name))) for scores in (check.baseline, check.best)]
        title = "where the search looked" if name == "seen" else "where it did not"
        rows.append([title, *(f"{value:.4f}" for value in (*pair, metric.gain(*pair)))])
    return [*rows, ["optimism of the search", "", "", f"{check.optimism:.4f}"]]


def checked(check: FinalCheck | None, metric: Metric, seen: Sequence[int]) -> str:
    """Show the final check: a sentence, a table, the pairs. seen: folds of the search."""
    text = f"<p>{escape(verdict(check, metric))}</p>"
    if check is None:
        return text
    text += table([metric.name, "baseline", "best", "gain"], check_rows(check, metric), plain=True)
    pairs = [*zip(seen, check.baseline.seen, check.best.seen, strict=True)]
    pairs += zip(check.folds, check.baseline.unseen, check.best.unseen, strict=True)
    titles = [f"fold {fold}, seen" for fold in seen] + [f"fold {fold}, mean of seeds" for fold in check.folds]
    rows = [
        [title, f"{one:.4f}", f"{other:.4f}", f"{metric.gain(one, other):.4f}"]
        for title, (_, one, other) in zip(titles, pairs, strict=True)
    ]
    remark = note(POOLED) if check.pooled else ""
    return f"{text}<br>{table(['fold', 'baseline', 'best', 'gain'], rows, plain=True)}{remark}"


def history(trials: list[FrozenTrial], metric: Metric) -> str:
    """Plot scores by trial: complete ones, pruned ones (hollow) at the score of their finished folds, the best so far.

    Trials pruned inside their first fold have no score. Scores worse than the plot's range are drawn at its edge.
    """
    complete = [(t.number, t.value) for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
    pruned = [(t.number, at) for t in trials if t.state == TrialState.PRUNED and (at := score_so_far(t)) is not None]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 3.0), layout="constrained")
        axes = figure.subplots()
        numbers, values = map(list, zip(*complete, strict=True))
        costs = [metric.cost(value) for value in values]
        window = _window(costs)

        def shown(costs: Sequence[float] | np.ndarray) -> list[float]:
            return _at_the_edge(costs, window[1], metric)

        axes.plot(numbers, shown(costs), "o", color=COLORS[0], label="complete")
        axes.step(numbers, shown(np.minimum.accumulate(costs)), where="post", color=COLORS[1], label="best so far")
        if pruned:
            places, scores = zip(*pruned, strict=True)
            axes.plot(
                places,
                shown([metric.cost(score) for score in scores]),
                "o",
                color=NEUTRAL,
                fillstyle="none",
                label="pruned",
            )
        axes.set_ylim(*_scores_of(*window, metric))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set(xlabel="trial", ylabel=f"{as_written(metric.name)} ({metric.better} is better)")
        axes.legend(frameon=False)
        return svg(figure)


def _at_the_edge(costs: Sequence[float] | np.ndarray, most: float, metric: Metric) -> list[float]:
    """Turn costs into scores, those above `most` into that of `most`."""
    return [metric.cost(float(cost)) for cost in np.minimum(costs, most)]


def _scores_of(low: float, high: float, metric: Metric) -> tuple[float, float]:
    """Turn a window of costs into the limits of an axis of scores, with room for a dot at its worse end."""
    ends = metric.cost(low), metric.cost(high + EDGE * (high - low))
    return min(ends), max(ends)


def _window(costs: list[float]) -> tuple[float, float]:
    """Choose the limits of an axis of costs, so that a few very bad trials do not hide the others."""
    costs = [cost for cost in costs if math.isfinite(cost)] or [0.0]  # an rmsle may be infinite
    low, high = min(costs), float(np.quantile(costs, 0.9))
    margin = 0.15 * (high - low) or 0.05 * abs(low) or 1.0
    return low - margin, high + 2 * margin


def importance(queue: TrialQueue, complete: list[FrozenTrial]) -> str:
    """Plot how much each entry explains of what makes a trial one of the best, among the trials that have it.

    PED-ANOVA: Watanabe et al. 2023, https://arxiv.org/abs/2304.10255.
    """
    if len(complete) < ENOUGH:
        return f"<p>Too few complete trials for that: {len(complete)} of at least {ENOUGH}.</p>"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about entries that few trials have: the note below says it
        found = get_param_importances(queue.study, evaluator=PedAnovaImportanceEvaluator())
    names, shares = list(found)[::-1], list(found.values())[::-1]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 0.7 + 0.3 * len(names)), layout="constrained")
        axes = figure.subplots()
        axes.barh(list(map(as_written, names)), shares, color=COLORS[0])
        axes.set(xlabel="share of the importance (PED-ANOVA)")
        axes.grid(axis="y", visible=False)
        picture = svg(figure)
    return picture + note("The importance of entries that only few trials have is unreliable.")


def slices(search: Search, trials: list[FrozenTrial], metric: Metric) -> str:
    """Plot one panel for each entry: its values against the scores of the complete trials."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    entries = [
        (key, entry) for key, entry in search.space.entries.items() if any(key in trial.params for trial in complete)
    ]
    if not entries:
        return ""
    rows = math.ceil(len(entries) / 3)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 2.2 * rows), layout="constrained")
        panels = figure.subplots(rows, 3, squeeze=False).ravel()
        window = _window([metric.cost(trial.value) for trial in complete if trial.value is not None])
        for axes, (key, entry) in zip(panels, entries, strict=False):
            having = [trial for trial in complete if key in trial.params and trial.value is not None]
            scores = _at_the_edge(
                [metric.cost(trial.value) for trial in having if trial.value is not None], window[1], metric
            )
            _slice(axes, key, entry, [trial.params[key] for trial in having], scores)
            axes.set_ylim(*_scores_of(*window, metric))
        for axes in panels[len(entries) :]:
            axes.axis("off")
        for axes in panels[::3]:
            axes.set_ylabel(as_written(metric.name))
        return svg(figure)


def _slice(axes: Any, key: str, entry: SpaceEntry, values: list[Any], scores: list[float]) -> None:
    """Draw one panel. values: of the entry in each trial that has it; scores: of these."""
    if entry.choices is None:
        axes.plot(values, scores, "o", markersize=4, alpha=0.8)
        if entry.log:
            axes.set_xscale("log")
            places = _log_places(*axes.get_xlim())
            axes.set_xticks(places, numbers(places))
        elif entry.whole:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        axes.minorticks_off()
    else:
        axes.plot([entry.names.index(name) for name in values], scores, "o", markersize=4, alpha=0.8)
        axes.set_xticks(range(len(entry.names)), [as_written(str(name)) for name in entry.names], rotation=20)
    axes.set_title(as_written(key), fontsize=9)


def _log_places(low: float, high: float) -> list[float]:
    """Choose the ticks of a narrow logarithmic axis: few enough that their numbers stand side by side."""
    places = log_ticks(low, high)
    return places[:: -(-len(places) // LABELS)]


def _trials(ranked: list[FrozenTrial]) -> str:
    best = ranked[:LISTED]
    keys = list(dict.fromkeys(key for trial in best for key in trial.params))
    rows = [
        [str(t.number), f"{t.value:.4f}", *(format_value(t.params[key]) if key in t.params else "" for key in keys)]
        for t in best
    ]
    pooled = sum(bool(t.user_attrs.get("pooled")) for t in ranked)
    remark = note(f"{pooled} of {len(ranked)} complete trials: {POOLED}") if pooled else ""
    return table(["trial", "score", *keys], rows, plain=True) + remark


def _best(queue: TrialQueue) -> str:
    best = queue.best
    if best is None:
        return ""
    values = queue.search.space.overrides(best.params)
    resolved = tomli_w.dumps(queue.search.config(best.params).tables())
    return (
        f"<pre>{escape(chr(10).join(values))}</pre>{collapsed('resolved: best.toml', f'<pre>{escape(resolved)}</pre>')}"
    )

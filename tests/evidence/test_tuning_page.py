"""The panels of a search's page: every trial is drawn, and every axis has numbers; counts of one are said as one."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from foldline.data.metrics import METRICS, metric
from foldline.evidence.tuning import tuning_page
from foldline.evidence.tuning.search_space import SpaceEntry

MAE, AUC = METRICS["mae"], metric("auc", kind="binary")
ENTRIES = {
    "lr": SpaceEntry(low=1e-3, high=1e-2, log=True),
    "leaves": SpaceEntry(low=15, high=127, log=True),
    "ema": SpaceEntry(choices=[0.0, 0.99]),
    "layers": SpaceEntry(low=1, high=3),
}
SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-3, 1e-2, log=True),
    "leaves": IntDistribution(15, 127, log=True),
    "ema": CategoricalDistribution([0.0, 0.99]),
    "layers": IntDistribution(1, 3),
}
PLACES = [0.0037, 0.003, 0.0094, 0.004]


def panels(monkeypatch: pytest.MonkeyPatch, scores: list[float], shown: Any) -> tuple[list[Any], str]:
    """The panels of a search with a trial of each score, and their picture."""
    params = [
        {"lr": lr, "leaves": leaves, "ema": ema, "layers": layers}
        for lr, leaves, ema, layers in zip(PLACES, (16, 65, 60, 31), (0.99, 0.0, 0.99, 0.0), (1, 2, 2, 1), strict=True)
    ]
    trials = [
        create_trial(state=TrialState.COMPLETE, value=value, params=chosen, distributions=SPACE)
        for value, chosen in zip(scores, params, strict=True)
    ]
    figures = list[Figure]()
    draw = tuning_page.svg
    monkeypatch.setattr(tuning_page, "svg", lambda figure: figures.append(figure) or draw(figure))
    search: Any = SimpleNamespace(space=SimpleNamespace(entries=ENTRIES))
    picture = tuning_page.slices(search, trials, shown)
    return figures[0].axes[: len(ENTRIES)], picture


@pytest.mark.parametrize(
    ("scores", "shown"),
    [([2.2761, 2.2831, 2.291, 2.355], MAE), ([0.9, 0.89, 0.88, 0.5], AUC), ([1, 1, 1, np.inf], MAE)],
)
def test_a_bad_trial_is_drawn_at_the_edge_of_the_panels(
    scores: list[float], shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for axes in panels(monkeypatch, scores, shown)[0]:
        (line,), (low, high) = axes.lines, axes.get_ylim()
        drawn = np.asarray(line.get_ydata(), dtype=float)
        margin = 0.02 * (high - low)
        assert len(drawn) == 4 and (drawn > low + margin).all() and (drawn < high - margin).all()


def test_a_logarithmic_axis_of_less_than_a_decade_has_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    (rates, leaves, *_), picture = panels(monkeypatch, [4.0, 3.0, 2.0, 1.0], MAE)
    texts = re.findall(r">([^<>\s]+)</text>", picture)
    for axes in (rates, leaves):
        low, high = axes.get_xlim()
        places = [f"{place:g}" for place in axes.get_xticks()]
        assert len(places) >= 2 and all(low <= float(place) <= high and place in texts for place in places)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1e-3, 1e-1, [0.001, 0.005, 0.02, 0.1]), (1e-6, 1e-1, [1e-6, 1e-4, 1e-2]), (15, 127, [20, 50, 100])],
)
def test_few_numbers_stand_along_a_panel(low: float, high: float, expected: list[float]) -> None:
    assert tuning_page._log_places(low, high) == pytest.approx(expected)


def test_folds_and_seeds_are_named_by_their_numbers() -> None:
    assert tuning_page.named("fold", [0]) == "fold 0" and tuning_page.named("seed", (1, 2)) == "seeds 1, 2"

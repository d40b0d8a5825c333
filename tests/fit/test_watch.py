"""What may be watched while fitting, what comes of it, and which weights predict in the end."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import INSIDE, PARAMS, TRAIN, exhaust, fitted, padded, small_store, weights, with_features
from test_trainer import history

from foldline.core.errors import UserError
from foldline.data import metrics
from foldline.data.metrics import METRICS, Metric
from foldline.data.time_spans import TimeSpans
from foldline.fit import network_cell, scaler, trainer, watched_split
from foldline.fit.labelled_series import labelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.train_config import TrainConfig, WatchConfig
from foldline.models.systems.hybrid import Hybrid

LOOKS = replace(TRAIN, epochs=8, schedule="constant", lr=0.05, watch=WatchConfig(share=0.3))


def inner(data: Any, seed: int = 0) -> np.ndarray:
    """The series that are watched."""
    _, watched = watched_split.inner_split([labelled_series(data, INSIDE)], LOOKS.watch.share, seed)
    return watched[0].series


def test_the_inner_split_takes_whole_series_of_the_first_set_by_the_seed() -> None:
    data = small_store()
    labelled_sets = [
        labelled_series(data, INSIDE),
        labelled_series(data, np.array([2])),
    ]
    kept, watched = watched_split.inner_split(labelled_sets, 0.3, 0)
    assert kept[1] is labelled_sets[1] and len(watched) == 1 and len(watched[0].series) == 2
    assert sorted([*kept[0].series, *watched[0].series]) == INSIDE.tolist()
    for part in (*kept, *watched):
        rows = data.rows(part.series)
        assert np.array_equal(part.y, data.y[rows]) and np.array_equal(part.weight, data.scored[rows])
    assert len({tuple(inner(data, seed)) for seed in range(8)}) > 1
    assert watched_split.inner_split(labelled_sets, 0.0, 0) == (labelled_sets, [])
    with pytest.raises(
        UserError, match=r"share = 0.3 needs at least 2 training series with scored steps, but there is 1"
    ):
        watched_split.inner_split([labelled_sets[1]], 0.3, 0)


def test_where_folds_go_by_time_the_latest_series_are_watched_and_those_in_the_gap_before_them_left_out() -> None:
    data, first = small_store(), np.array([30, 0, 50, 10, 60, 20, 40])
    part = labelled_series(data, INSIDE).at(TimeSpans(first, first + 5, 10))
    for seed in range(3):  # nothing is drawn
        kept, watched = watched_split.inner_split([part, part], 0.3, seed)
        assert sorted(watched[0].series.tolist()) == sorted(INSIDE[first >= 50].tolist())
        assert sorted(kept[0].series.tolist()) == sorted(INSIDE[first + 5 < 40].tolist()) and kept[1] is part
    grouped = replace(data, group_numbers=np.where(np.isin(np.arange(len(data.lengths)), INSIDE[[1, 4]]), 1, 0))
    assert (grouped.group_numbers is not None) and len(set(grouped.group_numbers.tolist())) == 2
    apart = labelled_series(grouped, INSIDE[[1, 4]]).at(TimeSpans(np.array([0, 60]), np.array([5, 65]), 0))
    with pytest.raises(UserError, match=r"of 2 series that leaves none with scored rows to train on"):
        watched_split.inner_split([apart], 0.5, 0)  # both are of one group


@pytest.mark.parametrize("seed", range(6))
def test_something_is_scored_on_either_side_of_the_inner_split(seed: int) -> None:
    """Two of seven series are scored; a share of a seventh, or nearly all, still leaves one of them on either side."""
    labelled = labelled_series(small_store(), INSIDE)
    weight = labelled.weight.copy()
    weight[np.isin(np.repeat(np.arange(7), small_store().lengths[INSIDE]), [0, 1, 3, 5, 6])] = 0.0
    for share in (0.15, 0.9):
        kept, out = (part[0] for part in watched_split.inner_split([replace(labelled, weight=weight)], share, seed))
        assert kept.weight.any() and out.weight.any() and len(kept.series) + len(out.series) == len(INSIDE)


def test_a_watched_score_that_is_not_finite_is_no_reason_to_keep_the_first_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Hybrid.forward

    def forward(self: Hybrid, *given: Any) -> torch.Tensor:
        return honest(self, *given) * (1.0 if self.training else math.nan)

    monkeypatch.setattr(Hybrid, "forward", forward)
    with pytest.raises(UserError, match=r"The watched score of hybrid was not finite after epoch 1\. Lower train\.lr"):
        fitted(train=replace(LOOKS, watch=WatchConfig(share=0.3, best=True)))


def test_what_is_watched_is_never_trained_on(tmp_path: Path) -> None:
    data = small_store()
    watched = inner(data)
    x, y = padded(data), np.array(data.y)
    x[watched], y[data.rows(watched)] = 7.0, -7.0
    lied = with_features(data, x, y=y)
    honest = scaler.fit("robust", data, INSIDE, 0)  # the scaler sees the whole training part, these series too
    cells = [NetworkCell("hybrid", PARAMS, LOOKS, honest, METRICS["mae"]) for _ in range(2)]
    scores: list[list[float]] = [[], []]
    for cell, some, reported in zip(cells, (data, lied), scores, strict=True):
        emit = lambda kind, reported=reported, **row: reported.append(row["watched"]) if kind == "epoch" else None  # noqa: E731
        exhaust(cell.fit([labelled_series(some, INSIDE)], 0, emit, tmp_path / str(id(cell))))
    assert weights(cells[0]) == weights(cells[1]) and scores[0] != scores[1]


@pytest.mark.parametrize("name", metrics.names_for("regression"))
def test_the_watched_score_is_the_competitions_metric_in_its_own_unit(name: str) -> None:
    """Of all scored values of the inner series; targets of different scales count as the metric has them."""
    plain = small_store()
    data = replace(plain, y=plain.y * np.array([1.0, 40.0]))
    rows, cell = history(replace(LOOKS, epochs=2), data=data, metric=METRICS[name])
    series = inner(data)
    scored = data.scored[data.rows(series)]
    expected = METRICS[name](data.y[data.rows(series)][scored], cell.predict(data, series)[0][scored])
    assert rows[-1]["watched"] == pytest.approx(expected, rel=1e-5)


def script(patch: pytest.MonkeyPatch, *scores: float) -> None:
    """Let the watched score of each epoch be the next of these."""
    following = iter(scores)
    patch.setattr(trainer, "watched_score", lambda *_: next(following))


def test_best_keeps_the_weights_of_the_epoch_with_the_best_score(monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, 3.0, 2.0, 1.0, 1.0, 2.0, 0.5, 0.7, 0.6)
    rows, cell = history(replace(LOOKS, watch=WatchConfig(share=0.3, best=True)))
    assert len(rows) == 8
    script(monkeypatch, *[1.0] * 6)
    assert weights(cell) == weights(fitted(train=replace(LOOKS, epochs=6)))


def test_of_equal_scores_the_first_is_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, 3.0, 1.0, 1.0, 1.0)
    cell = fitted(train=replace(LOOKS, epochs=4, watch=WatchConfig(share=0.3, best=True)))
    script(monkeypatch, *[1.0] * 2)
    assert weights(cell) == weights(fitted(train=replace(LOOKS, epochs=2)))


def test_better_is_what_the_metric_calls_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """Best epoch, early stopping and the plateau schedule all compare in one place."""
    monkeypatch.setattr(Metric, "is_better", lambda self, score, other: score > other)
    script(monkeypatch, 1.0, 3.0, 2.0, 2.5, 0.1, 9.0)
    watch = WatchConfig(share=0.3, best=True, stop=3, patience=2, factor=0.5)
    rows, cell = history(replace(LOOKS, epochs=6, schedule="plateau", watch=watch))
    assert [row["lr"] for row in rows] == pytest.approx([0.05, 0.05, 0.05, 0.05, 0.025])  # ends 3 after the second
    monkeypatch.undo()
    assert weights(cell) == weights(fitted(train=replace(LOOKS, epochs=2)))


def test_stop_ends_training_so_many_epochs_after_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = (5.0, 4.0, 4.5, 3.0, 3.1, 3.2, 3.0, 1.0)  # three epochs after the fourth none was better
    script(monkeypatch, *scores)
    rows, _ = history(replace(LOOKS, epochs=40, watch=WatchConfig(share=0.3, stop=3)))
    assert [row["watched"] for row in rows] == list(scores[:7])


def test_plateau_lowers_the_rate_after_patience_epochs_without_a_better_score(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = WatchConfig(share=0.3, patience=2, factor=0.5)
    script(monkeypatch, 5.0, 4.0, 4.1, 4.2, 4.3, 4.4, 4.5, 3.0, 3.5, 3.6, 9.0)
    rows, _ = history(replace(LOOKS, epochs=11, schedule="plateau", watch=watch))
    expected = [0.05] * 4 + [0.025] * 2 + [0.0125] * 4 + [0.00625]  # lowered after the epochs 4, 6 and 10
    assert [row["lr"] for row in rows] == pytest.approx(expected)


# ---------------------------------------------------------------- which weights predict


def snapshots(train: TrainConfig, every: str) -> tuple[list[dict[str, torch.Tensor]], NetworkCell]:
    """The weights as they were at each event of a kind, and what came out."""
    seen: list[dict[str, torch.Tensor]] = []
    honest, kept = network_cell.State, []

    def state(*given: Any) -> Any:
        kept.append(honest(*given))
        return kept[-1]

    def look(kind: str, **_: Any) -> None:
        if kind == every:
            seen.append({name: value.clone() for name, value in kept[-1].network.state_dict().items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_cell, "State", state)
        return seen, fitted(train=train, emit=look)


def test_average_predicts_with_the_mean_of_the_last_epochs_weights() -> None:
    seen, cell = snapshots(replace(TRAIN, epochs=5, average=3), "epoch")
    assert cell.network is not None and len(seen) == 5
    for name, value in cell.network.state_dict().items():
        torch.testing.assert_close(value, torch.stack([each[name] for each in seen[-3:]]).mean(dim=0))


@pytest.mark.parametrize(
    ("scores", "ended"),
    [((5.0, 1.0, 2.0, 3.0, 4.0), 5), ((9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0), 8)],
    ids=["stopped early", "not stopped"],
)
def test_average_with_early_stopping_is_over_the_last_epochs_before_the_end_that_was_reached(
    scores: tuple[float, ...], ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, *scores)
    train = replace(LOOKS, epochs=8, average=2, watch=WatchConfig(share=0.3, stop=3))
    seen, cell = snapshots(train, "epoch")
    assert cell.network is not None and len(seen) == ended
    for name, value in cell.network.state_dict().items():
        torch.testing.assert_close(value, torch.stack([each[name] for each in seen[-2:]]).mean(dim=0))


def test_ema_predicts_with_the_moving_average_over_all_steps() -> None:
    seen, cell = snapshots(replace(TRAIN, epochs=4, ema=0.5), "progress")
    assert cell.network is not None and len(seen) == 12
    for name, value in cell.network.state_dict().items():
        mean = seen[0][name]
        for count, each in enumerate(seen[1:], start=1):
            decay = min(0.5, (1 + count) / (10 + count))
            mean = decay * mean + (1 - decay) * each[name]
        torch.testing.assert_close(value, mean)


@pytest.mark.parametrize("what", ["group_numbers", "units"])
def test_series_of_one_group_are_watched_together_or_not_at_all(what: str) -> None:
    """Clusters of similar series (folds.similar) go before groups, which they hold together, too."""
    plain = replace(small_store(), group_numbers=np.arange(10) // 2)
    groups = np.arange(len(plain.lengths)) // 3
    (kept,), (held,) = watched_split.inner_split([labelled_series(replace(plain, **{what: groups}), INSIDE)], 0.4, 0)
    assert len(held.series) and not set(groups[kept.series]) & set(groups[held.series])
    assert sorted([*kept.series, *held.series]) == sorted(INSIDE)

"""Losses by series, phase and exactness, and their bootstrap: against slow loops and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from lab import small_store

from foldline.data.metrics import METRICS
from foldline.evidence.ablation import bootstrap
from foldline.experiment import loss_table
from foldline.experiment.loss_table import LossTable

DATA = small_store(series=12, steps=6, static=True)  # lengths 1 to 6, steps 0 to 3 scored, two targets
FOLD = np.arange(12) % 3


def exact() -> np.ndarray:
    """(R,) bool: every third step is exact."""
    return np.asarray(DATA.step_of_answer % 3 == 1)


def predicted(seed: int) -> np.ndarray:
    return DATA.y + np.random.default_rng(seed).normal(size=DATA.y.shape)


def losses(seeds: int, metric: str = "mae") -> np.ndarray:
    """(S, N, P, E) losses of predictions drawn by seed."""
    table = LossTable.of(DATA, exact())
    return np.stack([table.losses(DATA.y, predicted(seed), METRICS[metric]) for seed in range(seeds)])


def test_losses_are_those_of_a_loop() -> None:
    table, wanted = LossTable.of(DATA, exact()), np.zeros((12, 3, 2))
    counts = np.zeros((12, 3, 2))
    for series in range(12):
        rows = [row for row in DATA.rows(np.array([series])) if DATA.scored[row]]
        for rank, row in enumerate(rows):
            place = series, 3 * rank // len(rows), int(exact()[row])
            wanted[place] += np.abs(predicted(0)[row] - DATA.y[row]).sum()
            counts[place] += 2
    np.testing.assert_allclose(losses(1)[0], wanted)
    np.testing.assert_array_equal(table.counts, counts)


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_fold_scores_are_the_metric_of_the_folds(metric: str) -> None:
    table = LossTable.of(DATA, None)
    sums = np.stack([table.losses(DATA.y, predicted(seed), METRICS[metric]) for seed in range(2)])
    whole = loss_table.everything(table.counts)
    scores = loss_table.fold_scores(whole.of(sums), whole.of(table.counts), FOLD, METRICS[metric].finish)
    for fold in range(3):
        inside = DATA.scored & (fold == FOLD)[DATA.series_of_answer]
        for seed in range(2):
            assert scores[fold, seed] == pytest.approx(METRICS[metric](DATA.y[inside], predicted(seed)[inside]))


def test_series_of_no_fold_have_no_part_in_scores_of_folds_and_intervals() -> None:
    sums = np.stack([losses(2), losses(2) + 0.5])  # a variant that is worse
    counts, held = LossTable.of(DATA, exact()).counts, np.arange(12) < 9
    fold = np.where(held, FOLD, -1)
    every = loss_table.everything(counts)
    scores = loss_table.fold_scores(every.of(sums), every.of(counts), fold, float)
    alone = loss_table.fold_scores(every.of(sums)[..., held], every.of(counts)[held], FOLD[held], float)
    np.testing.assert_array_equal(scores, alone)
    part = loss_table.everything(counts[held])
    found = bootstrap.intervals(sums, counts, fold, [every], float, 50, 0)
    expected = bootstrap.intervals(sums[:, :, held], counts[held], FOLD[held], [part], float, 50, 0)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("groups", [None, np.arange(12)])
def test_series_without_a_scored_value_are_not_drawn(groups: np.ndarray | None) -> None:
    sums, counts, scored = np.stack([losses(2), losses(2)[::-1]]), LossTable.of(DATA, exact()).counts.copy(), FOLD < 2
    fold = np.arange(12) % 2
    counts[~scored], sums[:, :, ~scored] = 0, 0.0
    every, part = loss_table.everything(counts), loss_table.everything(counts[scored])
    found = bootstrap.intervals(sums, counts, fold, [every, every], float, 50, 0, groups)
    expected = bootstrap.intervals(sums[:, :, scored], counts[scored], fold[scored], [part, part], float, 50, 0)
    np.testing.assert_allclose(found, expected)


def test_slices_of_a_group_add_up_to_all() -> None:
    table = LossTable.of(DATA, exact())
    shown = loss_table.slices(DATA, table.counts, ["ward"], {"ward": ("east", "west")})
    assert [each.name for each in shown if each.group == "ward"] == ["east", "west"]
    assert [each.name for each in shown if each.group == "exactness"] == ["open", "exact"]
    for group in ("ward", "phase", "exactness"):
        total = sum(each.of(table.counts).sum() for each in shown if each.group == group)
        assert total == table.counts.sum()


def test_without_static_columns_or_decoder_there_are_phases_only() -> None:
    bare = small_store()
    shown = loss_table.slices(bare, LossTable.of(bare, None).counts, [], {})
    assert [each.name for each in shown] == list(loss_table.PHASES)


def effects(draws: int = 400, seeds: int = 3, pooled: bool = False) -> np.ndarray:
    """(2,) the interval of predictions of other seeds against those of the first ones."""
    table = LossTable.of(DATA, None)
    sums = np.stack([table.losses(DATA.y, predicted(seed), METRICS["mae"]) for seed in range(2 * seeds)])
    whole = loss_table.everything(table.counts)
    paired = sums.reshape(2, seeds, *sums.shape[1:])
    found = bootstrap.intervals(paired, table.counts, FOLD, [whole, whole], float, draws, seed=0)
    return found[int(pooled), 0]


def test_intervals_are_those_of_a_slow_bootstrap() -> None:
    """Series drawn inside their fold, seeds for all folds at once; the ends agree within the draws' own noise."""
    owner, scored = DATA.series_of_answer, DATA.scored
    each = [np.bincount(owner, (np.abs(predicted(seed) - DATA.y) * scored[:, None]).sum(axis=1)) for seed in range(6)]
    count = 2 * np.bincount(owner, scored)
    rng, found = np.random.default_rng(5), []
    for _ in range(4000):
        picks, total = rng.integers(3, size=3), 0.0
        for fold in range(3):
            drawn = rng.choice(np.flatnonzero(fold == FOLD), 4)
            by_seed = [(each[3 + pick][drawn].sum() - each[pick][drawn].sum()) / count[drawn].sum() for pick in picks]
            total += np.mean(by_seed) / 3
        found.append(total)
    np.testing.assert_allclose(effects(draws=4000), np.percentile(found, [2.5, 97.5]), atol=0.03)


def test_the_same_draws_give_the_same_interval_in_blocks_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = effects()
    assert (effects() == whole).all()
    monkeypatch.setattr(bootstrap, "BLOCK", 12 * 37)
    np.testing.assert_allclose(effects(draws=4000), effects(draws=4000), rtol=0)
    np.testing.assert_allclose(effects(draws=4000), whole, atol=0.06)


def test_a_variant_that_is_the_baseline_has_an_interval_of_no_width() -> None:
    sums = losses(2)
    table = LossTable.of(DATA, exact())
    found = bootstrap.intervals(
        np.stack([sums, sums]), table.counts, FOLD, [loss_table.everything(table.counts)], float, 100, seed=0
    )
    assert (found == 0).all()


def test_weights_are_summed_beside_their_losses() -> None:
    truth, rng = np.asarray(DATA.y), np.random.default_rng(3)
    predicted = truth + rng.normal(size=truth.shape)
    weight = rng.uniform(size=int(DATA.scored.sum()))
    table = LossTable.of(DATA, None, weight)
    whole = loss_table.everything(table.weights)
    sums = table.losses(truth, predicted, METRICS["mae"])
    expected = METRICS["mae"](truth[DATA.scored], predicted[DATA.scored], weight)
    assert whole.of(sums).sum() / whole.of(table.weights).sum() == pytest.approx(expected)
    np.testing.assert_array_equal(table.counts, LossTable.of(DATA, None).weights)

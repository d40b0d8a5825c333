"""Evidence follows the metric's direction, and takes metrics that are no mean of losses or lack a score in a fold."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import ablations
import numpy as np
import polars as pl
import pytest
import searches
import tiny
from optuna.trial import TrialState, create_trial
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core import files
from foldline.data.metrics import METRICS, MetricOptions, NotScorable, metric
from foldline.data.true_answers import TrueAnswers
from foldline.evidence.ablation import bootstrap, significance
from foldline.evidence.ablation.fold_values import either, fold_values
from foldline.evidence.ablation.scored_answers import ScoredAnswers
from foldline.evidence.ablation.significance import DecisionRule
from foldline.evidence.tuning.final_check import ConfigScores, FinalCheck, gain_of
from foldline.evidence.tuning.pruning import should_prune, step_of
from foldline.evidence.tuning.tuning_file import TuneConfig
from foldline.evidence.tuning.tuning_page import check_rows, history, verdict
from foldline.experiment import loss_table

AUC, MAE = metric("auc", kind="binary"), METRICS["mae"]


def test_the_rule() -> None:
    assert (AUC.gain(0.5, 0.75), MAE.gain(0.5, 0.75)) == (0.25, -0.25)
    assert (AUC.better, AUC.worse, MAE.better, MAE.worse) == ("higher", "lower", "lower", "higher")
    assert MAE.is_mean_of_losses and not AUC.is_mean_of_losses


def test_a_higher_auc_helps() -> None:
    deltas = 0.1 + 0.001 * np.array([[1.0], [-1.0], [0.5]])
    (found,) = significance.judge(deltas[None], DecisionRule(delta=0.001), AUC.cost)
    assert found.verdict == "helps" and found.effect > 0
    assert significance.judge(deltas[None], DecisionRule(delta=0.001), MAE.cost)[0].verdict == "hurts"


def test_a_low_auc_is_pruned() -> None:
    step, peers = step_of(0), []
    for number, value in enumerate((0.9, 0.8, 0.7, 0.5)):
        trial = create_trial(state=TrialState.PRUNED, intermediate_values={step: value})
        trial.number = number
        peers.append(trial)
    config = TuneConfig(startup=4)
    assert should_prune(peers, 9, step, 0.6, config, AUC.cost) and not should_prune(
        peers, 9, step, 0.75, config, AUC.cost
    )


def test_the_final_check_says_higher() -> None:
    scores = ConfigScores(seen=(0.7,), unseen=(0.7, 0.7)), ConfigScores(seen=(0.9,), unseen=(0.8, 0.8))
    check = FinalCheck((1, 2), (0,), *scores, gain_of(np.array([0.1, 0.1]), np.array([]), k=3), promised=0.2)
    assert "better on folds 1, 2 with seed 0: auc higher by 0.1000" in verdict(check, AUC)
    assert [row[-1] for row in check_rows(check, AUC)] == ["0.2000", "0.1000", "0.1000"]


def test_jackknife_values_of_a_mean_are_the_folds_means() -> None:
    values, fold = np.array([1.0, 3.0, 4.0, 8.0, 5.0, 9.0]), np.array([0, 0, 1, 1, 2, 2])
    found = fold_values(lambda some: float(values[some].mean()), fold, [0, 1, 2], pool=True)
    np.testing.assert_allclose(found, [2.0, 6.0, 7.0])


@pytest.mark.parametrize("values", [[0.5, math.inf, math.inf], [math.inf]])
def test_trials_of_infinite_score_are_drawn_at_the_edge(values: list[float]) -> None:
    """As an rmsle where a prediction is -1."""
    trials = [create_trial(state=TrialState.COMPLETE, value=value) for value in values]
    assert "<svg" in history(trials, METRICS["rmsle"])


def binary(groups: int = 12) -> ScoredAnswers:
    """Answers of groups of three, in three folds."""
    rng, group = np.random.default_rng(0), np.repeat(np.arange(groups), 3)
    truth = rng.integers(2, size=(len(group), 1)).astype(float)
    return ScoredAnswers(TrueAnswers(metric=AUC, y=truth, series=group), group % 3)


def test_a_fold_of_one_class_is_pooled() -> None:
    answers = binary()
    answers.true.y[answers.fold == 1] = 1.0
    predicted = np.random.default_rng(1).random((2, 2, len(answers.fold), 1))
    with pytest.raises(NotScorable):
        fold_values(lambda some: answers.score(predicted[0, 0], some), answers.fold, [0, 1, 2])
    values, pooled = answers.fold_scores(predicted)
    assert pooled and values.shape == (2, 3, 2)
    assert values[0, :, 1].mean() == pytest.approx(AUC.score(answers.true.y, predicted[0, 1]))
    assert not either(lambda pool: np.zeros(1))[1]


def test_resamples_are_paired_and_take_groups_whole() -> None:
    """Two equal configs have no difference on any draw; a better one is always ahead."""
    answers, rng = binary(), np.random.default_rng(2)
    same = rng.random((1, 2, len(answers.fold), 1))
    better = np.repeat(answers.true.y[None, None], 2, axis=1)
    seen = list[tuple[int, int]]()
    found = answers.effect_intervals(np.concatenate([same, same, better]), 200, False, lambda *at: seen.append(at))
    assert found.draws == 200 and seen[-1] == (200, 200)
    np.testing.assert_array_equal(found.intervals[0], [0.0, 0.0])
    assert found.intervals[1, 0] > 0


@pytest.mark.parametrize("apart", [1, 2])
def test_groups_are_drawn_inside_their_folds(apart: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where every second number is that of a group without answers, which is in no fold."""
    answers, own, drawn = binary(), ScoredAnswers._resampled, list[np.ndarray]()
    answers = replace(answers, true=replace(answers.true, series=apart * answers.true.series))

    def spy(self: ScoredAnswers, predicted: np.ndarray, weight: np.ndarray, *more: Any) -> np.ndarray:
        drawn.append(weight)
        return own(self, predicted, weight, *more)

    monkeypatch.setattr(ScoredAnswers, "_resampled", spy)
    answers.effect_intervals(np.random.default_rng(2).random((2, 1, 36, 1)), 20, True, lambda *_: None)
    assert len(drawn) == 20 and any((weight > 1).any() for weight in drawn)
    assert all(np.bincount(np.arange(12) % 3, weight[::apart]).tolist() == [4, 4, 4] for weight in drawn)
    assert all(weight.sum() == 12 for weight in drawn)


def test_a_group_that_is_drawn_twice_counts_as_two_in_a_mean_over_groups() -> None:
    """Group 0 errs by 1, group 1 by 4."""
    group, mean = np.array([0, 0, 1]), metric("mae", MetricOptions(groups="mean"))
    true = TrueAnswers(metric=mean, y=np.zeros((3, 1)), series=group, subject=group, groups=group)
    predicted = np.array([1.0, 1.0, 4.0])[None, None, :, None]
    answers = ScoredAnswers(true, np.zeros(3, dtype=np.int64))
    assert answers._resampled(predicted, np.array([2, 1]), np.array([0]), True) == pytest.approx([2.0])


def test_a_bootstrap_of_groups_is_that_of_their_sums() -> None:
    """Drawing groups of two series is drawing series of their summed losses."""
    rng = np.random.default_rng(0)
    sums, counts = rng.random((2, 1, 12, 3, 2)), np.ones((12, 3, 2), dtype=np.int64)
    groups, fold = np.arange(12) // 2, (np.arange(12) // 2) % 2
    of = sums.reshape(2, 1, 6, 2, 3, 2).sum(axis=3)
    whole, summed = loss_table.everything(counts), loss_table.everything(2 * counts[:6])
    found = bootstrap.intervals(sums, counts, fold, [whole], float, 100, 0, groups)
    np.testing.assert_allclose(found, bootstrap.intervals(of, 2 * counts[:6], fold[::2], [summed], float, 100, 0))


@pytest.fixture
def songs(home: Path, tmp_path: Path) -> Path:
    """Songs of three birds, scored by macro-F1; recorded by six singers whose songs are never split."""
    made = Songs(more='group = "singer"')
    tables = made.frames()
    singer = (pl.col("song").str.slice(1).cast(pl.Int64) // 4).alias("singer")
    tables["train"] = tables["train"].with_columns(singer)
    path = made.install(home, tmp_path / "songs")
    tiny.write(tmp_path / "songs", tables)
    return path.parents[1]


def test_an_ablation_by_macro_f1(songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (songs / "configs" / "ablate-songs.toml").write_text(ablations.OF_SONGS.format(change='drop = ["model.lightgbm"]'))
    tiny.run("ablate", "ablate-songs")
    out = capsys.readouterr().out
    assert "higher is better" in out
    folder = songs / "runs" / "ablate-songs" / "latest"
    value, page = files.read_json(folder / "ablation.json"), (folder / "ablation.html").read_text()
    assert value["better"] == "higher" and value["resamples"] == 100
    assert "f1 is no mean of losses" in page and "resamples singers inside their folds" in page
    assert "right: better" in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("blend.method=nnls", "'nnls' does not fit: it is the optimum of squared errors"),
        ("post.thresholds_by=nowhere", "post.thresholds_by: unknown static column 'nowhere'"),
    ],
)
def test_a_variant_of_steps_after_training_that_the_target_does_not_allow(
    change: str, message: str, songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = ablations.OF_SONGS.format(change=f'set = ["{change}"]')
    (songs / "configs" / "ablate-songs.toml").write_text(text)
    assert main(["ablate", "ablate-songs"]) == 2
    said = capsys.readouterr().err
    assert "variant 'other'" in said and message in said
    assert not (songs / "runs" / "cells").exists()


def test_a_search_by_macro_f1_takes_the_highest(songs: Path) -> None:
    text = searches.SEARCH.replace("rides.toml", "songs.toml").replace("model.0", "model.1")
    (songs / "configs" / "search.toml").write_text(text)
    tiny.run("tune", "search", "tune.trials=3", "tune.check_seeds=[1]", "train.epochs=1")
    value = searches.found(songs)
    scores = {trial["number"]: trial["score"] for trial in value["trials"]}
    assert scores[value["best"]] == max(scores.values())
    check = value["check"]
    if check is not None:
        assert check["promised"] == pytest.approx(np.mean(check["best"]["seen"]) - np.mean(check["baseline"]["seen"]))

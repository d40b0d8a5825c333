"""Which series an epoch sees: shares to within one series, drawn by (seed, epoch), whatever else happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import TRAIN, fitted, small_store, weights
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.data.store import Store, StoredTask
from foldline.fit import datasets, sampling, scaler
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.fit.sample_config import SampleConfig
from foldline.fit.sampling import Sampler
from foldline.fit.window_config import TrainingWindowsConfig

CLASS = np.repeat([0, 1, 2], [33, 5, 2])  # of 40 series


def classes(kind: str = "multiclass", known: np.ndarray | None = None) -> LabelledSeries:
    """Forty series of one answer each, of three classes."""
    data = small_store(series=40)
    task: Any = StoredTask(level="series", kind=kind, classes=3)  # type: ignore[arg-type]
    y = np.eye(3)[CLASS] if kind == "multiclass" else CLASS[:, None].astype(float)
    known = np.ones(40, dtype=bool) if known is None else known
    whole = replace(data, task=task, y=y, scored=known, known=known[:, None].repeat(y.shape[1], axis=1))
    return labelled_series(whole, np.arange(40))


def of(parts: list[LabelledSeries], config: SampleConfig, epochs: int = 10, **train: Any) -> Sampler:
    fitted_to = scaler.fit("robust", parts[0].store, parts[0].series, 0)
    fold = datasets.to_train(parts, fitted_to, replace(TRAIN, **train), 0, torch.device("cpu"))
    found = sampling.sampler(parts, fold, config, epochs)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["multiclass", "ordinal"])
def test_each_class_has_its_share_and_each_of_its_series_an_equal_one(kind: str) -> None:
    some = of([classes(kind)], SampleConfig(by="class"))
    for epoch in range(20):
        drawn = some.of_epoch(0, epoch)
        assert len(drawn) == 40 and (np.diff(drawn) >= 0).all()
        counts = np.bincount(CLASS[drawn])
        assert set(counts.tolist()) <= {13, 14}
        for label in range(3):
            times = np.bincount(drawn, minlength=40)[label == CLASS]
            assert times.max() - times.min() <= 1
    assert len(np.unique(np.concatenate([some.of_epoch(0, epoch) for epoch in range(20)]))) == 40


def test_series_without_a_label_are_never_drawn() -> None:
    known = np.arange(40) % 4 > 0
    some = of([classes(known=known)], SampleConfig(by="class"))
    assert all(known[some.of_epoch(0, epoch)].all() for epoch in range(10))


def test_each_group_has_its_share_and_groups_of_another_set_are_others() -> None:
    numbers = np.repeat([4, 9], [12, 8])
    data = replace(small_store(series=20), group_numbers=numbers)
    one, other = labelled_series(data, np.arange(20)), labelled_series(data, np.arange(12, 20))
    counts = np.bincount(numbers[of([one], SampleConfig(by="group")).of_epoch(0, 0)])
    assert counts[4] == counts[9] == 10
    drawn = of([one, other], SampleConfig(by="group")).of_epoch(0, 0)
    assert {int((drawn < 12).sum()), int((drawn >= 20).sum())} <= {9, 10}


def test_by_weight_a_series_counts_by_how_often_it_comes_and_not_twice() -> None:
    data = small_store(series=12, steps=4)
    weight = np.repeat(np.arange(12.0), data.lengths)
    part = labelled_series(replace(data, weight=weight), np.arange(12))
    some = of([part], SampleConfig(by="weight"))
    times = np.bincount(np.concatenate([some.of_epoch(0, epoch) for epoch in range(200)]), minlength=12) / 200
    np.testing.assert_allclose(times, 12 * np.arange(12) / 66, atol=0.12)
    (left,) = sampling.reweighed([part], SampleConfig(by="weight"))
    assert set(left.weight[part.weight > 0].tolist()) == {1.0} and not left.weight[part.weight == 0].any()
    assert sampling.reweighed([part], SampleConfig()) == [part]


def test_long_series_come_one_after_the_other() -> None:
    data = small_store(series=30)
    some = of([labelled_series(data, np.arange(30))], SampleConfig(curriculum=0.5, shortest=0.3), epochs=10)
    longest = [int(data.lengths[some.of_epoch(0, epoch)].max()) for epoch in range(10)]
    assert longest == [2, 3, 4, 5, 6, *[6] * 5]  # five series of each length: a share of one stands for all of them
    assert all(len(some.of_epoch(0, epoch)) == 30 for epoch in range(10))
    assert np.array_equal(some.of_epoch(0, 5), np.arange(30))
    times = np.bincount(some.of_epoch(0, 0), minlength=30)
    assert set(times[data.lengths <= 2].tolist()) == {3} and not times[data.lengths > 2].any()


def test_it_is_drawn_by_seed_and_epoch() -> None:
    some = of([classes()], SampleConfig(by="class"))
    assert np.array_equal(some.of_epoch(1, 2), some.of_epoch(1, 2))
    assert not np.array_equal(some.of_epoch(1, 2), some.of_epoch(1, 3))
    assert not np.array_equal(some.of_epoch(1, 2), some.of_epoch(2, 2))


def test_windows_are_drawn_with_their_series() -> None:
    numbers = np.repeat([0, 1], [8, 4])
    data: Store = replace(small_store(series=12), group_numbers=numbers)
    part, cut = labelled_series(data, np.arange(12)), TrainingWindowsConfig(length=2)
    fold = datasets.to_train(
        [part], scaler.fit("robust", data, part.series, 0), replace(TRAIN, windows=cut), 0, torch.device("cpu")
    )
    some = sampling.sampler([part], fold, SampleConfig(by="group"), 3)
    assert some is not None and len(some.share) == len(fold) > 12
    drawn = numbers[fold.series_of(some.of_epoch(0, 0))]
    assert abs(int(drawn.sum()) - len(fold) / 2) <= 1


def test_a_training_is_the_same_wherever_its_features_come_from_and_another_than_without() -> None:
    short = replace(TRAIN, sample=SampleConfig(curriculum=1.0))
    plain, made = weights(fitted()), weights(fitted(train=short))
    assert made != plain and made == weights(fitted(train=replace(short, resident="off")))
    assert plain == weights(fitted(train=replace(TRAIN, sample=SampleConfig(shortest=0.5))))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.sample.by=group"], "needs groups, but there is no data.group"),
        (["train.sample.by=weight"], "there is no data.weight"),
        (["train.sample.curriculum=2"], "curriculum must be a share"),
        (["train.sample.shortest=0.0"], "shortest must be above 0"),
        (["train.sample.by=step"], "must be one of"),
    ],
)
def test_what_data_do_not_have_is_refused_before_training(
    words: list[str], message: str, tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Songs().install(home, tmp_path / "songs")
    assert main(["train", "songs", *words]) == 2
    assert message in capfd.readouterr().err and not (home / "runs" / "cells").exists()


def test_classes_of_steps_are_refused(tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Songs("multiclass", "step").install(home, tmp_path / "songs")
    assert main(["train", "songs", "train.sample.by=class"]) == 2
    assert "needs series of one label each, but here are multiclass answers of each step" in capfd.readouterr().err


def test_a_curriculum_of_windows_is_refused(rides: Path, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "rides", "train.sample.curriculum=0.5", "train.windows={length = 4}"]) == 2
    assert "goes by the lengths of series, but [train.windows] cuts them" in capfd.readouterr().err


def test_classes_are_balanced_from_the_command_line(tmp_path: Path, home: Path) -> None:
    Songs().install(home, tmp_path / "songs")
    only = "model=[{name = 'hybrid', width = 4, blocks = [{kind = 'conv', kernel = 3}]}]"
    assert main(["train", "songs", only, "train.sample.by=class", "train.epochs=1"]) == 0

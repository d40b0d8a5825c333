"""ROCKET: its features against their definitions, ridge against refitting, and the contract of a model of series."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldline import models
from foldline.models.contract import Kind
from foldline.models.ops import logistic, ridge, rocket_features
from foldline.models.systems import rocket
from foldline.models.systems.rocket import Config, Rocket

SMALL = Config(kernels=168)
KINDS: tuple[Kind, ...] = ("regression", "binary", "multiclass", "multilabel", "ordinal", "distribution")


def series(count: int = 30, shortest: int = 1, longest: int = 40, seed: int = 0) -> list[np.ndarray]:
    """Series (2, T) of their own lengths: a wave whose frequency is one of three, in turn, and noise."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        steps = int(rng.integers(shortest, longest + 1))
        wave = np.sin(np.arange(steps) * (0.4 + 0.5 * (number % 3)) + rng.uniform(0, 6))
        found.append(np.stack([wave, 5 + 0.1 * rng.normal(size=steps)]).astype(np.float32))
    return found


def truth(kind: Kind, count: int = 30) -> np.ndarray:
    """(count, K) of the frequency."""
    which = np.arange(count) % 3
    if kind in ("multiclass", "distribution"):
        return np.eye(3)[which]
    if kind == "multilabel":
        return np.stack([which == 0, which == 1], axis=1).astype(np.float64)
    return (which == 0 if kind == "binary" else 10.0 * which if kind == "regression" else which)[:, None].astype(float)


def fit(kind: Kind = "multiclass", config: Config = SMALL, seed: int = 0, threads: int = 1, **more: Any) -> Rocket:
    model, x = Rocket(config), series(**more)
    model.fit(lambda which: [x[n] for n in which], lengths(x), truth(kind, len(x)), kind, seed, threads)
    return model


def lengths(x: list[np.ndarray]) -> np.ndarray:
    return np.array([each.shape[1] for each in x])


def predict(model: Rocket, x: list[np.ndarray], threads: int = 1) -> np.ndarray:
    return model.predict(lambda which: [x[n] for n in which], len(x), threads)


def slow(x: np.ndarray, kernels: rocket_features.Kernels) -> np.ndarray:
    """(B, 4): each kernel written out, each step of it summed up in float64, each pooling from its definition."""
    found, bias, begin = [], 0, 0
    for level, (dilation, count) in enumerate(zip(kernels.dilations, kernels.counts, strict=True)):
        for number, places in enumerate(combinations(range(9), 3)):
            weights = np.where(np.isin(np.arange(9), places), 2.0, -1.0)
            end = kernels.ends[level * 84 + number]
            chosen, begin = kernels.channels[begin:end], end
            wide = np.pad(x[chosen].astype(np.float64), ((0, 0), (4 * dilation, 4 * dilation)))
            conv = sum(
                weights[tap] * wide[:, tap * dilation : tap * dilation + x.shape[1]].sum(axis=0) for tap in range(9)
            )
            if (level + number) % 2 and x.shape[1] > 8 * dilation:
                conv = conv[4 * dilation : -4 * dilation]
            for _ in range(count):
                above = conv > kernels.biases[bias]
                runs = "".join("x" if each else " " for each in above).split()
                mean = (conv[above] - kernels.biases[bias]).mean() if above.any() else 0.0
                place = np.flatnonzero(above).mean() / len(conv) if above.any() else 0.0
                found.append((above.mean(), mean, place, max(map(len, runs), default=0) / len(conv)))
                bias += 1
    return np.array(found)


@pytest.mark.parametrize("steps", [1, 2, 9, 40])
def test_the_features_are_their_definitions_step_by_step(steps: int) -> None:
    x = [np.random.default_rng(number).normal(size=(3, 40)).astype(np.float32) for number in range(4)]
    kernels = rocket_features.fit(lambda n: x[n], np.full(4, 40), 3, 84 * 5, np.random.default_rng(0))
    assert len(kernels.biases) == 84 * 5 and kernels.dilations.tolist() == [1, 2, 3, 4]
    out = np.empty((1, 84 * 5, 4), dtype=np.float32)
    kernels.transform([np.ascontiguousarray(x[0][:, :steps])], 4, out, 1)
    np.testing.assert_allclose(out[0], slow(x[0][:, :steps], kernels), atol=2e-5)
    share = np.empty((1, 84 * 5, 1), dtype=np.float32)
    kernels.transform([np.ascontiguousarray(x[0][:, :steps])], 1, share, 1)
    assert np.array_equal(share[0, :, 0], out[0, :, 0])


@pytest.mark.parametrize(("rows", "features"), [(12, 40), (40, 12)])
@pytest.mark.parametrize("alike", [True, False])
def test_left_out_predictions_are_those_of_refitting_without_the_row(rows: int, features: int, alike: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features)).astype(np.float32)
    x -= x.mean(axis=0)
    y = x[:, :2] @ np.array([[3.0, 0.0], [1.0, 0.1]]) + rng.normal(size=(rows, 2))
    found = ridge.fit(x, y, alike)
    assert not alike or found.penalties[0] == found.penalties[1]
    for row in range(rows):
        others = np.arange(rows) != row
        center, level = x[others].mean(axis=0, dtype=float), y[others].mean(axis=0)
        inner = x[others] - center
        for target, penalty in enumerate(found.penalties):
            square = inner.T @ inner + penalty * features * np.eye(features)
            weights = np.linalg.solve(square, inner.T @ (y[others, target] - level[target]))
            expected = level[target] + (x[row] - center) @ weights
            assert found.left_out[row, target] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("rows", "features"), [(12, 40), (40, 12)])
def test_a_row_of_weight_two_is_there_twice(rows: int, features: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features)).astype(np.float32)
    x -= x.mean(axis=0)
    y, times = x[:, :1] + rng.normal(size=(rows, 1)), 1 + np.arange(rows) % 2
    found = ridge.fit(x, y, False, (0.3,), times / times.mean())
    # the weights' mean is 1: the penalty of the rows themselves is as many times as strong
    twice = np.repeat(x, times, axis=0)
    center, level = twice.mean(axis=0, dtype=float), np.repeat(y, times, axis=0).mean(axis=0)
    inner = (twice - center) / np.sqrt(times.mean())
    square = inner.T @ inner + 0.3 * features * np.eye(features)
    weights = np.linalg.solve(square, inner.T @ (np.repeat(y, times, axis=0) - level) / np.sqrt(times.mean()))
    np.testing.assert_allclose(found.weights, weights, atol=1e-5)
    np.testing.assert_allclose(
        ridge.predict(x, found.weights, found.intercept), level + (x - center) @ weights, atol=1e-5
    )


def test_left_out_predictions_of_unequal_rows_are_those_of_refitting() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(15, 6)).astype(np.float32)
    y, weight = x[:, :1] + rng.normal(size=(15, 1)), rng.uniform(0.2, 3.0, 15)
    found = ridge.fit(x, y, False, (0.1,), weight)
    for row in range(15):
        others = np.arange(15) != row
        own = weight[others]
        center, level = np.average(x[others], axis=0, weights=own), np.average(y[others, 0], weights=own)
        inner = (x[others] - center) * np.sqrt(own)[:, None]
        square = inner.T @ inner + 0.1 * 6 * np.eye(6)
        weights = np.linalg.solve(square, inner.T @ ((y[others, 0] - level) * np.sqrt(own)))
        assert found.left_out[row, 0] == pytest.approx(level + (x[row] - center) @ weights, abs=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("rows", "features"), [(12, 40), (40, 12)])
def test_left_out_predictions_of_groups_are_those_of_refitting_without_the_group(
    rows: int, features: int, weighted: bool
) -> None:
    """Groups of one row up to half of all: smaller and larger than there are features."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features)).astype(np.float32)
    x -= x.mean(axis=0)
    y = x[:, :1] + rng.normal(size=(rows, 1))
    groups = np.where(rng.permutation(rows) < rows // 2, 0, rng.integers(1, 5, rows))
    own = rng.uniform(0.2, 3.0, rows) if weighted else np.ones(rows)
    own /= own.mean()
    found = ridge.fit(x, y, False, (0.1,), own if weighted else None, groups)
    for group in np.unique(groups):
        others = groups != group
        center, level = np.average(x[others], axis=0, weights=own[others]), np.average(y[others], 0, own[others])
        inner = (x[others] - center) * np.sqrt(own[others])[:, None]
        square = inner.T @ inner + 0.1 * features * np.eye(features)
        weights = np.linalg.solve(square, inner.T @ ((y[others] - level) * np.sqrt(own[others])[:, None]))
        expected = level + (x[~others] - center) @ weights
        np.testing.assert_allclose(found.left_out[~others], expected, atol=1e-5)


def test_groups_of_one_row_are_rows_and_one_group_of_all_leaves_out_rows() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 50)).astype(np.float32)
    x -= x.mean(axis=0)
    y = x[:, :1] + rng.normal(size=(30, 1))
    expected = ridge.fit(x, y, False)
    for groups in (np.arange(30)[::-1], np.zeros(30, dtype=int)):
        found = ridge.fit(x, y, False, groups=groups)
        assert found.penalties == expected.penalties
        np.testing.assert_allclose(found.left_out, expected.left_out, rtol=1e-4)


def test_groups_of_features_that_are_nearly_one_column_are_left_out_too() -> None:
    """Rounding of a huge common part: the hat matrix must not reach beyond 1."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(60, 1))
    x = (100 * common + rng.normal(size=(60, 200))).astype(np.float32)
    x -= x.mean(axis=0)
    found = ridge.fit(x, common + rng.normal(size=(60, 1)), False, groups=np.arange(60) // 20)
    assert np.isfinite(found.left_out).all() and np.isfinite(found.weights).all()


def test_near_copies_in_a_group_do_not_choose_too_small_a_penalty() -> None:
    """Five near copies of a row predict each other by heart: only without their group does noise show as noise."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(20, 60)), 5, axis=0) + 1e-3 * rng.normal(size=(100, 60))
    x, groups = (x - x.mean(axis=0)).astype(np.float32), np.repeat(np.arange(20), 5)
    y = x[:, :1] + np.repeat(3 * rng.normal(size=(20, 1)), 5, axis=0)
    by_rows, by_groups = ridge.fit(x, y, False), ridge.fit(x, y, False, groups=groups)
    assert by_groups.penalties[0] > 100 * by_rows.penalties[0]
    new = rng.normal(size=(500, 60)).astype(np.float32)
    errors = [ridge.predict(new, each.weights, each.intercept)[:, 0] - new[:, 0] for each in (by_groups, by_rows)]
    assert np.square(errors[0]).mean() < np.square(errors[1]).mean()


def test_logistic_regression_leaves_out_whole_groups() -> None:
    groups = np.random.default_rng(0).integers(0, 30, 300)
    for seed in range(5):
        held = logistic._held(300, groups, np.random.default_rng(seed))
        assert 0 < held.sum() <= 30 and not set(groups[held]) & set(groups[~held])
    two = np.repeat([4, 9], [180, 120])
    assert logistic._held(300, two, np.random.default_rng(0)).tolist() == (two == 9).tolist()
    alone = logistic._held(300, None, np.random.default_rng(0))
    assert alone.sum() == 30 and np.array_equal(logistic._held(300, 0 * two, np.random.default_rng(0)), alone)


@pytest.mark.learned
@pytest.mark.parametrize("head", ["ridge", "logistic"])
def test_weights_change_what_is_learned_of_series_alike(head: Any) -> None:
    """Every series twice, with two labels: the heavier one's is predicted."""
    x = [each for each in series(15, 20) for _ in range(2)]
    y, heavy = np.tile([[0.0], [1.0]], (15, 1)), np.where(np.arange(30) % 2, 1.9, 0.1)
    found = []
    for weight in (heavy, 2 - heavy):
        model = Rocket(Config(kernels=84, head=head))
        model.fit(lambda which: [x[n] for n in which], lengths(x), y, "binary", 0, 1, None, weight)
        found.append(predict(model, x).mean())
    assert found[0] > 0.7 and found[1] < 0.3


@pytest.mark.learned
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_learned_and_predictions_are_of_its_kind(kind: Kind) -> None:
    model, y = fit(kind, shortest=20, count=60), truth(kind, 30)
    found = predict(model, series(30, 20, seed=1))
    assert found.shape == y.shape and found.dtype == np.float64 and np.isfinite(found).all()
    if kind not in ("regression", "ordinal"):
        assert (found >= 0).all() and (found <= 1).all()
    if kind in ("multiclass", "distribution"):
        np.testing.assert_allclose(found.sum(axis=1), 1)
    assert np.abs(found - y).mean() < 0.6 * np.abs(y - y.mean(axis=0)).mean()


@pytest.mark.parametrize("config", [SMALL, Config(kernels=84, form="mini", scale="series", border=0)])
def test_series_of_any_length_are_predicted_each_by_itself(config: Config) -> None:
    """Among others or alone, of 1 step or longer than all in training, far off or constant."""
    model, x = fit(config=config), [*series(8, 1, 60, seed=1), np.full((2, 3), 1e6, dtype=np.float32)]
    together = predict(model, x)
    assert np.isfinite(together).all()
    for number, each in enumerate(x):
        np.testing.assert_allclose(predict(model, [each])[0], together[number], rtol=1e-9, atol=1e-12)


def test_same_seed_same_bits_with_any_threads_and_another_seed_others() -> None:
    x = series(8, seed=1)
    first = predict(fit(), x)
    assert np.array_equal(predict(fit(), x), first)
    assert np.array_equal(predict(fit(threads=2), x, threads=2), first)
    assert not np.array_equal(predict(fit(seed=1), x), first)


@pytest.mark.parametrize("head", ["ridge", "logistic"])
def test_its_weights_save_and_load_to_the_same_bits(head: Any, tmp_path: Path) -> None:
    model, other, x = fit(config=Config(kernels=84, head=head)), Rocket(SMALL), series(8, seed=1)
    model.save(tmp_path)
    other.load(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]
    assert np.array_equal(predict(other, x), predict(model, x))


@pytest.mark.learned
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_the_logistic_head_learns_labels(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rocket, "MANY", 60)  # "auto" takes it from so many series on
    model = fit(kind, shortest=20, count=60)
    assert model.head_of(60, kind) == "logistic" and model.head_of(59, kind) == "ridge"
    y = truth(kind, 30)
    assert np.abs(predict(model, series(30, 20, seed=1)) - y).mean() < 0.6 * np.abs(y - y.mean(axis=0)).mean()


def test_a_class_that_no_series_has_is_never_predicted() -> None:
    x, y = series(), np.pad(truth("multiclass"), ((0, 0), (0, 1)))
    for head in ("ridge", "logistic"):
        model = Rocket(Config(kernels=84, head=head))
        model.fit(lambda which: [x[n] for n in which], lengths(x), y, "multiclass", 0, 1)
        assert (predict(model, x)[:, 3] < predict(model, x)[:, :3].max(axis=1)).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kernels": 83}, "kernels must be at least 84, one bias for each, but is 83"),
        ({"border": -1}, "border must be from 0 to 10,000 steps, but is -1"),
        ({"channels": ("a", "a")}, "channels must be different features"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)


def test_numbers_for_a_head_of_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="head = 'logistic' is for labels, but the target is regression"):
        Config(head="logistic").check_kind("regression")


def test_it_depends_on_its_own_files_only() -> None:
    names = {path.name for path in models.source_of("rocket", {})}
    assert names == {
        *("rocket.py", "rocket_features.py", "rocket_kernels.py", "series_model.py"),
        *("ridge.py", "calibration.py", "logistic.py"),
    }

"""HYDRA: its counts against their definition, the level behind short series, and the contract of a model of series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_rocket import lengths, predict, series, truth

from foldline import models
from foldline.models.ops import hydra_kernels
from foldline.models.systems.hydra import LEVEL, Config, Hydra

SMALL = Config(groups=4, kernels=3)


def fit(config: Config = SMALL, seed: int = 0, threads: int = 1, shortest: int = 1) -> Hydra:
    model, x = Hydra(config), series(shortest=shortest)
    model.fit(lambda which: [x[n] for n in which], lengths(x), truth("multiclass"), "multiclass", seed, threads)
    return model


@pytest.mark.parametrize("steps", [1, 5, 40])
def test_at_each_step_the_largest_response_of_a_group_is_counted_and_the_smallest(steps: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, steps)).astype(np.float32)
    dilations, channels, ends = np.array([1, 4]), np.array([0, 2, 1, 0, 2, 1]), np.array([2, 3, 5, 6])
    taps = rng.normal(size=(2, 2, 5, 9)).astype(np.float32)
    out = np.empty((2, 2, 5, 2), dtype=np.float32)
    hydra_kernels.counted(x, dilations, taps, channels, ends, out)
    expected = np.zeros_like(out)
    for level, dilation in enumerate(dilations):
        for group in range(2):
            place = 2 * level + group
            signal = x[channels[0 if place == 0 else ends[place - 1] : ends[place]]].sum(axis=0)
            wide = np.pad(signal, 4 * dilation)
            for t in range(steps):
                response = taps[level, group] @ wide[t + dilation * np.arange(9)]
                expected[level, group, response.argmax(), 0] += response.max()
                expected[level, group, response.argmin(), 1] += 1
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
    assert (out[..., 1].sum(axis=2) == steps).all()


def test_short_series_end_in_a_low_level_up_to_the_longest_and_longer_ones_are_as_they_are() -> None:
    model = fit(shortest=10)
    short, long = np.zeros((2, 5 + 16), dtype=np.float32), np.ones((2, 100), dtype=np.float32)
    padded, most = model._padded(short), int(lengths(series(shortest=10)).max())
    assert padded.shape == (2, most + 16) and (padded[:, 13:-8] == LEVEL).all() and not padded[:, :13].any()
    assert model._padded(long) is long and fit(Config(groups=2, kernels=2, pad=False))._padded(short) is short


@pytest.mark.learned
def test_series_are_learned_each_by_itself_and_weights_save_to_the_same_bits(tmp_path: Path) -> None:
    model, x = fit(Config(groups=16), shortest=20), [*series(29, 20, seed=1), np.full((2, 1), 1e6, dtype=np.float32)]
    found = predict(model, x)
    assert np.isfinite(found).all() and np.abs(found.sum(axis=1) - 1).max() < 1e-9
    assert (found[:29].argmax(axis=1) == np.arange(29) % 3).mean() > 0.7
    np.testing.assert_allclose(predict(model, x[4:5])[0], found[4], rtol=1e-9)
    model.save(tmp_path)
    other = Hydra(SMALL)
    other.load(tmp_path)
    assert np.array_equal(predict(other, x), found)


def test_same_seed_same_bits_with_any_threads_and_another_seed_others() -> None:
    x = series(8, seed=1)
    first = predict(fit(), x)
    assert np.array_equal(predict(fit(threads=2), x, threads=2), first)
    assert not np.array_equal(predict(fit(seed=1), x), first)


def test_impossible_tables_are_refused_and_its_files_are_those_of_rocket_and_two_more() -> None:
    with pytest.raises(ValueError, match="groups must be an even number from 2 on, half for the differences, but is 3"):
        Config(groups=3)
    with pytest.raises(ValueError, match="kernels must be at least 2, that compete, but is 1"):
        Config(kernels=1)
    names = {path.name for path in models.source_of("hydra", {})}
    assert names == {"hydra.py", "hydra_kernels.py"} | {path.name for path in models.source_of("rocket", {})}

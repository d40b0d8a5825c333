"""Deltas drawn with known variances, and an ablation of the tiny competition: what tests of the ablation share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tiny

FILE = """
base = "rides.toml"
set = ["folds.k=3"]

[ablate]
seeds = [0, 1]
bootstrap = 200

[[variant]]
name = "no convolution"
drop = ["block.conv"]

[[variant]]
name = "mean & <no> lags"
set = ["blend.method=mean"]
drop = ["features.lags"]

[[variant]]
name = "no boosting"
drop = ["model.lightgbm"]

[[variant]]
name = "not snapped"
drop = ["post.snap"]
"""
OF_SONGS = """
base = "songs.toml"
[ablate]
seeds = [0]
bootstrap = 100
[[variant]]
name = "other"
{change}
"""


def drawn(count: int, folds: int, seeds: int, split: float, effect: float = 0.0) -> np.ndarray:
    """(count, k, S) deltas: variance 1 of a training, `split` of folds, which are correlated by 1/k."""
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=(count, 1, 1)), rng.normal(size=(count, folds, 1))
    of_folds = np.sqrt(split) * (np.sqrt(1 / folds) * shared + np.sqrt(1 - 1 / folds) * own)
    return effect + of_folds + rng.normal(size=(count, folds, seeds))


def install(home: Path, text: str = FILE, name: str = "ablate-rides") -> Path:
    """Write an ablation file beside the configs."""
    return tiny.configure(home, name, text)

"""The other side of ROCKET in `./run.sh bench published --train`, run in aeon's environment: its kernels and features.

    python benchmarks/published_aeon.py FILE      kernels fitted on the file's x, features of its test series

Nothing of foldline here. MultiRocket's mean of what lies above a bias has the bias added where ours has it subtracted,
its mean place counts steps, and -1 stands for nothing above: written here as shares of the window, with the bias
subtracted, 0 for nothing. Its longest stretch runs from the last step below to the next one, and is left out. Of
differences aeon 1.6.0's transform reads the four early weights a step late (the ends of its windows count the steps of
the series, not of its differences; the fit of biases is right), so that differences are given to it as series.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

KERNELS, SEED = 84, 0
MINI, MULTI = 2016, 840  # features asked for of each form


def of_kernels(form: str, parameters: tuple[Any, ...]) -> dict[str, np.ndarray]:
    """Describe fitted kernels: dilations, biases of each kernel at each, channels and where each one's end, biases."""
    if len(parameters) == 3:  # of one channel MultiRocket says nothing
        dilations, counts, biases = parameters
        of_each = np.ones(len(dilations) * KERNELS, dtype=np.int64)
        channels = np.zeros(len(of_each), dtype=np.int64)
    else:
        of_each, channels, dilations, counts, biases = parameters
    found = {"dilations": dilations, "counts": counts, "channels": channels, "ends": np.cumsum(of_each)}
    plain = {f"{form} {name}": np.asarray(value, dtype=np.int64) for name, value in found.items()}
    return plain | {f"{form} biases": np.asarray(biases, dtype=np.float32)}


def windows(parameters: tuple[Any, ...], steps: int) -> np.ndarray:
    """Return how many steps each feature pools: every second kernel keeps to those at which it lies inside whole."""
    dilations, counts = parameters[-3:-1]
    found = [
        np.full(count, steps - 8 * dilation if (place + kernel) % 2 else steps)
        for place, (dilation, count) in enumerate(zip(dilations, counts, strict=True))
        for kernel in range(KERNELS)
    ]
    return np.concatenate(found)


def of_features(form: str, parameters: tuple[Any, ...], features: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """Return MultiRocket's poolings by name, (N, B) each. features: (N, 4 B) of one form of the series."""
    biases, window = parameters[-1], windows(parameters, steps)
    share, _, mean, place = np.split(features, 4, axis=1)
    some = share > 0
    return {
        f"{form} share": share,
        f"{form} mean": np.where(some, mean - 2 * biases, 0),
        f"{form} mean place": np.where(some, place / window, 0),
    }


def main() -> None:
    """Fit both forms, transform, write."""
    from aeon.transformations.collection.convolution_based import (
        MiniRocket,
        MultiRocket,
    )

    path = Path(sys.argv[1])
    given = dict(np.load(path))
    x, test = given["x"], given["test"]
    mini = MiniRocket(n_kernels=MINI, random_state=SEED, n_jobs=1).fit(x)
    found = of_kernels("mini", mini.parameters) | {"mini share": mini.transform(test)}
    for form, own, other in (("multi", x, test), ("multi, differences", np.diff(x, axis=2), np.diff(test, axis=2))):
        multi = MultiRocket(n_kernels=MULTI, random_state=SEED, n_jobs=1).fit(own)
        features = np.asarray(multi.transform(other))[:, : 4 * len(multi.parameter[-1])]  # without those of differences
        found |= of_kernels(form, multi.parameter)
        found |= of_features(form, multi.parameter, features, own.shape[2])
    arrays: dict[str, Any] = found
    np.savez(path.with_suffix(".found.npz"), **arrays)


if __name__ == "__main__":
    main()

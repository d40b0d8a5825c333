"""Stratified group folds beside scikit-learn's: CPU seconds, and whether they are the same. Run: ./run.sh bench folds

Each series is a group of its own, in one of nine strata, as breaths of the ventilator are; scikit-learn's seconds
grow with the groups too, but are measured up to --rival of them.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

SIZES = (10_000, 75_450, 1_000_000)  # series; the second is the ventilator competition's
STRATA, FOLDS = 9, 5


def ours(groups: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Assign folds as foldline does."""
    from foldline.data import stratified_groups

    return stratified_groups.assign(groups, strata, FOLDS, seed=0)


def scikit_learn(groups: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Assign folds by StratifiedGroupKFold."""
    from sklearn.model_selection import StratifiedGroupKFold

    fold = np.empty(len(groups), dtype=np.int64)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for number, (_, held_out) in enumerate(splitter.split(groups, strata, groups)):
        fold[held_out] = number
    return fold


def timed(assign: Callable[..., np.ndarray], *given: np.ndarray) -> tuple[float, np.ndarray]:
    """Return CPU seconds and folds."""
    began = time.process_time()
    folds = assign(*given)
    return time.process_time() - began, folds


def main() -> None:
    """Print a line a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rival", type=int, default=SIZES[1], help="largest number of series scikit-learn is given")
    arguments = parser.parse_args()
    for warm_up in (ours, scikit_learn):  # imports and compiling
        warm_up(np.arange(100), np.arange(100) % STRATA)
    for size in SIZES:
        given = np.arange(size), np.random.default_rng(0).integers(0, STRATA, size)
        seconds, folds = timed(ours, *given)
        line = f"{size:>9,} series: {seconds:6.2f} s of CPU time"
        if size <= arguments.rival:
            rival_s, rival = timed(scikit_learn, *given)
            same = "the same folds" if np.array_equal(folds, rival) else "OTHER FOLDS"
            line += f"; scikit-learn {rival_s:6.2f} s, {rival_s / seconds:.0f}x; {same}"
        print(line, flush=True)


if __name__ == "__main__":
    main()

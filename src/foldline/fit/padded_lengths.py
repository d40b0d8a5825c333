"""The lengths that series are padded to on the device: at most eight, chosen so that little of a batch is padding.

Series of one length are padded to none. Networks must not see the padding, but the number of lengths is the number of
shapes that kernels are chosen, graphs captured and code compiled for: hence few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foldline.data.store import Store

MOST_LENGTHS = 8
LITTLE_PADDING = 0.1  # of the real steps: fewer lengths will do where padding is no more,
LITTLE_STEPS = 1 << 16  # or no more than so many steps: they cost less than passes over small parts of batches
MOST_CANDIDATES = 256  # lengths that are tried; of more different ones, those at even quantiles


def chosen_lengths(lengths: np.ndarray) -> tuple[int, ...]:
    """Choose the lengths that series are padded to, ascending; the last one is that of the longest series.

    As few as leave little padding; else the eight that leave the least, found by dynamic programming over candidates.

    Args:
        lengths: (N,) steps of each series, at least one series.
    """
    candidates, counts = _candidates(lengths)
    ends = np.cumsum(counts)
    # steps[i, j]: of the series above candidate i - 1 and up to candidate j, padded to candidate j
    below = np.concatenate([[0], ends[:-1]])
    steps = np.where(below[:, None] < ends[None, :], candidates[None, :] * (ends[None, :] - below[:, None]), np.inf)
    best, came_from = steps[0], list[np.ndarray]()
    real = int(lengths.sum())
    enough = real + max(LITTLE_PADDING * real, LITTLE_STEPS)
    while len(came_from) + 1 < min(MOST_LENGTHS, len(candidates)) and best[-1] > enough:
        # up to candidate i - 1 with one length fewer, and the rest up to j padded to j
        tried = np.concatenate([[np.inf], best[:-1]])[:, None] + steps
        came_from.append(tried.argmin(axis=0))
        best = tried.min(axis=0)
    places = [len(candidates) - 1]
    for before in reversed(came_from):
        places.append(int(before[places[-1]]) - 1)
    return tuple(int(candidates[place]) for place in reversed(places))


def _candidates(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lengths to choose from, ascending, and the number of series that are longer than the one before."""
    different, counts = np.unique(lengths, return_counts=True)
    if len(different) > MOST_CANDIDATES:
        places = np.linspace(0, len(lengths) - 1, MOST_CANDIDATES).round().astype(np.int64)
        kept = np.unique(np.sort(lengths)[places])
        counts = np.add.reduceat(counts, np.concatenate([[0], np.searchsorted(different, kept[:-1], side="right")]))
        different = kept
    return different, counts


def place_of(lengths: np.ndarray, chosen: tuple[int, ...]) -> np.ndarray:
    """Return which chosen length each series is padded to, (N,) int64: the next one; the last one also crops.

    lengths: (N,) steps of each series.
    """
    return np.minimum(np.searchsorted(chosen, lengths), len(chosen) - 1)


def kept_steps(margin: int, store: Store) -> int:
    """Return T after cropping: up to the last scored step of any series, and `margin` more; -1 keeps all steps.

    Where targets are known anywhere (data.known), steps that would be scored without, and known ones, are kept, too.
    """
    if margin < 0:
        return store.longest
    kept = store.scored if store.given is None else store.scored | store.given
    return min(int(store.step_of_answer[kept].max()) + 1 + margin, store.longest)


def block_lengths(stores: Sequence[Store], margin: int, longest: int = 0) -> tuple[int, ...]:
    """Choose the lengths that series are padded to, cropped as `kept_steps` says.

    Of whole stores: they must not depend on which series are watched, and those held out are predicted with them, too.

    Args:
        longest: steps of the windows that longer series are cut into; 0: they are not.
    """
    most = max(kept_steps(margin, store) for store in stores)
    most = min(most, longest) if longest else most
    return chosen_lengths(np.minimum(np.concatenate([store.lengths for store in stores]), most))

"""Which series of a fold's training part are kept out of training, so that [train.watch] can look at their score.

They are drawn here; where folds go by time latest_watched.py chooses them. watched_score.py scores them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.latest_watched import latest_watched


def inner_split(
    labelled_sets: Sequence[LabelledSeries], share: float, seed: int
) -> tuple[list[LabelledSeries], list[LabelledSeries]]:
    """Draw whole series of the first set, whose score is watched; return the sets to train on, and those series.

    Series that are held together (data.group, folds.similar) stay so: whole groups are drawn. Where folds go by time,
    nothing is drawn: the latest series are watched.

    Args:
        share: of the first set's series (or groups), above 0 and below 1; 0: none.

    Raises:
        UserError: fewer than 2 of them have scored rows.
    """
    if not share:
        return list(labelled_sets), []
    first = labelled_sets[0]
    if first.spans is not None:
        kept, held = latest_watched(first, first.spans, share)
        return [first.subset(kept), *labelled_sets[1:]], [first.subset(held)]
    groups = first.store.held_together
    units = np.arange(len(first.series))  # (n,) what is drawn of each series: itself, or its group
    if groups is not None:
        units = np.unique(groups[first.series], return_inverse=True)[1]
    count = int(units.max(initial=-1)) + 1
    drawn = np.random.default_rng([seed, 1]).permutation(count)  # 1: another stream than the trainer's [seed, 2]
    owners = np.repeat(units, first.store.answers_of_series[first.series])
    counted = np.bincount(owners, first.weight, count) > 0
    scored = np.flatnonzero(counted[drawn])  # among those drawn
    if len(scored) < 2:
        raise UserError(
            f"train.watch.share = {share} needs at least 2 training {_drawn(first.store)} with "
            f"scored steps, but there is {len(scored)}. Set train.watch.share = 0."
        )
    inside = np.zeros(count, dtype=bool)
    least, most = scored[0] + 1, scored[-1]  # so that either side has scored rows
    inside[drawn[: min(max(least, round(share * count)), most)]] = True
    return [first.subset(~inside[units]), *labelled_sets[1:]], [first.subset(inside[units])]


def _drawn(store: Store) -> str:
    """Say what is drawn to be watched."""
    if store.units is not None:
        return "clusters of similar series (folds.similar)"
    return "series" if store.group_numbers is None else "groups"

"""Which series are watched where folds go by time: the latest ones, split off as a fold is (data/time_folds.py)."""

from __future__ import annotations

import numpy as np

from foldline.core.errors import UserError
from foldline.data.time_spans import TimeSpans
from foldline.fit.labelled_series import LabelledSeries


def latest_watched(part: LabelledSeries, spans: TimeSpans, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Split series at the origin after which about a share of them begin.

    Those in the gap before it, and of groups (data.group) that are watched, are neither trained on nor watched.

    Args:
        part: n series. spans: of these.
        share: of them that is to be watched, above 0 and below 1.

    Returns:
        Those to be trained on and those to be watched, (n,) bool each.

    Raises:
        UserError: no origin leaves series with scored rows on both sides.
    """
    owners = np.repeat(np.arange(len(part.series)), part.store.answers_of_series[part.series])
    has_scored = np.bincount(owners, part.weight, len(part.series)) > 0
    origins = np.unique(spans.first[has_scored])
    # series that begin no earlier than each
    watched = len(spans.first) - np.searchsorted(np.sort(spans.first), origins)
    for place in np.argsort(np.abs(watched - share * len(spans.first)), kind="stable"):
        held = spans.first >= origins[place]
        kept = spans.last < origins[place] - spans.gap
        if part.store.group_numbers is not None and not part.store.windows:
            groups = part.store.group_numbers[part.series]
            kept &= ~np.isin(groups, groups[held])
        if (kept & has_scored).any():
            return kept, held
    raise UserError(
        f"train.watch.share = {share} keeps the latest training series out of training, and folds.gap those before "
        f"them, but of {len(spans.first)} series that leaves none with scored rows to train on. Set "
        "train.watch.share = 0, or take a shorter gap."
    )

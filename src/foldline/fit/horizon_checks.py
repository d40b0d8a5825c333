"""What a network that forecasts a fixed number of steps needs of series: that none asks for a later step.

It would repeat its last step there. With data.forecast windows have no more steps; with data.observed series may.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foldline.core.errors import UserError
from foldline.data.store import Store


def check_store(label: str, params: dict[str, Any], store: Store) -> None:
    """Refuse series whose scored steps reach further behind their known start than a network forecasts.

    label: of the model, for messages. params: its table; one without a horizon forecasts as far as it is asked to.

    Raises:
        UserError
    """
    horizon = params.get("horizon")
    if horizon is None:
        return
    known = np.full_like(store.lengths, store.observed) if store.known_steps is None else store.known_steps
    if (store.lengths - known).max() <= horizon:
        return
    answers = np.flatnonzero(store.scored)
    series = store.series_of_answer[answers]
    ahead = store.step_of_answer[answers] + 1 - known[series]  # 1 for the first step behind the known ones
    if (furthest := int(ahead.max(initial=0))) > horizon:
        raise UserError(
            f"model {label!r}: horizon = {horizon} must reach the last scored step of each series, but in series "
            f"{store.keys[series[ahead.argmax()]]} that is step {furthest} behind the known ones. Take horizon = "
            f"{furthest}, or more."
        )

"""What a network that reads pairs of steps needs of its series and of its training (models/ops/pairs.py).

Partners are distances in steps: what moves steps, mixes series or sums steps up would leave them pointing elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from foldline import models
from foldline.core.chunks import chunks
from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit.train_config import TrainConfig
from foldline.models.ops import pairs

ROWS = 1 << 16  # looked at together


def named(name: str, params: dict[str, Any]) -> tuple[str, ...]:
    """Return the matrices of pairs that a network of this name and table reads."""
    found: tuple[str, ...] = getattr(models.MODELS[name].config(**params), "pairs", ())
    return found


def refuse_training(label: str, train: TrainConfig, store: Store, resampled: bool) -> None:
    """Refuse a training that changes where steps stand, or what partners are.

    resampled: whether data.resample is given.

    Raises:
        UserError
    """
    partners = {place for place, feature in enumerate(store.names) if feature.startswith(pairs.PARTNER)}
    config = train.augment
    used = [name for name, part in config.parts.items() if part.share and (part.moves_steps or part.mixes)]
    used += [name for name in ("shuffle", "mixup") if getattr(config, name)]
    named_there = {name: set(getattr(part, "columns", ())) for name, part in config.parts.items() if part.share}
    used += [name for name, own in named_there.items() if own & {store.names[place] for place in partners}]
    used += [
        f"drop_channels.{name}"
        for name, share in config.drop_channels.items()
        if share and name in store.absent and partners & set(store.absent[name].features.tolist())
    ]
    found = [f"train.augment.{name}" for name in used]
    found += ["train.tta.reverse"] if train.tta.reverse else []
    found += ["train.patches"] if train.patches.used else []
    found += ["data.resample"] if resampled else []
    if found:
        raise UserError(
            f"model {label!r} reads pairs of steps, whose partners are told by how far apart they stand: it takes no "
            f"{found[0]}, which would leave them pointing elsewhere. Leave it out, or the model's pairs."
        )


def check_store(label: str, names: Sequence[str], store: Store) -> None:
    """Refuse partners that are no whole numbers, and entries that are missing. names: of the matrices.

    Raises:
        UserError
    """
    columns = sorted({column for name in names for pair in pairs.columns_of(name, store.names) for column in pair})
    for rows in chunks(len(store.x), ROWS) if columns else ():
        values = np.asarray(store.x[rows])[:, columns]
        for place, column in enumerate(columns):
            own, feature = values[:, place], store.names[column]
            partner = feature.startswith(pairs.PARTNER)
            wrong = ~np.isfinite(own) | (partner & (own != np.round(own)))
            if wrong.any():
                row = rows.start + int(wrong.argmax())
                series = int(np.searchsorted(store.offsets, row, side="right")) - 1
                what = "missing" if np.isnan(own[wrong.argmax()]) else f"{own[wrong.argmax()]:g}"
                rule = "a whole number of steps, 0 where there is no partner," if partner else "a number"
                raise UserError(
                    f"model {label!r} reads pairs: {feature} must be {rule} at each row, but is {what} at step "
                    f"{row - int(store.offsets[series])} of series {store.keys[series]}. pair_columns of "
                    "foldline.data.pairs makes these columns of matrices."
                )

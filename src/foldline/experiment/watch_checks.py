"""Whether the metric is defined on what [train.watch] keeps out of training, of each cell, before any is trained."""

from __future__ import annotations

from foldline.core.errors import UserError
from foldline.data.folds import Folds
from foldline.data.metrics import Metric, NotScorable
from foldline.data.store import Store
from foldline.experiment import chance
from foldline.experiment.config import Config
from foldline.fit.labelled_series import labelled_series
from foldline.fit.watched_split import inner_split


def refuse_undefined(config: Config, scored_by: Metric, train: Store, made: Folds) -> None:
    """Refuse shares of watched series on which the metric is not defined, as an auc on those of one class.

    A mean of losses is defined on any answers: nothing is drawn for it, unless folds go by time, whose gap may leave
    nothing to train on.

    Raises:
        UserError
    """
    if scored_by.is_mean_of_losses and made.time is None:
        return
    places: list[tuple[float, int | None, int]] = [
        (model.watched_share, fold, seed)
        for model in config.models
        if model.watched_share
        for seeds, folds in ((model.train.seeds, range(made.k)), (model.train.full_seeds, (None,)))
        for seed in seeds
        for fold in folds
    ]
    for share, fold, seed in dict.fromkeys(places):
        series = made.inside(fold)
        held = inner_split([labelled_series(train, series).at(made.spans_of(series))], share, seed)[1][0]
        try:
            chance.score(scored_by, train, train.answers(held.series)[held.weight > 0])
        except NotScorable as error:
            outside = (
                "all series"
                if fold is None
                else f"the series {'outside' if made.time is None else 'before'} fold {fold}"
            )
            raise UserError(
                f"train.watch.share = {share:g} keeps {len(held.series)} of {outside} out of training (seed {seed}), "
                f"and they have no {scored_by.name} to be watched ({str(error).rstrip('.')}). Take a larger share, or "
                "watch nothing (train.watch.share = 0)."
            ) from error

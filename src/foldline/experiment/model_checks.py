"""What the tables of a [[model]] ask for that does not go together, or not with the data, [post] and [executor]."""

from __future__ import annotations

from collections.abc import Sequence

from foldline.core import strict_tables
from foldline.core.errors import UserError
from foldline.data.roles import DataConfig
from foldline.ensemble.post_processing import PostConfig
from foldline.fit import augment, channel_dropout, patches, sample_config
from foldline.fit.augmentation import views
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_windows import WAY_OUT
from foldline.models.heads import joint
from foldline.run.cells import ModelConfig
from foldline.run.executor_config import ExecutorConfig


def check_training(model: ModelConfig, data: DataConfig, where: str) -> None:
    """Refuse pre-training for what is no network, networks that no epoch trains, and unfit data.

    Raises:
        UserError
    """
    channel_dropout.check(model.label, model.train, data.channels)
    if not model.is_network:
        if model.pretrain:
            raise UserError(f"{where}: {model.name} is no network: leave out pretrain.")
        return
    first, pretrain = model.train, model.pretrain  # the training that comes first
    if pretrain is not None and joint.KEY in model.params.get("head", {}):
        raise UserError(
            f"{where}: series to pre-train on have no auxiliary targets: leave out pretrain or head.beside."
        )
    if pretrain is not None:
        first = strict_tables.changed(model.train, pretrain.train, f"{where}.pretrain.train")
    if pretrain is not None and pretrain.is_masked:
        _refuse_masked(model, first, data, where)
    if first.epochs == 0:
        way_out = "give pretrain.train.epochs" if pretrain else "give train.epochs, or pretrain it"
        raise UserError(f"{where}: a network must be trained, but for 0 epochs it is not: {way_out}.")
    channel_dropout.check(model.label, first, data.channels)
    for train in model.trainings:
        patches.check(model.label, train.patches, data.has_start or bool(data.known))
        augment.check(model.label, train, data.has_start or bool(data.known))
        sample_config.check(model.label, train.sample, data, train.windows.used)
        views.check(model.label, train.tta, data.has_start or bool(data.known))
        if train.windows.used:
            _refuse_windows(data, where)


def _refuse_masked(model: ModelConfig, first: TrainConfig, data: DataConfig, where: str) -> None:
    """Refuse to learn inputs where they hold more than inputs, or by what follows a score. first: its training."""
    what = f'{where}: pretrain.source = "masked" learns inputs alone'
    if data.has_start or data.known:
        raise UserError(
            f"{what}, but here are known targets beside them (data.observed, forecast, known): leave it out."
        )
    if model.channels_from:
        raise UserError(f"{what}, but the channels of an estimator are made of labels: leave out channels_from or it.")
    if first.schedule == "plateau":
        raise UserError(f'{what}, so that no score is there to follow: give pretrain.train = {{schedule = "cosine"}}.')


def _refuse_windows(data: DataConfig, where: str) -> None:
    """Refuse [train.windows] where a part of a series does not say what its answers need."""
    if data.level != "step":
        raise UserError(
            f"{where}: [train.windows] cuts series of which each step has an answer, but data.level is "
            f"{data.level!r}. {WAY_OUT}"
        )
    if data.has_start:
        raise UserError(
            f"{where}: [train.windows] cuts series, and a window that begins later does not see the known start of its "
            f"series (data.observed, or a forecast's history). {WAY_OUT}"
        )


def check_channels(model: ModelConfig, before: Sequence[ModelConfig], data: DataConfig, where: str) -> None:
    """Refuse channels of no estimator, and estimators and their readers of what is no number at each step.

    before: the models further up in the config.

    Raises:
        UserError
    """
    if model.masked_copies < 0 or (model.masked_copies and not model.channels_from):
        raise UserError(
            f"{where}: masked_copies = {model.masked_copies} must be a number of copies of series with an estimator's "
            "channels, whose exact rows are drawn: leave it out, or give channels_from."
        )
    if model.masked_copies and model.watched_share:
        raise UserError(
            f"{where}: masked_copies are of all training series, those whose score train.watch keeps out, too: set "
            "train.watch.share = 0, or leave masked_copies out."
        )
    if not (model.channels_from or model.fitted_as == "estimator"):
        return
    estimators = [other.label for other in before if other.fitted_as == "estimator"]
    if model.channels_from and model.channels_from not in estimators:
        raise UserError(
            f"{where}: channels_from = {model.channels_from!r} must be the label of an estimator further up, but these "
            f"are {', '.join(estimators) or 'none'}: a [[model]] with name = 'smoother'."
        )
    if model.channels_from and (model.fitted_as not in ("network", "rows") or model.teacher):
        raise UserError(
            f"{where}: channels_from is for networks and boosted trees, which learn the rows that are left open: leave "
            "out teacher."
        )
    if data.level != "step" or data.kind != "regression" or len(data.target) > 1 or data.has_start or data.known:
        raise UserError(f"{where}: an estimator of open rows is for one number at every step: leave it out.")
    if data.target_transform:
        raise UserError(
            f"{where}: what reads an estimator's channels learns what that leaves, so that data.target_transform = "
            f"{data.target_transform!r} would be another scale: leave it out."
        )
    if any(train.windows.used or train.patches.used for train in model.trainings):
        raise UserError(f"{where}: windows and patches cut the series that channels belong to: leave them out.")


def check_together(models: Sequence[ModelConfig], post: PostConfig, executor: ExecutorConfig, where: str) -> None:
    """Refuse models that [post] or [executor] does not go together with.

    Raises:
        UserError
    """
    estimators = [model.label for model in models if model.fitted_as == "estimator"]
    if estimators and not post.decode:
        raise UserError(
            f"{where}: model {estimators[0]!r} estimates the rows that a decoder leaves open: set post.decode = true."
        )
    if post.ranked and not estimators:
        raise UserError(
            f"{where}: post.ranked = true takes what an estimator settles of open rows, but no model is one: put a "
            'model "smoother" first, or leave post.ranked out.'
        )
    graphs = any(train.graphs for model in models if model.is_network for train in model.trainings)
    if executor.together > 1 and graphs:
        raise UserError(
            f"{where}: train.graphs = true needs a process to itself, but executor.together = "
            f"{executor.together} lets cells take turns in one. Set one of them back."
        )

"""Networks of a config are made once before any training, so that those that can't be made are refused."""

from __future__ import annotations

import numpy as np
from torch import nn

from foldline.core.errors import UserError
from foldline.data import target_grid, time_steps
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.experiment.config import Config
from foldline.fit import augment, batch_statistics, network_build, network_size, pair_checks, scaler, training_windows
from foldline.fit.augmentation import views
from foldline.fit.padded_lengths import block_lengths
from foldline.run import cell_stores


def check_durations(config: Config, train: Table) -> None:
    """Refuse patches of a duration where the order is numbers; test tables have the order of the training table."""
    for model in (model for model in config.models if model.is_network):
        what = f"model {model.label!r}: train.patches.every"
        for training in model.trainings:
            time_steps.refuse_duration(what, training.patches.every, train.data.order, train.of_dates)


def made(config: Config, train: Store) -> tuple[dict[str, int], dict[str, nn.Module]]:
    """Make each network once, to refuse before any training those that can't be made for these series.

    Returns:
        label -> bytes of a cell's weights; label -> the network, not trained.
    """
    gridded = train.task.kind == "regression" and not config.data.target_transform
    grids = tuple(target_grid.detect_grids(np.asarray(train.y[train.counted]))) if gridded else None
    sizes, networks = {}, {}
    for model in (model for model in config.models if model.is_network):
        own, device = cell_stores.planned(model, train), model.train.device_used
        features, own_grids = len(own.names), None if model.channels_from else grids
        # not fitted: the network's shape and its checks depend on the number of features, on targets and grids only
        plain = scaler.unscaled_targets(np.zeros(features), np.ones(features), own, own_grids)
        sizes[model.label] = network_size.check(model.label, model.name, model.params, own, plain.targets, device)
        network = networks[model.label] = network_build.network_of(model.name, model.params, own, plain)
        reads_target = getattr(network, "takes_target", False)
        if reads_target and model.pretrain is not None and model.pretrain.is_masked:
            raise UserError(
                f'model {model.label!r}: pretrain.source = "masked" learns inputs alone, but this network reads its '
                "own past predictions: leave it out."
            )
        for training in model.trainings:
            augment.check_store(model.label, training, own)
            views.check_store(model.label, training.tta, own)
            if pair_checks.named(model.name, model.params):
                pair_checks.refuse_training(model.label, training, own, config.data.resample is not None)
            training_windows.refuse_own_past(model.label, training.windows, reads_target)
            rows_are_steps = not training.patches.used
            lengths = block_lengths([own], training.margin, training.windows.length) if rows_are_steps else ()
            batch_statistics.refuse(f"model {model.label!r}", network, training, lengths)
    return sizes, networks

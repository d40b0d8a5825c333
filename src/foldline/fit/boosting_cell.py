"""Boosted trees on one fold: the same interface as a network, on a row of features for each scored answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foldline import models
from foldline.core.chunks import chunks
from foldline.data.known_masks import neighbours
from foldline.data.metrics import FileMetric, Metric, NotScorable
from foldline.data.store import Store
from foldline.data.time_spans import TimeSpans
from foldline.fit import channel_dropout, soft_labels, target_transform
from foldline.fit.boosting_checks import library_errors
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.fit.target_transform import PLAIN, TargetTransform
from foldline.fit.train_config import TrainConfig
from foldline.fit.trainer import Emit
from foldline.fit.watched_split import inner_split
from foldline.models.ops.boosting import BoostedTrees, Watched
from foldline.models.ops.boosting_config import ANY_NUMBERS

ROWS_PER_CHUNK = 1 << 20  # rows whose features are copied at once
VERSION = 3  # part of every cell's key: raise it when a change here changes what comes out


class BoostingCell:
    """Boosted trees on the rows of a fold. Of [train] they use threads, watch and augment.drop_channels; no scaler."""

    def __init__(
        self,
        name: str,
        params: dict[str, Any],
        train: TrainConfig,
        metric: Metric | None = None,
        transform: TargetTransform = PLAIN,
        spans: TimeSpans | None = None,
    ) -> None:
        """Make them, not fitted yet.

        Args:
            metric: what [train.watch] scores by; only needed where it keeps series out of training.
            spans: of the series that they are to be fitted on, where folds go by time.
        """
        self.name, self.train, self.metric, self.transform, self.spans = name, train, metric, transform, spans
        self.threads = train.threads  # that predict; their number changes no bit
        self.model: BoostedTrees[Any] = models.MODELS[name].make(models.MODELS[name].config(**params))

    def fit(
        self,
        data: Store,
        series: np.ndarray,
        seed: int,
        emit: Emit,
        more: Sequence[LabelledSeries] = (),
        taught: np.ndarray | None = None,
    ) -> None:
        """Fit on the scored rows of the given series; early stopping scores some of them, which are left out.

        Args:
            more: learned from, too, and never watched: copies of these series with other known steps (masked_copies),
                test series with pseudo-labels.
            taught: (A, K) labels of the store to learn instead of its own; what is watched keeps its own.

        Raises:
            UserError: the library refuses its parameters, or these rows.
        """
        rounds, threads = self.model.config.rounds, self.train.threads
        kept, held = inner_split([labelled_series(data, series).at(self.spans)], watched_share(self.train), seed)
        if taught is not None:
            kept[0] = kept[0].relabelled(taught)
        x, y, weight = self._rows(kept[0], more, seed)
        watched = None
        if held:
            assert self.metric is not None, "watching needs a metric"
            answers = _counted(held[0])
            metric, score = _watching(self.metric, held[0], self.model.config.objective == "multiclass")
            stop = self.train.watch.stop or rounds  # with watch.best alone all rounds are trained, the best one kept
            watched = Watched(
                x=self._inputs(self.transform.view(data), answers),
                y=held[0].y[held[0].weight > 0],
                stop=stop,
                score=score,
                higher_is_better=metric.higher_is_better,
                weight=None if data.weight is None else held[0].weight[held[0].weight > 0],
                in_own_units=lambda values, columns: self.transform.inverse(values, data, answers, columns),
            )
        with library_errors(self.name, f"model {self.name}"):
            kind, report = data.task.kind, lambda done, of: emit("progress", done=done, of=of)
            codes = _categorical(data, x.shape[1]) if self.model.config.categories else ()
            self.model.fit(x, y, seed, threads, report, watched=watched, weight=weight, kind=kind, categorical=codes)
        row = {"loss": float(np.abs(self.model.predict(x, threads) - y).mean())}
        if watched is not None:
            row["watched"] = watched.score(watched.y, self._predicted(data, watched.x, answers))
        emit("epoch", epoch=rounds, **row)

    def _rows(
        self, own: LabelledSeries, more: Sequence[LabelledSeries], seed: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return what is learned: inputs (m, I), labels (m, K), and weights (m,), None where all count the same.

        own: the series themselves; more: see `fit`. Where an objective takes one class a row, an answer between classes
        is a row for each, weighed by their probabilities.
        """
        x, y = self._part(own, seed)
        weight = None if own.store.weight is None and not more else own.weight[own.weight > 0]
        for part in more:
            assert weight is not None, "rows beside others have weights"
            other_x, other_y = self._part(part, seed)
            x, y = np.concatenate([x, other_x]), np.concatenate([y, other_y])
            weight = np.concatenate([weight, part.weight[part.weight > 0]])
        if self.model.config.objective in ("binary", "multiclass") and not np.isin(y, (0, 1)).all():
            answer, y, weight = soft_labels.as_rows(y, np.ones(len(y)) if weight is None else weight)
            x = x[answer]
        return x, y, weight

    def _part(self, part: LabelledSeries, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs (m, I) and labels (m, K) of the answers of a set that count.

        Copies of series lack the channels that the series themselves lack: draws depend on seed and number of series.
        """
        answers, store = _counted(part), part.store
        lacking = channel_dropout.drawn(store, self.train.augment.drop_channels, seed)
        x = self._inputs(self.transform.view(store), answers)
        channel_dropout.without(x, store.series_of_answer[answers], store, lacking)
        return x, self.transform.labelled(part).y[part.weight > 0]

    def predict(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, None]:
        """Predict every answer of some series: (a, K) float64; trees estimate no spread."""
        return self.predict_answers(data, data.answers(series)), None

    def predict_answers(self, data: Store, answers: np.ndarray) -> np.ndarray:
        """Predict some answers, (a,) places: (a, K) float64."""
        return self._predicted(data, self._inputs(self.transform.view(data), answers), answers)

    def apply(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, None]:
        """Predict as `predict` does, which changes no setting of the process."""
        return self.predict(data, series)

    def _inputs(self, store: Store, answers: np.ndarray) -> np.ndarray:
        """Return what these trees see of some answers, (a, I) float32: codes of static categories behind all else."""
        x = inputs(store, answers)
        if not self.model.config.categories:
            return x
        codes = store.static[store.series_of_answer[answers]][:, _wide(store)]
        return np.concatenate([x, codes.astype(np.float32)], axis=1)

    def _predicted(self, data: Store, x: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Predict answers (a,) by their rows of features x (a, I), in the targets' own units."""
        return self.transform.inverse(self.model.predict(x, self.threads), data, answers)

    def save(self, folder: Path) -> None:
        """Write a file a booster, one a target."""
        self.model.save(folder)

    def load(self, folder: Path, data: Store) -> None:
        """Read what `save` wrote."""
        self.model.load(folder)


def _wide(store: Store) -> list[int]:
    """Return the static columns of more than two categories: of two, a one-hot says all."""
    return [column for column, count in enumerate(store.levels) if count > 2]


def _categorical(store: Store, width: int) -> list[int]:
    """Return which of `width` inputs of trees are codes of categories: features place(x), and static codes."""
    places = [place for place, name in enumerate(store.names) if name.startswith("place(")]
    return places + list(range(width - len(_wide(store)), width))


def scale_of_labels(
    transform: TargetTransform, name: str, params: dict[str, Any], store: Store, series: np.ndarray
) -> TargetTransform:
    """Return the scale that trees of some series, (n,), learn labels on: less their medians where that is needed."""
    if models.MODELS[name].config(**params).objective not in ANY_NUMBERS:  # others know how large labels are
        return transform
    return target_transform.centred(transform, store, series, always=begins_far_away(name, params))


def begins_far_away(name: str, params: dict[str, Any]) -> bool:
    """Return whether trees begin far from labels that are far from 0: XGBoost's do with huber.

    Their first prediction is a step of Newton's from 0, where that loss has no curvature left once labels are far away:
    of labels about 100 it is 1,000,000.
    """
    return name == "xgboost" and models.MODELS[name].config(**params).objective == "huber"


def watched_share(train: TrainConfig) -> float:
    """Return the share of the training series that early stopping scores; 0 where it is off."""
    return train.watch.share if train.watch.stop or train.watch.best else 0.0


def _watching(metric: Metric, held: LabelledSeries, of_all: bool) -> tuple[Metric, Callable[..., float]]:
    """Return the metric that watched rows are scored by, and its score of (truth, prediction).

    of_all: a booster predicts all columns at once. Else a metric gives way to a loss where it needs them all, as a
    metric file does, or is not defined on the watched rows of one alone: a rare label may be there nowhere.
    """
    answers = _counted(held)
    beside = held.store.beside(metric, answers)
    if held.y.shape[1] > 1 and not of_all:
        truth = held.y[held.weight > 0]
        if isinstance(metric, FileMetric) or not all(_defined(metric, part, beside) for part in truth.T[:, :, None]):
            metric = metric.nearest_loss(1)
            beside = held.store.beside(metric, answers)
    return metric, lambda truth, prediction: metric(truth, prediction, *beside)


def _defined(metric: Metric, truth: np.ndarray, beside: tuple[np.ndarray | None, np.ndarray | None]) -> bool:
    """Return whether a metric has a score on the answers of one column, (a, 1); a mean of losses always has."""
    if metric.is_mean_of_losses:
        return True
    try:
        metric(truth, truth, *beside)
    except NotScorable:
        return False
    return True


def settings(train: TrainConfig) -> dict[str, Any]:
    """Return what trees depend on of [train], for their cells' keys: nothing of the networks' settings."""
    share, dropped = watched_share(train), train.augment.drop_channels
    watch = {"watch": {"share": share, "stop": train.watch.stop}} if share else {}
    return {"threads": train.threads} | watch | ({"drop_channels": dropped} if dropped else {})


def labelled(part: LabelledSeries) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers that count, as (m, I) inputs and (m, K) targets."""
    return inputs(part.store, _counted(part)), part.y[part.weight > 0]


def _counted(part: LabelledSeries) -> np.ndarray:
    """Return the places of the answers that count, (m,) int64."""
    return part.store.answers(part.series)[part.weight > 0]


def inputs(store: Store, answers: np.ndarray) -> np.ndarray:
    """Return what trees see of some answers, (a, I) float32: features of its row, and what is known of the target.

    The n * K known targets of its series, where n are known at most, stand behind the F features of each row, the
    latest ones last; NaN before the first one of a series with fewer. Where they are known anywhere, see known_columns.
    """
    rows = store.row_of_answer(answers)
    if not store.observed:
        return store.features(rows)
    if store.given is not None:
        known = known_columns(store, rows)
    else:
        known = _known_starts(store).reshape(-1, store.observed * store.targets)[store.series_of_answer[rows]]
    features = len(store.names)
    x = np.empty((len(rows), features + known.shape[1]), dtype=np.float32)
    for chunk in chunks(len(rows), ROWS_PER_CHUNK):  # the features are never there twice
        x[chunk, :features] = store.features(rows[chunk])
    x[:, features:] = known
    return x


def known_columns(store: Store, rows: np.ndarray) -> np.ndarray:
    """Return what is known next to some rows (r,), (r, 3 K + 2); NaN where nothing is. For data.known.

    The row's own K targets, those of the known row next before it, of that next behind, and how many steps to these.
    """
    assert store.given is not None, "known values lie anywhere"
    given = store.given & store.known.all(axis=1)
    around = [near[rows] for near in neighbours(given, store.lengths)]
    values = [np.where(given[rows, None], store.y[rows], np.nan)]
    values += [np.where(near[:, None] >= 0, store.y[near], np.nan) for near in around]
    steps = [np.where(near >= 0, np.abs(rows - near), np.nan)[:, None] for near in around]
    return np.concatenate([*values, *steps], axis=1)


def start_lacks(store: Store) -> bool:
    """Return whether a step of a known start of one length for all lacks its target: in a training table it may."""
    if not store.observed or store.known_steps is not None or store.given is not None:
        return False
    return bool((store.in_start[:, None] & ~store.known).any())


def _known_starts(store: Store) -> np.ndarray:
    """Return the latest known targets of each series, (N, observed, K); NaN where there are none, 0 behind its end."""
    if store.known_steps is None:
        y, known = (store.pad(each, steps=store.observed) for each in (store.y, store.known))
        return np.where(known | ~store.mask(steps=store.observed)[..., None], y, np.nan)
    steps = store.known_steps[:, None] - store.observed + np.arange(store.observed)  # (N, observed)
    inside = (steps >= 0) & (steps < store.lengths[:, None])
    rows = store.offsets[:, None] + np.where(inside, steps, 0)
    given = inside[..., None] & store.known[rows]
    return np.where(given, store.y[rows], np.nan)

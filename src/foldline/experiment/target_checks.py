"""What training answers must be for the metric, the folds and the heads of a config, checked before any training."""

from __future__ import annotations

import numpy as np

from foldline.core.console import Terminal
from foldline.core.errors import UserError, shortened
from foldline.data.folds import Folds
from foldline.data.metrics import Metric, NotScorable, chosen_file, metric
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.data.task import WITH_LABELS
from foldline.ensemble import applicability, decisions, tidying
from foldline.experiment import chance, watch_checks
from foldline.experiment.config import Config
from foldline.models.heads import NONNEGATIVE, joint


def check(config: Config, table: Table, train: Store, made: Folds, terminal: Terminal) -> None:
    """Refuse answers that can't be learned or scored; say of which folds and classes little can be known.

    Raises:
        UserError
    """
    scored_by, answers = metric(*train.metric_choice(config.data)), np.flatnonzero(train.scored)
    chosen_file.check(scored_by, np.asarray(train.y[answers]), answers)
    refuse_negative(config, train)
    check_after_training(config, train)
    for sentence in [*rare_classes(table, made), *folds_without_score(scored_by, train, made, config.folds.kind)]:
        terminal.warn(sentence)
    watch_checks.refuse_undefined(config, scored_by, train, made)


def check_after_training(config: Config, train: Store) -> None:
    """Refuse what [blend] and [post] ask for and these answers do not allow.

    Raises:
        UserError
    """
    scored_by = metric(*train.metric_choice(config.data))
    applicability.check(config.blend, scored_by, train.task.kind, train.targets)
    tidying.check(config.post, scored_by, train.task.kind, np.asarray(train.y[np.flatnonzero(train.scored)]))
    decisions.check(config.post, scored_by, config.data)
    _refuse_numbers(config, train)


def _refuse_numbers(config: Config, train: Store) -> None:
    """Refuse thresholds by a static column that is a number: it has no values that could have one each."""
    name = config.post.thresholds_by
    if name and not train.levels[config.data.static.index(name)]:
        raise UserError(
            f"post.thresholds_by = {name!r} is a static column of numbers, whose values have no threshold each. "
            "If they are codes, name it in data.categorical; otherwise leave it out."
        )


def refuse_no_weight(table: Table, made: Folds) -> None:
    """Refuse folds whose models would be fitted on answers of weight 0 alone.

    Raises:
        UserError
    """
    if table.weight is None:
        return
    series = np.repeat(np.arange(len(table.lengths)), table.answers_of_series)
    counts = np.bincount(series, table.scored & (table.weight > 0)) > 0
    for fold in range(made.k):
        if not counts[made.inside(fold)].any():
            raise UserError(
                f"{table.path}: {table.data.weight!r} is 0 in all scored {table.data.answers_called} that models of "
                f"fold {fold} are fitted on, so that they have nothing to learn from. Give more series a weight, take "
                "other folds (folds.seed, folds.k), or drop data.weight."
            )


def refuse_negative(config: Config, train: Store) -> None:
    """Refuse targets below 0, auxiliary ones too, under a head that learns the logarithm of a mean.

    Raises:
        UserError
    """
    y = np.asarray(train.y[train.counted])
    own, beside = dict(zip(train.task.columns, y.min(axis=0).tolist(), strict=True)), train.auxiliary_columns
    for model in config.models:
        table = model.params.get("head", {})  # the linear model of a rocket is a name alone
        head, entries = joint.split_table(table) if isinstance(table, dict) else ({}, [])
        learned = [(head.get("kind", ""), name, low) for name, low in own.items()]
        learned += [(each["kind"], each["target"], _lowest(beside[each["target"]])) for each in entries]
        for kind, name, low in sorted(learned, key=lambda each: each[2]):
            if kind in NONNEGATIVE and low < 0:
                raise UserError(
                    f"model {model.label!r}: the head {kind!r} needs targets that are not below 0, but {name!r} goes "
                    f"down to {low:g}. Choose another head, such as 'l1' or 'l2'."
                )


def _lowest(values: np.ndarray) -> float:
    """Return the smallest known one of some values; infinite where none is known."""
    return float(np.where(np.isnan(values), np.inf, values).min())


def rare_classes(table: Table, made: Folds) -> list[str]:
    """Say which classes have fewer series, or groups, than there are folds."""
    data, task = table.data, table.task
    if data.kind not in WITH_LABELS:
        return []
    split = made.time is not None and not data.named_group  # folds by time hold out windows, not series
    groups = np.arange(len(table.lengths)) if split else table.groups
    of_answer = np.repeat(groups, table.answers_of_series)[table.scored]
    codes = task.codes(table.y[table.scored])
    what = "series" if split or not data.group else f"{data.group}s"
    counts = {str(label): len(np.unique(of_answer[codes == code])) for code, label in enumerate(task.classes)}
    single = [name for name, count in counts.items() if count == 1]
    few = [f"{name} ({count})" for name, count in counts.items() if 1 < count < made.k]
    sentences = []
    if single:
        sentences.append(
            f"{shortened(single)}: one of the {what} only, so that the fold that holds it out is predicted by models "
            "that never saw the class. Merge it with another class, or expect its score to be that of chance."
        )
    if few:
        sentences.append(
            f"{shortened(few)}: fewer {what} than the {made.k} folds, so that some have none to score. Take fewer "
            "folds (folds.k), or go by the score of all rows."
        )
    return sentences


def folds_without_score(scored_by: Metric, train: Store, made: Folds, kind: str) -> list[str]:
    """Say in which folds the metric is not defined, whatever is predicted. kind: of the folds, for the way out.

    Raises:
        UserError: it is not defined on all folds together.
    """
    answers = np.flatnonzero(train.scored & (made.assignment >= 0)[train.series_of_answer])
    chance.score(scored_by, train, answers)
    if scored_by.loss is not None and train.weight is None:  # a mean is defined on any answers
        return []
    of_answer, missing = made.assignment[train.series_of_answer[answers]], []
    for fold in range(made.k):
        try:
            chance.score(scored_by, train, answers[of_answer == fold])
        except NotScorable as error:
            missing.append((fold, str(error).rstrip(".")))
    if not missing:
        return []
    several = (
        f"folds {', '.join(str(fold) for fold, _ in missing)} have" if missing[1:] else f"fold {missing[0][0]} has"
    )
    spread = (
        "Folds of kind 'stratified-group', or fewer of them, spread the classes."
        if kind == "group"
        else "Fewer folds (folds.k) have more of each class."
    )
    return [
        f"{several} no {scored_by.name} of its own ({missing[0][1]}): the score of all rows pools the folds, and is "
        f"the one to go by. {spread}"
    ]

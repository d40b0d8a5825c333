"""What holds of every metric in the registry, and how options, kinds, weights and groups are refused or used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import numpy as np
import pytest
import slow_references as slow
from targets import KINDS, RANKS, drawn

from foldline.core.errors import UserError
from foldline.data.metrics import METRICS, Metric, MetricOptions, NotScorable, metric, options
from foldline.models import contract

EACH = [(name, kind) for name, known in METRICS.items() for kind in known.kinds]


def of(name: str, kind: str, **given: object) -> Metric:
    """The metric for a kind of target."""
    return metric(name, MetricOptions(**given), kind, RANKS if kind == "ordinal" else 0)  # type: ignore[arg-type]


def test_kinds_are_those_of_heads() -> None:
    assert get_args(options.Kind) == get_args(contract.Kind) and set(KINDS) == set(get_args(options.Kind))


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_a_perfect_prediction_is_best_and_equal_is_not_better(name: str, kind: str) -> None:
    chosen, (truth, prediction) = of(name, kind), drawn(kind)
    perfect, other = chosen(truth, truth), chosen(truth, prediction)
    shuffled = chosen(truth, np.random.default_rng(0).permutation(prediction))
    assert chosen.is_better(perfect, other) and chosen.is_better(other, shuffled)
    assert not chosen.is_better(other, perfect) and not chosen.is_better(other, other)
    assert not chosen.is_better(float("nan"), other) and chosen.cost(perfect) < chosen.cost(other)
    assert (chosen.cost(2.0) == -2.0) is chosen.higher_is_better


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_the_order_of_answers_changes_nothing(name: str, kind: str) -> None:
    chosen, (truth, prediction) = of(name, kind), drawn(kind)
    order = np.random.default_rng(3).permutation(len(truth))
    assert chosen(truth[order], prediction[order]) == pytest.approx(chosen(truth, prediction), rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_weights_count_answers(name: str, kind: str) -> None:
    """A weight of 2 is the answer twice, one of 0 is none; a common factor changes nothing."""
    chosen, (truth, prediction) = of(name, kind), drawn(kind)
    weight = np.random.default_rng(3).integers(0, 3, len(truth)).astype(np.float64)
    if not chosen.weighted:
        with pytest.raises(UserError, match=f"{name} has no weights of answers"):
            chosen(truth, prediction, weight)
        return
    if name != "medae":  # scikit-learn's weighted median is of one of the values, or of the mean of two
        repeated = np.repeat(np.arange(len(truth)), weight.astype(int))
        assert chosen(truth, prediction, weight) == pytest.approx(
            chosen(truth[repeated], prediction[repeated]), rel=1e-12
        )
    assert chosen(truth, prediction, 7 * weight) == pytest.approx(chosen(truth, prediction, weight), rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_losses_are_those_of_the_score(name: str, kind: str) -> None:
    chosen, (truth, prediction) = of(name, kind), drawn(kind)
    each = chosen.row_loss(truth, prediction)
    assert each.shape == (len(truth),) and (each >= -1e-12).all() and np.isfinite(each).all()
    if chosen.loss is None:
        return
    loss = chosen.loss(truth, prediction)
    assert loss.shape == truth.shape and chosen.finish(float(np.mean(loss))) == chosen(truth, prediction)
    np.testing.assert_allclose(loss.mean(axis=1), each, rtol=1e-12)
    weight = np.arange(1.0, len(truth) + 1)
    assert chosen.finish(np.average(each, weights=weight)) == pytest.approx(
        chosen(truth, prediction, weight), rel=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METRICS)
def test_other_kinds_are_refused(name: str, kind: str) -> None:
    if kind in METRICS[name].kinds:
        assert of(name, kind).answers.kind == kind
        return
    with pytest.raises(
        UserError, match=f"{name} scores .*, but the target is {kind}: take one of .*, or a metric file"
    ):
        of(name, kind)


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_a_prediction_that_is_nan_scores_nan(name: str, kind: str) -> None:
    truth, prediction = drawn(kind)
    prediction[3, 0] = float("nan")
    assert np.isnan(of(name, kind)(truth, prediction))


@pytest.mark.parametrize("name", METRICS)
def test_models_learn_what_the_kind_needs(name: str) -> None:
    for kind in METRICS[name].kinds:
        pair = METRICS[name].trained_by_head(kind), METRICS[name].trained_by_objective(kind)
        assert (
            pair
            in {
                "regression": {("l1", "l1"), ("l2", "l2")},
                "binary": {("bce", "binary")},
                "multilabel": {("bce", "binary")},
                "multiclass": {("softmax", "multiclass")},
                "distribution": {("softmax", "cross_entropy")},
                "ordinal": {("ordinal", "l2")},
            }[kind]
        )


def test_no_answers_no_weights_and_wrong_shapes() -> None:
    some = np.ones((2, 1))
    with pytest.raises(NotScorable, match="mae: there is no answer to score"):
        metric("mae")(some[:0], some[:0])
    with pytest.raises(NotScorable, match="there is no answer"):
        metric("mae")(some, some, np.zeros(2))
    with pytest.raises(ValueError, match=r"truth is \(2, 1\), but prediction is \(1, 1\)"):
        metric("mae")(some, some[:1])
    with pytest.raises(ValueError, match=r"weight must be \(2,\), but is \(3,\)"):
        metric("mae")(some, some, np.ones(3))
    for weight in ([1.0, -1.0], [1.0, float("inf")]):
        with pytest.raises(UserError, match="weights must be finite and not below 0"):
            metric("mae")(some, some, np.array(weight))


def one_class(name: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Answers of one class (or constant ones), also where only a weight of 0 hides the other."""
    prediction = np.array([[0.1], [0.4], [0.8]])
    zeros = np.zeros((3, 1))
    yield zeros, (zeros if name == "qwk" else prediction), None
    if METRICS[name].weighted:
        yield np.array([[0.0], [0.0], [1.0]]), (zeros if name == "qwk" else prediction), np.array([1.0, 1.0, 0.0])


@pytest.mark.parametrize("name", ["auc", "average_precision", "qwk", "r2", "r2_zero_mean", "spearman"])
def test_answers_without_a_score(name: str) -> None:
    for truth, prediction, weight in one_class(name):
        with pytest.raises(NotScorable, match=f"{name} needs"):
            METRICS[name](truth, prediction, weight)


def test_classes_without_a_score_are_refused_or_left_out() -> None:
    truth, prediction = drawn("multilabel")
    truth[:, 1] = 0.0
    with pytest.raises(NotScorable, match=r"1 of 3 classes have no score .*undefined = 'skip'"):
        of("auc", "multilabel")(truth, prediction)
    kept = of("auc", "multilabel")(truth[:, [0, 2]], prediction[:, [0, 2]])
    assert of("auc", "multilabel", undefined="skip")(truth, prediction) == pytest.approx(kept, rel=1e-12)
    with pytest.raises(NotScorable, match="None of 3 classes"):
        of("auc", "multilabel", undefined="skip")(0 * truth, prediction)


@pytest.mark.parametrize("name", ["rmse", "auc"])
def test_groups_are_averaged_plainly_or_by_weight(name: str) -> None:
    kind = METRICS[name].kinds[0]
    (truth, prediction), weight = drawn(kind, columns=1), np.random.default_rng(0).random(60) + 0.1
    groups = np.array(["b", "a", "c", "a"] * 15)
    chosen = metric(name)
    each, sums = [], []
    for group in ("a", "b", "c"):
        inside = groups == group
        each.append(chosen(truth[inside], prediction[inside], weight[inside]))
        sums.append(weight[inside].sum())
    assert of(name, kind, groups="mean")(truth, prediction, weight, groups) == pytest.approx(np.mean(each), rel=1e-12)
    by_weight = of(name, kind, groups="weighted")(truth, prediction, weight, groups)
    assert by_weight == pytest.approx(np.average(each, weights=sums), rel=1e-12)
    assert chosen(truth, prediction, weight, groups) == chosen(truth, prediction, weight)  # pooled unless asked for
    with pytest.raises(ValueError, match=f"{name} averages over groups and needs the group of each answer"):
        of(name, kind, groups="mean")(truth, prediction)


def test_a_group_without_a_score_is_refused_or_left_out() -> None:
    truth, prediction = drawn("binary")
    groups = np.arange(60) // 20
    truth[groups == 1] = 1.0
    with pytest.raises(NotScorable, match="1 of 3 groups have no score"):
        of("auc", "binary", groups="mean")(truth, prediction, None, groups)
    both = [slow.auc(truth[groups == g], prediction[groups == g], np.ones(20)) for g in (0, 2)]
    found = of("auc", "binary", groups="mean", undefined="skip")(truth, prediction, None, groups)
    assert found == pytest.approx(np.mean(both), rel=1e-12)


def test_options_that_a_metric_does_not_read_are_refused() -> None:
    with pytest.raises(UserError, match="mae does not read the option level; it reads groups, undefined"):
        metric("mae", MetricOptions(level=0.9))
    with pytest.raises(UserError, match="f1 with average = 'binary' needs one target of 0 and 1"):
        of("f1", "multiclass", average="binary")(*drawn("multiclass"))
    with pytest.raises(UserError, match="binary is f1's"):
        metric("auc", MetricOptions(average="binary"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"level": 1.0}, "level is a quantile between 0 and 1, such as 0.9, but is 1.0"),
        ({"clip": 0.0}, "clip is a small probability"),
        ({"average": "makro"}, "average must be one of 'binary', 'macro', 'micro', 'weighted', but is 'makro'"),
        ({"groups": "macro"}, "groups must be one of 'pooled', 'mean', 'weighted'"),
    ],
)
def test_impossible_options_teach(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MetricOptions(**given)  # type: ignore[arg-type]

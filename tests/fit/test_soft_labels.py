"""Labels that teachers give: tempered, aligned, decided, and of which answers; all by hand."""

from __future__ import annotations

import numpy as np
import pytest

from foldline.fit import soft_labels

THREE = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3]])


@pytest.mark.parametrize("kind", ["multiclass", "binary"])
def test_a_temperature_of_a_half_squares_probabilities(kind: str) -> None:
    predicted = THREE if kind == "multiclass" else THREE[:, :1]
    whole = THREE if kind == "multiclass" else np.concatenate([predicted, 1 - predicted], axis=1)
    expected = whole**2 / (whole**2).sum(axis=1, keepdims=True)
    found = soft_labels.tempered(predicted, 0.5, kind)
    np.testing.assert_allclose(found, expected[:, : predicted.shape[1]])
    assert soft_labels.tempered(predicted, 1.0, kind) is predicted


def test_aligned_classes_have_their_shares_and_each_answer_keeps_its_odds_but_for_one_factor_a_class() -> None:
    shares = np.array([0.2, 0.5, 0.3])
    found = soft_labels.aligned(THREE, shares)
    np.testing.assert_allclose(found.mean(axis=0), shares, atol=1e-8)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    odds = (found[:, 0] / found[:, 1]) / (THREE[:, 0] / THREE[:, 1])
    np.testing.assert_allclose(odds, odds[0])
    binary = soft_labels.aligned(THREE[:, :1], np.array([0.75, 0.25]))
    assert binary.shape == (5, 1) and binary.mean() == pytest.approx(0.25, abs=1e-8)
    np.testing.assert_allclose(soft_labels.aligned(THREE, THREE.mean(axis=0)), THREE)


def test_a_class_that_no_answer_can_be_of_does_not_spoil_the_others() -> None:
    certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(soft_labels.aligned(certain, np.array([0.5, 0.5])), certain)
    np.testing.assert_array_equal(soft_labels.aligned(certain, np.array([0.0, 1.0])), certain)


def test_the_surest_share_of_each_class_is_chosen_however_sure_another_class_is() -> None:
    assert np.flatnonzero(soft_labels.surest(THREE, 0.5, "multiclass", 3)).tolist() == [0, 1, 2]  # of 3 and of 2
    assert np.flatnonzero(soft_labels.surest(THREE, 0.1, "multiclass", 3)).tolist() == [0, 2]  # one a class at least
    assert soft_labels.surest(THREE, 1.0, "multiclass", 3).all()
    yes = np.array([[0.9], [0.6], [0.45], [0.1]])
    assert soft_labels.surest(yes, 0.5, "binary", 2).tolist() == [True, False, False, True]
    ranks = np.array([[0.1], [0.4], [1.2], [1.9], [2.4]])
    assert soft_labels.surest(ranks, 0.5, "ordinal", 3).tolist() == [True, False, True, True, False]


def test_decided_labels_are_classes_flags_and_ranks() -> None:
    assert soft_labels.decided(THREE, "multiclass", 3).argmax(axis=1).tolist() == [0, 0, 1, 1, 0]
    assert set(np.unique(soft_labels.decided(THREE, "multiclass", 3))) == {0.0, 1.0}
    assert soft_labels.decided(np.array([[0.6, 0.2]]), "multilabel", 0).tolist() == [[1.0, 0.0]]
    assert soft_labels.decided(np.array([[1.6]]), "ordinal", 3).tolist() == [[2.0]]


@pytest.mark.parametrize("columns", [3, 1])
def test_a_mean_over_rows_of_one_class_is_the_cross_entropy_on_probabilities(columns: int) -> None:
    y, weight = THREE[:, :columns], np.array([1.0, 0.5, 1.0, 2.0, 1.0])
    said = np.random.default_rng(0).dirichlet(np.ones(3), 5)
    said = said if columns == 3 else np.stack([said[:, 0], 1 - said[:, 0]], axis=1)
    whole = y if columns == 3 else np.concatenate([y, 1 - y], axis=1)
    answer, label, weights = soft_labels.as_rows(y, weight)
    assert set(np.unique(label)) == {0.0, 1.0} and label.shape[1] == columns
    hot = label if columns == 3 else np.concatenate([label, 1 - label], axis=1)
    by_rows = -(weights * np.log((hot * said[answer]).sum(axis=1))).sum()
    assert by_rows == pytest.approx(-(weight[:, None] * whole * np.log(said)).sum())


def test_classes_that_are_hardly_there_get_no_row() -> None:
    answer, _, weights = soft_labels.as_rows(np.array([[0.5, 0.495, 0.005], [0.0, 1.0, 0.0]]), np.ones(2))
    assert answer.tolist() == [0, 0, 1] and weights.tolist() == pytest.approx([0.5 / 0.995, 0.495 / 0.995, 1.0])

"""Nested tables become one; lists of tables stay values, or go by their numbers."""

from __future__ import annotations

from foldline.core.dotted_names import flat


def test_nested_tables_become_one() -> None:
    nested = {"seed": 1, "train": {"lr": 0.1, "decay": {"kind": "cosine"}}, "blocks": [{"kind": "gru"}], "none": {}}
    rest = {"seed": 1, "train.lr": 0.1, "train.decay.kind": "cosine"}
    assert flat(nested) == {**rest, "blocks": [{"kind": "gru"}]}
    assert flat(nested, numbered=True) == {**rest, "blocks.0.kind": "gru"}
    assert flat({"inputs": ["a", "b"], "folds": []}, numbered=True) == {"inputs": ["a", "b"], "folds": []}

"""Rows of series side by side, and back."""

from __future__ import annotations

import numpy as np

from foldline.data import ragged


def test_pad_and_unpad_undo_each_other() -> None:
    lengths, values = np.array([2, 3, 1]), np.arange(12.0).reshape(6, 2)
    padded = ragged.pad(values, lengths, 4)
    assert padded.shape == (3, 4, 2) and padded[2].tolist() == [[10, 11], [0, 0], [0, 0], [0, 0]]
    assert np.array_equal(ragged.unpad(padded, lengths), values)
    assert ragged.pad(values, lengths, 2)[:, :, 0].tolist() == [[0, 2], [4, 6], [10, 0]]  # what is longer is cropped


def test_consecutive_numbers_by_hand() -> None:
    assert ragged.consecutive(np.array([5, 7, 0]), np.array([2, 0, 3])).tolist() == [5, 6, 0, 1, 2]
    assert ragged.consecutive(np.array([4]), np.array([0])).tolist() == []

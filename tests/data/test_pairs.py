"""Matrices of pairs as columns: they are the matrix again, and a crop of the rows is its sub-matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array

from foldline.data.pairs import pair_columns, pair_names
from foldline.models.ops.pairs import PairReader


def matrix(length: int = 9, seed: int = 0) -> np.ndarray:
    """Two partners a row at most, of either sign, not symmetric; some rows have none."""
    rng, found = np.random.default_rng(seed), np.zeros((length, length))
    for row in range(length - 1):
        others = rng.choice(np.delete(np.arange(length), row), 2, replace=False)
        found[row, others[: row % 3]] = rng.normal(size=row % 3)
    return found


def read(columns: dict[str, list[float]], name: str = "bpp") -> np.ndarray:
    """The matrix that a network makes of columns that were scaled, in float32."""
    reader, names = PairReader([name]), ["u", *columns]
    center, scale = [0.0, *(0.3 * n for n in range(len(columns)))], [1.0, *(1.7 + n for n in range(len(columns)))]
    reader.set_columns(names, center, scale, len(names))
    values = np.stack(
        [np.zeros(len(next(iter(columns.values())))), *(np.array(each) for each in columns.values())], axis=1
    )
    x = torch.from_numpy(((values - center) / scale).astype(np.float32)).unsqueeze(0)
    assert reader.without_partners(x)[0, :, 1].abs().max() == 0
    return reader(x)[name][0].numpy()


def test_columns_are_the_matrix_again_and_a_crop_is_its_sub_matrix() -> None:
    whole = matrix()
    columns = pair_columns("bpp", whole, 9, 2)
    assert list(columns) == pair_names("bpp", 2) == ["partner(bpp.1)", "pair(bpp.1)", "partner(bpp.2)", "pair(bpp.2)"]
    np.testing.assert_allclose(read(columns), whole, atol=1e-6)
    inside = {name: values[2:7] for name, values in columns.items()}
    np.testing.assert_allclose(read(inside), whole[2:7, 2:7], atol=1e-6)
    rows, others = np.nonzero(whole)
    sparse = coo_array((np.tile(whole[rows, others] / 2, 2), (np.tile(rows, 2), np.tile(others, 2))), (9, 9))
    assert {name: np.round(each, 12).tolist() for name, each in pair_columns("bpp", sparse, 9, 2).items()} == {
        name: np.round(each, 12).tolist() for name, each in columns.items()
    }


def test_the_strongest_partners_are_kept() -> None:
    whole = np.array([[0, 0.1, -0.7, 0.2], [0, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 0]])
    expected = np.array([[0, 0, -0.7, 0], [0, 0, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(read(pair_columns("bpp", whole, 4, 1)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros((3, 4)), "3 x 3, as long as its series"),
        (np.array([[0, np.nan, 0], [0, 0, 0], [0, 0, 0]]), "finite numbers, but nan"),
        (np.diag([0.0, 0.5, 0.0]), "step 1 has 0.5"),
    ],
)
def test_a_matrix_that_is_none_is_refused(wrong: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pair_columns("bpp", wrong, 3, 1)
    with pytest.raises(ValueError, match="at least 1 partner"):
        pair_names("bpp", 0)

"""Frames of pandas with columns that pyarrow does not take as they are, and tables that are none."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.serve.frames import frame_of


def test_columns_of_values_of_several_types_are_their_texts() -> None:
    """What a CSV file would hold: numbers and text beside them; a column that nobody wants must end no prediction."""
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame({"u": [1.5, "2", None], "step": [0, 1, 2], "odd": [object(), 1j, "x"], 3: [1, 2, 3]})
    found = frame_of(given)
    assert found["u"].to_list() == ["1.5", "2", None]
    assert found["step"].to_list() == [0, 1, 2]
    assert (found.columns, found.height) == (["u", "step", "odd", "3"], 3)


def test_sparse_columns_keep_their_values() -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame({"u": [0.1, 0.0, 1 / 3]}).astype({"u": pandas.SparseDtype(float)})
    assert frame_of(given)["u"].cast(pl.Float64).to_list() == [0.1, 0.0, 1 / 3]


def test_pandas_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow, which polars wants for texts."""
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame({"u": [0.1, 0.2], "ride": ["a", "b"]})
    monkeypatch.setattr(pl, "from_pandas", _lacks_pyarrow)
    assert frame_of(given).with_columns(pl.col("u").cast(pl.Float64)).to_dict(as_series=False) == {
        "u": [0.1, 0.2],
        "ride": ["a", "b"],
    }


def _lacks_pyarrow(_: object) -> pl.Series:
    raise ModuleNotFoundError("pa.Array requires pyarrow")


def test_two_columns_of_one_name_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame([[1, 2]], columns=["u", "u"])
    with pytest.raises(UserError, match="columns of different names, but have several called u"):
        frame_of(given)


@pytest.mark.parametrize("given", [{"u": [1], "step": [1, 2]}, {"u": [1.0, "2"]}, {"u": [1, 2**70]}])
def test_columns_that_are_no_table_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="The rows to predict must be columns of one length, each of one type"):
        frame_of(given)

"""Other shapes of tables to one row a step, against slow loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldline.data.reshape import join_asof, label_intervals, scan, to_long

CELLS = pl.DataFrame(
    {
        "id": ["a", "b"],
        "text": ["ACG", "GU"],
        "list": [[1.0, 2.0], [3.0]],
        "json": ["[1, 2.5, 7]", "[]"],
        "snr": [5, 6],
    }
)


def test_sequences_in_cells_become_rows_and_shorter_ones_end_missing() -> None:
    long = to_long(CELLS, order="step", arrays=["text", "list"], json=["json"]).collect()
    assert long.select("id", "step", "text", "list", "json", "snr").rows() == [
        ("a", 0, "A", 1.0, 1.0, 5),
        ("a", 1, "C", 2.0, 2.5, 5),
        ("a", 2, "G", None, 7.0, 5),
        ("b", 0, "G", 3.0, None, 6),
        ("b", 1, "U", None, None, 6),
    ]


def test_a_wide_table_becomes_rows() -> None:
    wide = pl.DataFrame({"page": ["x", "y"], "2015-01-01": [1, 2], "2015-01-02": [3, None], "2015": [0, 0]})
    long = to_long(wide, order="date", wide=r"^\d{4}-", value="visits").collect()
    assert sorted(long.select("page", "date", "visits", "2015").rows(), key=str) == [
        ("x", "2015-01-01", 1, 0),
        ("x", "2015-01-02", 3, 0),
        ("y", "2015-01-01", 2, 0),
        ("y", "2015-01-02", None, 0),
    ]


@pytest.mark.parametrize("more", [{}, {"arrays": ["text"], "wide": "^x"}])
def test_sequences_or_a_pattern_must_be_named(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="either arrays or json"):
        to_long(CELLS, order="step", **more)  # type: ignore[arg-type]


def test_nothing_is_opened_before_it_is_asked_for(tmp_path: Path) -> None:
    rows, events = scan(tmp_path / "rows.json"), scan(tmp_path / "events.csv")
    long = to_long(rows, order="t", arrays=["x"])
    names = {"on": "id", "order": "t", "start": "s", "end": "e", "label": "k"}
    label_intervals(join_asof(long, events, on="id", order="t"), events, **names, labels=["up"])


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_scan_takes_brackets_literally(ending: str, tmp_path: Path) -> None:
    for name, value in (("in[1]*", "007"), ("in1", "8")):
        (tmp_path / name).mkdir()
        frame = pl.DataFrame({"x": [value]})
        write = {"csv": frame.write_csv, "parquet": frame.write_parquet, "json": frame.write_ndjson}[ending]
        write(tmp_path / name / f"t.{ending}")
    assert scan(tmp_path / "in[1]*" / f"t.{ending}", text=["x"]).collect()["x"].to_list() == ["007"]
    with pytest.raises(ValueError, match="scan reads"):
        scan(tmp_path / "t.xlsx")


def test_scan_reads_a_folder_of_parts_with_the_columns_that_their_folders_give(tmp_path: Path) -> None:
    for stock in (10, 9):
        folder = tmp_path / "in[1]*" / "book.parquet" / f"stock_id={stock}"
        folder.mkdir(parents=True)
        pl.DataFrame({"price": [stock / 2]}).write_parquet(folder / "part-0.parquet")
    found = scan(tmp_path / "in[1]*" / "book.parquet").select("stock_id", "price").collect()
    assert sorted(found.rows()) == [(9, 4.5), (10, 5.0)]


@pytest.mark.parametrize("closed", ["both", "left"])
def test_steps_inside_intervals_are_what_a_loop_finds(closed: str) -> None:
    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"id": rng.choice(["a", "b", "c"], 300), "t": rng.integers(0, 40, 300)})
    start = rng.integers(0, 80, 30) / 2
    events = pl.DataFrame(
        {
            "id": rng.choice(["a", "b", "d"], 30),
            "s": start,
            "e": start + rng.integers(0, 9, 30) / 2,
            "k": ["up", "down"] * 15,
        }
    ).with_columns(e=pl.when(pl.col("s") < 1).then(None).otherwise("e"))
    names = {"on": "id", "order": "t", "start": "s", "end": "e", "label": "k"}
    got = label_intervals(rows, events, **names, labels=["down", "up"], closed=closed).collect()  # type: ignore[arg-type]
    assert got.select("id", "t").equals(rows) and got.columns == ["id", "t", "down", "up"]
    for label in ("up", "down"):
        known = [(key, s, e) for key, s, e, k in events.iter_rows() if k == label and e is not None]
        expected = [
            int(any(key == other and s <= t and (t < e or (t == e and closed == "both")) for other, s, e in known))
            for key, t in rows.iter_rows()
        ]
        assert got[label].to_list() == expected and 0 < sum(expected) < 300


@pytest.mark.parametrize(("within", "exact"), [(None, True), (3.0, True), (None, False)])
def test_the_last_earlier_row_is_what_a_loop_finds(within: float | None, exact: bool) -> None:
    rng = np.random.default_rng(1)
    rows = pl.DataFrame({"id": rng.integers(0, 3, 200), "day": rng.integers(0, 4, 200), "t": rng.integers(0, 50, 200)})
    table = pl.DataFrame({"id": rng.integers(0, 3, 60), "day": rng.integers(0, 4, 60), "at": rng.permutation(60) * 1.0})
    table = table.with_columns(price=pl.col("at") * 10)
    got = join_asof(rows, table, on=["id", "day"], order="t", other="at", within=within, exact=exact).collect()
    assert got.select(rows.columns).equals(rows) and got.columns == ["id", "day", "t", "price"]
    for key, day, t, price in got.iter_rows():
        times = [at for i, d, at, _ in table.iter_rows() if (i, d) == (key, day) and (at < t or (exact and at == t))]
        times = [at for at in times if within is None or t - at <= within]
        assert price == (max(times) * 10 if times else None)

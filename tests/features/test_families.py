"""Each feature family against numbers counted by hand, on two short breaths, the second of one step."""

from typing import Any

import polars as pl
import pytest

from foldline.features import Columns, build, compute

BREATHS = pl.DataFrame(
    {
        "breath_id": [7, 7, 7, 7, 3],
        "time_step": [0.0, 0.5, 0.75, 1.75, 2.0],  # s
        "u_in": [1.0, 4.0, 2.0, 5.0, 8.0],  # %
        "u_out": [0, 0, 1, 1, 0],
        "R": [5, 5, 5, 5, 20],
        "C": [10, 10, 10, 10, 50],
        "A": [1, 1, 1, 1, 2],
    }
)
ROLES = Columns(
    key="breath_id",
    order="time_step",
    inputs=("u_in", "u_out"),
    static=("R", "C"),
    levels={"R": (5, 20), "C": (10, 50), "A": (1, 2)},
)

COUNTED: dict[str, tuple[dict[str, Any], dict[str, list[float]]]] = {
    "raw": (
        {"complement": ["u_out"]},
        {"u_in": [1, 4, 2, 5, 8], "u_out": [0, 0, 1, 1, 0], "1-u_out": [1, 1, 0, 0, 1]},
    ),
    "time": ({}, {"time_step": [0, 0.5, 0.75, 1.75, 2], "d(time_step)": [0, 0.5, 0.25, 1, 0]}),
    "integral": ({}, {"sum(u_in)": [1, 5, 7, 12, 8], "sum(u_in*dt)": [0, 2, 2.5, 7.5, 0]}),
    "lags": (
        {"lags": [1, 3], "leads": [2, 4]},
        {
            "u_in@t-1": [0, 1, 4, 2, 0],
            "u_in@t-3": [0, 0, 0, 1, 0],
            "u_in@t+2": [2, 5, 0, 0, 0],
            "u_in@t+4": [0, 0, 0, 0, 0],
        },
    ),
    "differences": ({"steps": [1, 2]}, {"u_in-u_in@t-1": [1, 3, -2, 3, 8], "u_in-u_in@t-2": [1, 4, 1, 1, 8]}),
    "stats": (
        {},
        {
            "max(u_in)": [5, 5, 5, 5, 8],
            "max(u_in)-u_in": [4, 1, 3, 0, 0],
            "mean(u_in)-u_in": [2, -1, 1, -2, 0],
        },
    ),
    "static": (
        {},
        {
            "R=5": [1, 1, 1, 1, 0],
            "R=20": [0, 0, 0, 0, 1],
            "C=10": [1, 1, 1, 1, 0],
            "C=50": [0, 0, 0, 0, 1],
            "R=5*C=10": [1, 1, 1, 1, 0],
            "R=5*C=50": [0, 0, 0, 0, 0],
            "R=20*C=10": [0, 0, 0, 0, 0],
            "R=20*C=50": [0, 0, 0, 0, 1],
        },
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_hand_counted(name: str) -> None:
    table, counted = COUNTED[name]
    assert compute(BREATHS, ROLES, [build(name, table)]).to_dict(as_series=False) == counted


def test_the_defaults_are_the_37_inputs_of_the_first_place_network() -> None:
    names = ["time", "integral", "lags", "differences", "stats", "static"]
    families = [build("raw", {"complement": ["u_out"]}), *map(build, names)]
    levels = {"R": (5, 20, 50), "C": (10, 20, 50)}
    roles = Columns(key="breath_id", order="time_step", inputs=("u_in", "u_out"), static=("R", "C"), levels=levels)
    widths = [len(family.names(roles)) for family in families]
    assert widths == [3, 2, 2, 8, 4, 3, 15] and sum(widths) == 37


def test_an_unseen_or_missing_static_value_gives_zeros() -> None:
    strange = BREATHS.with_columns(pl.when(pl.col("breath_id") == 7).then(99).alias("R"))
    one_hots = compute(strange, ROLES, [build("static")]).select(pl.selectors.contains("R="))
    assert one_hots.to_numpy().sum() == 0.0


def test_three_static_columns_give_three_sets_of_pairs() -> None:
    roles = Columns(key="breath_id", order="time_step", inputs=("u_in",), static=("R", "C", "A"), levels=ROLES.levels)
    names = build("static").names(roles)
    assert len(names) == 3 * 2 + 3 * 4
    assert names[6] == "R=5*C=10" and names[-1] == "C=50*A=2"


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("lags", {"lags": [0]}, r"lags\.lags must be .* >= 1, but got \(0,\)"),
        ("lags", {"leads": [1, 1]}, r"lags\.leads must be .* different .* got \(1, 1\)"),
        ("lags", {"leads": [1.5]}, r"lags\.leads must be .* whole .* got \(1\.5,\)"),
        ("lags", {"lags": 3}, r"lags\.lags must be a list .* got 3"),
        ("differences", {"steps": [True]}, r"differences\.steps must be .* got \(True,\)"),
        ("stats", {"columns": "u_in"}, r"stats\.columns must be a list .* got 'u_in'"),
        ("integral", {"columns": ["u_in", "u_in"]}, r"integral\.columns must be a list of different"),
        ("raw", {"complement": [1]}, r"raw\.complement must be a list .* got \(1,\)"),
        ("static", {"pairs": "yes"}, r"static\.pairs must be true or false, but got 'yes'"),
    ],
)
def test_an_impossible_parameter_is_refused(name: str, table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, table)


@pytest.mark.parametrize("name", ["raw", "integral", "lags", "differences", "stats"])
def test_a_column_that_is_no_input_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"no input column 'u_inn': did you mean 'u_in'\?"):
        build(name, {"columns": ["u_inn"]}).names(ROLES)


def test_compartment_refuses_a_column_of_texts() -> None:
    roles = Columns(
        key="breath_id", order="time_step", inputs=("u_in",), static=("R", "C"), levels={"R": (5,), "C": ("a", "b")}
    )
    with pytest.raises(ValueError, match="compartment needs numbers in static column 'C', but it holds the text 'a'"):
        build("compartment").names(roles)

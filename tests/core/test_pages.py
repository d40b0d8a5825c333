"""The pages' shell and charts: what is text is escaped, ticks are round, gaps stay gaps, no page asks for anything."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from foldline.core import figures, pages
from foldline.core.pages import Band, Dots, Line, chart, charts
from foldline.core.text_columns import is_text

X = np.arange(5.0)


def test_text_is_escaped_and_sections_without_a_body_are_left_out() -> None:
    text = pages.page("<a>", "b&c", "<lead>", [("<1>", "<what>")], [("One & two", "<p>body</p>"), ("Empty", "")])
    assert "<a>" not in text and "<lead>" not in text and "<1>" not in text and "<what>" not in text
    assert "<section id='one-two'><h2>One &amp; two</h2>\n<p>body</p>" in text and "#one-two" in text
    assert "Empty" not in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_tables_and_bars_escape_their_cells() -> None:
    assert "<td>&lt;x&gt;</td>" in pages.table(["<n>"], [["<x>"]])
    drawn = pages.bars([("<big>", 4.0, "4"), ("half", 2.0, "2"), ("none", 0.0, "0")])
    assert re.findall(r"--share:([\d.]+)%", drawn) == ["100.0", "50.0", "0.0"] and "<big>" not in drawn
    assert re.findall(r"--share:([\d.]+)%", pages.bars([("nothing", 0.0, "0")])) == ["0.0"]


def test_text_is_aligned_left_and_numbers_right() -> None:
    columns, row = ["way", "score", "difference", "remark"], ["mean", "0.5", "", "beaten by <b>"]
    assert is_text(columns, [row, ["ridge", "–", "+0.1 ± 0.2", ""]]) == [True, False, False, True]
    assert is_text(columns, [row, ["ridge", "< 0.0001", "over 100", "7"]]) == [True, False, False, True]
    shown = pages.table(columns, [row])
    assert "<th class='words'>remark</th>" in shown and "<td class='words'>beaten by &lt;b&gt;</td>" in shown
    assert "<td>mean</td><td>0.5</td><td></td>" in shown


def test_a_matrix_is_shaded_by_its_largest_value() -> None:
    shown = pages.matrix(["<a>", "b"], ["c", "d"], np.array([[1.0, 0.5], [np.nan, -0.25]]), digits=2)
    assert re.findall(r"--heat:(\d+)%'>(.*?)<", shown) == [("60", "1.00"), ("30", "0.50"), ("0", "-0.25")]
    assert "<td>–</td>" in shown and "<a>" not in shown
    assert "–" in pages.matrix(["a"], ["b"], np.array([[np.nan]]))


def test_whiskers_share_one_scale() -> None:
    drawn = pages.whiskers([("<one>", -1.0, 0.0, 1.0), ("two", 2.0, 3.0, 4.0)], marked="two")
    places = re.findall(r"--low:(.*?)%;--middle:(.*?)%;--high:(.*?)%", drawn)
    assert places == [("0.0", "20.0", "40.0"), ("60.0", "80.0", "100.0")] and "--zero:20.0%" in drawn
    assert drawn.count("'filled'") == 1 and "<b>−1</b><b>4</b>" in drawn and "<one>" not in drawn
    assert "--low:0.0%" in pages.whiskers([("still", 0.0, 0.0, 0.0)])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 0.96, [0, 0.2, 0.4, 0.6, 0.8]),
        (-3.0, 7.0, [-2, 0, 2, 4, 6]),
        (100.0, 101.0, [100, 100.2, 100.4, 100.6, 100.8, 101]),
        (1e-9, 2e-9, [1e-9, 1.2e-9, 1.4e-9, 1.6e-9, 1.8e-9, 2e-9]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low: float, high: float, expected: list[float]) -> None:
    assert charts.ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1, 2, [1, 2]), (1, 12, [5, 10]), (0, 10, [0, 2, 4, 6, 8, 10]), (0.5, 1.5, [1]), (80, 1280, [500, 1000])],
)
def test_ticks_of_what_is_counted_are_whole(low: float, high: float, expected: list[float]) -> None:
    assert charts.ticks(low, high, whole=True) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1 * 3 - 0.3, 0.3, -0.5], ["0", "0.3", "−0.5"]),
        ([1.6e9, 1.6e9 + 1000, 1.6e9 + 2000], ["1.6e9", "1.600001e9", "1.600002e9"]),  # seconds of Unix
        ([0.1234561, 0.1234563], ["0.1234561", "0.1234563"]),
        ([0.0, 1e-14, 2e-14], ["0", "1e−14", "2e−14"]),
        ([], []),
    ],
)
def test_ticks_can_be_told_apart(values: list[float], expected: list[str]) -> None:
    assert charts.numbers(values) == expected


def test_a_chart_says_what_it_shows_to_who_cannot_see_it() -> None:
    marks = [Line(x=X, y=X, label="truth"), Line(x=X, y=X, label="<blend>"), Dots(x=X, y=X, label="truth")]
    assert "aria-label='mae over t: truth, &lt;blend&gt;'" in chart(marks, xlabel="t", ylabel="mae")
    assert "aria-label='mae'" in chart([Line(x=X, y=X)], ylabel="mae")
    assert "aria-label='lines over t'" in chart([Line(x=X, y=X)], xlabel="t")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.15, 6.0, [0.2, 0.5, 1, 2, 5]),
        (1e-3, 1e3, [1e-3, 1e-2, 1e-1, 1, 10, 100, 1000]),
        (3.0, 4.5, [3, 3.5, 4, 4.5]),  # no two of 1, 2, 5 lie between
    ],
)
def test_ticks_of_a_logarithmic_axis(low: float, high: float, expected: list[float]) -> None:
    assert charts.log_ticks(low, high) == pytest.approx(expected)


def test_a_chart_puts_values_where_they_belong() -> None:
    svg = ElementTree.fromstring(chart([Line(x=X, y=X)], width=346, height=144))
    (line,) = (part for part in svg.iter("path") if "line" in part.attrib["class"])
    points = [tuple(map(float, pair.split())) for pair in line.attrib["d"].lstrip("M").split("L")]
    assert points[0] == (38, 122) and points[-1] == (338, 8)  # corners of the axes, y upwards
    assert points[2] == (188, 65)


def test_gaps_stay_gaps() -> None:
    y = np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    assert charts.runs(y) == [slice(0, 2), slice(3, 5)] and charts.runs(np.full(3, np.nan)) == []
    drawn = chart([Line(x=X, y=y), Dots(x=X, y=y, style="ink"), Band(x=X, low=y, high=y + 1, style="c1")])
    paths = {part.attrib["class"]: part.attrib["d"] for part in ElementTree.fromstring(drawn).iter("path")}
    assert (
        paths["line accent"].count("M") == 2 and paths["dots ink"].count("M") == 4 and paths["band c1"].count("Z") == 2
    )
    assert "nan" not in drawn


@pytest.mark.parametrize("y", [np.zeros(5), np.full(5, np.nan), np.full(5, 3.0), X - 2, np.array([0, 1, 0, 1e-9, 1e9])])
@pytest.mark.parametrize("log", [True, False])
def test_any_values_can_be_drawn(y: np.ndarray, log: bool) -> None:
    drawn = chart([Line(x=X, y=y, label="<l>"), Band(x=X, low=y, high=y)], log=log, xlabel="<x>", ylabel="<y>")
    ElementTree.fromstring(drawn)  # well-formed: labels are escaped
    assert not re.search(r"nan|inf", re.sub(r"<text.*?</text>", "", drawn))


def test_the_legend_names_each_label_once() -> None:
    marks = [
        Line(x=X, y=X, label="one"),
        Line(x=X, y=X, label="one"),
        Dots(x=X, y=X),
        Band(x=X, low=X, high=X, label="&"),
    ]
    shown = pages.legend(marks)
    assert shown.count("one") == 1 and shown.count("<span>") == 2 and "&amp;" in shown


@pytest.mark.parametrize("name", ["$x^{ b$", "from $5 to $10", "a$", "日本", r"a\$b", "<b> & 'c'"])
def test_names_in_pictures_of_matplotlib_stay_as_they_are(name: str) -> None:
    with matplotlib.rc_context(figures.STYLE):
        figure = Figure(figsize=(8.0, 3.0), layout="constrained")
        axes = figure.subplots()
        axes.barh([figures.as_written(name)], [1.0])
        axes.set_xscale("log")  # numbers are formulas there
        picture = figures.svg(figure)
    assert f">{html.escape(name, quote=False)}</text>" in picture and re.search(
        r"<text>\s*<tspan", picture
    )  # a power of ten


def test_pictures_of_matplotlib_take_the_pages_colours_and_can_stand_together() -> None:
    def drawn() -> str:
        with matplotlib.rc_context(figures.STYLE):
            figure = Figure(figsize=(8.0, 3.0))
            figure.subplots().plot([0, 1], [0, 1])
            return figures.svg(figure)

    picture = drawn()
    assert picture == drawn()
    assert f"stroke: var(--accent,{figures.COLORS[0]})" in picture and "max-width:800px" in picture
    assert not re.search(r' id="\w+_\d', picture) and "<metadata>" not in picture

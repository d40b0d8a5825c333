"""Small charts as SVG: lines, bands and dots on two axes, a few kilobytes each, without a plotting library.

Colours are CSS classes of the page (accent, ink, neutral, c1 to c7), so that a chart follows light and dark.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

LEFT, RIGHT, TOP, BOTTOM = 38.0, 8.0, 8.0, 36.0  # px around the axes
GAP = 7.0  # px between an axis and its numbers
HEAD, ABOVE = 18, 11.0  # px for the y axis' label above it; from the axis' top to the label's foot
WIDE = 400  # px from which a chart is scaled down on a phone, where its text would be too small to read
WIDEST = 1.2  # a chart grows to this times its width at most: text of 11 px stays below 14
COLORS = ("c1", "c2", "c3", "c4", "c5", "c6", "c7")  # of members; what is submitted has the accent


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line through points; NaN interrupts it."""

    x: np.ndarray  # (n,)
    y: np.ndarray  # (n,)
    style: str = "accent"  # classes: a colour, and thick, thin or dashed
    label: str = ""  # in the legend; empty: left out of it


@dataclass(frozen=True, kw_only=True)
class Dots:
    """A dot at each point; none where y is NaN."""

    x: np.ndarray  # (n,)
    y: np.ndarray  # (n,)
    style: str = "accent"
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Band:
    """The area between two lines; NaN interrupts it."""

    x: np.ndarray  # (n,)
    low: np.ndarray  # (n,)
    high: np.ndarray  # (n,)
    style: str = "accent"
    label: str = ""

    @property
    def y(self) -> np.ndarray:
        """Both of its edges, (2n,): what the range of the axis has to hold."""
        return np.concatenate([self.low, self.high])


Mark = Line | Dots | Band
Place = Callable[[np.ndarray], np.ndarray]  # data -> px


def chart(
    marks: Sequence[Mark],
    *,
    xlabel: str = "",
    ylabel: str = "",
    width: int = 330,
    height: int = 220,
    log: bool = False,
    zero: bool = False,
    bare: bool = False,
    whole: bool = False,
    holds: Sequence[float] = (),
) -> str:
    """Draw marks as an <svg>, later ones above earlier ones.

    Args:
        width, height: px of the whole picture where the page has that much room; it scales with the page.
        log: the y axis is logarithmic; zero: it begins at 0; bare: it has neither numbers nor grid lines.
        whole: the x axis counts something, such as epochs: its numbers are whole.
        holds: heights that the y axis reaches, whatever is drawn, such as 0 and 1 for probabilities.
    """
    across, up = _range([mark.x for mark in marks]), _range([*(mark.y for mark in marks), np.array(holds)], log, zero)
    bottom = BOTTOM if xlabel else BOTTOM - 14
    x = _scale(across, LEFT, width - RIGHT)
    y = _scale(up, height - bottom, TOP, log)
    heights = [] if bare else log_ticks(*up) if log else ticks(*up, most=4)
    parts = [_heights(heights, y, width - RIGHT), _places(ticks(*across, whole=whole), x, height - bottom)]
    parts += [_drawn(mark, x, y) for mark in marks]
    middle, head = (LEFT + width - RIGHT) / 2, HEAD if ylabel else 0
    parts.append(f"<text x='0' y='{TOP - ABOVE:g}'>{escape(ylabel)}</text>" if ylabel else "")
    if xlabel:
        parts.append(f"<text x='{middle:g}' y='{height - 3}' text-anchor='middle'>{escape(xlabel)}</text>")
    wide = " wide" if width >= WIDE else ""
    drawn = ", ".join(dict.fromkeys(mark.label for mark in marks if mark.label))
    said = (
        f"{ylabel or 'lines'}{f' over {xlabel}' if xlabel else ''}{f': {drawn}' if drawn else ''}"  # to who sees none
    )
    return (
        f"<svg class='chart{wide}' style='max-width:{WIDEST * width:g}px' viewBox='0 {-head} {width} {height + head}' "
        f"role='img' aria-label='{escape(said)}'>{''.join(parts)}</svg>"
    )


def legend(marks: Sequence[Mark]) -> str:
    """Make the legend of some marks, a line above their charts; each label once."""
    kinds = {Line: "", Dots: "dot", Band: "band"}
    shown = {mark.label: f"<i class='{kinds[type(mark)]} {mark.style.split()[0]}'></i>" for mark in marks if mark.label}
    return f"<div class='legend'>{''.join(f'<span>{key}{escape(label)}</span>' for label, key in shown.items())}</div>"


def _range(values: Sequence[np.ndarray], log: bool = False, zero: bool = False) -> tuple[float, float]:
    """Find the lowest and highest finite value; where they are equal they are moved apart, so that there is an axis."""
    every = np.concatenate([np.asarray(part, dtype=float).ravel() for part in values]) if values else np.zeros(0)
    every = every[np.isfinite(every) & ((every > 0) | (not log))]
    low, high = (float(every.min()), float(every.max())) if len(every) else (1.0, 1.0)
    low = min(low, 0.0) if zero and not log else low
    if low == high:
        margin = 0.5 * abs(low) or 0.5
        low, high = low - margin, high + margin
    return low, high


def _scale(limits: tuple[float, float], start: float, end: float, log: bool = False) -> Place:
    low, high = (math.log10(value) for value in limits) if log else limits

    def place(values: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            known = np.log10(values) if log else np.asarray(values, dtype=float)
        return np.asarray(start + (known - low) / (high - low) * (end - start))

    return place


def ticks(low: float, high: float, most: int = 5, whole: bool = False) -> list[float]:
    """Choose round numbers from `low` to `high`, at most `most` + 1 of them. whole: whole ones only."""
    rough = max((high - low) / most, 1.0) if whole else (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    # 1e-9: a step that is equal but for rounding is large enough, and a tick at the very edge lies inside.
    step = next(factor * power for factor in factors if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Choose 1, 2, 5, 10, ... from `low` to `high`; powers of ten only where these are many, else even steps."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(powers) > 4 else (1, 2, 5)
    found = [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]
    return found if len(found) > 1 else [value for value in ticks(low, high) if value > 0]


def _heights(values: Sequence[float], y: Place, right: float) -> str:
    """Draw horizontal grid lines and their numbers."""
    return "".join(
        f"<path class='grid' d='M{LEFT:g} {place:.1f}H{right:g}'/>"
        f"<text x='{LEFT - GAP:g}' y='{place:.1f}' dy='.32em' text-anchor='end'>{text}</text>"
        for text, place in zip(numbers(values), y(np.array(values)), strict=True)
    )


def _places(values: Sequence[float], x: Place, floor: float) -> str:
    """Draw the numbers below the x axis."""
    return "".join(
        f"<text x='{place:.1f}' y='{floor + 14:g}' text-anchor='middle'>{text}</text>"
        for text, place in zip(numbers(values), x(np.array(values)), strict=True)
    )


def numbers(values: Sequence[float]) -> list[str]:
    """Write the labels of ticks: six digits, more where two would be alike; no trailing zeros, a typographic minus."""
    rounding = 1e-9 * max(map(abs, values), default=0.0)  # of 3 * 0.1 - 0.3: what should be 0
    exact = [0.0 if abs(value) <= rounding else value for value in values]
    digits = next((digits for digits in range(6, 16) if len({f"{v:.{digits}g}" for v in exact}) == len(exact)), 16)
    return [re.sub(r"e([+-])0*", r"e\1", f"{v:.{digits}g}").replace("e+", "e").replace("-", "−") for v in exact]


def _drawn(mark: Mark, x: Place, y: Place) -> str:
    if isinstance(mark, Band):
        return _band(mark, x, y)
    across, up = x(mark.x), y(mark.y)
    if isinstance(mark, Dots):
        points = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(across, up, strict=True) if np.isfinite(b))
        return f"<path class='dots {mark.style}' d='{points}'/>"
    return f"<path class='line {mark.style}' d='{''.join(_path(across[run], up[run]) for run in runs(up))}'/>"


def _band(mark: Band, x: Place, y: Place) -> str:
    across, low, high = x(mark.x), y(mark.low), y(mark.high)
    outlines = [
        _path(np.concatenate([across[run], across[run][::-1]]), np.concatenate([low[run], high[run][::-1]])) + "Z"
        for run in runs(low + high)
    ]
    return f"<path class='band {mark.style}' d='{''.join(outlines)}'/>"


def runs(values: np.ndarray) -> list[slice]:
    """Find the runs of consecutive finite values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.isfinite(values).astype(int), [0]])))
    return [slice(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _path(across: np.ndarray, up: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, up, strict=True))

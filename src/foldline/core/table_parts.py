"""Tables that are wider than the terminal: columns that stand side by side, the first one again before each part."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

AROUND = 3  # characters beside a cell: a space, a space and a line
LONGEST_WORD = 30  # of a column of text that is not broken


def parts(columns: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[bool], width: int) -> list[list[int]]:
    """Choose which columns stand side by side, as their places: all where they fit without breaking a number.

    Args:
        columns: (C,) their heads; rows: (C,) cells each.
        text: (C,) whether a column holds text, which may be broken between words; numbers may not.
        width: of the terminal, in characters.
    """
    every = list(range(len(columns)))
    cells = [[columns[place], *(row[place] for row in rows)] for place in every]
    longest = [max(map(cell_len, column)) for column in cells]
    least = [_least(column, of_text) for column, of_text in zip(cells, text, strict=True)]
    if 1 + sum(least) + AROUND * len(every) <= width or len(every) < 3:
        return [every]
    room = width - 1 - AROUND - min(longest[0], width // 2)
    found, left = [[0, 1]], room - longest[1] - AROUND
    for place in every[2:]:
        if longest[place] + AROUND > left:
            found.append([0])
            left = room
        found[-1].append(place)
        left -= longest[place] + AROUND
    return found


def _least(cells: Sequence[str], of_text: bool) -> int:
    """Compute how narrow a column may be, its head first."""
    head, *values = cells
    words = [word for cell in ([head, *values] if of_text else [head]) for word in cell.split()]
    narrow = max((min(cell_len(word), LONGEST_WORD) for word in words), default=0)
    return narrow if of_text else max([narrow, *map(cell_len, values)])

"""Tables as cells of text, and what may happen to them on their way through editors, spreadsheets and networks.

A sheet is a list of rows of texts, its header first. Every function that changes one returns what it did, in words; a
change that loses nothing is harmless, and a table with only such changes must be read.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Sheet = list[list[str]]
STEPS = 6  # rows of a series
Change = tuple[str, bool]  # what was done; whether a reader must still read it

TOKENS = (
    *("", " ", "  ", "NaN", "nan", "inf", "-inf", "Infinity", "null", "NULL", "NA", "None", "true", "False", "-", "+"),
    *(
        "0",
        "-0",
        "-0.0",
        "+5",
        "007",
        "1.0",
        "1.00",
        "1.50",
        "5.",
        ".5",
        "1e",
        "1e5",
        "1E-5",
        "1e400",
        "-1e400",
        "1e-400",
    ),
    *("1e308", "9007199254740993", "18446744073709551616", "0.1000000000000000055511151231257827", "1" * 400, "0x10"),
    *(
        "1_000",
        "1 000",
        "1,5",
        "1;5",
        "1.5.5",
        "--1",
        "1e5e5",
        "1d5",
        "5f",
        "1%",
        "$1",
        "'1'",
        "=1+1",
        "#N/A",
        "١٢",
        "１２",
    ),
    *('"', '""', 'a"b', '"a', 'a""b', "a\nb", "a\r\nb", "a,b", "\t5", "5\t", "\u00a05", "\u200b5", "\ufeff5", "5\x00"),
    *(
        "é",
        "e\u0301",
        "\U0001f6b2",
        "4.9406564584124654e-324",
        "2.2250738585072011e-308",
        "123456789012345678901234567890",
    ),
)
BYTES = (0, 9, 10, 13, 32, 34, 39, 44, 45, 46, 48, 57, 59, 92, 101, 124, 127, 128, 195, 239, 254, 255)


def changed(sheet: Sheet, draw: Random) -> Change:
    """Change a sheet in place in one way."""
    return draw.choice(CHANGES)(sheet, draw)


def _place(sheet: Sheet, draw: Random) -> tuple[int, int]:
    row = draw.randrange(1, len(sheet)) if len(sheet) > 1 else 0
    return row, draw.randrange(len(sheet[row]) or 1)


def put_token(sheet: Sheet, draw: Random) -> Change:
    """Put a text into one cell."""
    (row, column), token = _place(sheet, draw), draw.choice(TOKENS)
    sheet[row][column : column + 1] = [token]
    return f"cell {row},{column} = {token!r}", False


def pad_token(sheet: Sheet, draw: Random) -> Change:
    """Put a character before or behind the text of one cell."""
    (row, column), sign = _place(sheet, draw), draw.choice([" ", "\t", "\u00a0", "0", "+", "-", "'", '"', "e0", ".0"])
    before = draw.random() < 0.5
    sheet[row][column : column + 1] = [
        sign + text if before else text + sign for text in sheet[row][column : column + 1]
    ]
    return f"cell {row},{column} {'after' if before else 'before'} {sign!r}", False


def print_otherwise(sheet: Sheet, draw: Random) -> Change:
    """Print a number of one cell in another way, with all its digits."""
    row, column = _place(sheet, draw)
    try:
        number = float(sheet[row][column])
    except (ValueError, IndexError):
        return "nothing", True
    form = draw.choice(["{:.17e}", "{:.17g}", "{:+.17g}", "{:.25f}", "{:E}", "{:.40e}"])
    sheet[row][column] = form.format(number)
    return f"cell {row},{column} printed as {form}", False


def random_digits(sheet: Sheet, draw: Random) -> Change:
    """Put a number of many random digits into each cell of one column: rounding must be right."""
    column, count = draw.randrange(len(sheet[0])), draw.choice([15, 16, 17, 18, 19, 20, 30, 60])
    for row in sheet[1:]:
        digits = "".join(draw.choice("0123456789") for _ in range(count))
        power = draw.choice(["", f"e{draw.randrange(-330, 300)}", f"E+{draw.randrange(20)}"])
        row[column : column + 1] = [f"{draw.choice(['', '-'])}{draw.randrange(10)}.{digits}{power}"]
    return f"column {column}: {count} random digits", False


def swap_cells(sheet: Sheet, draw: Random) -> Change:
    """Swap two cells."""
    (row, column), (other, place) = _place(sheet, draw), _place(sheet, draw)
    if column < len(sheet[row]) and place < len(sheet[other]):
        sheet[row][column], sheet[other][place] = sheet[other][place], sheet[row][column]
    return f"cells {row},{column} and {other},{place} swapped", False


def drop_or_add_cell(sheet: Sheet, draw: Random) -> Change:
    """Drop a cell, or put one in: the row gets another length."""
    (row, column), add = _place(sheet, draw), draw.random() < 0.5
    sheet[row][column : column if add else column + 1] = ["7"] if add else []
    return f"cell {row},{column} {'added' if add else 'dropped'}", False


def drop_rows(sheet: Sheet, draw: Random) -> Change:
    """Drop some rows."""
    row, count = draw.randrange(1, len(sheet)) if len(sheet) > 1 else 1, draw.choice([1, 1, 2, 5])
    del sheet[row : row + count]
    return f"{count} rows dropped at {row}", False


def double_row(sheet: Sheet, draw: Random) -> Change:
    """Write a row twice, here or at the end."""
    row = draw.randrange(len(sheet))
    sheet.insert(draw.choice([row, len(sheet)]), list(sheet[row]))
    return f"row {row} doubled", False


def swap_rows(sheet: Sheet, draw: Random) -> Change:
    """Swap two rows."""
    one, other = draw.randrange(len(sheet)), draw.randrange(len(sheet))
    sheet[one], sheet[other] = sheet[other], sheet[one]
    return f"rows {one} and {other} swapped", False


def interleave(sheet: Sheet, draw: Random) -> Change:
    """Take rows from two halves in turn: series no longer stand together, and each keeps its order."""
    if "ride" not in sheet[0]:  # it was renamed: which rows belong together can't be told
        return "nothing", True
    place = sheet[0].index("ride")
    rides = list(dict.fromkeys(row[place] for row in sheet[1:] if place < len(row)))
    half = set(rides[: len(rides) // 2])
    first = [row for row in sheet[1:] if place < len(row) and row[place] in half]
    second, mixed = [row for row in sheet[1:] if place >= len(row) or row[place] not in half], sheet[:1]
    while first or second:
        take = first if first and (not second or draw.random() < 0.5) else second
        mixed.append(take.pop(0))
    sheet[:] = mixed
    return "rows of two halves of the rides taken in turn", True


def reorder_columns(sheet: Sheet, draw: Random) -> Change:
    """Write the columns in another order."""
    order = draw.sample(range(len(sheet[0])), len(sheet[0]))
    sheet[:] = [[row[column] for column in order if column < len(row)] for row in sheet]
    return f"columns in the order {order}", True


def double_column(sheet: Sheet, draw: Random) -> Change:
    """Write a column twice, under the same name or another one."""
    column, suffix = draw.randrange(len(sheet[0])), draw.choice(["", "", "_duplicated_0", " ", "2"])
    for number, row in enumerate(sheet):
        row += [text + (suffix if number == 0 else "") for text in row[column : column + 1]]
    return f"column {column} doubled with {suffix!r} behind its name", False


def rename_column(sheet: Sheet, draw: Random) -> Change:
    """Give a column another name."""
    column = draw.randrange(len(sheet[0]))
    old = sheet[0][column]
    new = draw.choice([old.upper(), f" {old}", f"{old} ", f'"{old}"', "", "*", f"^{old}$", draw.choice(sheet[0]), "é"])
    sheet[0][column] = new
    return f"column {old!r} renamed {new!r}", False


def rename_names(sheet: Sheet, draw: Random) -> Change:
    """Write every cell of one column in another way: names with a sign, zeros, spaces, a dot."""
    column, form = (
        draw.randrange(len(sheet[0])),
        draw.choice(["{}.0", " {}", "{} ", "0{}", "+{}", "x{}", "{}e0", "{}.50"]),
    )
    for row in sheet[1:]:
        row[column : column + 1] = [form.format(text) for text in row[column : column + 1]]
    return f"column {column} written as {form!r}", False


def same(sheet: Sheet, draw: Random) -> Change:
    """Change nothing: how it is written and packed is the fault then."""
    return "cells as they were", True


CHANGES: tuple[Callable[[Sheet, Random], Change], ...] = (
    *(put_token, put_token, put_token, pad_token, print_otherwise, random_digits, swap_cells, drop_or_add_cell),
    *(drop_rows, double_row, swap_rows, interleave, reorder_columns, double_column, rename_column, rename_names, same),
)


def plain(sheet: Sheet) -> bytes:
    """Write a sheet as CSV in the usual way."""
    return "".join(",".join(_quoted(text, ",", False) for text in row) + "\n" for row in sheet).encode()


def written(sheet: Sheet, draw: Random) -> tuple[bytes, Change]:
    """Write a sheet as CSV, in one of many ways."""
    odd = draw.random() < 0.15
    separator = draw.choice([";", "\t", "|", " ,", ", "]) if odd and draw.random() < 0.5 else ","
    end = "\r" if odd and separator == "," else draw.choice(["\n", "\n", "\r\n"])
    quotes, blank = draw.choice(["needed", "needed", "all"]), draw.random() < 0.05
    harmless = separator == "," and end != "\r" and not blank
    lines = [separator.join(_quoted(text, separator, quotes == "all") for text in row) for row in sheet]
    if blank:
        lines.insert(draw.randrange(len(lines) + 1), draw.choice(["", " ", ",", '""']))
    if len(sheet) > 1 and draw.random() < 0.05:
        end, harmless = "\n", False  # mixed line ends
        lines[draw.randrange(len(lines))] += draw.choice(["\r", " ", ",", "\t", "\x00", "\\", '"'])
    text = end.join(lines) + draw.choice([end, end, ""])
    mark = draw.random() < 0.1
    how = f"{separator!r}, ends {end!r}, quotes {quotes}{', blank line' if blank else ''}{', BOM' if mark else ''}"
    return (b"\xef\xbb\xbf" if mark else b"") + text.encode("utf-8", "surrogateescape"), (how, harmless)


def _quoted(text: str, separator: str, always: bool) -> str:
    if always or any(sign in text for sign in (separator.strip() or separator, '"', "\n", "\r")):
        return '"' + text.replace('"', '""') + '"'
    return text


def spoiled(raw: bytes, draw: Random) -> tuple[bytes, str]:
    """Change some bytes of a file."""
    count, place = draw.choice([1, 1, 2, 4, 30]), draw.randrange(len(raw) or 1)
    how = draw.choice(["flipped", "set", "cut", "deleted", "doubled", "inserted", "zeroed", "moved"])
    piece = raw[place : place + count]
    noise = bytes(draw.choice(BYTES) for _ in piece)
    replaced = {
        "flipped": bytes(byte ^ 1 << draw.randrange(8) for byte in piece),
        "set": noise,
        "cut": b"",
        "deleted": b"",
        "doubled": piece + piece,
        "inserted": noise + piece,
        "zeroed": bytes(len(piece)),
        "moved": piece[::-1],
    }[how]
    rest = b"" if how == "cut" else raw[place + count :]
    return raw[:place] + replaced + rest, f"{count} bytes at {place} {how} ({replaced[:8].hex()})"

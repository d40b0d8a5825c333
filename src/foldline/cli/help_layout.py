"""Help as wide as the terminal: sentences are filled, and what a command does stands below it where there is no room.

Texts are written 120 characters wide, and printed so where the output is no terminal.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap

ITEM = re.compile(r"  (?P<left>\S.*?)(?:\s{2,}(?P<right>\S.*))?$")  # a command or an option, and what it does
FURTHER = re.compile(r"\s{8,}(?P<right>\S.*)$")  # a second line of what it does
BELOW = 6  # spaces before what stands below its command
NARROWEST = 30  # characters a line in which what a command does can be read beside it


def printed(text: str) -> str:
    """Return help as it fits the terminal; as it is written where the output is none."""
    return fitted(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text


def fitted(text: str, width: int) -> str:
    """Fill sentences and lists of commands up to a width; commands themselves are never broken."""
    if max(map(len, text.splitlines())) <= width:
        return text
    return "\n\n".join(_block(block.splitlines(), width) for block in text.split("\n\n"))


def _block(lines: list[str], width: int) -> str:
    """Fit what stands between two empty lines: sentences, then a list, either of which may be missing."""
    first = next((place for place, line in enumerate(lines) if line.startswith(" ")), len(lines))
    made = textwrap.wrap(" ".join(lines[:first]), width, break_long_words=False, break_on_hyphens=False)
    items = list[tuple[str, str]]()
    for line in lines[first:]:
        if (more := FURTHER.match(line)) and items:
            left, right = items[-1]
            items[-1] = left, f"{right} {more['right']}".strip()
        elif item := ITEM.match(line):
            items.append((item["left"], item["right"] or ""))
    beside = 2 + max((len(left) for left, _ in items), default=0) + 2
    for left, right in items:
        indent = beside if beside + NARROWEST <= width else BELOW
        explained = textwrap.wrap(right, width - indent, break_long_words=False, break_on_hyphens=False)
        if indent == beside and explained:
            made.append(f"  {left}".ljust(beside) + explained.pop(0))
        else:
            made.append(f"  {left}")
        made += [" " * indent + line for line in explained]
    return "\n".join(made)

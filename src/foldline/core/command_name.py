"""What foldline was started as. Messages are written with `./run.sh`; whoever typed `foldline` reads that instead."""

from __future__ import annotations

import sys
from pathlib import Path

RUN_SH = "./run.sh"
SCRIPT = "foldline"  # of an installed package, pyproject.toml's [project.scripts]


def started_as() -> str:
    """Return the command: ./run.sh in a checkout, unless the installed script was typed there."""
    typed = Path(sys.argv[0]).name if sys.argv else ""
    in_checkout = (Path(__file__).parents[3] / "run.sh").is_file()
    return SCRIPT if typed == SCRIPT or not in_checkout else RUN_SH


def as_started(text: str) -> str:
    """Return a message with the command as it was started."""
    return text.replace(RUN_SH, started_as()) if RUN_SH in text else text

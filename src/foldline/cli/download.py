"""`download`: a competition's files from Kaggle, checked and unpacked."""

from __future__ import annotations

from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.output.kaggle import download
from foldline.output.kaggle.service import Service

FURNISHED = ("ventilator-pressure-prediction", "data/ventilator")  # the competition, and where configs/ look for it


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Fetch what is not there."""
    competition, *rest = arguments.words or [FURNISHED[0]]
    default = FURNISHED[1] if competition == FURNISHED[0] else f"data/{competition}"
    folder = Path(rest[0] if rest else default)
    service = Service(competition)
    terminal.say(f"{competition}: credentials from {service.source}")
    found = download.fetch(service, folder, quiet=terminal.silent)
    for difference in download.differences(folder):
        terminal.warn(difference)
    terminal.table("", ["file", "MB"], [[name, f"{size / 1e6:.1f}"] for name, size in sorted(found.items())])
    answer = {"competition": competition, "folder": str(folder.resolve()), "files": found}
    terminal.result(answer, f"{competition}: {len(found)} files in {folder}")
    return 0

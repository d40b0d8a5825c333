"""Where a competition's files lie: the folder or archive that the config names, or a simulated one, made here."""

from __future__ import annotations

import importlib
from pathlib import Path

from foldline.core import artefacts, files
from foldline.data import known_start
from foldline.data.roles import DataConfig


def of(data: DataConfig) -> Path:
    """Return where the competition's files lie; a simulated one is made first.

    Its folder is named after its sizes, its seed and the simulator's code, and is made only once.
    """
    if not data.simulated:
        return Path(data.source).expanduser()
    size = data.simulate
    code = simulator_code(size.competition)[:8]
    name = f"{size.stem}-{code}"
    folder = files.runs() / "data" / (f"{name}-observed{data.observed}" if data.observed else name)
    from gestures import simulator as gestures
    from ventilator import simulator as ventilator

    def write(draft: Path) -> None:
        if size.competition == "gestures":
            gestures.write_competition(draft, series=size.breaths, test_series=size.test_breaths, seed=size.seed)
            return
        truth = bool(data.observed)
        ventilator.write_competition(
            draft, breaths=size.breaths, test_breaths=size.test_breaths, seed=size.seed, truth=truth
        )
        if data.observed:
            known_start.reveal(draft, data)

    artefacts.make_folder(folder, write)
    return folder


def simulator_code(competition: str = "ventilator") -> str:
    """Hash a simulator's source and parameters. competition: the name of its package."""
    package = importlib.import_module(competition)
    code = sorted(Path(package.__path__[0]).glob("*.*"))
    return files.digest([path.read_text(encoding="utf-8") for path in code if path.suffix in (".py", ".toml")])

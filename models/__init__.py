"""Registry of the models, and the files each one's weights depend on.

A Config's `kind` says how a model is fitted: a "network" is made with (config, features, levels, Targets) and answers
with a body's output and a `head`; one on "rows" has the methods of `lightgbm.LightGBM`. Leaves of the project: nothing
here knows the engine.
"""

from pathlib import Path
from typing import Any

from models import attention, base, hybrid, initial, lightgbm, winner
from models.base import Part
from models.heads import auxiliary, linear

MODELS: dict[str, Part] = {
    "hybrid": Part(hybrid.Config, hybrid.Hybrid),
    "lightgbm": Part(lightgbm.Config, lightgbm.LightGBM),
    "winner": Part(winner.Config, winner.Winner),
}


def source_of(name: str, params: dict[str, Any]) -> list[Path]:
    """The files whose text a model's weights depend on: its own, those of the parts it uses, and what all share."""
    part = MODELS[name]
    used = {part.source}
    for field, registry in part.config.parts.items():
        tables = params.get(field, getattr(part.config(), field))
        used |= {registry[table["kind"]].source for table in ([tables] if isinstance(tables, dict) else tables)}
    if part.config.kind == "network":
        used |= {Path(str(module.__file__)) for module in (attention, base, initial, auxiliary, linear)}
    return sorted(used)

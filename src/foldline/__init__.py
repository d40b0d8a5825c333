"""foldline: the engine. Everything it does is a map over cells, or a reduction of what they leave (docs/design.md).

    import foldline as fl

    run = fl.train("rides.toml", train={"epochs": 5})
    run.scores, run.oof, run.submission, run.report
    fl.load("rides").predict(frame)

The verbs are imported when they are asked for: `import foldline` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foldline.api.ablate import Ablation, ablate
    from foldline.api.audit import Audit, audit
    from foldline.api.blend import BlendRun, blend
    from foldline.api.decode import Decoded, decode
    from foldline.api.estimate import Estimated, estimate
    from foldline.api.live import live
    from foldline.api.load import load
    from foldline.api.page import Page
    from foldline.api.results import Run, Scored
    from foldline.api.simulate import Simulated, simulate
    from foldline.api.study import Study, study
    from foldline.api.train import train
    from foldline.api.tune import Tuning, tune
    from foldline.core.errors import Error
    from foldline.serve import Predictor

__version__ = "0.1.0"

_PLACES = {  # name -> module that has it
    "Error": "foldline.core.errors",
    **dict.fromkeys(("train",), "foldline.api.train"),
    **dict.fromkeys(("blend", "BlendRun"), "foldline.api.blend"),
    **dict.fromkeys(("tune", "Tuning"), "foldline.api.tune"),
    **dict.fromkeys(("ablate", "Ablation"), "foldline.api.ablate"),
    **dict.fromkeys(("study", "Study"), "foldline.api.study"),
    **dict.fromkeys(("audit", "Audit"), "foldline.api.audit"),
    **dict.fromkeys(("decode", "Decoded"), "foldline.api.decode"),
    **dict.fromkeys(("estimate", "Estimated"), "foldline.api.estimate"),
    **dict.fromkeys(("simulate", "Simulated"), "foldline.api.simulate"),
    **dict.fromkeys(("Run", "Scored"), "foldline.api.results"),
    "Page": "foldline.api.page",
    "live": "foldline.api.live",
    "load": "foldline.api.load",
    "Predictor": "foldline.serve",
}

__all__ = [
    "Ablation",
    "Audit",
    "BlendRun",
    "Decoded",
    "Error",
    "Estimated",
    "Page",
    "Predictor",
    "Run",
    "Scored",
    "Simulated",
    "Study",
    "Tuning",
    "ablate",
    "audit",
    "blend",
    "decode",
    "estimate",
    "live",
    "load",
    "simulate",
    "study",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Registry of the models, and the files each one's weights depend on.

A Config's `kind` is how a model is fitted: a "network" is made with (config, features, levels, Targets), and with the
names of the features where its class says `takes_names`, and has a body's `forward` and a `head`; one on "rows" is one
of `ops.boosting.BoostedTrees`, one on whole "series" is an `ops.series_model.SeriesModel`, an "estimator" of open rows
those of `smoother.Smoother`. `shares`, where the Config of a model or a block has it, names further files of this
folder that it is made of. Nothing here imports the engine.
"""

from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from foldline.models import contract, packing
from foldline.models.contract import Part
from foldline.models.heads import HEADS, auxiliary, joint, linear
from foldline.models.ops import attention, initialisation, pooling
from foldline.models.systems import (
    autoregressive_wavenet,
    branches,
    catboost,
    catboost_config,
    deepar,
    esrnn,
    first_place,
    hybrid,
    hydra,
    lightgbm,
    lightgbm_config,
    nhits,
    patchtst,
    quant,
    rocket,
    seq2seq,
    smoother,
    tft,
    tft_config,
    third_place,
    xgboost,
    xgboost_config,
)

MODELS: dict[str, Part] = {
    "branches": Part(branches.Config, branches.Branches),
    "catboost": Part(catboost_config.Config, catboost.CatBoost),
    "deepar": Part(deepar.Config, deepar.DeepAR),
    "esrnn": Part(esrnn.Config, esrnn.ESRNN),
    "first_place": Part(first_place.Config, first_place.FirstPlace),
    "hybrid": Part(hybrid.Config, hybrid.Hybrid),
    "hydra": Part(hydra.Config, hydra.Hydra),
    "lightgbm": Part(lightgbm_config.Config, lightgbm.LightGBM),
    "nhits": Part(nhits.Config, nhits.NHiTS),
    "patchtst": Part(patchtst.Config, patchtst.PatchTST),
    "quant": Part(quant.Config, quant.Quant),
    "rocket": Part(rocket.Config, rocket.Rocket),
    "seq2seq": Part(seq2seq.Config, seq2seq.Seq2Seq),
    "smoother": Part(smoother.Config, smoother.Smoother),
    "tft": Part(tft_config.Config, tft.TFT),
    "third_place": Part(third_place.Config, third_place.ThirdPlace),
    "wavenet": Part(autoregressive_wavenet.Config, autoregressive_wavenet.AutoregressiveWaveNet),
    "xgboost": Part(xgboost_config.Config, xgboost.XGBoost),
}


def source_of(name: str, params: dict[str, Any]) -> list[Path]:
    """Return the files whose text a model's weights depend on: its own, those of its parts, and the shared ones."""
    part = MODELS[name]
    used, shared = {part.source}, set(getattr(part.config, "shares", ()))
    for field, registry in part.config.parts.items():
        tables = params.get(field, getattr(part.config(), field))
        inner = [registry[table["kind"]] for table in _tables_in(tables)]
        used |= {each.source for each in inner}
        shared.update(*(getattr(each.config, "shares", ()) for each in inner))
        if isinstance(tables, dict) and joint.KEY in tables:
            used |= {HEADS[entry["kind"]].source for entry in tables[joint.KEY]} | {Path(str(joint.__file__))}
    if part.config.kind == "network":
        used |= {
            Path(str(module.__file__))
            for module in (attention, contract, initialisation, packing, pooling, auxiliary, linear)
        }
    used |= {Path(__file__).parent / f"{name}.py" for name in shared}
    return sorted(used)


def _tables_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the tables of blocks or of a head that lie in a field of a Config, also inside other tables."""
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict) and "kind" in value:
        yield value
        return
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _tables_in(inner)

"""configs/ablate-tft.toml: the five published ablations of the TFT, each the whole network without one part."""

from __future__ import annotations

from pathlib import Path

from foldline.evidence.ablation import ablation_file
from foldline.fit import network_build
from foldline.models.contract import Targets
from foldline.models.systems.tft import TFT

PARTS = ("gating", "static_encoders", "selection", "attention", "recurrence")


def test_each_variant_switches_off_one_part_and_can_be_made(home: Path) -> None:
    ablation = ablation_file.load(Path("ablate-tft"), [])
    assert [model.name for model in ablation.base.models] == ["tft"]
    assert all(ablation.base.models[0].params[part] for part in PARTS)
    assert len(ablation.variants) == len(PARTS)
    for part, variant in zip(PARTS, ablation.variants, strict=True):
        (model,) = variant.config.models
        assert [name for name in PARTS if not model.params[name]] == [part]
        network = network_build.build("tft", model.params, 6, (3, 3), Targets(count=1))
        assert isinstance(network, TFT)

"""[data.simulate]: which competition is simulated, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """[data.simulate]: the simulated competition that is used where there is no data, and its size."""

    competition: Literal["ventilator", "gestures"] = "ventilator"  # a number at each step; a class of each series
    breaths: int = 1500  # labelled series
    test_breaths: int = 300  # series of the test file
    seed: int = 0

    @property
    def title(self) -> str:
        """Say what the data are: simulated ventilator, 1,500 breaths, seed 0."""
        unit = "breaths" if self.competition == "ventilator" else "series"
        return f"simulated {self.competition}, {self.breaths:,} {unit}, seed {self.seed}"

    @property
    def stem(self) -> str:
        """Return what names of its folder and of its fold files begin with."""
        kind = "" if self.competition == "ventilator" else f"{self.competition}-"
        return f"simulated-{kind}{self.breaths}-{self.test_breaths}-seed{self.seed}"

    def __post_init__(self) -> None:
        if self.breaths < 1 or self.test_breaths < 1:
            raise ValueError(
                f"breaths and test_breaths must be at least 1, but are {self.breaths}, {self.test_breaths}"
            )

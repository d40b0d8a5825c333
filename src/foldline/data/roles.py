"""[data]: which column plays which role, and where the files lie."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """[data.simulate]: the size of the simulated competition, which is used where there is no data."""

    breaths: int = 1500  # labelled series
    test_breaths: int = 300  # series of the test file
    seed: int = 0

    def __post_init__(self) -> None:
        if self.breaths < 1 or self.test_breaths < 1:
            raise ValueError(
                f"breaths and test_breaths must be at least 1, but are {self.breaths}, {self.test_breaths}"
            )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """[data]: which column plays which role, and where the files are."""

    id: str  # names a row in the submission
    key: str  # names the series a row belongs to; never split across folds
    order: str  # time inside the series, strictly increasing (s for the ventilator)
    target: tuple[str, ...]  # to be predicted at every scored step; one submission column each
    inputs: tuple[str, ...]  # known at every step, of test series too
    static: tuple[str, ...] = ()  # constant inside a series, categorical
    scored: str = ""  # SQL condition on the columns above that says which rows count; empty: all
    metric: str = "mae"  # "mae", "mse", "rmse"; over all targets alike, and the default loss of models follows it
    # Leading steps of every series, of test series too, at which all targets are known; they are not scored. It is one
    # way to fill the mask `known` of (row, target): see known_start.py.
    observed: int = 0
    source: str = "simulate"  # "simulate", a folder, or a zip with train, test and sample_submission in it
    simulate: SimulateConfig = field(default_factory=SimulateConfig)

    def __post_init__(self) -> None:
        names = [self.id, self.key, self.order, *self.target, *self.inputs, *self.static]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"a column has one role, but {', '.join(twice)} is named more than once")
        if not self.target or not self.inputs:
            raise ValueError("target and inputs must each name at least one column")
        if self.observed < 0:
            raise ValueError(f"observed must be a number of steps, not below 0, but is {self.observed}")

    @property
    def simulated(self) -> bool:
        """Whether the data are simulated, not read from a folder or zip."""
        return self.source == "simulate"

    def roles(self) -> dict[str, object]:
        """Return what a model's weights depend on: never where the files lie."""
        names = ("key", "order", "target", "inputs", "static", "scored")
        values = {name: getattr(self, name) for name in (*names, *(["observed"] if self.observed else []))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

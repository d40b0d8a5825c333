"""[data]: which column plays which role, and where the files lie."""

from __future__ import annotations

from dataclasses import dataclass, field

FOLD = "fold"  # column of a fold file, beside the key
HELPERS = ("__series__", "__step__", "__length__")  # columns that features are computed with (features/family.py)


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
    static: tuple[str, ...] = ()  # constant inside a series, categorical; "1.1" and "1.10" are two values
    scored: str = ""  # SQL condition on a row's own key, order, inputs and static: which rows count; empty: all
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
        self._check_names(names)
        if self.observed < 0:
            raise ValueError(f"observed must be a number of steps, not below 0, but is {self.observed}")

    def _check_names(self, names: list[str]) -> None:
        """Refuse names that polars, a fold file or the features' helper columns read as something else."""
        for name in names:
            if not name or name == "*" or (name.startswith("^") and name.endswith("$")):
                raise ValueError(
                    f"a column can't be called {name!r}: it is empty or reads as a pattern. Rename it in the files"
                )
            if name in HELPERS:
                raise ValueError(f"a column can't be called {name!r}: the features have a column of their own by it")
        if self.key == FOLD:
            raise ValueError(
                f"key can't be {FOLD!r}: a fold file has a column of its own by it. Rename the column in the files"
            )
        quoted = [name for name in (self.id, self.key, *self.target) if '"' in name or "\n" in name]
        if quoted:
            raise ValueError(
                f"id, key and target are written to files, so that no name of them can hold a quote or a line's end, "
                f"but {quoted[0]!r} does. Rename the column in the files"
            )

    @property
    def simulated(self) -> bool:
        """Whether the data are simulated, not read from a folder or zip."""
        return self.source == "simulate"

    def roles(self) -> dict[str, object]:
        """Return what a model's weights depend on: never where the files lie."""
        names = ("key", "order", "target", "inputs", "static", "scored")
        values = {name: getattr(self, name) for name in (*names, *(["observed"] if self.observed else []))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

"""The keys of [data] and what they say together; roles.py has what is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from foldline.data.auxiliary import AuxiliaryTarget
from foldline.data.forecast_config import KNOWN, OF_SERIES, ForecastConfig
from foldline.data.join_tables import JoinConfig
from foldline.data.metrics.options import MetricOptions
from foldline.data.name_template import NameTemplate
from foldline.data.resample_config import ResampleConfig
from foldline.data.simulate_config import SimulateConfig
from foldline.data.windows import WindowCutsConfig

WHOLE = "whole "  # what the group of windows is called by, with the key: the long series that they are cut of


@dataclass(frozen=True, kw_only=True)
class DataKeys:
    """The keys of [data]; those that may be left out have their default here, or in DataConfig.__post_init__."""

    # Column of the submission that names its rows, and of test; train needs none. At the levels "series" and "window"
    # the key, if left out.
    id: str = ""
    # Makes ids where train and test have no such column: "{ride}_{second}". In braces stand a column, `step` (the row's
    # number in its series, from 0), `target` (the name of a prediction's column), or SQL on these: "{first_id + step}".
    id_template: str = ""
    id_file: str = ""  # file (without its ending) with the ids that stand for such names: two columns, one called as id
    # Makes the name of the submission's column for a prediction, where it is not the target's: "Visits",
    # "{target}_vote"; "F{step + 1}" where a series is one row and has a column a step. As id_template does.
    column_template: str = ""
    key: str  # names the series a row belongs to; never split across folds
    order: str  # time inside the series, strictly increasing (s for the ventilator)
    target: tuple[str, ...]  # to be predicted: one column, or several alike
    # Whether the sample submission has columns, or rows, of other targets, too, which are left out: the experiment of
    # one [[target]] of several has it true. What it predicts is then part of a submission only.
    partial: bool = False
    # An answer at every scored step, one a series, or one a window: a series of test, and a cut-out of one of train.
    level: Literal["step", "series", "window"] = "step"
    windows: WindowCutsConfig = field(default_factory=WindowCutsConfig)  # how training series are cut into windows
    # What a target is: numbers; a label of two classes, of several, of several that have an order; several columns of
    # 0 and 1; several columns of shares or votes.
    kind: Literal["regression", "binary", "multiclass", "multilabel", "ordinal", "distribution"] = "regression"
    # The scale that numbers are learned on (fit/target_transform.py); scores and submissions keep the target's own.
    target_transform: Literal["", "log1p", "standardise", "log1p-standardise", "rank"] = ""
    classes: tuple[str, ...] = ()  # labels in their order: ordinal from low to high, binary the one that is meant last
    auxiliary: tuple[AuxiliaryTarget, ...] = ()  # further targets of the training table, only learned beside the target
    # A step at which a target is missing, in a series that has targets: a mistake; or a step that is not scored.
    missing_targets: Literal["refused", "unscored"] = "refused"
    labels: str = ""  # file (without its ending) with key and target of the training series, where train has no target
    inputs: tuple[str, ...]  # known at every step, of test series too; none are needed where a start is known
    static: tuple[str, ...] = ()  # constant inside a series: categories ("1.1" and "1.10" are two), or many numbers
    static_numeric: tuple[str, ...] = ()  # static columns that are numbers, not categories, however few their values
    categorical: tuple[str, ...] = ()  # inputs of text or codes; static columns of numbers that are codes, however many
    # What stands for a missing value in the files, beside empty cells and nan: [-1, "NA"] in each input, or a list for
    # each of some inputs, {tof = [-1]}. Missing inputs stay missing for trees; networks see them by train.fill.
    missing_values: dict[str, tuple[str | float, ...]] | tuple[str | float, ...] = ()
    # Inputs of one sensor, by its name, {tof = ["tof_1", "tof_2"]}: all of them may be absent in a series, perhaps of
    # test only. Each has a channel missing(x), also where training is complete; see train.augment.drop_channels.
    channels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    resample: ResampleConfig | None = None  # to steps of equal duration, where a series has one answer
    first: int = 0  # of each series only so many steps from its start, after resampling; 0: all. One answer a series
    last: int = 0  # likewise up to its end
    # What several series have in common (a subject, a patient): constant inside a series, never split. Windows of one
    # long series are a group, if it is left out.
    group: str = ""
    scored: str = ""  # SQL condition on a row's own key, order, inputs and static: which rows count; empty: all
    answer: Literal["", "label", "probability"] = ""  # what is submitted for one label; empty: what the metric needs
    weight: str = ""  # column of the training table: how much an answer counts, in training and in the metric
    # The competition's, by its name or as its own file, "metric.py"; the default loss follows it. Empty: "mae".
    metric: str = ""
    metric_options: MetricOptions = field(default_factory=MetricOptions)  # how it averages, and its parameters
    higher_is_better: bool | None = None  # of a metric file; left out: the file says it itself
    metric_arguments: dict[str, Any] = field(default_factory=dict)  # keywords of a metric file's score
    metric_columns: tuple[str, ...] = ()  # of the training table, for a metric file to find in its solution
    metric_folder: str = ""  # where the metric file lies; empty: beside the config, else in FOLDLINE_HOME
    # Leading steps of every series, of test series too, at which all targets are known; they are not scored. It is one
    # way to fill the mask `known` of (row, target): see known_start.py. Or a column of both tables that says how many.
    observed: int | str = 0
    # Columns of test, one a target, with the target at the steps where it is known, anywhere in a series, and nothing
    # elsewhere: ["speed"]. Such steps are not scored. Train may have them, too; else, or where they are the target's
    # own, its known steps are drawn like those of test series: see known_values.py.
    known: tuple[str, ...] = ()
    forecast: ForecastConfig = field(
        default_factory=ForecastConfig
    )  # test is the future of the series in train: see forecast.py
    source: str = "simulate"  # "simulate", a folder, or a zip with train, test and sample_submission in it
    # Which files in source a table is made of: a name without its ending, the path of a file or of a folder of Parquet
    # parts, or a pattern: `*`, `**` and `?`, and `{name}` for a text that becomes a column, "train/{series}.csv".
    train: str = "train"
    test: str = "test"  # likewise
    sample: str = "sample_submission"  # likewise; where it is a Parquet file, so are submissions
    join: tuple[JoinConfig, ...] = ()  # tables whose columns are joined to train and test
    # Columns of train and test under a second name, {day = "date"}: a column has one role, its copy may have another.
    copies: dict[str, str] = field(default_factory=dict)
    code: str = ""  # "competition.py": functions for what no config says; see docs/how-to/layouts.md
    code_folder: str = ""  # where that file lies; empty: beside the config, else in FOLDLINE_HOME
    simulate: SimulateConfig = field(default_factory=SimulateConfig)

    @property
    def templates(self) -> tuple[NameTemplate, NameTemplate]:
        """How ids are made, and the columns of the submission; empty ones where the config gives none."""
        return NameTemplate(self.id_template), NameTemplate(self.column_template)

    @property
    def naming(self) -> tuple[str, ...]:
        """List the columns that only templates need; `step` stands for the row's number in its series."""
        roles = {self.key, self.order, *self.inputs, *self.static} | ({self.id} if not self.id_template else set())
        return tuple(name for name in self.template_columns if name not in roles)

    @property
    def template_columns(self) -> tuple[str, ...]:
        """List the columns that templates read, each once."""
        return tuple(dict.fromkeys(name for template in self.templates for name in template.columns))

    @property
    def has_start(self) -> bool:
        """Whether the target is known at the first steps of series, in test tables too."""
        return bool(self.observed) or self.forecast.on

    @property
    def scales_by_start(self) -> bool:
        """Whether targets are learned on a scale that is taken from the known steps of their series."""
        return self.target_transform.endswith("standardise")

    @property
    def known_column(self) -> str:
        """The column that says how many these are, where that differs by series; empty: there is none."""
        return KNOWN if self.forecast.on else self.observed if isinstance(self.observed, str) else ""

    @property
    def group_column(self) -> str:
        """The column of what folds hold together: of a forecast the series of a window, unless it has a group."""
        return self.group or (OF_SERIES if self.forecast.on else "")

    @property
    def auxiliary_columns(self) -> tuple[str, ...]:
        """Columns of all auxiliary targets."""
        return tuple(name for each in self.auxiliary for name in each.target)

    @property
    def simulated(self) -> bool:
        """Whether the data are simulated, not read from a folder or zip."""
        return self.source == "simulate"

    @property
    def code_path(self) -> Path | None:
        """The file of functions for this competition; None: there is none."""
        return Path(self.code_folder, self.code) if self.code else None

    @property
    def shortens(self) -> bool:
        """Whether series have fewer steps than their files have rows (resample.py)."""
        return self.resample is not None or self.first > 0 or self.last > 0

    @property
    def on_series(self) -> bool:
        """Whether there is one answer a series: at the level "window" each window is one."""
        return self.level != "step"

    @property
    def answers_called(self) -> str:
        """Name in the plural what has an answer each."""
        return {"step": "rows", "series": "series", "window": "windows"}[self.level]

    @property
    def level_inside(self) -> Literal["step", "series"]:
        """The level of tables and stores, whose windows are cut: "series" for "window"."""
        return "series" if self.on_series else "step"

    @property
    def named_group(self) -> str:
        """The group that the config names: empty where windows are held together by their series alone.

        Folds by time hold such windows apart by when they are; they need not leave out the whole series.
        """
        return "" if self.groups_windows else self.group

    @property
    def groups_windows(self) -> bool:
        """Whether the group of a window is the long series that it was cut of, because no column is named."""
        return self.level == "window" and self.group == WHOLE + self.key

    @property
    def units(self) -> str:
        """Name in the plural what is drawn at random for intervals: whole groups where there are any, else series."""
        return f"{self.group}s" if self.group else "series"

    @property
    def has_metric_file(self) -> bool:
        """Whether the metric is the competition's own file."""
        return self.metric.endswith(".py")

    @property
    def numeric_inputs(self) -> tuple[str, ...]:
        """Inputs that are numbers."""
        return tuple(name for name in self.inputs if name not in self.categorical)

    @property
    def categorical_inputs(self) -> tuple[str, ...]:
        """Inputs that are categories."""
        return tuple(name for name in self.inputs if name in self.categorical)

    @property
    def markers(self) -> dict[str, tuple[str | float, ...]]:
        """What stands for a missing value in each input that has any such."""
        if isinstance(self.missing_values, dict):
            return self.missing_values
        return dict.fromkeys(self.numeric_inputs, self.missing_values) if self.missing_values else {}

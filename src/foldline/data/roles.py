"""[data]: which column plays which role, and where the files lie."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from foldline.core import strict_tables
from foldline.data import column_names, file_patterns
from foldline.data.auxiliary import ONE, AuxiliaryTarget, check_columns
from foldline.data.forecast_config import KNOWN, OF_SERIES, ForecastConfig
from foldline.data.join_tables import PART, JoinConfig
from foldline.data.metrics.options import FileChoice, MetricChoice, MetricOptions
from foldline.data.name_template import STEP, NameTemplate
from foldline.data.resample_config import ResampleConfig
from foldline.data.windows import WindowsConfig

WHOLE = "whole "  # what the group of windows is called by, with the key: the long series that they are cut of

# Keys that older versions did not have.
NEWER = (
    "observed",
    "level",
    "kind",
    "classes",
    "group",
    "weight",
    "metric_columns",
    "auxiliary",
    "missing_values",
    "static_numeric",
    "categorical",
    "resample",
    "first",
    "last",
    "channels",
    "forecast",
)


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


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """[data]: which column plays which role, and where the files are."""

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
    windows: WindowsConfig = field(default_factory=WindowsConfig)  # how training series are cut into windows
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
    forecast: ForecastConfig = field(
        default_factory=ForecastConfig
    )  # test is the future of the series in train: see forecast.py
    source: str = "simulate"  # "simulate", a folder, or a zip with train, test and sample_submission in it
    # Which files in source a table is made of: a name without its ending, the path of a file or of a folder of Parquet
    # parts, or a pattern: `*`, `**` and `?`, and `{name}` for a text that becomes a column, "train/{series}.csv".
    train: str = "train"
    test: str = "test"  # likewise
    sample: str = "sample_submission"  # likewise
    join: tuple[JoinConfig, ...] = ()  # tables whose columns are joined to train and test
    # Columns of train and test under a second name, {day = "date"}: a column has one role, its copy may have another.
    copies: dict[str, str] = field(default_factory=dict)
    code: str = ""  # "competition.py": functions for what no config says; see docs/how-to/layouts.md
    code_folder: str = ""  # where that file lies; empty: beside the config, else in FOLDLINE_HOME
    simulate: SimulateConfig = field(default_factory=SimulateConfig)

    def __post_init__(self) -> None:
        if not self.key or not self.order:
            raise ValueError("key and order must each name a column")
        self._check_task()
        self._check_layout()
        self._check_templates()
        names = [self.id] if self.id != self.key else []
        names += [self.key, self.order, *self.target, *self.inputs, *self.static]
        names += self.auxiliary_columns
        names += [self.group] if self.group and self.group not in self.static else []
        names += [self.weight] if self.weight and self.weight not in self.inputs else []
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"a column has one role, but {', '.join(twice)} is named more than once: give it a second name by "
                f'copies = {{{twice[0]}_too = "{twice[0]}"}}, and one of the roles to that'
            )
        if not self.target:
            raise ValueError("target must name at least one column")
        if not (self.inputs or self.has_start):
            raise ValueError(
                "inputs must name at least one column; only a forecast ([data.forecast]) or a known start (observed) "
                "does without"
            )
        column_names.check([*names, *self.metric_columns])
        column_names.check_written(self.key, (self.id, self.key, *self.target))
        self._check_values()
        self._check_steps()
        self._check_metric_file()

    def _check_task(self) -> None:
        """Refuse a level, a kind and columns that don't go together."""
        if not self.id:
            if self.level == "step":
                raise ValueError(
                    'id must name the column of row ids; only with level = "series" may it be left out, or "window"'
                )
            object.__setattr__(self, "id", self.key)
        if self.id == self.key and self.level == "step" and not self.column_template:
            raise ValueError(
                'id can only be the key where a series has one row in the submission: with level = "series" or '
                '"window", or with columns of steps (column_template)'
            )
        check_columns(self.kind, self.target, self.classes)
        if not self.metric:
            if self.kind != "regression":
                raise ValueError(f"metric must be given for kind = {self.kind!r}")
            object.__setattr__(self, "metric", "mae")
        if self.answer and self.kind not in ONE:
            raise ValueError(f"answer is for one label, but kind is {self.kind!r}: leave it out")
        self._check_start()
        self._check_transform()
        self._check_windows()
        if self.labels and not self.on_series:
            raise ValueError('labels is a file with one row a series: it needs level = "series"')
        if self.scored and self.on_series:
            raise ValueError(f'scored says which steps count: with level = "{self.level}" leave it out')
        if self.missing_targets == "unscored" and self.on_series:
            raise ValueError(f'missing_targets is about steps: with level = "{self.level}" leave it out')

    def _check_windows(self) -> None:
        """Refuse windows without their level, and a level without windows; name the group that they are in."""
        if self.level != "window":
            if self.windows != WindowsConfig():
                raise ValueError('windows are cut with level = "window": set it, or leave [data.windows] out')
            return
        if not self.windows.length:
            raise ValueError(
                'level = "window" needs the rows of a window, those of a test series: [data.windows] length = 1000'
            )
        if self.windows.file and self.labels:
            raise ValueError("windows.file has the answers: leave labels out")
        named = (self.key, *self.target, *self.auxiliary_columns, self.group, self.weight)
        if self.windows.offset and self.windows.offset in named:
            raise ValueError(
                f"windows.offset must be a column of its own, but {self.windows.offset!r} has another role"
            )
        self.windows.check_kind(self.kind)
        for each in self.auxiliary:
            self.windows.check_kind(each.kind)
        if not self.group:
            object.__setattr__(self, "group", WHOLE + self.key)

    def _check_start(self) -> None:
        """Refuse a known start of no steps, of what is no number at each step, and two that say how long it is."""
        if isinstance(self.observed, int) and self.observed < 0:
            raise ValueError(f"observed must be a number of steps, not below 0, but is {self.observed}")
        if self.has_start and (self.level != "step" or self.kind != "regression"):
            name = "forecast" if self.forecast.on else "observed"
            raise ValueError(f"{name} is for numbers at every step: leave it out")
        if self.forecast.on and self.observed:
            raise ValueError("forecast says which steps are known: leave observed out")

    def _check_values(self) -> None:
        """Refuse columns of numbers and of categories that are none, or both."""
        column_names.check_among("static_numeric", self.static_numeric, self.static, "static columns")
        known = (*self.inputs, *self.static)
        column_names.check_among("categorical", self.categorical, known, "inputs or static columns")
        both = sorted(set(self.static_numeric) & set(self.categorical))
        if both:
            raise ValueError(f"a static column is a number or a category, but {both[0]!r} is named as both")
        of_channels = [name for columns in self.channels.values() for name in columns]
        column_names.check_among("channels", tuple(of_channels), self.inputs, "inputs")
        twice = sorted({name for name in of_channels if of_channels.count(name) > 1})
        if twice or not all(self.channels.values()):
            what = f"{twice[0]!r} is in several" if twice else "one has none"
            raise ValueError(f"channels are groups of inputs, each input in one of them at most, but {what}")
        if isinstance(self.missing_values, dict):
            named = tuple(self.missing_values)
            column_names.check_among("missing_values", named, self.numeric_inputs, "inputs that are numbers")

    def _check_steps(self) -> None:
        """Refuse resampling and crops where each step has an answer of its own, and of columns that are no inputs."""
        given = [name for name in ("resample", "first", "last") if getattr(self, name)]
        if given and not self.on_series:
            raise ValueError(
                f"{given[0]} leaves a series fewer steps than its file has rows, but with level = 'step' each of these "
                "has its answer: it needs level = 'series' or 'window'"
            )
        if min(self.first, self.last) < 0 or (self.first and self.last):
            raise ValueError(
                f"first and last are numbers of steps, one of them, but they are {self.first} and {self.last}"
            )
        if self.resample is not None:
            column_names.check_among(
                "resample.summary", tuple(self.resample.summary), self.numeric_inputs, "inputs that are numbers"
            )

    def _check_layout(self) -> None:
        """Refuse patterns that read two ways, and joins on columns that can't be named."""
        for text in (self.source, self.labels, self.metric, self.code):
            file_patterns.check_length(text)
        for text in (self.train, self.test, self.sample, *(join.file for join in self.join)):
            if not text:
                raise ValueError("train, test and sample must name files")
            file_patterns.check(text.replace(PART, "train"))
        column_names.check([name for join in self.join for name in join.keys])
        column_names.check([*self.copies, *self.copies.values()])
        second = next((name for name in self.copies.values() if name in self.copies), None)
        if second is not None:
            raise ValueError(f"copies give columns of the files a second name, but {second!r} is such a name itself")
        if self.code and not self.code.endswith(".py"):
            raise ValueError(f"code is a Python file, such as competition.py, but is {self.code!r}")
        if self.code_folder and not self.code:
            raise ValueError("code_folder says where the file of code lies, but there is no code: leave it out")

    def _check_templates(self) -> None:
        """Refuse templates of ids and columns that can't be read, or don't tell predictions apart."""
        ids, columns = self.templates
        if self.id_template and not (ids.columns or ids.names_target):
            raise ValueError(f"id_template must name a column in braces, but is {self.id_template!r}")
        if self.id_template and self.id == self.key:
            raise ValueError("id_template makes ids, but id is the key: name the submission's own column of ids as id")
        if self.id_file and not self.id_template:
            raise ValueError("id_file gives the ids of names that id_template makes: give that, too")
        if ids.names_target and (not self.column_template or columns.names_target):
            raise ValueError(
                "id_template names {target}, so that all predictions stand in one column of the submission: name it "
                "as column_template"
            )
        several = len(self.target) > 1 and self.column_template
        if several and not (ids.names_target or columns.names_target):
            raise ValueError(f"column_template must hold {{target}}, because there are {len(self.target)} targets")
        if self.on_series and STEP in self.naming:
            raise ValueError(f'{{step}} is the number of a row: with level = "{self.level}" leave it out')

    def _check_transform(self) -> None:
        """Refuse a transform of what is no number, and one by known steps where there are none, or too few."""
        if self.target_transform and self.kind != "regression":
            raise ValueError(f"target_transform is for numbers, but kind is {self.kind!r}: leave it out")
        name, steps = ("forecast.history", self.forecast.history) if self.forecast.on else ("observed", self.observed)
        if self.scales_by_start and isinstance(steps, int) and steps < 2:
            raise ValueError(
                f"target_transform = {self.target_transform!r} takes mean and deviation of each series' known steps, "
                f"so {name} must be at least 2, but is {steps}: take 'log1p' or 'rank', or leave it out"
            )

    def _check_metric_file(self) -> None:
        """Refuse keys of a metric file without one, and one for labels where nothing says what is submitted."""
        if self.has_metric_file:
            if self.metric_options.changed():
                raise ValueError("metric_options are of named metrics: give a file's keywords as metric_arguments")
            if self.kind in ("binary", "multiclass", "ordinal") and not self.answer:
                raise ValueError(
                    'a metric file does not say what is submitted to it: set answer = "label" or "probability"'
                )
            return
        of_files = ("higher_is_better", "metric_arguments", "metric_columns", "metric_folder")
        given = [name for name in of_files if getattr(self, name) not in (None, "", (), {})]
        if given:
            raise ValueError(f"{given[0]} is for a metric file, but metric is {self.metric!r}: leave it out")
        if self.metric_options.groups != "pooled" and not self.group:
            raise ValueError("metric_options.groups averages over groups: name their column as group")

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
    def named_group(self) -> str:
        """The group that the config names: empty where windows are held together by their series alone.

        Folds by time hold such windows apart by when they are; they need not leave out the whole series.
        """
        return "" if self.groups_windows else self.group

    @property
    def auxiliary_columns(self) -> tuple[str, ...]:
        """Columns of all auxiliary targets."""
        return tuple(name for each in self.auxiliary for name in each.target)

    def of_auxiliary(self, auxiliary: AuxiliaryTarget) -> DataConfig:
        """Return the roles of a task whose target is an auxiliary one, to read, check and encode it by."""
        return DataConfig(
            id=self.id,
            key=self.key,
            order=self.order,
            inputs=self.inputs,
            level=self.level_inside,
            target=auxiliary.target,
            kind=auxiliary.kind,
            classes=auxiliary.classes,
            metric="mae",  # never asked
        )

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
    def groups_windows(self) -> bool:
        """Whether the group of a window is the long series that it was cut of, because no column is named."""
        return self.level == "window" and self.group == WHOLE + self.key

    def of_windows(self) -> DataConfig:
        """Return the roles of a table whose windows are cut already: that of a series each."""
        return replace(self, level="series", windows=WindowsConfig())

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

    def metric_choice(self, classes: int, labels: tuple[object, ...] = (), solution: str = "") -> MetricChoice:
        """Return what the metric is made of.

        Args:
            classes: number of labels that the target has; 0: none.
            labels: these; only a metric file to which labels are submitted needs them.
            solution: file with data.metric_columns of each answer of the training table.
        """
        return MetricChoice(self.metric, self.metric_options, self.kind, classes, self._file_choice(labels, solution))

    def _file_choice(self, labels: tuple[object, ...], solution: str) -> FileChoice | None:
        if not self.has_metric_file:
            return None
        columns = tuple(map(str, labels)) if self.kind == "multiclass" and self.answer != "label" else self.target
        return FileChoice(
            path=str(Path(self.metric_folder, self.metric)),
            higher_is_better=self.higher_is_better,
            arguments=json.dumps(self.metric_arguments, sort_keys=True),
            row_id=self.id,
            columns=columns,
            labels=labels if self.answer == "label" else (),
            decided=self.answer == "label",
            solution=solution,
        )

    def roles(self) -> dict[str, object]:
        """Return what a model's weights depend on: never where the files lie."""
        names = ("key", "order", "target", "inputs", "static", "scored")
        # Newer keys only where they are used: older cells keep their keys.
        newer = [name for name in NEWER if getattr(self, name) != _DEFAULTS[name]]
        values = {name: getattr(self, name) for name in (*names, *newer)}
        values |= {"level": "series"} if self.level == "window" else {}  # how they were cut, the table's values say
        return {name: strict_tables.plain(value) for name, value in values.items()}


_DEFAULTS: dict[str, Any] = {
    entry.name: entry.default if entry.default_factory is MISSING else entry.default_factory()
    for entry in fields(DataConfig)
}

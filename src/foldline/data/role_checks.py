"""Refuse keys of [data] that contradict each other, before a file is opened."""

from __future__ import annotations

from foldline.data import column_names, file_patterns
from foldline.data.auxiliary import ONE, check_columns
from foldline.data.data_keys import DataKeys
from foldline.data.join_tables import PART
from foldline.data.name_template import STEP
from foldline.data.windows import WindowCutsConfig


def check(data: DataKeys) -> None:
    """Refuse what can't be meant.

    Raises:
        ValueError: says which keys, and what would do.
    """
    if not data.key or not data.order:
        raise ValueError("key and order must each name a column")
    _task(data)
    _layout(data)
    _templates(data)
    _columns(data)
    _values(data)
    _steps(data)
    _metric_file(data)


def _columns(data: DataKeys) -> None:
    """Refuse a column of two roles, roles without a column, and names that can't be written."""
    names = [data.id] if data.id != data.key else []
    names += [data.key, data.order, *data.target, *data.inputs, *data.static]
    names += data.auxiliary_columns
    names += [data.group] if data.group and data.group not in data.static else []
    names += [data.weight] if data.weight and data.weight not in data.inputs else []
    names += [name for name in data.known if name not in data.target]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"a column has one role, but {', '.join(twice)} is named more than once: give it a second name by "
            f'copies = {{{twice[0]}_too = "{twice[0]}"}}, and one of the roles to that'
        )
    if not data.target:
        raise ValueError("target must name at least one column")
    if not (data.inputs or data.has_start or data.known):
        raise ValueError(
            "inputs must name at least one column; only a forecast ([data.forecast]), known values (known) or a "
            "known start (observed) do without"
        )
    column_names.check([*names, *data.metric_columns])
    column_names.check_written(data.key, (data.id, data.key, *data.target))


def _task(data: DataKeys) -> None:
    """Refuse a level, a kind and columns that don't go together."""
    if not data.id:
        raise ValueError(
            'id must name the column of row ids; only with level = "series" may it be left out, or "window"'
        )
    if data.id == data.key and data.level == "step" and not data.column_template:
        raise ValueError(
            'id can only be the key where a series has one row in the submission: with level = "series" or '
            '"window", or with columns of steps (column_template)'
        )
    check_columns(data.kind, data.target, data.classes)
    if not data.metric:
        raise ValueError(f"metric must be given for kind = {data.kind!r}")
    if data.answer and data.kind not in ONE:
        raise ValueError(f"answer is for one label, but kind is {data.kind!r}: leave it out")
    _start(data)
    _transform(data)
    _windows(data)
    if data.labels and not data.on_series:
        raise ValueError('labels is a file with one row a series: it needs level = "series"')
    if data.scored and data.on_series:
        raise ValueError(f'scored says which steps count: with level = "{data.level}" leave it out')
    if data.missing_targets == "unscored" and data.on_series:
        raise ValueError(f'missing_targets is about steps: with level = "{data.level}" leave it out')


def _windows(data: DataKeys) -> None:
    """Refuse windows without their level, and a level without windows."""
    if data.level != "window":
        if data.windows != WindowCutsConfig():
            raise ValueError('windows are cut with level = "window": set it, or leave [data.windows] out')
        return
    if not data.windows.length:
        raise ValueError(
            'level = "window" needs the rows of a window, those of a test series: [data.windows] length = 1000'
        )
    if data.windows.file and data.labels:
        raise ValueError("windows.file has the answers: leave labels out")
    named = (data.key, *data.target, *data.auxiliary_columns, data.group, data.weight)
    if data.windows.offset and data.windows.offset in named:
        raise ValueError(f"windows.offset must be a column of its own, but {data.windows.offset!r} has another role")
    data.windows.check_kind(data.kind)
    for each in data.auxiliary:
        data.windows.check_kind(each.kind)


def _start(data: DataKeys) -> None:
    """Refuse a known start of no steps, of what is no number at each step, and two that say how long it is."""
    if isinstance(data.observed, int) and data.observed < 0:
        raise ValueError(f"observed must be a number of steps, not below 0, but is {data.observed}")
    if data.has_start and (data.level != "step" or data.kind != "regression"):
        name = "forecast" if data.forecast.on else "observed"
        raise ValueError(f"{name} is for numbers at every step: leave it out")
    if data.forecast.on and data.observed:
        raise ValueError("forecast says which steps are known: leave observed out")
    if data.known:
        _known(data)


def _known(data: DataKeys) -> None:
    """Refuse known values of what is no number at each step, of some targets only, and two that say what is known."""
    if data.has_start:
        name = "forecast" if data.forecast.on else "observed"
        raise ValueError(f"known says which steps are known: leave {name} out")
    if data.level != "step" or data.kind != "regression":
        raise ValueError("known is for numbers at every step: leave it out")
    if len(data.known) != len(data.target):
        raise ValueError(
            f"known must name one column a target, of {len(data.target)}, but names {len(data.known)}: the target's "
            "own, or one beside it"
        )
    if set(data.known) & set(data.target) and data.known != data.target:
        raise ValueError(f"known must name the targets' own columns, or others, but names {list(data.known)}")
    if both := [name for name in data.metric_columns if name in data.known and name not in data.target]:
        raise ValueError(
            f"metric_columns names {both[0]!r}, which known says is empty wherever rows are scored: leave it out"
        )
    if data.simulated:
        raise ValueError('known names columns of files, which source = "simulate" does not write: leave it out')
    if data.scales_by_start:
        raise ValueError(
            f"target_transform = {data.target_transform!r} takes the first steps of each series, but known lie "
            "anywhere: take 'log1p' or 'rank', or leave it out"
        )


def _values(data: DataKeys) -> None:
    """Refuse columns of numbers and of categories that are none, or both."""
    column_names.check_among("static_numeric", data.static_numeric, data.static, "static columns")
    known = (*data.inputs, *data.static)
    column_names.check_among("categorical", data.categorical, known, "inputs or static columns")
    both = sorted(set(data.static_numeric) & set(data.categorical))
    if both:
        raise ValueError(f"a static column is a number or a category, but {both[0]!r} is named as both")
    of_channels = [name for columns in data.channels.values() for name in columns]
    column_names.check_among("channels", tuple(of_channels), data.inputs, "inputs")
    twice = sorted({name for name in of_channels if of_channels.count(name) > 1})
    if twice or not all(data.channels.values()):
        what = f"{twice[0]!r} is in several" if twice else "one has none"
        raise ValueError(f"channels are groups of inputs, each input in one of them at most, but {what}")
    if isinstance(data.missing_values, dict):
        named = tuple(data.missing_values)
        column_names.check_among("missing_values", named, data.numeric_inputs, "inputs that are numbers")


def _steps(data: DataKeys) -> None:
    """Refuse resampling and crops where each step has an answer of its own, and of columns that are no inputs."""
    given = [name for name in ("resample", "first", "last") if getattr(data, name)]
    if given and not data.on_series:
        raise ValueError(
            f"{given[0]} leaves a series fewer steps than its file has rows, but with level = 'step' each of these "
            "has its answer: it needs level = 'series' or 'window' (networks can see fewer steps: train.patches)"
        )
    if min(data.first, data.last) < 0 or (data.first and data.last):
        raise ValueError(f"first and last are numbers of steps, one of them, but they are {data.first} and {data.last}")
    if data.resample is not None:
        column_names.check_among(
            "resample.summary", tuple(data.resample.summary), data.numeric_inputs, "inputs that are numbers"
        )


def _layout(data: DataKeys) -> None:
    """Refuse patterns that read two ways, and joins on columns that can't be named."""
    for text in (data.source, data.labels, data.metric, data.code):
        file_patterns.check_length(text)
    for text in (data.train, data.test, data.sample, *(join.file for join in data.join)):
        if not text:
            raise ValueError("train, test and sample must name files")
        file_patterns.check(text.replace(PART, "train"))
    column_names.check([name for join in data.join for name in join.keys])
    column_names.check([*data.copies, *data.copies.values()])
    second = next((name for name in data.copies.values() if name in data.copies), None)
    if second is not None:
        raise ValueError(f"copies give columns of the files a second name, but {second!r} is such a name itself")
    if data.code and not data.code.endswith(".py"):
        raise ValueError(f"code is a Python file, such as competition.py, but is {data.code!r}")
    if data.code_folder and not data.code:
        raise ValueError("code_folder says where the file of code lies, but there is no code: leave it out")


def _templates(data: DataKeys) -> None:
    """Refuse templates of ids and columns that can't be read, or don't tell predictions apart."""
    ids, columns = data.templates
    if data.id_template and not (ids.columns or ids.names_target):
        raise ValueError(f"id_template must name a column in braces, but is {data.id_template!r}")
    if data.id_template and data.id == data.key:
        raise ValueError("id_template makes ids, but id is the key: name the submission's own column of ids as id")
    if data.id_file and not data.id_template:
        raise ValueError("id_file gives the ids of names that id_template makes: give that, too")
    if ids.names_target and (not data.column_template or columns.names_target):
        raise ValueError(
            "id_template names {target}, so that all predictions stand in one column of the submission: name it "
            "as column_template"
        )
    several = len(data.target) > 1 and data.column_template
    if several and not (ids.names_target or columns.names_target):
        raise ValueError(f"column_template must hold {{target}}, because there are {len(data.target)} targets")
    if data.on_series and STEP in data.naming:
        raise ValueError(f'{{step}} is the number of a row: with level = "{data.level}" leave it out')


def _transform(data: DataKeys) -> None:
    """Refuse a transform of what is no number, and one by known steps where there are none, or too few."""
    if data.target_transform and data.kind != "regression":
        raise ValueError(f"target_transform is for numbers, but kind is {data.kind!r}: leave it out")
    name, steps = ("forecast.history", data.forecast.history) if data.forecast.on else ("observed", data.observed)
    if data.scales_by_start and isinstance(steps, int) and steps < 2:
        raise ValueError(
            f"target_transform = {data.target_transform!r} takes mean and deviation of each series' known steps, "
            f"so {name} must be at least 2, but is {steps}: take 'log1p' or 'rank', or leave it out"
        )


def _metric_file(data: DataKeys) -> None:
    """Refuse keys of a metric file without one, and one for labels where nothing says what is submitted."""
    if data.has_metric_file:
        if data.metric_options.changed():
            raise ValueError("metric_options are of named metrics: give a file's keywords as metric_arguments")
        if data.kind in ("binary", "multiclass", "ordinal") and not data.answer:
            raise ValueError(
                'a metric file does not say what is submitted to it: set answer = "label" or "probability"'
            )
        return
    of_files = ("higher_is_better", "metric_arguments", "metric_columns", "metric_folder")
    given = [name for name in of_files if getattr(data, name) not in (None, "", (), {})]
    if given:
        raise ValueError(f"{given[0]} is for a metric file, but metric is {data.metric!r}: leave it out")
    if data.metric_options.groups != "pooled" and not data.group:
        raise ValueError("metric_options.groups averages over groups: name their column as group")

"""`score`: score a submission against the truth, where that is known."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data.roles import DataConfig
from foldline.experiment import config as configs
from foldline.experiment import result, several_targets
from foldline.experiment.config import SeveralTargets
from foldline.output import rescore
from foldline.output.rescore import Rescored


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Print the score of all rows, and of the public and the private ones where the truth marks them."""
    if len(arguments.words) < 2:
        raise UserError("`score` takes SUBMISSION TRUTH [CONFIG]: two files, and the config that names their columns.")
    submission, truth, *rest = arguments.words
    config = configs.load_any(Path(rest[0] if rest else "quickstart"), arguments.overrides)
    if isinstance(config, SeveralTargets):
        return _of_targets(config, Path(submission), Path(truth), terminal)
    data = config.data
    found = rescore.score(data, Path(submission), Path(truth))
    _show("", found, data, terminal)
    answer = {"metric": data.metric, "over": data.units, "scores": [asdict(each) for each in found.parts]}
    terminal.result(answer, f"{data.metric}: {found.parts[0].score:.6f}")
    return 0


def _of_targets(several: SeveralTargets, submission: Path, truth: Path, terminal: Terminal) -> int:
    """Score each target, and their mean by share over the same rows."""
    scored = {part.name: rescore.score(part.config.data, submission, truth) for part in several.parts}
    for part in several.parts:
        _show(part.name, scored[part.name], part.config.data, terminal)
    if several.metric is not None:
        score = rescore.of_file(several.metric.loaded(), several.parts[0].config.data, submission, truth)
        name = several_targets.metric_in_words(several)
        terminal.result({"metric": name, "scores": [{"part": "all", "score": score}]}, f"{name}: {score:.6f}")
        return 0
    metric, columns = (
        several_targets.metric_in_words(several),
        zip(*(each.parts for each in scored.values()), strict=True),
    )
    means = {
        each[0].part: sum(part.share * own.score for part, own in zip(several.parts, each, strict=True))
        for each in columns
    }
    terminal.table("", ["rows", metric], [[name, _five(mean)] for name, mean in means.items()])
    answer = {
        "metric": metric,
        "scores": [{"part": name, "score": mean} for name, mean in means.items()],
        "targets": {name: [asdict(part) for part in each.parts] for name, each in scored.items()},
    }
    terminal.result(answer, f"{metric}: {means['all']:.6f}")
    return 0


def _show(title: str, found: Rescored, data: DataConfig, terminal: Terminal) -> None:
    """Print the scores of one target."""
    rows = [
        [each.part, _five(each.score), _between(each.low, each.high)]
        + [_five(score) for score in result.target_values(each.by_target, found.metric)]
        + [str(each.rows)]
        for each in found.parts
    ]
    targets = result.target_columns(data.target if found.parts[0].by_target else ())
    terminal.table(title, ["rows", data.metric, f"95 % over {data.units}", *targets, "count"], rows)
    if all(math.isnan(each.low) for each in found.parts):
        terminal.say(
            f"no interval: that takes a column {data.group or data.key} of several values in the file of labels"
        )


def _five(score: float) -> str:
    return "" if math.isnan(score) else f"{score:.5f}"


def _between(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{low:.5f} to {high:.5f}"

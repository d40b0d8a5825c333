"""`score`: score a submission against the truth, where that is known."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.experiment import config as configs
from foldline.experiment import scoring
from foldline.output import rescore


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Print the score of all rows, and of the public and the private ones where the truth marks them."""
    if len(arguments.words) < 2:
        raise UserError("`score` takes SUBMISSION TRUTH [CONFIG]: two files, and the config that names their columns.")
    submission, truth, *rest = arguments.words
    data = configs.load(Path(rest[0] if rest else "quickstart"), arguments.overrides).data
    found = rescore.score(data, Path(submission), Path(truth))
    rows = [
        [each.part, _five(each.score), _between(each.low, each.high)]
        + [_five(score) for score in scoring.target_values(each.by_target, found.metric)]
        + [str(each.rows)]
        for each in found.parts
    ]
    targets = scoring.target_columns(data.target if found.parts[0].by_target else ())
    terminal.table("", ["rows", data.metric, f"95 % over {data.units}", *targets, "count"], rows)
    ends = ("score", "low", "high")
    values = [{**asdict(each), **{end: _plain(getattr(each, end)) for end in ends}} for each in found.parts]
    answer = {"metric": data.metric, "over": data.units, "scores": values}
    terminal.result(answer, f"{data.metric}: {found.parts[0].score:.6f}")
    return 0


def _five(score: float) -> str:
    return "" if math.isnan(score) else f"{score:.5f}"


def _between(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{low:.5f} to {high:.5f}"


def _plain(value: float) -> float | None:
    """Convert to a JSON value; JSON has no NaN."""
    return None if math.isnan(value) else value

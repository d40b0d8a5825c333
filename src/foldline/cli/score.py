"""`score`: score a submission against the truth, where that is known."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import metrics
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
    several = found[0].by_target  # where the columns are targets of their own
    scored_by = metrics.metric(*data.metric_choice(0)) if several else None
    rows = [
        [each.part, f"{each.score:.5f}", _between(each.low, each.high)]
        + [f"{score:.5f}" for score in (scoring.target_values(each.by_target, scored_by) if scored_by else ())]
        + [str(each.rows)]
        for each in found
    ]
    targets = scoring.target_columns(data.target if several else ())
    terminal.table("", ["rows", data.metric, "95 % over series", *targets, "count"], rows)
    values = [{**asdict(each), **{end: _plain(getattr(each, end)) for end in ("low", "high")}} for each in found]
    terminal.result({"metric": data.metric, "scores": values}, f"{data.metric}: {found[0].score:.6f}")
    return 0


def _between(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{low:.5f} to {high:.5f}"


def _plain(value: float) -> float | None:
    """Convert to a JSON value; JSON has no NaN."""
    return None if math.isnan(value) else value

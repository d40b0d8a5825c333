"""A metric file that scores the columns of all targets at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import refusals
import tiny
from tiny_targets import Birds

from foldline.cli import report
from foldline.core.console import Terminal
from foldline.experiment import several_targets
from foldline.experiment.several_targets import StoredTargets

RESAMPLES = "foldline.data.metrics.intervals.RESAMPLES"
METRIC = '''
import numpy as np


def score(solution, submission, row_id_column_name, loud=1.0):
    """The mean probability of the true bird, less how wrong the loudness is.

    >>> 1 + 1
    2
    """
    del solution[row_id_column_name], submission[row_id_column_name]
    birds = ["wren", "robin & co", "tit"]
    assert list(submission.columns) == birds + ["loudness"] and "site" in solution.columns
    right = (solution[birds] * submission[birds]).to_numpy().sum(axis=1)
    return float(np.mean(right) - loud * np.abs(solution["loudness"] - submission["loudness"]).mean())
'''
FILE = """order = "second"
metric = "metric.py"
higher_is_better = true
metric_arguments = {loud = 0.5}
metric_columns = ["site"]
"""


def test_a_metric_file_scores_the_columns_of_all_targets(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.setattr(RESAMPLES, 40)
    path = Birds(loudness='metric = "r2"').install(home, tmp_path / "data")
    text = path.read_text().replace('metric = "mae"\n', "").replace('order = "second"\n', FILE)
    path.write_text(text)  # r2 goes up, log_loss down
    assert "data.metric = 'metric.py' is not there" in refusals.said(capsys, "train", "birds")
    (path.parent / "metric.py").write_text(METRIC.replace("2\n    ", "3\n    ", 1))
    assert "examples in its docstrings fail" in refusals.said(capsys, "train", "birds")
    (path.parent / "metric.py").write_text(METRIC)
    made = tiny.as_json(capsys, "train", "birds")
    (path.parent / "metric.py").unlink()
    stored = several_targets.read("birds")
    assert isinstance(stored, StoredTargets)
    bird, loud = (report.gather(each, each.config, Terminal(quiet=True)) for each in stored.experiments)
    right = (np.asarray(bird.train.y) * bird.result.blended).sum(axis=1).mean()
    wrong = np.abs(np.asarray(loud.train.y) - loud.result.blended).mean()
    assert made["score"] == pytest.approx(right - 0.5 * wrong, abs=1e-12)
    assert tiny.as_json(capsys, "report", "birds")["score"] == made["score"]
    (group,) = tiny.as_json(capsys, "board")["groups"]
    (line,) = group["lines"]
    assert group["metric"] == "metric.py" and line["low"] < line["score"] < line["high"]
    inferred = tiny.as_json(capsys, "infer", "birds")
    assert Path(inferred["submission"]).read_bytes() == tiny.submission(home, "birds")
    copy = home / "runs" / "birds" / "latest" / "metric.py"
    copy.write_text(copy.read_text().replace("0.0", "0.1") + "\n")
    assert "is not the metric file that was used" in refusals.said(capsys, "infer", "birds")

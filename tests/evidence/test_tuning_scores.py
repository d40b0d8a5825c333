"""A trial's scores are those of `train`: by weights, and by a metric file that knows each answer's row."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from tiny_classes import BY_VOLUME, Songs

from foldline.core import files
from foldline.core.console import Terminal
from foldline.evidence.tuning.trial_evaluation import fold_scores
from foldline.experiment import config, preparation

WORDS = ("blend.method=mean", "post.snap=false")


@pytest.mark.parametrize("more", ['weight = "volume"', 'metric_columns = ["volume"]'], ids=["weight", "file"])
def test_fold_scores_are_those_of_train(more: str, home: Path, tmp_path: Path) -> None:
    own = "columns" in more
    if own:
        pytest.importorskip("pandas")
    songs = Songs("regression", "step", metric="metric.py" if own else "mae", more=more)
    path = songs.install(home, tmp_path / "songs")
    if not own:  # a column is an input or a weight
        path.write_text(path.read_text().replace('inputs = ["pitch", "volume"]', 'inputs = ["pitch"]'))
    (path.parent / "metric.py").write_text(BY_VOLUME)
    tiny.run("train", "songs", *WORDS)
    scores = dict(files.read_json(home / "runs" / "songs" / "latest" / "experiment.json")["scores"])
    ready = preparation.prepare(config.load(Path("songs"), list(WORDS)), Terminal(quiet=True))
    found = fold_scores(ready, ready.plan, range(ready.folds.k))
    assert list(found.values()) == pytest.approx(scores["blend (mean)"][:-1])

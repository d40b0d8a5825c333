"""Cells that learn inputs without labels: what they depend on, what they read, and what begins with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from lab import planned

from foldline.cli.main import main
from foldline.core import files
from foldline.data.store import open_store
from foldline.evidence.audit import fitted_part_leaks
from foldline.run import cell_training, planning
from foldline.run.cells import Cell

MASKED = "model.0.pretrain={source = 'masked', stretch = 2, train = {epochs = 1}}"
ONLY = "model=[{name = 'hybrid', width = 4, blocks = [{kind = 'conv', kernel = 3}]}]"


def starts(*overrides: str) -> list[Cell]:
    """The pre-training cells of the rides' hybrid."""
    return [cell.start for cell in planned(*overrides) if cell.start is not None]


def test_each_fold_has_one_that_holds_out_the_same(rides: Path, home: Path) -> None:
    cells = [cell for cell in planned(ONLY, MASKED) if cell.model.is_network]
    for cell in cells:
        assert cell.start is not None and cell.start.depends["fold"] == cell.depends["fold"]
        assert cell.start.depends["test"] and cell.depends["start"] == cell.start.key
    assert len({cell.start.key for cell in cells if cell.start}) == len(cells)


def test_its_key_holds_what_is_hidden_and_no_score(rides: Path, home: Path) -> None:
    (one, *_) = starts(ONLY, MASKED)
    assert one.depends["masked"] == {"hidden": 0.25, "stretch": 2, "noise": "zero"}
    watched = starts(ONLY, MASKED, "train.watch={share = 0.2, best = true}")[0]
    assert watched.key == one.key and "metric" not in one.depends
    for change in ("hidden = 0.5", "noise = 'swap'"):
        assert starts(ONLY, MASKED.replace("stretch = 2", f"stretch = 2, {change}"))[0].key != one.key


def test_the_audit_knows_who_learns_from_test(rides: Path, home: Path) -> None:
    (plain, *_), (made, *_) = (planned(ONLY, *words) for words in ((), (MASKED,)))
    assert not fitted_part_leaks._learns_from_test(plain) and fitted_part_leaks._learns_from_test(made)


def test_its_jobs_read_the_series_of_the_fold_and_test_and_predict_nothing(rides: Path, home: Path) -> None:
    main(["train", "rides", ONLY, "train.epochs=1"])
    plan = planned(ONLY, MASKED)
    stores = {path.name: path for path in (files.runs() / "store").iterdir()}
    opened = {open_store(path).labelled: path for path in stores.values()}
    from lab import config, plan_inputs

    folds = plan_inputs(config.load(Path("rides"), [ONLY, MASKED])).folds
    jobs = planning.jobs(plan, opened[True], folds, opened[False])
    first = [job for job in jobs if job.cell.masked is not None]
    assert len(first) == len(plan) and jobs.index(first[0]) == 0
    for job in first:
        assert job.test is None and job.unlabelled == opened[False] and job.train == opened[True]
        inside, out = cell_training._sides(job.cell, job, open_store(opened[True]))
        assert not len(out) and not set(inside) & set(folds.held_out(job.cell.fold))
        (of_test,) = cell_training._of_test(job.cell, job)
        assert len(of_test.series) == len(open_store(opened[False]).lengths)


def test_it_is_trained_once_and_its_weights_are_where_a_fold_begins(rides: Path, home: Path) -> None:
    tiny.run("train", "rides", ONLY)
    plain = (home / "runs" / "rides" / "latest" / "submission.csv").read_bytes()
    tiny.run("train", "rides", ONLY, MASKED)
    made = (home / "runs" / "rides" / "latest" / "submission.csv").read_bytes()
    assert made != plain
    (start, *_) = starts(ONLY, MASKED)
    assert start.done and not len(np.load(start.folder / "held_out.npy"))
    before = {path: path.stat().st_mtime_ns for path in (home / "runs" / "cells").rglob("weights.safetensors")}
    tiny.run("train", "rides", ONLY, MASKED)
    assert before == {path: path.stat().st_mtime_ns for path in (home / "runs" / "cells").rglob("weights.safetensors")}
    tiny.run("infer", "rides")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.observed=2"], "but here are known targets beside them"),
        (["train.schedule=plateau", "train.watch.share=0.3"], "no score is there to follow"),
        (["wavenet"], "reads its own past"),
        (["model.0.pretrain.hidden=2"], "hidden must be between 0 and 1"),
    ],
)
def test_what_holds_more_than_inputs_is_refused(
    words: list[str], message: str, rides: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = "model=[{name = 'wavenet', layers = 2}]" if words == ["wavenet"] else ONLY
    words = [word for word in words if "=" in word]
    assert main(["train", "rides", model, MASKED, *words]) == 2
    assert message in capfd.readouterr().err and not (home / "runs" / "cells").exists()

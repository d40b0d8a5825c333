"""`ablate` on the rides: what is trained, what comes out, and that a second run trains nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import ablations
import numpy as np
import pytest
import tiny

from foldline.cli.main import main
from foldline.core import artefacts
from foldline.data import loading
from foldline.experiment import clean
from foldline.run import estimate
from foldline.run.cells import Job
from foldline.run.estimate import Estimates
from foldline.run.executor_config import ExecutorConfig


@pytest.fixture(scope="module")
def ablated_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `home` and `rides`, ablated once; nobody writes into it."""
    folder = tmp_path_factory.mktemp("ablated")
    with tiny.home_of_rides(folder) as home:
        ablations.install(home)
        tiny.run("ablate", "ablate-rides")
    return folder


@pytest.fixture
def ablated(ablated_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its home folder, as FOLDLINE_HOME, for reading."""
    monkeypatch.setenv("FOLDLINE_HOME", str(ablated_once / "home"))
    monkeypatch.chdir(ablated_once)
    return ablated_once / "home"


def found(home: Path) -> dict[str, Any]:
    return artefacts.read_json(home / "runs" / "ablate-rides" / "latest" / "ablation.json")


def test_cells_are_shared_between_variants(ablated: Path) -> None:
    """3 folds x 2 seeds: hybrid and boosting; the hybrid without convolution; both without lags; others share."""
    assert len(list((ablated / "runs" / "cells").glob("*/done.json"))) == 6 * (2 + 1 + 2)
    assert not list((ablated / "runs" / "cells").glob("*/test-*.npy"))
    assert {item.kind for item in clean.survey() if item.path.parent.name == "cells"} == {"kept"}


def test_deltas_are_those_of_the_cells(ablated: Path) -> None:
    """The slow way, for the variant without boosting: the hybrid's out-of-fold files against train.csv, snapped off."""
    value = found(ablated)
    train = tiny.frames()["train"]
    truth, coasting = (train[name].to_numpy().reshape(12, 10) for name in ("speed", "coasting"))
    scores = np.zeros((3, 2))
    for path in (ablated / "runs" / "cells").glob("*/depends.json"):
        depends = json.loads(path.read_text())
        if depends["model"]["name"] != "hybrid" or len(depends["model"]["params"]["blocks"]) < 2:
            continue
        if "lags" not in [family for family, _ in depends["features"]["families"]]:
            continue
        held, predicted = np.load(path.with_name("held_out.npy")), np.load(path.with_name("out_of_fold.npy"))[..., 0]
        error = np.abs(predicted - truth[held].ravel())[coasting[held].ravel() == 0].mean()
        scores[depends["fold"]["number"], depends["seed"]] = error
    variant = next(each for each in value["variants"] if each["name"] == "no boosting")
    np.testing.assert_allclose(np.add(value["baseline"]["scores"], variant["deltas"]), scores)
    assert variant["effect"] == pytest.approx(np.mean(scores) - value["baseline"]["score"])


def test_a_variant_that_changes_nothing_is_marked_identical(ablated: Path) -> None:
    """Speeds lie on no grid, so snapping does nothing."""
    snap = found(ablated)["variants"][3]
    assert snap["identical"] and snap["verdict"] == "no difference" and not np.any(snap["deltas"])


def test_a_second_run_trains_nothing_and_finds_the_same(ablated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, cells = found(ablated), tiny.tree(ablated / "runs" / "cells")
    tiny.run("ablate", "ablate-rides")
    out = capsys.readouterr().out
    assert "all cells are finished: nothing to train" in out and "cannot reach 0.05" in out
    assert found(ablated) == before and tiny.tree(ablated / "runs" / "cells") == cells


def test_the_page_is_complete_and_loads_nothing(ablated: Path) -> None:
    text = (ablated / "runs" / "ablate-rides" / "latest" / "ablation.html").read_text()
    links = re.findall(r"""(?:src|href)=["']([^"']+)""", text)
    assert all(link.startswith(("#", "data:")) for link in links) and "@import" not in text
    assert "<svg" in text and "mean &amp; &lt;no&gt; lags" in text and "<no>" not in text
    for title in ("Verdicts", "Effects", "Effects in slices", "Every fold and seed"):
        assert f"<h2>{title}</h2>" in text
    assert "With 3 folds a two-sided Wilcoxon" in text and "./run.sh ablate ablate-rides" in text


def test_json_is_one_object(ablated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("ablate", "ablate-rides", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert set(answer["verdicts"]) == {"no convolution", "mean & <no> lags", "no boosting", "not snapped"}
    assert artefacts.read_json(Path(answer["json"])) == found(ablated) and Path(answer["page"]).is_file()


def test_a_trained_baseline_is_not_trained_again(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ablations.install(trained)
    tiny.run("ablate", "ablate-rides", "folds.k=2", "ablate.seeds=[0]", "--dry-run", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["to_train"] == 2 + 4  # without convolution; both models without lags
    assert not (trained / "runs" / "ablate-rides").exists()


def test_one_seed_gives_verdicts_too(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a variant of the blend trains nothing."""
    text = 'base = "rides.toml"\n[[variant]]\nname = "mean"\nset = ["blend.method=mean"]\n'
    ablations.install(trained, text, "ablate-mean")
    tiny.run("ablate", "ablate-mean", "ablate.seeds=[0]")
    out = capsys.readouterr().out
    assert "nothing to train" in out and "One seed cannot tell seed variance" in out


def test_mistakes_are_reported_before_anything_is_written(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ablate"]) == 2 and "needs the file" in capsys.readouterr().err
    ablations.install(home, ablations.FILE.replace("block.conv", "block.con"))
    assert main(["ablate", "ablate-rides"]) == 2 and "Did you mean 'block.conv'?" in capsys.readouterr().err
    assert not (home / "runs").exists()
    ablations.install(
        home, ablations.FILE.replace('drop = ["block.conv"]', """set = ['features.families=["compartment"]']""")
    )
    assert main(["ablate", "ablate-rides"]) == 2
    assert "variant 'no convolution': features: There is no static column 'R'" in capsys.readouterr().err
    assert not (home / "runs" / "cells").exists()


def test_a_killed_ablation_continues(ablated_once: Path, home: Path, tmp_path: Path) -> None:
    """Half of the cells gone, as a kill leaves it: they are trained again, and the results are the same."""
    shutil.copytree(ablated_once / "rides", tmp_path / "rides")
    shutil.copytree(ablated_once / "home" / "runs" / "cells", home / "runs" / "cells")
    tiny.install(home, tmp_path / "rides")
    ablations.install(home)
    for number, folder in enumerate(sorted((home / "runs" / "cells").iterdir())):
        if number % 2:
            (folder / "done.json").unlink()
    tiny.run("ablate", "ablate-rides")
    assert found(home) == found(ablated_once / "home")


VARIANTS = {
    "slow": '[[variant]]\nname = "slow"\nset = ["train.lr=1e-4"]\n',
    "wild": '[[variant]]\nname = "wild"\nset = ["train.lr=1e30"]\n',
    "wild, too": '[[variant]]\nname = "wild, too"\nset = ["train.lr=1e30", "blend.method=mean"]\n',
    "wilder": '[[variant]]\nname = "wilder"\nset = ["train.lr=9e29"]\n',
}


def wild(home: Path, *names: str, before: str = "") -> list[str]:
    """Install an ablation of some variants; the command that runs it."""
    text = ablations.FILE.split("[[variant]]")[0].replace("folds.k=3", f'folds.k=3"{before}, "track.wandb=disabled')
    ablations.install(home, text + "".join(VARIANTS[name] for name in names), "ablate-wild")
    return ["ablate", "ablate-wild", "ablate.seeds=[0]"]


@pytest.mark.parametrize("executor", ["serial", "process"])
def test_an_ablation_goes_on_past_variants_that_fail_and_says_so(
    executor: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*wild(home, "wild", "slow", "wild, too", "wilder"), f"executor.kind={executor}", "executor.workers=2"]
    tiny.run(*words)
    out, said = capsys.readouterr()
    assert "ablate-wild: 'wild' and 'wild, too' failed, the others go on: The " in said and "not finite" in said
    assert "'wilder' failed" in said and out.count("not finite") == 3
    value = artefacts.read_json(home / "runs" / "ablate-wild" / "latest" / "ablation.json")
    assert list(value["failed"]) == ["wild", "wild, too", "wilder"] and "not finite" in value["failed"]["wild"]
    assert [each["name"] for each in value["variants"]] == ["slow"] and value["rule"]["variants"] == 1
    shown = (home / "runs" / "ablate-wild" / "latest" / "ablation.html").read_text()
    assert (
        "<td>wilder</td><td class='words'>failed</td>" in shown
        and "wilder failed and is in no comparison: The " in shown
    )
    assert "<dd>1</dd><dt>variant compared</dt>" in shown and "<dd>3</dd><dt>failed</dt>" in shown
    assert "4 variants of " in shown
    tiny.run(*words, "--json")
    assert json.loads(capsys.readouterr().out)["verdicts"]["wild"] == "failed"
    wild(home, "slow")
    tiny.run(*words)
    alone = artefacts.read_json(home / "runs" / "ablate-wild" / "latest" / "ablation.json")
    assert alone == {**value, "failed": {}}


def test_a_forced_ablation_trains_no_cell_twice_when_a_variant_fails(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = wild(home, "slow", "wild")
    for more in ([], ["--force"]):
        tiny.run(*words, *more)
        out = capsys.readouterr().out
        assert [out.count(f"hybrid{name} fold 0 seed 0 done") for name in ("", " (slow)")] == [1, 1]


@pytest.mark.parametrize(
    ("names", "before", "whose"),
    [(["wild", "wilder"], "", "'wilder'"), (["slow"], ', "train.lr=1e30"', "'baseline'")],
)
def test_an_ablation_with_nothing_left_to_compare_ends(
    names: list[str], before: str, whose: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(wild(home, *names, before=before)) == 2
    said = capsys.readouterr().err
    assert f"ablate-wild, while cells of {whose}" in said and "not finite" in said
    assert "all cells that are finished are kept" in said
    assert not (home / "runs" / "ablate-wild" / "latest").exists()


PSEUDO_LABELLED = """
base = "rides.toml"
set = ["train.epochs=1", 'model=[{name="hybrid", label="a", width=4}, {name="hybrid", label="b", teacher={of=["a"]}}]']
[ablate]
seeds = [0]
[[variant]]
name = "on its own"
drop = ["recipe.teacher"]
"""


def test_teachers_label_test_series_before_their_students_train(rides: Path, home: Path) -> None:
    ablations.install(home, PSEUDO_LABELLED, "ablate-pseudo")
    tiny.run("ablate", "ablate-pseudo")
    done = [path.parent for path in (home / "runs" / "cells").glob("*/done.json")]
    assert len(done) == 2 * 3 and all(list(folder.glob("test-*.npy")) for folder in done)


def test_a_dry_run_counts_the_time_of_rounds_that_only_teach(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ablations.install(home, PSEUDO_LABELLED.replace('{of=["a"]}', '{of=["a"], rounds=2}'), "ablate-pseudo")
    timed: list[str] = []

    def estimated(jobs: list[Job], config: ExecutorConfig) -> Estimates:
        timed.extend(job.key for job in jobs)
        return Estimates([], 60.0)

    monkeypatch.setattr(estimate, "estimate", estimated)
    answer = tiny.as_json(capsys, "ablate", "ablate-pseudo", "--dry-run")
    assert len(timed) == len(set(timed)) == answer["to_train"] == 2 * (3 + 1)  # a, b, b alone, and a first round of b


def test_a_student_without_its_teacher_is_refused_by_name(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ablations.install(home, PSEUDO_LABELLED.replace("recipe.teacher", "model.a"), "ablate-pseudo")
    assert main(["ablate", "ablate-pseudo"]) == 2
    said = capsys.readouterr().err
    assert "ablate-pseudo, variant 'on its own': " in said and "its teacher 'a' has no cell" in said


OUTSIDE_MEMBER = """
base = "rides.toml"
set = [
    'blend.outside=[{name = "friend", oof = "oof.csv", test = "test.csv"}]',
    "model=[{name = 'lightgbm', rounds = 5, min_data_in_leaf = 2}]",
    "blend.method=mean",
]

[ablate]
seeds = [0]
bootstrap = 100

[[variant]]
name = "alone"
drop = ["outside.friend"]

[[variant]]
name = "no lags"
drop = ["features.lags"]
"""


def test_an_outside_member_can_be_dropped_and_the_tables_are_read_once(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outside member predicts the truth, so the mean has half of the trees' error."""
    tables, original, read = tiny.frames(), loading.load, []
    tables["train"].select("row", "speed").write_csv("oof.csv")
    tables["sample_submission"].write_csv("test.csv")
    ablations.install(home, OUTSIDE_MEMBER)
    monkeypatch.setattr(loading, "load", lambda data, *more: read.append(data) or original(data, *more))  # type: ignore[func-returns-value]
    tiny.run("ablate", "ablate-rides", "--quiet")
    value = found(home)
    alone, _ = value["variants"]
    assert len(read) == 1
    assert alone["changes"] == "without outside.friend"
    assert alone["effect"] == pytest.approx(value["baseline"]["score"])

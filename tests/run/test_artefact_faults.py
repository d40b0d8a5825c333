"""A fault in anything that is stored: the same command gives the same submission, or a refusal with a way out.

Never a traceback, never another submission.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from lab import fitted, small_store

from foldline.cli.main import main
from foldline.core import artefacts, files
from foldline.data import exact_rows, loading, source_folder
from foldline.experiment import config
from foldline.fit import checkpoint
from foldline.output.kaggle import bundle as kaggle_bundle


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


SMALL = ["data.simulate.breaths=24", "data.simulate.test_breaths=6"]
HARMS: dict[str, Callable[[Path], object]] = {"flip": flip, "cut": cut, "empty": empty, "delete": Path.unlink}
KINDS = (  # below runs/
    "cells/*/weights.safetensors",
    "cells/*/booster-0.txt",
    "cells/*/scaler.json",
    "cells/*/depends.json",
    "cells/*/held_out.npy",
    "cells/*/out_of_fold.npy",
    "cells/*/history.jsonl",
    "cells/*/done.json",
    "cells/*/test-*.npy",
    "cells/*/test-*.json",
    "store/*/x.npy",
    "store/*/y.npy",
    "store/*/static.npy",
    "store/*/lengths.npy",
    "store/*/scored.npy",
    "store/*/keys.json",
    "store/*/meta.json",
    "rides/latest/experiment.json",
    "rides/latest/made.json",
    "rides/latest/config.toml",
    "rides/latest/submission.csv",
)
EACH = [pytest.param(kind, "flip", id=f"{kind}-flip") for kind in KINDS] + [
    pytest.param(kind, harm, id=f"{kind}-{harm}", marks=pytest.mark.slow)
    for kind in KINDS
    for harm in HARMS
    if harm != "flip"
]


def victim(home: Path, kind: str) -> Path:
    """The first stored file of a kind."""
    return sorted((home / "runs").glob(kind))[0]


@pytest.mark.parametrize(("kind", "harm"), EACH)
def test_train_makes_again_what_is_damaged_and_says_so(
    kind: str, harm: str, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, path = tiny.submission(trained), victim(trained, kind)
    HARMS[harm](path)
    assert main(["train", "rides"]) == 0
    output = capsys.readouterr()
    assert tiny.submission(trained) == before and "Traceback" not in output.err
    marks = ("done.json", "meta.json", "test-")  # a folder whose mark is gone was never finished
    if kind.startswith(("cells", "store")) and not (harm == "delete" and path.name.startswith(marks)):
        assert output.err.count("damaged: ") == 1 and path.name in output.err
    assert main(["doctor", "--verify"]) == 0


@pytest.mark.parametrize(
    "verb", ["infer", *(pytest.param(verb, marks=pytest.mark.slow) for verb in ("report", "blend", "bundle"))]
)
@pytest.mark.parametrize(("kind", "harm"), EACH)
def test_other_verbs_refuse_what_is_damaged_or_give_the_same(
    kind: str,
    harm: str,
    verb: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(kaggle_bundle, "PACKED", ())  # wheels of libraries hold nothing of runs/
    monkeypatch.setattr(kaggle_bundle, "_copy_code", lambda _: None)  # nor do 600 files of code
    before, path = tiny.submission(trained), victim(trained, kind)
    HARMS[harm](path)
    few = ["blend.candidates=['mean', 'hill-climb']", "blend.trials=2"]  # methods read no file
    more = {"bundle": [f"out={tmp_path / 'packed'}"], "blend": few}
    code = main([verb, "rides", *more.get(verb, [])])
    err = capsys.readouterr().err
    assert code in (0, 2) and "Traceback" not in err
    if code == 2:
        assert err.count("error: ") == 1 and ("again" in err or "first" in err)
    if verb == "infer" and code == 0:
        (written,) = (trained / "runs" / "rides" / "latest").glob("infer-*.csv")
        assert written.read_bytes() == before


def test_files_of_another_cell_are_not_its_own(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file is whole, and the mark vouches for all of them: only the folder's name says that they are another's."""
    before, cells = tiny.submission(trained), sorted((trained / "runs" / "cells").glob("*/booster-0.txt"))
    of, other = (path.parent for path in cells[:2])
    shutil.rmtree(of)
    shutil.copytree(other, of)
    assert main(["infer", "rides"]) == 2
    assert of.name in capsys.readouterr().err
    assert main(["train", "rides"]) == 0
    err = capsys.readouterr().err
    assert err.count("damaged: ") == 1 and of.name in err
    assert tiny.submission(trained) == before


def test_infer_predicts_again_where_its_predictions_are_damaged(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tiny.submission(trained)
    for path in (trained / "runs").glob("cells/*/test-*.npy"):  # some may be of members without weight
        flip(path)
    tiny.run("infer", "rides")
    assert "predicts the test series again" in capsys.readouterr().err
    (written,) = (trained / "runs" / "rides" / "latest").glob("infer-*.csv")
    assert written.read_bytes() == before


def test_a_damaged_model_is_refused_before_its_library_reads_it(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader that raises stands for one that ends the process."""
    from foldline.fit.network_cell import NetworkCell
    from foldline.models.systems.lightgbm import LightGBM

    def reader(*_: object) -> None:
        raise SystemError("a library has read a damaged file")

    monkeypatch.setattr(LightGBM, "load", reader)
    monkeypatch.setattr(NetworkCell, "load", reader)
    for path in (trained / "runs" / "cells").glob("*/test-*"):
        path.unlink()
    for kind in ("weights.safetensors", "booster-0.txt"):
        for path in (trained / "runs" / "cells").glob(f"*/{kind}"):
            flip(path)
    assert main(["infer", "rides"]) == 2
    err = capsys.readouterr().err
    assert "damaged (" in err and "./run.sh train rides` again" in err and err.count("\n") == 1


@pytest.mark.parametrize("place", ["head", "middle", "end", "hash"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_checkpoint_is_none(
    harm: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = fitted(small_store(), folder=tmp_path / "whole")
    path = tmp_path / "whole" / checkpoint.CHECKPOINT
    content = bytearray(path.read_bytes())
    byte = {"head": 3, "middle": len(content) // 2, "end": len(content) - 1, "hash": content.index(checkpoint.KEY) + 12}
    if harm == "flip":
        content[byte[place]] ^= 4
        path.write_bytes(content)
    else:
        HARMS[harm](path)
    with monkeypatch.context() as patch:  # no library reads it
        patch.setattr("safetensors.safe_open", lambda *_, **__: pytest.fail("read"))
        again = fitted(small_store(), folder=tmp_path / "whole")
    err = capsys.readouterr().err
    assert ("training starts afresh" in err) == (harm != "delete")
    ours, theirs = again.network.state_dict(), whole.network.state_dict()
    assert all(np.array_equal(ours[name].numpy(), theirs[name].numpy()) for name in theirs)


def test_damage_is_listed_by_doctor(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("doctor", "--verify", "--json")
    assert json.loads(capsys.readouterr().out)["damaged"] == {}
    harmed = [victim(trained, kind) for kind in ("cells/*/weights.safetensors", "store/*/x.npy", "cells/*/test-*.npy")]
    experiment = (trained / "runs" / "rides" / "latest").resolve()
    harmed += [experiment / "experiment.json", experiment / "made.json"]
    for path in harmed:
        flip(path)
    assert main(["doctor", "--verify", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["damaged"]
    whole = [path.parent if path.name in ("weights.safetensors", "x.npy") else path for path in harmed]
    assert found.keys() == {str(path) for path in whole}
    assert main(["doctor", "--verify"]) == 1
    assert "5 of " in capsys.readouterr().out.splitlines()[-1]


def test_cells_of_an_older_version_are_used_and_counted(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tiny.submission(trained)
    for mark in (trained / "runs" / "cells").glob("*/done.json"):
        value = artefacts.read_json(mark)
        files.write_json(mark, {"time.train_s": value["time.train_s"]})
        next(mark.parent.glob("test-*.json")).unlink()
    tiny.run("train", "rides")
    assert "nothing to train" in capsys.readouterr().out and tiny.submission(trained) == before
    tiny.run("doctor", "--verify")
    assert "4 are of an older version" in capsys.readouterr().out


def test_workers_make_again_what_is_damaged(trained: Path) -> None:
    before = tiny.submission(trained)
    for kind in ("cells/*/out_of_fold.npy", "cells/*/test-*.npy", "store/*/x.npy"):
        for path in (trained / "runs").glob(kind):
            flip(path)
    tiny.run("train", "rides", "executor.kind=process", "executor.workers=2")
    assert tiny.submission(trained) == before
    tiny.run("doctor", "--verify")


def test_exact_rows_that_are_damaged_are_decoded_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = loading.load(config.load(Path("quickstart"), SMALL).data).train
    honest, path = exact_rows.obtain(table), exact_rows.path_of(table)
    for harm in HARMS.values():
        for harmed in (path, exact_rows.mark_of(path)):
            harm(harmed)
            with pytest.raises(artefacts.Damaged, match=f"{path.stem}.* is damaged: .* decoded again"):
                exact_rows.read(path, table.frame.height)
            again = exact_rows.obtain(table)
            assert np.array_equal(again.values, honest.values, equal_nan=True)
    assert "its rows are decoded again" in capsys.readouterr().err


def test_simulated_data_that_are_damaged_are_made_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = config.load(Path("quickstart"), SMALL).data
    before = tiny.tree(source_folder.of(data))
    for harm in HARMS.values():
        for name in before:
            harm(source_folder.of(data) / name)
            assert tiny.tree(source_folder.of(data)) == before
    assert "it is made again" in capsys.readouterr().err


def test_members_from_outside_that_are_damaged_are_refused_and_written_again(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tiny.frames()
    oof = tables["train"].select("row", speed=pl.col("speed") + 0.1)
    oof.write_csv(tmp_path / "oof.csv")
    tables["sample_submission"].write_csv(tmp_path / "test.csv")
    words = ["blend", "rides", "--outside", f"friend={tmp_path / 'oof.csv'},{tmp_path / 'test.csv'}"]
    tiny.run(*words)
    (folder,) = (trained / "runs" / "outside").iterdir()
    name, before = next((trained / "runs").glob("*/latest/blend.html")).parent.parent.name, tiny.tree(folder)
    for verb, kind in {"report": "out_of_fold.npy", "infer": "test.npy"}.items():  # each reads its own
        flip(folder / kind)
        capsys.readouterr()
        assert main([verb, name]) == 2
        err = capsys.readouterr().err
        assert f"{kind} does not hold the bytes that were written. Run the command again" in err
        tiny.run(*words)
        assert tiny.tree(folder) == before

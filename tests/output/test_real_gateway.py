"""A notebook that serves passes the local gateway of a real competition, where one was downloaded.

FOLDLINE_KAGGLE_EVALUATION names the unpacked folder of a competition's files, with its `kaggle_evaluation` in it (and
in this environment what that imports: grpcio, protobuf, pandas). FOLDLINE_KAGGLE_CONFIG names a config with [serve],
trained under FOLDLINE_KAGGLE_HOME. Nothing of a competition is in this repository.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import tiny
from tiny_serving import run_cells

from foldline.output.kaggle import bundle as packing

NAMED = "FOLDLINE_KAGGLE_EVALUATION"


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(NAMED), reason=f"{NAMED} names no competition's folder with kaggle_evaluation")
def test_a_notebook_passes_the_competitions_own_local_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, name = Path(os.environ[NAMED]), os.environ["FOLDLINE_KAGGLE_CONFIG"]
    monkeypatch.setenv("FOLDLINE_HOME", os.environ["FOLDLINE_KAGGLE_HOME"])
    monkeypatch.setattr(packing, "PACKED", ())
    tiny.run("bundle", name, f"out={tmp_path / 'bundle'}", "--quiet")
    inputs = tmp_path / "input"
    shutil.copytree(tmp_path / "bundle" / "dataset", inputs / "foldline")
    (inputs / "competition").symlink_to(folder, target_is_directory=True)
    run_cells(tmp_path / "bundle", inputs, monkeypatch, tmp_path / "working")
    assert "0 of them by the fall-back" in capsys.readouterr().out
    assert list((tmp_path / "working").glob("submission.*"))

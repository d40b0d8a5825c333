"""The bundle: what is in it, and that its notebook makes `infer`'s submission in a fresh place without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny

from foldline.cli.main import main
from foldline.core import files
from foldline.data.roles import DataConfig
from foldline.output.kaggle import bundle, kernel

NO_NETWORK = ["unshare", "--map-root-user", "--net"]


def isolated() -> bool:
    """Whether this machine lets a process have a network of its own, with nothing in it."""
    return shutil.which("unshare") is not None and subprocess.run([*NO_NETWORK, "true"], check=False).returncode == 0


@pytest.fixture
def packed(trained: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The rides' bundle."""
    tiny.run("bundle", "rides", "user=rider", "competition=bicycle-rides", "--json")
    return Path(json.loads(capsys.readouterr().out)["bundle"])


def test_everything_in_the_data_set_is_in_the_manifest(packed: Path) -> None:
    manifest = files.read_json(packed / "dataset" / kernel.MANIFEST)
    own = {kernel.MANIFEST, "dataset-metadata.json"}
    there = {path.relative_to(packed / "dataset").as_posix() for path in (packed / "dataset").rglob("*.*")}
    assert {name for name in there if (packed / "dataset" / name).is_file()} - own <= manifest["files"].keys()
    assert all(files.sha256(packed / "dataset" / name) == digest for name, digest in manifest["files"].items())
    names = [Path(name).name for name in manifest["files"]]
    assert "weights.safetensors" in names and "experiment.json" in names and "out_of_fold.npy" not in names
    assert not any(name.endswith((".npy", ".pyc", "train.csv")) for name in names)
    assert {line.split(">")[0] for line in manifest["requires"]} == {*bundle.IMPORTED}


def test_internet_is_off_and_the_inputs_are_named(packed: Path) -> None:
    metadata = files.read_json(packed / "notebook" / "kernel-metadata.json")
    assert metadata["enable_internet"] is False and metadata["enable_gpu"] is False
    assert metadata["dataset_sources"] == [files.read_json(packed / "dataset" / "dataset-metadata.json")["id"]]
    assert metadata["dataset_sources"] == ["rider/foldline-rides"]
    assert metadata["competition_sources"] == ["bicycle-rides"]
    assert (packed / "notebook" / metadata["code_file"]).is_file()


def test_names_are_as_long_as_kaggle_takes_them() -> None:
    assert bundle.slug_of("Rides + walks.2") == "foldline-rides-walks-2"
    assert len(bundle.slug_of("x" * 80) + bundle.NOTEBOOK) == 50


def test_packed_wheels_hold_what_is_installed(packed: Path) -> None:
    wheels = {wheel.name.split("-")[0].lower(): wheel for wheel in (packed / "dataset" / "wheels").iterdir()}
    assert sorted(wheels) == ["markdown_it_py", "mdurl", "pygments", "rich", "tomli_w"]
    with zipfile.ZipFile(wheels["tomli_w"]) as wheel:
        import tomli_w

        assert wheel.read("tomli_w/__init__.py") == Path(tomli_w.__file__).read_bytes()
        assert any(name.endswith(".dist-info/WHEEL") for name in wheel.namelist())


def test_the_same_experiment_gives_the_same_bundle(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # a shell may leave the ~ behind a = as it is
    before = tiny.tree(packed)
    tiny.run("bundle", "rides", "user=rider", "competition=bicycle-rides")
    assert tiny.tree(packed) == before
    tiny.run("bundle", "rides", "user=rider", "competition=bicycle-rides", "out=~/other")
    assert tiny.tree(tmp_path / "other") == before


def test_a_link_to_an_older_bundle_stays_and_commands_can_be_copied(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, there = tiny.tree(packed), tmp_path / "another disk" / "packed"
    there.parent.mkdir()
    packed.rename(there)
    packed.symlink_to(there)
    tiny.run("bundle", "rides", "user=rider", "competition=bicycle-rides")
    assert packed.is_symlink() and tiny.tree(there) == before and [*there.parent.iterdir()] == [there]
    capsys.readouterr()
    tiny.run("bundle", "rides", f"out={there}")
    assert f"upload: kaggle datasets create -p '{there / 'dataset'}' -r zip\n" in capsys.readouterr().out


def test_what_can_not_be_packed_is_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    for words, message in {
        "out=mine": "mine must be new, or an older bundle",
        "wheels=mine": "must be a folder with .whl files",
        "weels=mine": "Did you mean 'wheels'?",
    }.items():
        assert main(["bundle", "rides", words]) == 2
        assert message in capsys.readouterr().err


def test_what_kaggle_would_not_take_is_refused_before_it_is_copied(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [path for path in (trained / "runs" / "cells").glob("*/*") if path.suffix != ".npy"]
    kept = [path for path in cells if not path.name.startswith(("test-", "history.", "cost.", "."))]
    size = sum(path.stat().st_size for path in kept)
    monkeypatch.setattr(bundle, "MOST_BYTES", size - 1)
    assert main(["bundle", "rides", "out=packed"]) == 2
    assert "its 4 cells take" in capsys.readouterr().err and not Path("packed").exists()
    monkeypatch.setattr(bundle, "MOST_BYTES", size)
    assert main(["bundle", "rides", "out=packed"]) == 0


def test_the_disk_that_must_have_room_is_the_bundles(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    room = {tmp_path / "full": 1000}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=room.get(Path(folder), 10**12)))
    assert main(["bundle", "rides", f"out={tmp_path / 'full' / 'not yet' / 'packed'}"]) == 2
    assert f"{tmp_path / 'full'}: the bundle needs about" in capsys.readouterr().err
    assert not list((tmp_path / "full").iterdir())
    assert main(["bundle", "rides", f"out={tmp_path / 'packed'}"]) == 0


@pytest.fixture
def kaggle(packed: Path, rides: Path, tmp_path: Path) -> Path:
    """A folder laid out like Kaggle's, with the data set, the competition and another one's files in `input`."""
    folder = tmp_path / "kaggle"
    shutil.copytree(packed / "dataset", folder / "input" / "datasets" / "rider" / "foldline-rides")
    target = folder / "input" / "competitions" / "bicycle-rides"
    target.mkdir(parents=True)
    for stem in ("test", "sample_submission"):
        shutil.copy(rides / f"{stem}.csv", target)
    (folder / "input" / "other").mkdir()
    shutil.copy(rides / "sample_submission.csv", folder / "input" / "other" / "test.csv")
    (folder / "code.py").write_text(code_of(packed / "notebook" / "foldline-rides.ipynb"))
    (folder / "home").mkdir()
    return folder


def code_of(notebook: Path) -> str:
    """Extract the code of a notebook's cells, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def run_notebook(folder: Path, python: Path | str = sys.executable, *before: str) -> subprocess.CompletedProcess[str]:
    """Run the notebook's code with nothing of this process's environment."""
    named = {"FOLDLINE_INPUT": folder / "input", "FOLDLINE_OUTPUT": folder / "working", "HOME": folder / "home"}
    environment = {"PATH": os.environ["PATH"]} | {name: str(path) for name, path in named.items()}
    command = [*before, str(python), str(folder / "code.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder, check=False)


def image(folder: Path, *lacking: str) -> Path:
    """The Python of an environment with this one's packages, but without foldline and what is `lacking`."""
    venv.create(folder, with_pip=True)
    target = next((folder / "lib").glob("python*")) / "site-packages"
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        hidden = entry.name.startswith(("foldline", "_foldline", "pip", *lacking)) or entry.suffix == ".pth"
        if not hidden and not (target / entry.name).exists():
            (target / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


@pytest.mark.slow
@pytest.mark.skipif(not isolated(), reason="`unshare --net` is not permitted here, or not there")
def test_the_notebook_makes_infers_submission_in_a_fresh_environment_without_a_network(
    kaggle: Path, trained: Path, tmp_path: Path
) -> None:
    python = image(tmp_path / "image", "rich", "tomli_w", "optuna", "wandb", "sklearn", "matplotlib")
    assert subprocess.run([python, "-c", "import foldline"], capture_output=True, check=False).returncode == 1
    alone = "import socket; socket.create_connection(('1.1.1.1', 53), 1)"
    assert subprocess.run([*NO_NETWORK, python, "-c", alone], capture_output=True, check=False).returncode == 1
    done = run_notebook(kaggle, python, *NO_NETWORK)
    assert done.returncode == 0, done.stderr
    assert (kaggle / "working" / "submission.csv").read_bytes() == tiny.submission(trained)
    assert [path.name for path in (kaggle / "working").iterdir()] == ["submission.csv"]


def test_a_changed_file_is_refused(kaggle: Path) -> None:
    weights = next(kaggle.rglob("weights.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    done = run_notebook(kaggle)
    assert done.returncode == 1 and "changed since it was packed" in done.stderr


def test_two_data_sets_and_no_competition_are_refused(kaggle: Path) -> None:
    shutil.rmtree(kaggle / "input" / "competitions")
    (kaggle / "input" / "other" / "test.csv").unlink()
    assert "must hold a folder with a test file once, but holds []" in run_notebook(kaggle).stderr
    shutil.copytree(kaggle / "input" / "datasets" / "rider" / "foldline-rides", kaggle / "input" / "again")
    assert f"must hold a data set with {kernel.MANIFEST} once" in run_notebook(kaggle).stderr


def test_what_the_image_lacks_is_listed(kaggle: Path) -> None:
    place = next(kaggle.rglob(kernel.MANIFEST))
    files.write_json(place, files.read_json(place) | {"requires": ["polars>=99", "numpy>=2"]})
    shutil.rmtree(place.parent / "wheels")
    manifest = files.read_json(place)
    kept = {name: digest for name, digest in manifest["files"].items() if not name.startswith("wheels/")}
    files.write_json(place, manifest | {"files": kept})
    assert "This image lacks polars>=99 (" in run_notebook(kaggle).stderr


def test_no_wheel_takes_the_place_of_a_package_that_others_in_the_image_need(monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = ["polars-99.0-py3-none-any.whl", "torch-99.0-cp311-cp311-linux.whl", "rich-99.0-py3-none-any.whl"]
    assert [kernel.may_install(wheel) for wheel in wheels] == [False, False, True]
    monkeypatch.setattr(kernel.importlib.util, "find_spec", lambda name: None)  # an image without any
    assert all(map(kernel.may_install, wheels))


@pytest.mark.parametrize(
    ("keys", "there"),
    [
        ({}, "test.csv"),
        ({"test": "test[1]/{ride}.csv"}, "test[1]/a.csv"),
        ({"test": "hidden"}, "hidden.parquet"),
        ({"test": "*.csv", "sample": "answers"}, "answers.csv"),
        ({"code": "competition.py"}, "sample_submission.csv"),
    ],
)
def test_the_notebook_finds_the_competition_by_what_its_config_names(
    keys: dict[str, str], there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataConfig(id="row", key="ride", order="second", target=("speed",), inputs=("power",), **keys)  # type: ignore[arg-type]
    (tmp_path / "in" / "rides" / there).parent.mkdir(parents=True)
    (tmp_path / "in" / "rides" / there).write_text("x")
    (tmp_path / "in" / "other").mkdir()
    (tmp_path / "in" / "other" / "notes.csv").write_text("x")
    monkeypatch.setattr(kernel, "INPUT", tmp_path / "in")
    assert kernel.data(tmp_path / "bundle", "", tuple(bundle.marks(data))) == tmp_path / "in" / "rides"

"""The package: what wheel and sdist hold, and that an installed foldline works in any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import PYTHON, REPOSITORY

UV = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
PACKAGES = ("foldline", "gestures", "ventilator")
SMALL = ["data.simulate.breaths=60", "data.simulate.test_breaths=20", "train.epochs=1"]

# Builds need hatchling, which uv fetches into an environment of its own: `dev` does not grow by it.
needs_uv = pytest.mark.skipif(UV is None, reason="uv is not installed; run.sh brings it")


def run(*words: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, with nothing of the tests' own foldline in its environment."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FOLDLINE_") and key not in ours}
    return subprocess.run(
        [str(word) for word in words], cwd=cwd, env={**kept, **variables}, capture_output=True, text=True, check=False
    )


def source_files() -> Iterator[str]:
    """Every file that the package must hold, as its path in the wheel."""
    for package in PACKAGES:
        for folder, _, found in os.walk(REPOSITORY / "src" / package, followlinks=True):
            inside = Path(folder).relative_to(REPOSITORY / "src")
            yield from (str(inside / name) for name in found if "__pycache__" not in inside.parts and name[0] != ".")
    configs = (path for path in (REPOSITORY / "configs").rglob("*") if path.is_file() and path.suffix != ".pyc")
    yield from (f"foldline/{path.relative_to(REPOSITORY)}" for path in configs)


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="no git checkout")
def test_git_ignores_nothing_of_the_source() -> None:
    """Neither a clone nor a wheel would hold it: hatchling, too, goes by .gitignore."""
    parts = ("src", "features", "models", "tests", "configs", "docs", "benchmarks")
    done = run("git", "ls-files", "--others", "--ignored", "--exclude-standard", "--", *parts, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert [path for path in done.stdout.splitlines() if "__pycache__/" not in path and ".egg-info/" not in path] == []


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="no git checkout")
def test_a_clone_begins_without_submissions_and_no_submission_changes_a_committed_file() -> None:
    committed = run("git", "ls-files", "--", "submissions", cwd=REPOSITORY)
    assert (committed.returncode, committed.stdout) == (0, "submissions/README.md\n")
    written = ["submissions/ledger.csv", "submissions/ledger.csv.damaged", "submissions/rides-0123456789ab.csv"]
    assert run("git", "check-ignore", *written, cwd=REPOSITORY).stdout.split() == written


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, the wheel built from it, and direct/ with the wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("built")
    for words in ([], ["--wheel"]):
        out = folder / "direct" if words else folder
        done = run(str(UV), "build", *words, "--python", PYTHON, "--out-dir", out, REPOSITORY, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def wheel(folder: Path) -> Path:
    (found,) = folder.glob("*.whl")
    return found


def contents(path: Path) -> dict[str, bytes]:
    """Name and content of each file of a wheel."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@needs_uv
@pytest.mark.slow
def test_the_wheel_holds_all_packages_and_nothing_else(built: Path) -> None:
    found = {name for name in contents(wheel(built / "direct")) if ".dist-info/" not in name}
    assert found == set(source_files())


@needs_uv
@pytest.mark.slow
def test_the_sdist_makes_the_same_wheel(built: Path) -> None:
    direct, through = contents(wheel(built / "direct")), contents(wheel(built))
    assert through == direct
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {"run.sh", "pyproject.toml", "constraints.txt", "README.md", "configs/quickstart.toml"} <= held


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """bin/ of an environment with the wheel; what the wheel requires comes from the environment of the tests."""
    prefix = built / "environment"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", prefix], check=True)
    words = ["pip", "install", "--no-deps", "--python", prefix / "bin" / "python", wheel(built / "direct")]
    done = run(str(UV), *words, cwd=built)
    assert done.returncode == 0, done.stderr
    site = next(prefix.glob("lib/python3*/site-packages"))
    folders = [entry for entry in sys.path if "site-packages" in entry or "dist-packages" in entry]
    (site / "requirements-of-the-tests.pth").write_text("\n".join(folders))
    return prefix / "bin"


@needs_uv
@pytest.mark.slow
def test_it_brings_no_package_called_features_or_models(installed: Path, tmp_path: Path) -> None:
    code = "import foldline.features, foldline.models, gestures, ventilator; print(foldline.models.__file__)"
    done = run(installed / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0 and str(installed.parent.resolve()) in str(Path(done.stdout.strip()).resolve()), done
    for name in ("features", "models"):
        assert "ModuleNotFoundError" in run(installed / "python", "-c", f"import {name}", cwd=tmp_path).stderr


@needs_uv
@pytest.mark.slow
def test_it_trains_the_quickstart_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "foldline", "train", *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]  # a simulated competition leaves nothing elsewhere
    submission = tmp_path / "runs" / "quickstart" / "latest" / "submission.csv"
    assert submission.read_text().count("\n") == 20 * 80 + 1
    done = run(installed / "foldline", "train", "configs/quickstart.toml", *SMALL, "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["to_train"] == 0, done.stderr


@needs_uv
@pytest.mark.slow
def test_home_may_be_another_folder_and_its_configs_come_first(installed: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "configs").mkdir(parents=True)
    simulated = '[data]\nsource = "simulate"\n[[model]]\nname = "lightgbm"\n'
    for name, k in (("mine", 4), ("baseline", 2)):
        (home / "configs" / f"{name}.toml").write_text(f'extends = "ventilator.toml"\n{simulated}[folds]\nk = {k}\n')
    (tmp_path / "empty").mkdir()
    for name, k in (("mine", 4), ("baseline", 2), ("quickstart", 3)):
        words = [installed / "foldline", "folds", name, *SMALL[:2]]
        done = run(*words, cwd=tmp_path / "empty", FOLDLINE_HOME=str(home))
        assert done.returncode == 0, done.stderr
        assert len(list((home / "folds").glob(f"*-k{k}-*.csv"))) == 1
    done = run(installed / "foldline", "train", "baselin", cwd=tmp_path / "empty", FOLDLINE_HOME=str(home))
    assert done.returncode == 2 and "Did you mean 'baseline'" in done.stderr and "mine, quickstart" in done.stderr
    assert not list((tmp_path / "empty").iterdir())


@needs_uv
@pytest.mark.slow
def test_what_needs_a_checkout_says_so_and_the_others_work(installed: Path, tmp_path: Path) -> None:
    for verb in ("test", "lint", "bench", "reference"):
        done = run(installed / "foldline", verb, cwd=tmp_path)
        assert done.returncode == 2 and "needs a checkout of the repository" in done.stderr, done
    facts = json.loads(run(installed / "foldline", "doctor", "--json", cwd=tmp_path).stdout)
    assert facts["lacking"] == "nothing" and str(tmp_path.resolve()) in facts["disk"]
    script = run(installed / "foldline", "completion", "bash", cwd=tmp_path).stdout
    ask = 'COMP_WORDS=(foldline train quick); COMP_CWORD=2; _foldline; echo "${COMPREPLY[@]}"'
    done = run("bash", "-c", f"{script}\n{ask}", cwd=tmp_path)
    assert set(done.stdout.split()) == {"quickstart", "quickstart-classes"}, done.stderr

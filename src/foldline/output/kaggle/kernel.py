"""Predict a submission from stored weights, offline: the code of the notebook that `./run.sh bundle` writes.

It imports the standard library only, and runs foldline with the image's own packages. Wheels in the data set stand for
those that the image lacks; none takes the place of one of the image's that others there depend on (KEPT). To try it
anywhere: FOLDLINE_INPUT=FOLDER FOLDLINE_OUTPUT=FOLDER python kernel.py, with the data set and the competition's files
somewhere below the first folder.
"""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

INPUT = Path(os.environ.get("FOLDLINE_INPUT", "/kaggle/input"))  # data sets and competition, read-only
OUTPUT = Path(os.environ.get("FOLDLINE_OUTPUT", "/kaggle/working"))
MANIFEST = "foldline-manifest.json"
TABLES = ("test.csv", "test.parquet", "test.csv.gz", "test.csv.zip")
KEPT = ("protobuf", "grpcio", "polars", "pyarrow", "pandas", "torch")  # the image's own stay: what is there needs them
IMPORTED = {"protobuf": "google.protobuf", "grpcio": "grpc"}  # package -> what it is imported as, where that differs
DEPTH = 5  # levels of folders below INPUT that are searched

CHECK_REQUIREMENTS = """
import sys
sys.path[:0] = {path!r}
from foldline.core import requirements
print(*requirements.lacking({requires!r}), sep="\\n")
"""
RUN_VERB = """
import sys
sys.path[:0] = {path!r}
from foldline.cli.main import main
sys.exit(main({words!r}))
"""


def main() -> Path:
    """Check the data set, predict the competition's test file, and put submission.csv (or .parquet) into OUTPUT."""
    bundle = exactly_one([path.parent for path in search(INPUT, (MANIFEST,))], f"a data set with {MANIFEST}")
    manifest = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    verify(bundle, manifest["files"])
    with tempfile.TemporaryDirectory() as scratch:
        path = [str(bundle / "code" / "src"), str(bundle / "code")]
        path += packages(bundle, manifest["requires"], Path(scratch) / "packages", path)
        home = prepare(bundle, manifest, Path(scratch) / "home")
        source = data(bundle, manifest["competition"], tuple(manifest.get("marks", TABLES)))
        submission = infer([manifest["name"], *manifest.get("words", [])], source, path, home)
        OUTPUT.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(submission, OUTPUT / f"submission{submission.suffix}"))


def search(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Find files by name, at most DEPTH levels down: a competition's own folders may hold millions of files."""
    patterns = ["/".join(["*"] * depth + [glob.escape(name)]) for depth in range(DEPTH) for name in names]
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def exactly_one(found: list[Path], what: str) -> Path:
    """Return the one folder that was found.

    Raises:
        SystemExit: there is none, or there are several.
    """
    if len(found) != 1:
        raise SystemExit(
            f"{INPUT} must hold {what} once, but holds {list(map(str, found))}. Correct the notebook's inputs."
        )
    return found[0]


def verify(bundle: Path, expected: dict[str, str]) -> None:
    """Check that every file of the data set is as it was packed. expected: file -> SHA-256.

    Raises:
        SystemExit: one is not.
    """
    for name, digest in expected.items():
        path = bundle / name
        if not path.is_file() or sha256(path) != digest:
            raise SystemExit(f"{path} is missing or changed since it was packed. Upload the data set again.")


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def packages(bundle: Path, requires: list[str], target: Path, code: list[str]) -> list[str]:
    """Install the data set's wheels where the image lacks a package of `requires`; the folders to import them from.

    Raises:
        SystemExit: a package is lacking, and no wheel provides it.
    """
    lacking = missing(requires, code)
    wheels = [str(wheel) for wheel in sorted((bundle / "wheels").glob("*.whl")) if may_install(wheel.name)]
    if not lacking or not wheels:
        refuse(lacking)
        return []
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *quiet, *wheels], check=True)
    refuse(missing(requires, [str(target), *code]))
    return [str(target)]


def may_install(wheel: str) -> bool:
    """Whether a wheel, by its file's name, takes the place of none of the image's packages in KEPT."""
    name = wheel.split("-")[0].lower().replace("_", "-")
    return name not in KEPT or importlib.util.find_spec(IMPORTED.get(name, name)) is None


def missing(requires: list[str], path: list[str]) -> list[str]:
    """List the requirements that Python does not meet with these folders before its own."""
    code = CHECK_REQUIREMENTS.format(path=path, requires=requires)
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return [line for line in done.stdout.split("\n") if line]


def refuse(lacking: list[str]) -> None:
    """End the notebook where a package is lacking."""
    if lacking:
        way_out = "Take a newer image, or pack wheels: ./run.sh bundle NAME wheels=DIR"
        raise SystemExit(f"This image lacks {', '.join(lacking)}. {way_out}")


def prepare(bundle: Path, manifest: dict[str, Any], home: Path) -> Path:
    """Copy weights and the experiment's record into a home folder that foldline can write to: INPUT is read-only."""
    shutil.copytree(bundle / "runs", home / "runs")
    (home / "runs" / manifest["name"] / "latest").symlink_to(manifest["experiment"])
    return home


def data(bundle: Path, competition: str, marks: tuple[str, ...] = TABLES) -> Path:
    """Find the folder of the competition's files. marks: names of files or folders, of which it has one."""
    folders = {path.parent for path in search(INPUT, marks) if not path.is_relative_to(bundle)}
    named = {folder for folder in folders if competition in folder.parts}
    return exactly_one(sorted(named or folders), "a folder with a test file")


def infer(words: list[str], source: Path, path: list[str], home: Path) -> Path:
    """Predict the test file in a process of its own, and return the path of the submission.

    words: the experiment's name, and what else `infer` is told.
    """
    code = RUN_VERB.format(path=path, words=["infer", *words, f"data.source={source}", "--json"])
    environment = {**os.environ, "FOLDLINE_HOME": str(home), "WANDB_MODE": "disabled"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("The prediction failed; see the error above.")
    return Path(json.loads(done.stdout.splitlines()[-1])["submission"])


if __name__ == "__main__":
    print(f"submission: {main()}")

"""Pack an experiment for Kaggle without a network: a data set (code, weights, record, wheels) and a notebook.

    OUT/dataset/    to upload as a data set
      foldline-manifest.json   the experiment, the packages it needs, SHA-256 of every file
      code/                    this checkout's source, as the weights were trained with it
      runs/                    the experiment's record and its cells' weights, scalers and keys; no training data
      wheels/                  small pure Python packages that images may lack, and those that were given
    OUT/notebook/   to push as a notebook: kernel.py in an .ipynb, internet off

The notebook trains nothing: it is `infer` with the image's own packages. Where [serve] is given it answers the
competition's evaluation API instead (serving_kernel.py), and is packed only if its answers are those of `infer`
(serve/gate.py).
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import tomli_w

import foldline
import ventilator
from foldline.core import artefacts, files, requirements, strict_tables
from foldline.core.byte_sizes import byte_size
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import file_patterns, readers
from foldline.data.roles import DataConfig
from foldline.experiment import python_copies
from foldline.experiment.serve_config import ServeConfig
from foldline.experiment.several_targets import StoredTargets
from foldline.experiment.stored_experiment import StoredExperiment
from foldline.fit.boosting_checks import LIBRARIES
from foldline.output.kaggle import kernel, notebook
from foldline.output.kaggle.notebook import NOTEBOOK
from foldline.run import cells
from foldline.run.cell_cost import COST
from foldline.run.cells import Cell
from foldline.serve import Predictor, gate

MOST_BYTES = 100 * 10**9  # in an account's private data sets; Kaggle has raised it before
IMPORTED = ("torch", "numpy", "polars", "lightgbm", "safetensors", "rich", "tomli-w")  # by `infer`
DECODING = ("numba",)  # by the decoder
ESTIMATING = ("scipy", "scikit-learn")  # by an estimator of open rows; threadpoolctl comes with the latter
PACKED = ("rich", "markdown-it-py", "mdurl", "pygments", "tomli-w")  # pure Python: one wheel fits every image
PANDAS = "pandas>=2.2"  # of a metric file: the extra `metric`
KEPT = ("depends.json", cells.DONE)  # of a cell that predicts nothing
NOT_NEEDED = ("*.npy", "test-*.json", "history.jsonl", COST, ".*")  # of a cell's folder: predictions, curves, hosts
USER_PLACEHOLDER = "YOUR-KAGGLE-NAME"
DESCRIPTION = "dataset-metadata.json"
Stored = StoredExperiment | StoredTargets


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the bundle."""

    out: Path  # its folder
    user: str = ""  # Kaggle account that uploads it; empty: a placeholder to be filled in
    competition: str = ""  # whose files the notebook reads; empty: to be added by hand
    wheels: Path | None = None  # folder of wheels that the image lacks
    source: str = ""  # the competition's folder, where it is no longer data.source: what serves is tried on its test
    serve: ServeConfig = field(default_factory=ServeConfig)  # how the notebook answers; per empty: it predicts a file

    @property
    def owner(self) -> str:
        return self.user or USER_PLACEHOLDER


def pack(stored: Stored, options: Options, terminal: Terminal) -> dict[str, Any]:
    """Write the bundle in the place of an older one, and return its manifest.

    Raises:
        UserError: a member of the blend came from outside, or the folder is something else; of one that serves,
            whatever serve/gate.py refuses.
    """
    _check(stored, options.out)
    options = replace(options, out=options.out.resolve())  # a link stays one: what it leads to is replaced
    _check_size(stored, options)
    served = _served(stored, options, terminal) if options.serve.per else {}
    draft = options.out.with_name(f".{options.out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    dataset, folder = draft / "dataset", draft / "notebook"
    _copy_code(dataset / "code")
    _copy_runs(stored, dataset / "runs")
    _pack_wheels(options.wheels, dataset / "wheels")
    manifest = _manifest(stored, options, dataset) | served
    files.write_json(dataset / kernel.MANIFEST, manifest)
    slug = slug_of(stored.name)
    title = slug.replace("-", " ")
    described = {"title": title, "id": f"{options.owner}/{slug}", "licenses": [{"name": "other"}]}
    files.write_json(dataset / DESCRIPTION, described)
    files.write_json(folder / f"{slug}.ipynb", notebook.made(text_of(stored, manifest), "serve" in manifest))
    on_gpu = any(cell.depends["train"].get("device") == "cuda" for cell in predicting(stored))
    metadata = notebook.metadata(options.owner, options.competition, slug, on_gpu)
    files.write_json(folder / "kernel-metadata.json", metadata)
    shutil.rmtree(options.out, ignore_errors=True)
    draft.rename(options.out)
    return manifest


def _served(stored: Stored, options: Options, terminal: Terminal) -> dict[str, Any]:
    """Let a predictor pass the gate, say what was found, and return what the manifest says of serving."""
    predictor, serve = Predictor(stored), options.serve
    passed = gate.check(predictor, serve, terminal, options.source)
    terminal.say(passed.in_words(serve))
    data = stored.experiments[0].config.data
    stated = ", ".join(f"{name} = {value}" for name, value in passed.fall_back.items())
    terminal.say(f"a call that fails in the rerun gets, and is counted: {stated}")
    return {
        "serve": {
            "table": strict_tables.plain(serve),
            "fall_back": passed.fall_back,
            "columns": list(passed.fall_back),  # in their order, which JSON of sorted keys does not keep
            "calls": passed.expected,
            "key": data.key,
            "order": data.order,
            "id": data.id,
            "of_series": predictor.of_series,
        }
    }


def slug_of(name: str) -> str:
    """Convert an experiment's name to Kaggle's: 6 to 50 lower-case letters, digits and dashes, NOTEBOOK included."""
    return re.sub(r"[^a-z0-9]+", "-", f"foldline {name}".lower())[: 50 - len(NOTEBOOK)].strip("-")


def _check(stored: Stored, out: Path) -> None:
    outside = sorted(
        {
            member.label
            for each in stored.experiments
            for member in each.outside_members
            if member.label in each.blend.without_zero_weights().labels
        }
    )
    if outside:
        raise UserError(
            f"{stored.name}: the blend weighs {', '.join(outside)}, whose predictions came from outside: "
            "there is no model that could predict on Kaggle. Run `./run.sh blend` without it first."
        )
    if (out.exists() or out.is_symlink()) and not (out / "dataset" / kernel.MANIFEST).is_file():
        raise UserError(f"{out} must be new, or an older bundle, but is something else. Give another folder: out=DIR")
    foreign = _foreign(out)
    if foreign:
        raise UserError(
            f"{out} is an older bundle, but {foreign[0]} was put into it"
            f"{f' with {len(foreign) - 1} others' if foreign[1:] else ''}, and would be lost. Move it away, or give "
            "another folder: out=DIR"
        )


def _check_size(stored: Stored, options: Options) -> None:
    """Refuse what Kaggle would not take, and what has no room on the bundle's disk, before hours of copying."""
    wheels, folders = options.wheels, {cell.folder for cell in predicting(stored)}
    copied = [path for folder in folders for path in folder.iterdir() if not any(map(path.match, NOT_NEEDED))]
    size = sum(path.stat().st_size for path in [*copied, *(wheels.glob("*.whl") if wheels else [])])
    if size > MOST_BYTES:
        raise UserError(
            f"{stored.name}: the private data sets of a Kaggle account may hold {byte_size(MOST_BYTES)}, but its "
            f"{len(folders)} cells{' and the wheels' if wheels else ''} take {byte_size(size)}. Train fewer seeds, or "
            "blend fewer models (`./run.sh blend`)."
        )
    there = next(folder for folder in options.out.absolute().parents if folder.exists())
    files.require_space(size, "the bundle", there)


def _foreign(out: Path) -> list[str]:
    """List the files of an older bundle that `pack` did not write."""
    if not out.exists():
        return []
    try:
        manifest = files.read_json(out / "dataset" / kernel.MANIFEST)
    except ValueError as error:
        raise UserError(f"{out} has a damaged {kernel.MANIFEST}. Move it away, or give another: out=DIR") from error
    own = {f"dataset/{name}" for name in [*manifest["files"], kernel.MANIFEST, DESCRIPTION]}
    own |= {f"notebook/{name}" for name in (f"{slug_of(manifest['name'])}.ipynb", "kernel-metadata.json")}
    there = [path.relative_to(out).as_posix() for path in sorted(out.rglob("*")) if not path.is_dir()]
    return [name for name in there if name not in own]


def _copy_code(target: Path) -> None:
    """Copy the source of the packages as they are imported now."""
    for package in (foldline, ventilator):
        source = Path(package.__path__[0])  # its links to features/ and models/ are followed: folders come out of them
        shutil.copytree(source, target / "src" / source.name, ignore=shutil.ignore_patterns("__pycache__", ".*"))


def _copy_runs(stored: Stored, target: Path) -> None:
    record = target / stored.name / stored.folder.name
    record.mkdir(parents=True)
    for path in (stored.folder / "experiment.json", *python_copies.files_of(stored.folder)):
        shutil.copy(path, record)
    for each in stored.experiments:
        _copy_record(each, record / each.folder.relative_to(stored.folder))
    for cell in stored.plan:
        _copy_cell(cell, target / "cells" / cell.key)


def _copy_record(stored: StoredExperiment, target: Path) -> None:
    """Copy the record of one target."""
    target.mkdir(exist_ok=True)
    for path in (stored.folder / "experiment.json", *python_copies.files_of(stored.folder)):
        shutil.copy(path, target)
    files.write_text(
        target / "config.toml", tomli_w.dumps(python_copies.recorded(stored.config))
    )  # made from the checked record


def predicting(stored: Stored) -> list[Cell]:
    """List the cells that predict test series: of time folds the full ones alone."""
    return [cell for cell in stored.plan if not cell.only_past]


def _copy_cell(cell: Cell, target: Path) -> None:
    """Copy a cell with its weights; one that predicts no test series without them, so that the record can be read."""
    if target.exists():  # two parts of a blend may share a cell
        return
    if cell.only_past:
        target.mkdir(parents=True)
        for name in KEPT:
            shutil.copy2(cell.folder / name, target)
    else:
        shutil.copytree(cell.folder, target, ignore=shutil.ignore_patterns(*NOT_NEEDED))
    artefacts.narrow(target / cells.DONE)


def _pack_wheels(given: Path | None, target: Path) -> None:
    target.mkdir(parents=True)
    for name in PACKED:
        _write_wheel(distribution(name), target)
    for wheel in sorted(given.glob("*.whl")) if given else []:
        shutil.copy(wheel, target)


def _write_wheel(package: Distribution, target: Path) -> None:
    """Make a wheel of an installed pure Python package; the same files give the same bytes.

    Format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    name = re.sub(r"[-_.]+", "_", package.metadata["Name"])
    with zipfile.ZipFile(target / f"{name}-{package.version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in sorted(package.files or [], key=str):
            inside = ".." not in file.parts and "__pycache__" not in file.parts
            if inside and file.name not in ("INSTALLER", "REQUESTED", "direct_url.json"):
                # A ZipInfo of its own has the date 1980-01-01: the bytes do not depend on the clock.
                wheel.writestr(zipfile.ZipInfo(str(file)), file.read_binary(), zipfile.ZIP_DEFLATED)


def _manifest(stored: Stored, options: Options, dataset: Path) -> dict[str, Any]:
    paths = sorted(path for path in dataset.rglob("*") if path.is_file())
    return {
        "name": stored.name,
        "experiment": stored.folder.name,
        "competition": options.competition,
        "marks": marks(stored.experiments[0].config.data),
        "words": _elsewhere(stored),
        "out_of_fold": stored.score,
        "requires": required(
            any(each.config.post.decode for each in stored.experiments),
            any(each.config.data.has_metric_file for each in stored.experiments),
            any(cell.model.fitted_as == "estimator" for cell in stored.plan),
            {cell.model.name for cell in predicting(stored)},
        ),
        "files": {path.relative_to(dataset).as_posix(): files.sha256(path) for path in paths},
    }


def _elsewhere(stored: Stored) -> list[str]:
    """Return what `infer` is told on another machine: the cluster on which cells were trained is not there."""
    return ["executor.kind=auto"] if any(each.config.executor.kind == "ray" for each in stored.experiments) else []


def marks(data: DataConfig) -> list[str]:
    """Name the files or folders of which the competition's folder has one: what the notebook finds it by."""
    first = data.test.split("/")[0]
    if data.code:  # tables() may read anything; a sample submission is there whatever it reads
        return [*kernel.TABLES, *(f"{data.sample}{ending}" for ending in readers.ENDINGS), data.sample]
    if data.test == "test":
        return list(kernel.TABLES)
    if file_patterns.is_pattern(first):  # any file's name might match, elsewhere too
        return [f"{data.sample}{ending}" for ending in readers.ENDINGS] + [data.sample]
    return [first, *(f"{first}{ending}" for ending in readers.ENDINGS)]


def required(
    decodes: bool, metric_file: bool = False, estimates: bool = False, names_of_models: Iterable[str] = ()
) -> list[str]:
    """List the packages that `infer` imports, with the bounds of pyproject.toml."""
    names = {*IMPORTED, *(DECODING if decodes else ()), *(ESTIMATING if estimates else ())}
    own = [line for line in requirements.own() if re.split("[<>=!]", line)[0].strip() in names]
    libraries = [LIBRARIES[model].requirement for model in sorted(names_of_models) if model in LIBRARIES]
    return [*own, *([PANDAS] if metric_file else []), *filter(None, libraries)]


def text_of(stored: Stored, manifest: dict[str, Any]) -> str:
    """Write the notebook's first words."""
    names = sorted({cell.model.label for cell in stored.plan})
    what = "Answers the competition's evaluation API" if "serve" in manifest else "Writes the submission"
    return (
        f"# {manifest['name']}\n\n{what} from the weights of {len(predicting(stored))} cells "
        f"({', '.join(names)}; out-of-fold {stored.metric} {stored.score:.4f}). It trains nothing and "
        "needs no internet."
    )

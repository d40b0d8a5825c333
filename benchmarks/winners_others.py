"""The second half of benchmarks/winners.py: defaults on competitions of other kinds, scored out of fold.

The competitions of configs/gallery (made-up files in their own layouts), M1 yearly (real, out of aeon's wheel) and the
ventilator's real sample, where its folder is given. Each config is taken without its [[model]] tables, and with one
answer a series without its [features], too: what then trains is the default.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import gallery
from benchmarks.winners_members import Score, cpu_seconds, parameters
from foldline.cli.main import main as command_line
from foldline.core.console import Terminal
from foldline.ensemble import paired_difference
from foldline.experiment import config as configs
from foldline.experiment import preparation, scoring

ROOT = Path(__file__).resolve().parents[1]
QUIET = ("executor.kind=serial", "track.wandb=disabled", "train.threads=1")
MODELS = "[[model]]"  # the last tables of each of these configs
FEATURES = re.compile(r"^\[features\]\n(?:(?!\[).*\n)*", re.MULTILINE)
ONE_ANSWER = re.compile(r'^level = "(series|window)"', re.MULTILINE)


def names(sample: Path | None) -> list[str]:
    """List the competitions. sample: folder of the ventilator's."""
    return [*gallery.names(), "m1-yearly", *(["ventilator"] if sample else [])]


def scores_of(name: str, python: Path, folder: Path, sample: Path | None) -> list[Score]:
    """Train the default on a competition, or go on; score it and each of its members alone.

    Args:
        python: of an environment with aeon.
        folder: of this competition's files, config and cells.
        sample: folder of the ventilator's.
    """
    config = folder / "config" / f"{name}.toml"
    source = _files(name, python, folder, sample)
    words = [f"data.source={source}", *QUIET, *(["post.decode=false"] if name == "ventilator" else [])]
    os.environ["FOLDLINE_HOME"] = str(folder / "home")
    if command_line(["train", str(config), *words, "--quiet"]):
        raise SystemExit(f"{name}: its default could not be trained")
    return list(_scores(name, configs.load(config, words)))


def _files(name: str, python: Path, folder: Path, sample: Path | None) -> Path:
    """Write a competition's config without models, and its files where they are not there; return their folder."""
    files, config = folder / "files", folder / "config"
    shutil.rmtree(config, ignore_errors=True)
    if name == "ventilator":
        assert sample is not None, "named only where it is given"
        _write(config / "ventilator.toml", (ROOT / "configs" / "ventilator.toml").read_text(encoding="utf-8"))
        return sample
    if name == "m1-yearly":
        return _m1(python, folder)
    shutil.copytree(gallery.GALLERY / name, config)
    _write(config / f"{name}.toml", gallery.config_of(name).read_text(encoding="utf-8"))
    if not (folder / "made").exists():
        shutil.rmtree(files, ignore_errors=True)
        gallery.generate(name, files)
        (folder / "made").touch()
    return files


def _m1(python: Path, folder: Path) -> Path:
    """Write M1 as shows.py does, and the config that `init` makes of it, with its metric."""
    files, config = folder / "files", folder / "config" / "m1-yearly.toml"
    shutil.rmtree(files, ignore_errors=True)
    maker = ROOT / "benchmarks" / "shows_files.py"
    subprocess.run([str(python), str(maker), "m1", str(files), str(folder / "truth.csv")], check=True)
    config.parent.mkdir(parents=True)
    if command_line(["init", str(files), f"out={config}"]):
        raise SystemExit("m1-yearly: `init` has failed")
    _write(config, config.read_text(encoding="utf-8").replace('metric = "?"', 'metric = "smape"'))
    return files


def _write(path: Path, text: str) -> None:
    """Write a config without its models, and where they are the default's without its features."""
    text = text.partition(MODELS)[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FEATURES.sub("", text) if ONE_ANSWER.search(text) else text, encoding="utf-8")


def _scores(name: str, config: configs.Config) -> Iterator[Score]:
    """Yield the default's score and its members', out of fold; intervals draw series, or their groups."""
    ready = preparation.prepare(config, Terminal(quiet=True))
    result = scoring.combine(config, ready.members, ready.train, ready.folds, None)
    rows = result.rows
    sign = -1 if rows.metric.higher_is_better else 1  # costs -> the metric's unit
    predictions = {"default": result.blended[result.scored], **dict(zip(rows.labels, rows.predictions, strict=True))}
    costs = {label: paired_difference.resampled_costs(rows, values) for label, values in predictions.items()}
    alone = {member.label: (cpu_seconds(member), parameters(member)) for member in ready.members}
    alone["default"] = sum(each[0] for each in alone.values()), sum(each[1] for each in alone.values())
    for label, values in predictions.items():
        mean, error = paired_difference.difference(costs[label], costs["default"], None)
        half = gallery.NORMAL * error
        yield Score(
            set=name,
            model=label,
            metric=config.data.metric,
            score=float(rows.score(values)),
            difference=sign * mean,
            low=sign * mean - half,
            high=sign * mean + half,
            cpu_s=alone[label][0],
            parameters=alone[label][1],
        )


def main() -> None:
    """Write the scores of one competition as JSON. Arguments: NAME PYTHON FOLDER SAMPLE OUT; SAMPLE may be empty."""
    name, python, folder, sample, out = sys.argv[1:]
    found = scores_of(name, Path(python), Path(folder), Path(sample) if sample else None)
    Path(out).write_text(json.dumps([vars(each) for each in found]), encoding="utf-8")


if __name__ == "__main__":
    main()

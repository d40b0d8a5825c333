"""Secrets: keys and passwords of the environment are in no output and no file, whether a command ends well or not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from pathlib import Path
from random import Random

import tiny

from benchmarks.fault_injection import children
from benchmarks.fault_injection.fault import Fault, Kind, Outcome

COMMANDS = (
    *("train rides", "train rides --json", "train rides --dry-run", "train rides track.wandb=offline", "infer rides"),
    *(
        "report rides",
        "bundle rides",
        "bundle rides user=somebody",
        "doctor",
        "doctor --verify",
        "board",
        "folds rides",
    ),
    *(
        "submit rides",
        "submit rides competition=bicycle-rides",
        "submit rides --dry-run",
        "download bicycle-rides here",
    ),
    *("track", "track sync", "clean", "audit nothing", "train nothing", "train rides data.source=nowhere --debug"),
    *("train rides data.key=row --debug", "submit nothing.csv --debug", "download bicycle-rides here --debug"),
    *(
        "train rides train.epochs=-1 --debug",
        "infer rides data.source=nowhere --debug",
        "train rides track.wandb=online",
    ),
)


def _environment(draw: Random, home: Path) -> tuple[dict[str, str], list[str]]:
    """Return variables with secrets, some of them in files, and the secrets."""
    secrets = {
        name: "".join(draw.choice("0123456789abcdef") for _ in range(40)) for name in ("kaggle", "wandb", "proxy")
    }
    proxy = f"http://rider:{secrets['proxy']}@127.0.0.1:9"
    given = {"WANDB_API_KEY": secrets["wandb"], "HOME": str(home / "user"), "KAGGLE_CONFIG_DIR": str(home / "kaggle")}
    given |= dict.fromkeys(draw.choice([("http_proxy", "https_proxy"), ("HTTPS_PROXY", "ALL_PROXY"), ()]), proxy)
    where = draw.choice(["KAGGLE_KEY", "KAGGLE_API_TOKEN", "kaggle.json"])
    if where == "kaggle.json":
        (home / "kaggle").mkdir()
        (home / "kaggle" / where).write_text(json.dumps({"username": "rider", "key": secrets["kaggle"]}))
        (home / "kaggle" / where).chmod(0o600)
    else:
        given |= {"KAGGLE_USERNAME": "rider", where: secrets["kaggle"]}
    return given, list(secrets.values())


def secret_faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Run commands with secrets in their environment, without end."""
    source, trained = tiny.write(scratch / "rides", tiny.frames()), scratch / "trained"
    tiny.install(trained, source)
    assert children.foldline(trained, "train", "rides").code == 0
    bare, number, draw = scratch / "bare", 0, Random(f"secrets {seed}")
    tiny.install(bare, source)
    while True:
        number += 1
        home, words = scratch / f"{number}", draw.choice(COMMANDS).split()
        shutil.copytree(bare if words[0] == "train" and draw.random() < 0.3 else trained, home, symlinks=True)
        (home / "user").mkdir()
        environment, hidden = _environment(draw, home)
        ended = children.foldline(home, *words, environment=environment)
        places = _places(home, ended.out + ended.err, hidden)
        what = f"seed {seed}, number {number}: {' '.join(words)}, with {', '.join(sorted(environment))}"
        outcome = Outcome.SILENT if places else Outcome.FINE
        if not places and ended.broken and "--debug" not in words:
            outcome = ended.broken
        yield Fault(what, outcome, f"a secret is in {', '.join(places)}" if places else ended.err)
        shutil.rmtree(home, ignore_errors=True)


def _places(home: Path, said: str, hidden: list[str]) -> list[str]:
    """List where a secret is; the file that brings it aside."""
    found = [name for name, content in tiny.tree(home).items() if any(text.encode() in content for text in hidden)]
    found += ["the output"] if any(text in said for text in hidden) else []
    return [name for name in found if name != "kaggle/kaggle.json"]


SECRETS = Kind(
    name="secrets",
    promise="Keys and passwords of the environment are in no output and in no file",
    how="a canary in Kaggle's and wandb's variables and in a proxy's address; commands that end well and that fail",
    share=1.5,
    faults=secret_faults,
)

"""`ddp`: what it hands to torchrun, one process less is one error, and the loss of two processes is that of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import tiny

from foldline.cli import ddp
from foldline.cli.main import main
from foldline.core.errors import UserError
from foldline.fit.ranks import GONE
from foldline.run import cell_cost

SAME = 1e-4  # relative, of losses and watched scores: in docs/how-to/multi-gpu.md; measured 1e-7
WORDS = [  # all that happens to a batch; 3 series, then 1, go into a step: one of the processes has none then
    *("train.epochs=25", "train.batch=3", "train.micro=1", "train.ema=0.9", "train.margin=0", "train.lr=0.01"),
    "train.augment={mixup = 0.5, mixup_alpha = 0.4, mask_static = 0.3, shuffle = 0.3}",
    *("train.watch={share = 0.3, best = true}", "model.0.dropout=0.0", "model.0.embed=2", "train.checkpoint_s=0.05"),
]


def given(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What torchrun would get."""
    found: list[str] = []
    monkeypatch.setattr(ddp, "_launched", lambda arguments: found.extend(arguments) or 0)
    assert main(["ddp", *words]) == 0
    return found


def test_torchrun_gets_its_options_and_train_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONSAFEPATH", "TORCH_CPP_LOG_LEVEL", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "0")  # what the verb sets goes with the test
    command = ["-m", "foldline", "train", "rides", "train.lr=0.1", "train.processes=3", "--force", "--quiet"]
    found = given(monkeypatch, "rides", "--processes", "3", "train.lr=0.1", "--force", "--quiet")
    assert found == ["--standalone", "--nproc-per-node=3", "--max-restarts=0", *command]
    nodes = ["--nnodes=2", "--rdzv-backend=c10d", "--rdzv-endpoint=head:29400"]
    found = given(monkeypatch, "--processes=4", *nodes, "rides")
    assert found == ["--nproc-per-node=4", *nodes, "--max-restarts=0", *command[:4], "train.processes=8"]


def test_a_number_of_processes_that_may_change_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in {
        ("--nnodes", "1:4"): "--nnodes must be a whole number, at least 1, but is '1:4'",
        ("--processes", "gpu"): "--processes must be a whole number, at least 1, but is 'gpu'",
    }.items():
        assert main(["ddp", *words]) == 2
        assert said in capsys.readouterr().err


def test_the_process_that_ended_first_is_named_unless_it_has_spoken() -> None:
    assert ddp._ended({0: 2, 1: GONE}) == 2 and ddp._ended({1: 3}) == 3
    assert ddp._ended({0: 130, 1: 130}) == 130
    killed, lost = "Process 1 .* exit code -9", "lost each other.*NCCL_DEBUG"
    for codes, said in (
        *(({0: told, 1: -9}, killed) for told in (GONE, 130, 143, -15)),  # torchrun has told the first one to end
        *(({0: GONE, 1: other}, lost) for other in (GONE, 130, 143, -15)),
        ({0: 143}, "Process 0 .* exit code 143"),
    ):
        with pytest.raises(UserError, match=said):
            ddp._ended(codes)


def started(home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "foldline", "ddp", "--processes", "2", "rides", *WORDS]
    environment = {**os.environ, "FOLDLINE_HOME": str(home)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def weights_of(home: Path) -> dict[str, bytes]:
    """What cells learned and predicted, without times."""
    kept = (".safetensors", ".txt", ".npy")
    return {name: content for name, content in tiny.tree(home / "runs" / "cells").items() if name.endswith(kept)}


def histories(home: Path) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """(processes, fold) -> epochs of the networks."""
    found = {}
    for folder in (path.parent for path in (home / "runs" / "cells").glob("*/scaler.json")):
        depends = json.loads((folder / "depends.json").read_text())
        rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        found[depends["train"].get("processes", 1), depends["fold"]["number"]] = rows
    return found


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, bytes], bytes]]:
    """A home in which two processes have trained the rides' networks, and what has come out."""
    with tiny.home_of_rides(tmp_path_factory.mktemp("by-two")) as home:
        process = started(home)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0 and "Traceback" not in err and "Warning" not in err, err
        yield home, weights_of(home), tiny.submission(home)


@pytest.mark.slow  # it starts two processes, each of which imports all
def test_two_processes_have_the_loss_of_one(by_two: tuple[Path, dict[str, bytes], bytes]) -> None:
    home, before, _ = by_two
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLDLINE_HOME", str(home))
        tiny.run("train", "rides", *WORDS, "train.processes=2")  # all is finished: one process is enough
        tiny.run("train", "rides", *WORDS)
        costs = [cost for path in (home / "runs" / "cells").iterdir() if (cost := cell_cost.cost_of(path.name))]
    assert sorted(len(cost.others) for cost in costs) == [0, 0, 0, 0, 1, 1]  # LightGBM's cells are the same
    after = weights_of(home)
    assert before.items() <= after.items() and len(after) > len(before)
    found = histories(home)
    for fold in (0, 1):
        assert len(found[1, fold]) == len(found[2, fold]) == 25
        for one, two in zip(found[1, fold], found[2, fold], strict=True):
            assert two["loss"] == pytest.approx(one["loss"], rel=SAME)
            assert two["watched"] == pytest.approx(one["watched"], rel=SAME)
        losses = [row["loss"] for row in found[1, fold]]
        assert max(losses) / min(losses) - 1 > 100 * SAME  # they say something


@pytest.mark.slow
def test_a_killed_process_ends_all_with_one_error_and_the_same_command_goes_on(
    by_two: tuple[Path, dict[str, bytes], bytes], rides: Path, home: Path
) -> None:
    for rank in ("0", "1"):  # the first one, which stores; then one that follows it
        process, before = started(home), checkpoints(home)
        until = time.monotonic() + 240
        while checkpoints(home) <= before and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        (doomed,) = [each for each in psutil.Process(process.pid).children() if each.environ().get("RANK") == rank]
        doomed.send_signal(signal.SIGKILL)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 2 and err.count("\n") == 1
        assert err.startswith(f"error: Process {rank} of those that train together ended with exit code -9")
    again = started(home)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0 and "goes on after" in out, err
    assert (weights_of(home), tiny.submission(home)) == by_two[1:]


def checkpoints(home: Path) -> set[tuple[str, int]]:
    """The cells that have a checkpoint, and when it was written (ns)."""
    found = set()
    for path in (home / "runs" / "cells").glob("*/checkpoint.safetensors"):
        with suppress(FileNotFoundError):  # the cell is done meanwhile
            found.add((path.parent.name, path.stat().st_mtime_ns))
    return found

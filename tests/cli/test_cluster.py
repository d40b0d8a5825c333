"""`cluster`: the commands for a set of machines, and what is shown of a running cluster; nothing is started."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from foldline.cli import cluster, cluster_commands
from foldline.cli.cluster_commands import Machines
from foldline.cli.main import main
from foldline.cli.verb_table import VERBS
from foldline.run.on_ray import overview
from foldline.run.on_ray.overview import NodeView, Overview

SEEN = overview.seen


@pytest.fixture(autouse=True)
def no_cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster is named, and none is joined unless a test says so."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(overview, "seen", refuse)


def refuse(address: str) -> Overview:
    raise AssertionError("nothing was to be looked at")


def test_commands_lead_from_set_up_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "me@one", "two", "--folder", "/shared/it's", "--port", "7000", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    lines = [line for step in answer["commands"] for line in step["commands"] if not line.startswith("#")]
    assert answer["nodes"] == [] and len(answer["commands"]) >= 6
    typed = [shlex.split(line) for line in lines]  # as a shell takes them apart
    assert {words[0] for words in typed} == {"ssh"} and {words[1] for words in typed} == {"me@one", "two"}
    inner = [(words[1], words[2]) for words in typed]
    assert all(shlex.split(there)[:3] == ["cd", "/shared/it's", "&&"] for _, there in inner)
    starts = [(host, there.rpartition("ray start ")[2]) for host, there in inner if "ray start" in there]
    assert starts == [("me@one", "--head --port=7000"), ("two", "--address=one:7000")]
    assert any("RAY_ADDRESS=one:7000 ./run.sh train CONFIG executor.kind=ray" in there for _, there in inner)
    joining = [there for _, there in inner if "ray start" in there or "RAY_ADDRESS=" in there]
    token = "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$PWD/runs/ray_token "
    assert len(joining) == 5 and all(there.partition(" && ")[2].startswith(token) for there in joining)
    ddp = [there.partition("&& ")[2] for _, there in inner if "./run.sh ddp" in there]
    assert len(ddp) == 2 and all("--nnodes 2 --rdzv-backend c10d --rdzv-endpoint one:29400" in there for there in ddp)
    verb = VERBS["ddp"]  # every option that is printed is one that it takes
    assert {word for word in ddp[0].split() if word.startswith("--")} <= {*verb.options, *verb.shorthands}
    assert sum("./run.sh tune FILE tune.storage=" in there for _, there in inner) == 2


def test_this_machine_needs_no_ssh(home: Path) -> None:
    steps = cluster_commands.steps(Machines((socket.gethostname(), "two"), home, 6379))
    assert f"(cd {home} && .venv/bin/ray stop)" in steps[-1].commands
    (alone,) = cluster_commands.steps(Machines(("localhost",), home, 6379))[2].commands
    assert alone.startswith("(cd ") and "--head" in alone


def test_the_token_is_made_once_and_only_for_its_owner(home: Path) -> None:
    (command,) = cluster_commands.steps(Machines(("localhost",), home, 6379))[1].commands
    ray = home / ".venv" / "bin" / "ray"
    ray.parent.mkdir(parents=True)
    ray.write_text('#!/bin/sh\n[ "$*" = "get-auth-token --generate" ] && printf %s "${RAY_AUTH_TOKEN_PATH-new}"\n')
    ray.chmod(0o755)
    token = home / "runs" / "ray_token"
    environment = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(token)}  # as where it was exported before
    for before, after in (("", "new"), ("old", "old")):
        if before:
            token.write_text(before)
        subprocess.run(["sh", "-c", command], env=environment, check=True)
        assert token.read_text() == after and token.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["one", "two", "one"], "'one' is named twice"),
        (["one;rm"], "a name or an address that ssh takes, but got 'one;rm'"),
        (["localhost", "two"], "others cannot reach 'localhost'"),
        (["one", "port=x"], "port must be a whole number from 1 to 65535, but is 'x'"),
        (["one", "prot=1"], "Did you mean 'port'"),
        (["address=local"], "cluster starts none"),
    ],
)
def test_what_makes_no_cluster_is_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", *words]) == 2
    assert says in capsys.readouterr().err


def test_without_a_cluster_and_without_ray_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["cluster"]) == 0
    said = capsys.readouterr().out
    assert "no cluster was looked at: RAY_ADDRESS=HOST:PORT" in said
    assert "FOLDLINE_EXTRAS=ray ./run.sh doctor" in said
    monkeypatch.setattr(overview, "seen", SEEN)
    assert main(["cluster", "address=one:6379"]) == 2
    assert "Ray, which is not installed here" in capsys.readouterr().err


@pytest.mark.parametrize("trouble", ["", "has other packages: numpy 2.0, not 2.4"])
def test_a_node_that_cannot_run_cells_is_a_finding(
    trouble: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = NodeView("one", "10.0.0.1", True, 8.0, 0.0, "", 2**34, "")
    two = NodeView("two", "10.0.0.2", False, 16.0, 2.0, "H200", 2**36, trouble)
    asked: list[Any] = []
    found = Overview("one:6379", (one, two), 1, 20.0, 1.5)
    monkeypatch.setattr(overview, "seen", lambda address: asked.append(address) or found)
    monkeypatch.setenv("RAY_ADDRESS", "one:6379")
    assert main(["cluster"]) == (1 if trouble else 0)
    said = capsys.readouterr().out
    assert asked == ["one:6379"]
    assert "one (head)" in said and "2 H200" in said and "free now: 20 CPUs, 1.5 GPUs; 1 nodes are gone" in said
    assert (trouble or "can run") in said and f"cells can run on {1 if trouble else 2}" in said
    assert main(["cluster", "--json"]) == (1 if trouble else 0)
    assert json.loads(capsys.readouterr().out)["nodes"][1]["trouble"] == trouble


def test_ray_is_imported_only_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    source = Path(cluster.__file__).read_text(encoding="utf-8") + Path(overview.__file__).read_text(encoding="utf-8")
    assert "\nimport ray" not in source and "\nfrom ray" not in source

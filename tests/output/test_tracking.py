"""Tracking: how the mode is decided, without network, and that wandb's offline files hold what history.jsonl holds."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny

from foldline.cli import track as verb
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import Finding, UserError
from foldline.output import tracking
from foldline.output.tracking import Summary, TrackConfig, WandbTracker, wandb_offline, wandb_tracker

KEY = "0123456789abcdef" * 2 + "01234567"  # 40 digits, as wandb wants them


@pytest.mark.parametrize(
    ("config", "mode", "key", "expected"),
    [
        ("auto", None, None, "offline"),
        ("auto", None, "variable", "online"),
        ("auto", None, "netrc", "online"),
        ("auto", None, "other netrc", "offline"),
        ("auto", None, "own server", "online"),
        ("auto", "disabled", "variable", "disabled"),
        ("auto", "offline", "variable", "offline"),
        ("auto", "online", None, "online"),
        ("disabled", "online", "variable", "disabled"),
        ("offline", "online", "variable", "offline"),
        ("online", "offline", None, "online"),
    ],
)
def test_the_mode_is_decided_before_wandb_starts(
    config: str, mode: str | None, key: str | None, expected: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode:
        monkeypatch.setenv("WANDB_MODE", mode)
    if key == "variable":
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    if key == "own server":
        monkeypatch.setenv("WANDB_BASE_URL", "https://example.org:8080")
    if key in ("netrc", "other netrc", "own server"):
        host = "api.wandb.ai" if key == "netrc" else "example.org"
        (home / "netrc").write_text(f"machine {host} login user password {'0' * 40}\n")
        (home / "netrc").chmod(0o600)
        monkeypatch.setenv("NETRC", str(home / "netrc"))
    assert tracking.mode_of(TrackConfig(wandb=config)) == expected


def records(path: Path) -> Iterator[bytes]:
    """The whole records of a .wandb file: LevelDB's log format, a header of 7 bytes, then blocks of 32 KiB."""
    content, place, parts = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        if kind == 0 or place + 7 + length > len(content):  # its end is still to be written
            return
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a full one, or the last part of one
            yield parts
            parts = b""


def written(path: Path, kind: str) -> list[Any]:
    """The records of one kind, as wandb's own types. The last ones may come a moment after the run's end."""
    from wandb.proto.wandb_internal_pb2 import Record

    for _ in range(5000):  # it only bounds a hang
        every = [Record.FromString(raw) for raw in records(path)]
        if any(record.HasField("exit") for record in every):
            return [getattr(record, kind) for record in every if record.HasField(kind)]
        time.sleep(0.05)
    raise AssertionError(f"{path} never ended")


def items(pairs: Iterable[Any]) -> dict[str, Any]:
    """Keys and values of a record."""
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in pairs}


def logged(path: Path) -> list[dict[str, float]]:
    """The rows of a run's history."""
    rows = [items(history.item) for history in written(path, "history")]
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]


def test_offline_files_hold_what_the_cells_history_holds(rides: Path, home: Path) -> None:
    tiny.run("train", "rides", "track.wandb=offline")
    latest = (home / "runs" / "rides" / "latest").resolve()
    paths = [path for path in latest.rglob("*.wandb") if written(path, "run")[0].display_name != "summary"]
    tracked = [logged(path) for path in paths]
    histories = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in (home / "runs" / "cells").glob("*/history.jsonl")
    ]
    assert len(tracked) == 4 and [len(rows) for rows in sorted(histories, key=len)] == [1, 1, 2, 2]
    assert sorted(map(str, sorted_rows(tracked))) == sorted(map(str, sorted_rows(histories)))
    shown = [value for path in paths for record in written(path, "summary") for value in items(record.update).items()]
    by_model = dict(json.loads((latest / "experiment.json").read_text())["scores"])
    of_folds = [score for label in ("hybrid", "lightgbm") for score in by_model[label][:2]]
    assert sorted(float(value) for name, value in shown if name == "held_out") == pytest.approx(sorted(of_folds))


def sorted_rows(runs: list[list[dict[str, float]]]) -> list[list[list[tuple[str, float]]]]:
    """Rows as sorted pairs, so that neither the order of keys counts nor 0 against 0.0."""
    return [[sorted((name, float(value)) for name, value in row.items()) for row in rows] for rows in runs]


def test_a_run_has_its_cells_config_as_in_toml(rides: Path, home: Path) -> None:
    tiny.run("train", "rides", "track.wandb=offline")
    begun = [record for path in (home / "runs" / "rides").rglob("*.wandb") for record in written(path, "run")]
    by_name = {run.display_name: run for run in begun}
    assert sorted(name for name in by_name if name != "summary") == [
        *("hybrid fold 0 seed 0", "hybrid fold 1 seed 0"),
        *("lightgbm fold 0 seed 0", "lightgbm fold 1 seed 0"),
    ]
    run = by_name["hybrid fold 1 seed 0"]
    assert (run.project, run.run_group, run.job_type) == ("foldline", "rides", "train")
    config = items(run.config.update)
    assert config["features"] == {
        "families": ["raw", "time", "lags", "static"],
        "scaler": "robust",
        "lags": {"lags": [1], "leads": [1]},
    }
    assert config["model"]["name"] == "hybrid" and config["model"]["width"] == 4 and config["train"]["batch"] == 4
    assert (config["fold"], config["seed"]) == (1, 0) and (home / "runs" / "cells" / config["cell"]).is_dir()


def test_a_summary_holds_scores_pages_and_files(home: Path, tmp_path: Path) -> None:
    (tmp_path / "submission.csv").write_text("row,speed\n1,2.5\n")
    sent = Summary(
        config={"data": {"key": "ride"}, "model": [{"name": "hybrid"}]},
        values={"score": 0.25, "blend/hybrid": 0.7},
        pages={"report": "<!doctype html><p>whole</p>"},
        artifacts={"submission": tmp_path / "submission.csv"},
    )
    with WandbTracker(TrackConfig(wandb="offline"), "my rides+", tmp_path / "run", "train") as tracker:
        tracker.log_summary(sent)
    assert tracker.trouble == ""
    (path,) = (tmp_path / "run").rglob("*.wandb")
    (run,) = written(path, "run")
    assert (run.display_name, run.run_group) == ("summary", "my rides+") and items(run.config.update)["data"] == {
        "key": "ride"
    }
    summary = {name: value for record in written(path, "summary") for name, value in items(record.update).items()}
    assert summary["score"] == 0.25 and summary["blend/hybrid"] == 0.7
    (page,) = path.parent.rglob("*.html")
    assert page.read_text() == "<!doctype html><p>whole</p>" and logged(path)[0]["report/_type"] == "html-file"
    (artifact,) = written(path, "artifact")
    assert (artifact.type, artifact.name) == ("submission", "my-rides--submission")
    (content,) = artifact.manifest.contents
    assert (content.path, content.size) == ("submission.csv", (tmp_path / "submission.csv").stat().st_size)


def test_a_server_that_never_answers_does_not_hang_a_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wandb_tracker, "INIT_TIMEOUT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        with WandbTracker(TrackConfig(), "rides", tmp_path / "run", "train") as tracker:
            assert tracker.mode == "online"
            tracker.log_summary(Summary(config={}, values={"score": 0.5}, pages={}, artifacts={}))
    assert tracker.mode == "offline" and tracker.trouble.startswith("wandb online did not start (")
    offline_runs = list((tmp_path / "run").rglob("offline-run-*/*.wandb"))
    assert [items(written(path, "summary")[0].update)["score"] for path in offline_runs] == [0.5]
    shown = tracker.trouble + "".join(capfd.readouterr())
    shown += "".join(path.read_text(errors="replace") for path in (tmp_path / "run").rglob("*.log") if path.is_file())
    assert KEY not in shown


def test_online_without_a_key_goes_on_offline_without_a_prompt(home: Path, tmp_path: Path) -> None:
    with WandbTracker(TrackConfig(wandb="online"), "rides", tmp_path / "run", "train") as tracker:
        tracker.log_summary(Summary(config={}, values={"score": 0.5}, pages={}, artifacts={}))
    assert tracker.trouble == "wandb online did not start (no key was found); tracking goes on offline"
    assert len(list((tmp_path / "run").rglob("offline-run-*/*.wandb"))) == 1


class Broken:
    """A run whose service has died."""

    def log(self, values: dict[str, float]) -> None:
        raise ConnectionResetError("Connection lost")


def test_a_wandb_that_fails_later_does_not_stop_a_run(
    rides: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(WandbTracker, "_init", lambda self, module, name, config, mode: begun.append(name) or Broken())
    tiny.run("train", "rides", "track.wandb=offline")
    warned = "wandb failed (Connection lost); tracking goes on in history.jsonl only"
    assert len(begun) == 1 and tiny.without_baselines(capsys.readouterr().err) == f"warning: {warned}\n"


def test_a_blend_has_a_summary_run_with_its_page(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("blend", "rides", "blend.method=mean", "blend.trials=2", "track.wandb=offline")
    for _ in range(2):  # the second time nothing has changed
        tiny.run(*words)
    (path,) = (trained / "runs" / "rides").rglob("*.wandb")
    (run,) = written(path, "run")
    assert (run.display_name, run.run_group, run.job_type) == ("summary", "rides", "blend")
    summary = {name: value for record in written(path, "summary") for name, value in items(record.update).items()}
    assert summary["blend/hybrid"] == summary["blend/lightgbm"] == 0.5
    assert {artifact.type for artifact in written(path, "artifact")} == {"submission", "folds", "blend"}


def waits(home: Path, name: str) -> Path:
    """A run that was offline."""
    folder = home / "runs" / "rides" / "0123" / "wandb" / f"offline-run-20260101_00000{name}"
    folder.mkdir(parents=True)
    (folder / f"run-{name}.wandb").write_bytes(b"a header and more")
    return folder


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stand-in for `wandb sync`: it lists what it is given and marks it, but refuses runs that are named 2."""
    script = tmp_path / "sync.py"
    script.write_text(
        "import os, pathlib, sys\n"
        "(run,) = pathlib.Path(sys.argv[1]).glob('*.wandb')\n"
        "if run.stem == 'run-2': sys.exit('refused ' + os.environ['WANDB_API_KEY'])\n"
        "run.with_suffix('.wandb.synced').touch()\n"
    )
    monkeypatch.setattr(wandb_offline, "COMMAND", (sys.executable, str(script)))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    return script


def test_waiting_runs_are_sent_once(home: Path, sent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [waits(home, "3"), waits(home, "1")]
    assert wandb_offline.waiting(home / "runs") == runs[::-1]  # oldest first
    assert verb.run(Arguments("track"), Terminal(as_json=True)) == 0
    assert json.loads(capsys.readouterr().out) == {"mode": "online", "waiting": {"rides/0123": 2}}
    assert verb.run(Arguments("track", ["sync"]), Terminal(quiet=True)) == 0
    assert capsys.readouterr().out == "sent: 2 runs\n" and wandb_offline.waiting(home / "runs") == []
    assert verb.run(Arguments("track", ["sync"]), Terminal(quiet=True)) == 0
    assert capsys.readouterr().out == "nothing waits to be sent\n"


def test_runs_that_wandb_refuses_keep_back_no_other_and_no_key_is_shown(home: Path, sent: Path) -> None:
    for name in ("1", "2", "3"):
        waits(home, name)
    for _ in range(2):
        with pytest.raises(Finding, match=r"of \d runs are sent; .*\n  - .*00002: refused \(key\)") as caught:
            verb.run(Arguments("track", ["sync"]), Terminal(quiet=True))
        assert KEY not in str(caught.value) and [path.name[-1] for path in wandb_offline.waiting(home / "runs")] == [
            "2"
        ]


def test_a_run_that_was_killed_as_it_began_is_named_and_left_out(
    home: Path, sent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = waits(home, "1").glob("*.wandb")
    file.write_bytes(b":W&B\x00\x00\x00")  # a header only
    waits(home, "3")
    assert verb.run(Arguments("track", ["sync"]), Terminal(quiet=True)) == 0
    output = capsys.readouterr()
    assert output.out == "sent: 1 runs\n" and "00001 holds nothing" in output.err
    assert not file.with_suffix(".wandb.synced").exists()


def test_an_id_in_the_environment_is_no_cells(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = {
        "WANDB_RUN_ID": "one",
        "WANDB_RESUME": "must",
        "WANDB_RUN_GROUP": "theirs",
        "WANDB_NAME": "theirs",
        "WANDB_JOB_TYPE": "theirs",
        "WANDB_SWEEP_ID": "theirs",
    }
    for name, value in outside.items():
        monkeypatch.setenv(name, value)
    summary = Summary(config={}, values={"score": 0.25}, pages={}, artifacts={})
    for folder in ("first", "second"):
        with WandbTracker(TrackConfig(wandb="offline"), "rides", tmp_path / folder, "train") as tracker:
            tracker.log_summary(summary)
            assert not tracker.trouble
    runs = [written(path, "run")[0] for path in tmp_path.rglob("*.wandb")]
    assert len({run.run_id for run in runs}) == 2 and "one" not in {run.run_id for run in runs}
    assert {(run.run_group, run.display_name, run.job_type) for run in runs} == {("rides", "summary", "train")}
    assert not any(run.sweep_id for run in runs)
    assert {name: os.environ[name] for name in outside} == outside


def test_sending_needs_a_key(home: Path) -> None:
    waits(home, "1")
    with pytest.raises(UserError, match=r"needs a key, and none was found\. Set WANDB_API_KEY"):
        verb.run(Arguments("track", ["sync"]), Terminal(quiet=True))
    with pytest.raises(UserError, match=r"takes nothing or the word sync, but got 'sink'"):
        verb.run(Arguments("track", ["sink"]), Terminal(quiet=True))


def test_a_wandb_that_cannot_start_does_not_stop_a_run(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import wandb

    tried: list[str] = []

    def refuse(self: WandbTracker, module: object, name: object, config: object, mode: str) -> None:
        tried.append(mode)
        raise wandb.errors.CommError("no way out")

    monkeypatch.setattr(WandbTracker, "_init", refuse)
    tiny.run("train", "rides", "track.wandb=online")
    assert tried == ["online", "offline"]
    err = tiny.without_baselines(capsys.readouterr().err)
    assert err.startswith("warning: wandb online did not start (no way out)") and err.count("\n") == 1

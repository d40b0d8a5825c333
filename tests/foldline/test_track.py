"""Tracking: how the mode is decided, without network, and that wandb's offline files hold what history.jsonl holds."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny

from foldline import track
from foldline.track import TrackConfig


@pytest.mark.parametrize(
    ("config", "mode", "key", "expected"),
    [
        ("auto", None, None, "offline"),
        ("auto", None, "variable", "online"),
        ("auto", None, "netrc", "online"),
        ("auto", None, "other netrc", "offline"),
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
    if key in ("netrc", "other netrc"):
        host = "api.wandb.ai" if key == "netrc" else "example.org"
        (home / "netrc").write_text(f"machine {host} login user password {'0' * 40}\n")
        (home / "netrc").chmod(0o600)
        monkeypatch.setenv("NETRC", str(home / "netrc"))
    assert track.mode_of(TrackConfig(wandb=config)) == expected


def records(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format, a header of 7 bytes, then blocks of 32 KiB."""
    content, place, parts = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        if kind == 0:
            return
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a full one, or the last part of one
            yield parts
            parts = b""


def logged(path: Path) -> list[dict[str, float]]:
    """The rows of a run's history."""
    from wandb.proto.wandb_internal_pb2 import Record

    rows = []
    for raw in records(path):
        record = Record()
        record.ParseFromString(raw)
        if record.WhichOneof("record_type") == "history":
            items = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            rows.append({name: value for name, value in items.items() if not name.startswith("_")})
    return rows


def test_offline_files_hold_what_the_cells_history_holds(rides: Path, home: Path) -> None:
    tiny.run("train", "rides", "track.wandb=offline")
    latest = (home / "runs" / "rides" / "latest").resolve()
    mirrored = [logged(path) for path in latest.rglob("*.wandb")]
    histories = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in (home / "runs" / "cells").glob("*/history.jsonl")
    ]
    assert len(mirrored) == 4 and [len(rows) for rows in sorted(histories, key=len)] == [1, 1, 2, 2]
    assert sorted(map(str, sorted_rows(mirrored))) == sorted(map(str, sorted_rows(histories)))


def sorted_rows(runs: list[list[dict[str, float]]]) -> list[list[list[tuple[str, float]]]]:
    """Rows as sorted pairs, so that neither the order of keys counts nor 0 against 0.0."""
    return [[sorted((name, float(value)) for name, value in row.items()) for row in rows] for rows in runs]


def test_a_wandb_that_cannot_start_stops_nothing(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import wandb

    tried: list[str] = []

    def refuse(self: track.Tracker, module: object, cell: object, mode: str) -> None:
        tried.append(mode)
        raise wandb.errors.CommError("no way out")

    monkeypatch.setattr(track.Tracker, "_init", refuse)
    tiny.run("train", "rides", "track.wandb=online")
    assert tried == ["online", "offline"]
    err = capsys.readouterr().err
    assert err.startswith("warning: wandb online did not start (no way out)") and err.count("\n") == 1

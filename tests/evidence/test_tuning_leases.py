"""Leases and journals when processes are killed: a dead worker is found at once, a half-written line does no harm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest

from foldline.core import requirements
from foldline.core.artefacts import Damaged
from foldline.core.errors import UserError
from foldline.evidence.tuning import leases, optuna_storage
from foldline.evidence.tuning.leases import Leases

REPOSITORY = Path(__file__).resolve().parents[2]

HOLD = """
import sys, time
from pathlib import Path
from foldline.evidence.tuning.leases import Leases
with Leases(Path(sys.argv[1])).hold(7):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> float:
    """The time of a clock that stands still, in seconds since 1970."""
    monkeypatch.setattr(leases, "time", SimpleNamespace(time=lambda: 1e9))
    return 1e9


def killed_holder(folder: Path) -> None:
    """Another process holds lease 7 until this kills it."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "held\n"
    assert not Leases(folder).free(7)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_lease_is_free_the_moment_its_holder_is_killed(tmp_path: Path) -> None:
    held = Leases(tmp_path)
    mine = {"lease": held.id}
    killed_holder(tmp_path)
    assert held.free(7)
    assert held.dead(7, mine, began=time.time(), several_folders=True)
    with held.hold(7):
        assert not held.dead(7, mine, began=0.0, several_folders=True)


def test_the_id_is_drawn_once_for_a_folder(tmp_path: Path) -> None:
    first = Leases(tmp_path / "a").id
    assert Leases(tmp_path / "a").id == first != Leases(tmp_path / "b").id


def test_a_worker_elsewhere_is_judged_by_its_heartbeat(tmp_path: Path, clock: float) -> None:
    here, now = Leases(tmp_path), clock
    long_ago = now - leases.LOST_S - 1
    assert not here.dead(1, {"lease": "other", "beat": now}, began=long_ago, several_folders=True)
    assert here.dead(1, {"lease": "other", "beat": long_ago}, began=long_ago, several_folders=True)
    assert not here.dead(1, {"lease": "other"}, began=now, several_folders=True)


def test_how_long_a_worker_elsewhere_is_waited_for_can_be_said(tmp_path: Path, clock: float) -> None:
    here = Leases(tmp_path, lost_s=6.0)
    for attrs in ({"lease": "other", "beat": clock - 7}, {}):  # an unregistered one, too
        assert here.dead(1, attrs, began=clock - 7, several_folders=True)
    for attrs in ({"lease": "other", "beat": clock - 5}, {}):
        assert not here.dead(1, attrs, began=clock - 5, several_folders=True)
    assert leases.heartbeat_s(6.0) == 1.0 and leases.heartbeat_s(leases.LOST_S) == leases.HEARTBEAT_S


def test_a_worker_killed_before_it_registered(tmp_path: Path, clock: float) -> None:
    """With one folder of leases the lease decides; else registering may take a moment."""
    here, long_ago = Leases(tmp_path), clock - leases.REGISTRATION_TIMEOUT_S - 1
    assert here.dead(1, {}, began=clock, several_folders=False)
    assert not here.dead(1, {}, began=clock, several_folders=True)
    assert here.dead(1, {}, began=long_ago, several_folders=True)


def test_a_heartbeat_counts_whatever_the_start_time_is(tmp_path: Path, clock: float) -> None:
    """A database keeps local times: of a machine further east they lie in the future."""
    attrs = {"lease": "other", "beat": clock - leases.LOST_S - 1}
    assert Leases(tmp_path).dead(1, attrs, began=clock + 7200, several_folders=True)


def journal(folder: Path) -> optuna.Study:
    return optuna_storage.open_study("", folder, "study")


def finish(study: optuna.Study, value: float) -> None:
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    study.tell(trial, value)


@pytest.mark.parametrize("half", [b"{", b'{"op_code":6,"worker_id":"ab', b"x" * 9000])
def test_a_half_written_line_is_cut_off_and_nothing_else_is_lost(half: bytes, tmp_path: Path) -> None:
    finish(journal(tmp_path), 1.0)
    path = tmp_path / "study.journal"
    whole = path.read_bytes()
    path.write_bytes(whole + half)
    finish(journal(tmp_path), 2.0)
    assert path.read_bytes().startswith(whole)
    assert [trial.value for trial in journal(tmp_path).trials] == [1.0, 2.0]


def test_a_journal_of_one_half_written_line(tmp_path: Path) -> None:
    (tmp_path / "study.journal").write_bytes(b'{"op_')
    finish(journal(tmp_path), 1.0)
    assert len(journal(tmp_path).trials) == 1


def test_a_bit_that_flips_in_a_journal_is_named(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        finish(journal(tmp_path), value)
    path = tmp_path / "study.journal"
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1  # the first line could be one of an older version
    for at in range(second, len(whole) - 1, 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Damaged, match=r"is not what was written\. Move it away and run"):
            journal(tmp_path)


def test_a_journal_without_checksums_goes_on(tmp_path: Path) -> None:
    finish(journal(tmp_path), 1.0)
    path = tmp_path / "study.journal"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    older = [{key: value for key, value in line.items() if key != optuna_storage.CHECKSUM} for line in lines]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in older))
    finish(journal(tmp_path), 2.0)
    assert [trial.value for trial in journal(tmp_path).trials] == [1.0, 2.0]


def test_a_journal_may_lie_in_the_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    optuna_storage.open_storage("~/a.journal", tmp_path)
    assert (tmp_path / "me" / "a.journal").exists()


def test_several_studies_share_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    for name in ("one", "other"):
        study = optuna_storage.open_study(url, tmp_path, name)
        finish(study, 1.0)
    again = optuna_storage.open_study(url, tmp_path, "one")
    assert len(again.trials) == 1
    again._storage.remove_session()
    study._storage.remove_session()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("grpc://nowhere", "the form grpc://HOST:PORT"),
        ("mysql://here/db", "the library for mysql:// is not installed"),
        ("sqlite:////nowhere/at/all.db", "the database can't be used: .*Check the url"),
    ],
)
def test_storages_that_cannot_be_used(where: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(UserError, match=says):
        optuna_storage.open_storage(where, tmp_path)


@pytest.mark.parametrize(
    ("where", "module", "package"),
    [("grpc://here:1", "grpc", "grpcio"), ("postgresql+psycopg://here/db", "psycopg", "psycopg-binary")],
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    where: str, module: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"needs the module {module}, .* with FOLDLINE_EXTRAS=storage before it"):
        optuna_storage.open_storage(where, tmp_path)
    extra = requirements.declared(REPOSITORY / "pyproject.toml", ["storage"])
    assert package in {line.partition(">")[0] for line in extra}


def test_a_journal_takes_no_other_files_place(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    for content in ("id,value\n1,2", '{"some": "json"}'):
        path.write_text(content)
        with pytest.raises(UserError, match="is not overwritten"):
            optuna_storage.open_storage(str(path), tmp_path)
        assert path.read_text() == content
    path.write_text("")
    optuna_storage.open_study(str(path), tmp_path, "one")
    assert len(optuna_storage.open_study(str(path), tmp_path, "one").trials) == 0

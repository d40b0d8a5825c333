"""A storage that goes away in the middle of a search, and comes back: calls are made again, for a while."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError, PendingRollbackError

from foldline.core import interrupt
from foldline.core.errors import UserError
from foldline.evidence.tuning import optuna_storage, storage_retries


class Unreachable(Exception):
    """As gRPC's error says it."""

    def __init__(self, name: str = "UNAVAILABLE") -> None:
        self.name = name

    def code(self) -> SimpleNamespace:
        return SimpleNamespace(name=self.name)


class Away:
    """A storage in memory behind a proxy that is away for some calls, before or after each is carried out."""

    away = 0
    error: Exception = Unreachable()
    too_late = False
    unready = 0  # times that it is not there to be opened

    def __init__(self, **_: object) -> None:
        self.inner = InMemoryStorage()

    def wait_server_ready(self, timeout: float) -> None:
        """Be ready, or not, as Optuna's proxy says it."""
        if Away.unready:
            Away.unready -= 1
            raise ConnectionError("GRPC connection timeout")


def delegated(name: str) -> Callable[..., Any]:
    """A method of the proxy."""

    def call(self: Away, *arguments: Any, **named: Any) -> Any:
        carried_out = not Away.away or Away.too_late
        answer = getattr(self.inner, name)(*arguments, **named) if carried_out else None
        if Away.away:
            Away.away -= 1
            raise Away.error
        return answer

    return call


Proxy = type("Proxy", (Away, BaseStorage), {name: delegated(name) for name in storage_retries.CALLS})


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, which take no time."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(optuna_storage, "GrpcStorageProxy", Proxy)
    for attribute, value in (("away", 0), ("error", Unreachable()), ("too_late", False), ("unready", 0)):
        monkeypatch.setattr(Away, attribute, value)
    return waits


def test_calls_are_made_again_until_they_are_answered(slept: list[float], tmp_path: Path) -> None:
    study = optuna_storage.open_study("grpc://here:1", tmp_path, "study")
    for number in range(3):
        Away.away = 3
        trial = study.ask()
        Away.away = 3
        trial.set_user_attr("lease", "a")
        Away.away = 3
        trial.report(1.0, 0)
        Away.away = 3
        study.tell(trial, float(number))
    assert [trial.value for trial in study.trials] == [0.0, 1.0, 2.0]
    assert slept[:3] == [0.5, 1.0, 2.0]


def test_an_answer_that_was_lost_does_no_harm(slept: list[float], tmp_path: Path) -> None:
    study = optuna_storage.open_study("grpc://here:1", tmp_path, "study")
    trial = study.ask()
    Away.away, Away.too_late = 1, True
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):  # what workers take as: it has ended
        study._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [1.0])
    assert [trial.value for trial in study.trials] == [1.0]


def test_waiting_ends_with_a_sentence(slept: list[float], tmp_path: Path) -> None:
    study = optuna_storage.open_study("grpc://here:1", tmp_path, "study")
    Away.away = 10_000
    with pytest.raises(UserError, match=r"nothing has answered at here:1 for 5 minutes\. See that it can be reached"):
        study.ask()
    assert sum(slept) < 2 * storage_retries.LONGEST_S


def test_how_long_is_waited_can_be_said(slept: list[float], tmp_path: Path) -> None:
    study = optuna_storage.open_study("grpc://here:1", tmp_path, "study", patience_s=3.0)
    Away.away = 10_000
    with pytest.raises(UserError, match=r"nothing has answered at here:1 for 3 s\..*tune\.patience_s=SECONDS"):
        study.ask()
    assert slept == [0.5, 1.0, 2.0]


def test_a_shared_folder_that_is_unmounted_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, elsewhere = tmp_path / "shared", tmp_path / "unmounted"
    study = optuna_storage.open_study(str(shared / "study.journal"), tmp_path, "study")
    study.tell(study.ask(), 1.0)
    monkeypatch.setattr("time.sleep", lambda _: elsewhere.rename(shared))  # it comes back while it is waited for
    for value in (2.0, 3.0):
        shared.rename(elsewhere)
        trial = study.ask()
        shared.rename(elsewhere)
        study.tell(trial, value)
    assert [trial.value for trial in study.trials] == [1.0, 2.0, 3.0]
    shared.rename(elsewhere)
    monkeypatch.undo()
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(UserError, match=r"nothing has answered at .*study\.journal for 5 minutes"):
        study.ask()
    assert not shared.exists(), "something was made where the folder is mounted"


def test_one_that_has_answered_before_is_waited_for_when_it_is_opened(slept: list[float], tmp_path: Path) -> None:
    Away.unready = 3
    with pytest.raises(UserError, match=r"nothing answers at here:1\. docs/how-to"):
        optuna_storage.open_storage("grpc://here:1", tmp_path)
    assert not slept
    optuna_storage.open_storage("grpc://here:1", tmp_path, known=True).get_all_studies()
    assert slept == [0.5, 1.0]


def test_a_journal_is_not_made_anew_where_its_folder_is_unmounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared, elsewhere = tmp_path / "shared", tmp_path / "unmounted"
    where = str(shared / "study.journal")
    study = optuna_storage.open_study(where, tmp_path, "study")
    study.tell(study.ask(), 1.0)
    shared.rename(elsewhere)
    shared.mkdir()  # where it is mounted

    def mounts(_: float) -> None:
        shared.rmdir()
        elsewhere.rename(shared)

    monkeypatch.setattr("time.sleep", mounts)
    assert len(optuna_storage.open_study(where, tmp_path, "study", known=True).trials) == 1
    assert "study.journal (No such file or directory); waiting" in capsys.readouterr().err
    Path(where).rename(tmp_path / "moved-away")
    assert not optuna_storage.open_study(where, tmp_path, "study", known=True).trials


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ESTALE])
def test_a_folder_that_is_not_reached_is_away(number: int) -> None:
    assert storage_retries.is_unavailable(OSError(number, "as the system says it"))
    assert not storage_retries.is_unavailable(OSError(errno.EINVAL, "another one"))


def test_a_databases_password_is_not_shown(tmp_path: Path, slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    gone = InMemoryStorage()
    monkeypatch.setattr(gone, "get_all_studies", fails_with(OperationalError("select 1", {}, OSError("refused"))))
    monkeypatch.setattr(optuna_storage, "_database", lambda url: gone)
    storage = optuna_storage.open_storage("postgresql+psycopg://me:secret@here/db", tmp_path, patience_s=1.0)
    with pytest.raises(UserError, match="nothing has answered at here/db for 1 s") as told:
        storage.get_all_studies()
    assert "secret" not in str(told.value)


def test_an_error_that_another_one_led_to(
    slept: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Optuna goes on after a lost connection with another query, and SQLAlchemy refuses that one."""
    try:
        try:
            raise OperationalError("select 1", {}, OSError("closed"))
        except OperationalError:
            raise PendingRollbackError("can't reconnect") from None
    except PendingRollbackError as error:
        refused = error
    study = optuna_storage.open_study("grpc://here:1", tmp_path, "study")
    Away.away, Away.error = 2, refused
    study.ask()
    assert slept == [0.5, 1.0]
    assert capsys.readouterr().err == "tune.storage: nothing answers at here:1; waiting, at most 5 minutes.\n"


def fails_with(error: Exception) -> Callable[..., Any]:
    """A call that a database which is away fails, as Optuna hands it on."""

    def call(*_: Any) -> None:
        raise StorageInternalError("during the commit") from error

    return call


def test_other_errors_and_interrupts_are_not_waited_out(
    slept: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna_storage.open_study("grpc://here:1", tmp_path, "study")
    for error in (Unreachable("INTERNAL"), OSError("no")):
        Away.away, Away.error = 1, error
        with pytest.raises(type(error)):
            study.ask()
    assert not slept

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupt, "stop_if_requested", stop)
    Away.away, Away.error = 1, Unreachable()
    with pytest.raises(KeyboardInterrupt):
        study.ask()
    assert not slept

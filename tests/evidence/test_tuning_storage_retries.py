"""A proxy that is restarted in the middle of a search: calls are made again, for a while."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState

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

    def __init__(self, **_: object) -> None:
        self.inner = InMemoryStorage()

    def wait_server_ready(self, timeout: float) -> None:
        """Is ready."""


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
    for attribute, value in (("away", 0), ("error", Unreachable()), ("too_late", False)):
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
    with pytest.raises(UserError, match=r"nothing has answered at here:1 for 5 minutes\. Start the proxy"):
        study.ask()
    assert sum(slept) < 2 * storage_retries.LONGEST_S


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

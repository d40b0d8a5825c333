"""Ray only where it is asked for: joined or started, ended where it was started, and refused in one sentence."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny

from foldline.cli.main import main
from foldline.core.errors import TryAgain, UserError
from foldline.run.executor_config import ExecutorConfig
from foldline.run.on_ray import session

ON_RAY = ExecutorConfig(kind="ray")


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else honest(name, *more))


@pytest.mark.usefixtures("without_ray")
def test_without_ray_a_run_is_refused_before_anything_is_made(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "rides", "executor.kind=ray"]) == 2
    err = capsys.readouterr().err
    assert "FOLDLINE_EXTRAS=ray ./run.sh doctor" in err and err.count("\n") == 1
    assert not (home / "runs" / "store").exists() and not (home / "runs" / "cells").exists()


@pytest.mark.usefixtures("without_ray")
def test_infer_runs_elsewhere_than_training_did(trained: Path, rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = next((trained / "runs" / "rides").glob("*/experiment.json"))
    assert '"kind": "serial"' in record.read_text() and '"address"' not in record.read_text()
    assert main(["infer", "rides", "executor.kind=ray"]) == 2
    assert "needs Ray, which is not installed" in capsys.readouterr().err
    tiny.run("infer", "rides", "executor.kind=process", "executor.workers=2")
    assert main(["infer", "rides", "executor.knid=serial"]) == 2
    assert "Did you mean 'kind'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "variable", "address"),
    [
        (ON_RAY, "", "local"),
        (ON_RAY, "10.0.0.1:6379", "10.0.0.1:6379"),
        (ExecutorConfig(kind="ray", address="auto"), "10.0.0.1:6379", "auto"),
    ],
)
def test_the_config_names_the_cluster_before_the_variable(
    config: ExecutorConfig, variable: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    assert session.address_of(config) == address


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The clusters that are joined and left, in place of real ones."""
    events: list[str] = []

    @contextmanager
    def joined(address: str) -> Iterator[None]:
        events.append(f"join {address}")
        yield
        events.append(f"leave {address}")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(session, "require", lambda: None)
    monkeypatch.setattr(session, "_joined", joined)
    monkeypatch.setattr(session, "connected", lambda: sum(1 if "join" in each else -1 for each in events) > 0)
    return events


def test_a_session_ends_what_it_has_opened_and_nothing_else(opened: list[str]) -> None:
    with session.opened(ON_RAY), session.opened(ON_RAY):
        pass
    assert opened == ["join local", "leave local"]


def test_a_verb_keeps_its_cluster_for_all_that_it_trains(opened: list[str]) -> None:
    with session.kept():
        for _ in range(2):
            with session.opened(ON_RAY):
                pass
        assert opened == ["join local"]
    assert opened == ["join local", "leave local"]


def test_a_clients_address_is_refused_with_the_way_out() -> None:
    with (
        pytest.raises(UserError, match=r"'ray://head:10001' is that of Ray's client.*HOST:PORT"),
        session._joined("ray://head:10001"),
    ):
        pass


class NoCluster(SimpleNamespace):
    """As much of Ray as a session needs, where nobody answers."""

    def init(self, **_: Any) -> None:
        os.environ["RAY_AUTH_MODE"] = "token"  # as Ray 2.60 does
        raise ConnectionError("ray.init() could not\nconnect")


def test_where_no_cluster_answers_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    fake = NoCluster(shutdown=lambda: ended.append("shutdown"))
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    before = dict(os.environ)
    with (
        pytest.raises(
            TryAgain, match=r"at '10.0.0.1:6379' \(executor.address, or RAY_ADDRESS\).*could not conn"
        ) as refused,
        session._joined("10.0.0.1:6379"),
    ):
        pass
    assert "RAY_AUTH_MODE=token" in str(refused.value)  # Ray's error does not say that a token was asked for
    with pytest.raises(UserError, match="No cluster could be started") as refused, session._joined("local"):
        pass
    assert "RAY_AUTH_MODE" not in str(refused.value)
    assert ended and dict(os.environ) == before

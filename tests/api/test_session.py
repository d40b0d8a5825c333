"""Around a call: one at a time, nothing of it left in the process, everything that it says on the result."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import optuna
import pytest
import torch

from foldline.api import session as sessions
from foldline.api.session import session
from foldline.core import files
from foldline.core.errors import Error, complain


def state() -> dict[str, Any]:
    """What belongs to the process and not to a call."""
    return {
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "warnings": list(warnings.filters),
        "logging": (logging.root.level, list(logging.root.handlers), optuna.logging.get_verbosity()),
        "streams": (sys.stdout, sys.stderr, sys.excepthook),
        "path": list(sys.path),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn": torch.backends.cudnn.benchmark,
        "dtype": torch.get_default_dtype(),
        "random numbers": (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()),  # noqa: NPY002
        "gradients": torch.is_grad_enabled(),
        "pictures": dict(matplotlib.rcParams),
        "numbers": np.geterr(),
        "main": {name: vars(sys.modules["__main__"]).get(name) for name in ("__file__", "__spec__")},
        "running": {thread.name for thread in threading.enumerate()},
    }


def change_all() -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.manual_seed(5)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    warnings.simplefilter("ignore")
    os.environ["WANDB_SERVICE"] = "as wandb leaves it"
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.mark.parametrize("fails", [False, True])
def test_what_belongs_to_the_process_is_set_back(fails: bool, home: Path, tmp_path: Path) -> None:
    before = state()
    try:
        with session("train", tmp_path / "elsewhere", quiet=True):
            assert files.home() == tmp_path / "elsewhere"
            change_all()
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert fails
    assert state() == before and files.home() == home


def test_calls_go_one_after_the_other(home: Path) -> None:
    events: list[str] = []

    def call(name: str) -> None:
        with session("audit", quiet=True):
            events.append(f"{name} begins")
            time.sleep(0.02)
            events.append(f"{name} ends")

    threads = [threading.Thread(target=call, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert events[0][0] == events[1][0] and events[2][0] == events[3][0] and len(events) == 4


def test_an_interrupt_ends_the_wait_for_another_threads_call(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the system goes on with calls that a signal interrupts, as it does once polars is imported."""
    monkeypatch.setattr(sessions, "LOOK_S", 0.01)
    begun, over = threading.Event(), threading.Event()

    def call() -> None:
        with session("audit", quiet=True):
            begun.set()
            over.wait(20)  # without a look in between the interrupt comes after that

    other = threading.Thread(target=call)
    other.start()
    begun.wait()
    main = threading.main_thread().ident
    assert main is not None
    interrupt = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT))
    signal.siginterrupt(signal.SIGINT, False)
    try:
        interrupt.start()
        with pytest.raises(KeyboardInterrupt), session("audit", quiet=True):
            pass
        assert other.is_alive()
    finally:
        signal.siginterrupt(signal.SIGINT, True)
        over.set()
        other.join()


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_are_for_the_result_and_for_standard_error(
    quiet: bool, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with session("audit", quiet=quiet) as notes:
        notes.warn("this is odd")
        complain("damaged: a file")
        notes.say("a line")
    assert notes.warnings == ("this is odd", "damaged: a file")
    printed = ("", "") if quiet else ("a line\n", "warning: this is odd\ndamaged: a file\n")
    assert capfd.readouterr() == printed


def test_what_the_machine_causes_is_a_sentence_and_a_bug_stays_one(home: Path) -> None:
    with pytest.raises(Error, match="No space is left on the disk"), session("audit", quiet=True):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(Error, match=r"x can't be read or written: .*Check its owner"), session("audit", quiet=True):
        raise PermissionError(errno.EACCES, "Permission denied", "x")
    with pytest.raises(KeyError), session("audit", quiet=True):
        raise KeyError("a bug")
    with pytest.raises(KeyboardInterrupt), session("audit", quiet=True):
        raise KeyboardInterrupt


def test_a_home_that_is_a_file_or_no_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Error, match="is a file, not a folder"), session("train", tmp_path / "file", quiet=True):
        pass
    with pytest.raises(Error, match=r"home must be a path, .* but is of type int"), session("train", 3):  # type: ignore[arg-type]
        pass

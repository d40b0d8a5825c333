"""Ctrl-C: the first one is only noted, the second one stops at once, and the handlers of before come back."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from foldline.core import interrupt

USR = signal.SIGUSR1  # in place of SIGINT, which pytest handles


def send() -> None:
    os.kill(os.getpid(), USR)


def test_without_a_signal_nothing_is_requested_and_nothing_stops() -> None:
    assert not interrupt.requested()
    interrupt.stop_if_requested()


def test_the_first_signal_requests_a_stop_and_the_second_stops_at_once() -> None:
    before = signal.getsignal(USR)
    with pytest.raises(KeyboardInterrupt), interrupt.deferred(USR):
        assert not interrupt.requested()
        send()
        assert interrupt.requested()
        with pytest.raises(KeyboardInterrupt):
            interrupt.stop_if_requested()
        assert interrupt.requested()  # until the context ends: other cells that run here must stop, too
        send()
        pytest.fail("the second signal did not stop")
    assert not interrupt.requested() and signal.getsignal(USR) is before


def test_without_a_signal_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(USR)
    with interrupt.deferred(USR):
        assert signal.getsignal(USR) is not before
    assert signal.getsignal(USR) is before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(USR, signal.SIG_IGN)
    try:
        with interrupt.deferred(USR):
            send()
            interrupt.stop_if_requested()
            assert signal.getsignal(USR) is signal.SIG_IGN
        assert signal.getsignal(USR) is signal.SIG_IGN
    finally:
        signal.signal(USR, before)


def test_outside_the_main_thread_nothing_changes() -> None:
    before, seen = signal.getsignal(USR), []

    def elsewhere() -> None:
        with interrupt.deferred(USR):
            seen.append(signal.getsignal(USR))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before]


def test_where_nothing_can_be_saved_the_first_signal_stops_at_once() -> None:
    with pytest.raises(interrupt.Stopped), interrupt.deferred(USR):
        with interrupt.immediate():
            pass
        send()
        assert interrupt.requested()  # after it the first signal is only noted again
        interrupt.stop_if_requested()
    with pytest.raises(interrupt.Stopped), interrupt.deferred(USR), interrupt.immediate():
        send()
        pytest.fail("the first signal did not stop")
    assert not interrupt.requested()


def test_a_request_outlasts_an_inner_block() -> None:
    """A search defers signals, and so does a run on a cluster inside it: both stop."""
    with interrupt.deferred(USR):
        with interrupt.deferred(USR):
            send()
        assert interrupt.requested()
    assert not interrupt.requested()

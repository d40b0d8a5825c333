"""Ctrl-C: the first one only asks, the second one stops at once, and the handlers of before come back."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from foldline.core import interrupt

USR = signal.SIGUSR1  # stands for SIGINT: nobody else here listens to it


def send() -> None:
    os.kill(os.getpid(), USR)


def test_nothing_is_asked_and_nothing_obeyed_by_itself() -> None:
    assert not interrupt.asked()
    interrupt.obey()


def test_the_first_signal_asks_and_the_second_stops_at_once() -> None:
    before = signal.getsignal(USR)
    with pytest.raises(KeyboardInterrupt), interrupt.deferred(USR):
        assert not interrupt.asked()
        send()
        assert interrupt.asked()
        with pytest.raises(KeyboardInterrupt):
            interrupt.obey()
        assert interrupt.asked()  # until it is over: whoever else runs here shall stop too
        send()
        pytest.fail("the second signal did not stop")
    assert not interrupt.asked() and signal.getsignal(USR) is before


def test_an_end_without_a_signal_leaves_no_trace() -> None:
    before = signal.getsignal(USR)
    with interrupt.deferred(USR):
        assert signal.getsignal(USR) is not before
    assert signal.getsignal(USR) is before


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
    with pytest.raises(interrupt.Obeyed), interrupt.deferred(USR):
        with interrupt.at_once():
            pass
        send()
        assert interrupt.asked()  # behind it the first signal only asks again
        interrupt.obey()
    with pytest.raises(interrupt.Obeyed), interrupt.deferred(USR), interrupt.at_once():
        send()
        pytest.fail("the first signal did not stop")
    assert not interrupt.asked()

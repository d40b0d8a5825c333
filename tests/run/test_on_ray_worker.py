"""What runs on a node: a task begins before the word to stop, or not at all. Ray is a fake here."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from foldline.core import interrupt
from foldline.run.on_ray.worker import Mailbox, _Line


class FakeRay:
    """As much of Ray as a line uses: a call of the mailbox is answered at once, in the name of one task."""

    exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))

    def __init__(self, mailbox: Mailbox, task: str) -> None:
        self.handle = SimpleNamespace(exchange=SimpleNamespace(remote=mailbox.exchange))
        self.context = SimpleNamespace(get_task_id=lambda: task)

    def get(self, value: Any) -> Any:
        return value

    def get_runtime_context(self) -> Any:
        return self.context


def begins(mailbox: Mailbox, task: str) -> bool:
    """Whether a task that comes to the mailbox now may begin; it has sent an event at its end."""
    ray = FakeRay(mailbox, task)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ray", ray)
        with interrupt.deferred(signal.SIGTERM), _Line(ray.handle, "key").open() as line:
            line.put("start", {})
            return not interrupt.requested()


def test_a_task_begins_before_the_word_to_stop_and_is_known_then_or_not_at_all() -> None:
    mailbox = Mailbox()
    assert begins(mailbox, "first")
    assert mailbox.take() == [("key", "start", {})]
    assert mailbox.stop() == {"first"}
    assert not begins(mailbox, "second") and not interrupt.requested()

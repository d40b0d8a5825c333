"""A line a minute about long work where no terminal shows bars: what is done of what, and how long it may yet take.

The minutes are those of the whole verb, from step to step: three steps of 50 s have a line in the second and the third.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, Task
from rich.text import Text

from foldline.core.durations import duration

PERIOD_S = 60.0
NEW_S = 5.0  # a step says nothing about itself before: its ETA would be none
EARLY = 0.05  # share of a step, of which one part may be all: what is done before is mostly start-up, and its ETA wrong
SHOWN = 4  # parts of a step, such as cells that run side by side

Clock = Callable[[], float]  # s
Wait = Callable[[threading.Event, float], bool]  # wait(ended, s): at most so long, and whether the step has ended


class Heartbeat:
    """Says once a minute how far the step is that is being done."""

    def __init__(
        self, say: Callable[[str], None], clock: Clock = time.monotonic, wait: Wait = threading.Event.wait
    ) -> None:
        self.say, self.clock, self.wait = say, clock, wait
        self.last = clock()  # when a line was said, at first when the verb began

    @contextmanager
    def during(self, progress: Progress) -> Iterator[None]:
        """Say lines about the tasks of `progress`, the first of which is the whole step, from a thread of their own."""
        ended = threading.Event()
        thread = threading.Thread(target=self._beat, args=(progress, ended), name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _beat(self, progress: Progress, ended: threading.Event) -> None:
        while not self.wait(ended, max(NEW_S, self.last + PERIOD_S - self.clock())):
            if progress.tasks:
                self.last = self.clock()
                self.say(f"  {line(progress.tasks)}")


def line(tasks: list[Task]) -> str:
    """Describe how far a step is. tasks: the step as a whole, then its parts that are being done."""
    whole, *parts = tasks
    elapsed = whole.elapsed or 0.0
    if not whole.total:
        return f"{name(whole)}: {duration(elapsed)} so far"
    text = f"{name(whole)}: {_count(whole.completed)} of {_count(whole.total)} after {duration(elapsed)}"
    new, spent = whole.completed - whole.fields.get("before", 0.0), elapsed - whole.fields.get("start_s", 0.0)
    if new >= min(1.0, EARLY * whole.total):
        text += f", about {duration(spent / new * (whole.total - whole.completed))} left"
    shares = [f"{name(part)} {part.percentage:.0f} %" for part in parts]
    more = f" and {len(shares) - SHOWN} more" if len(shares) > SHOWN else ""
    return f"{text} ({', '.join(shares[:SHOWN])}{more})" if shares else text


def name(task: Task) -> str:
    """Return what a task is called."""
    return Text.from_markup(task.description).plain.strip()


def _count(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")

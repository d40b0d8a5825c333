"""Progress bars in a Jupyter notebook: plain HTML in one output, renewed twice a second and gone at the end.

rich and tqdm need ipywidgets for theirs, which an image or an exported notebook may lack. An output that is renewed by
its id needs IPython alone.
"""

from __future__ import annotations

import html
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import Progress, Task

from foldline.core.heartbeat import line, name

PERIOD_S = 0.5


def is_here() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class Bars:
    """Bars in one output of a cell, which is made when a step takes longer than a moment, and serves all steps."""

    def __init__(self) -> None:
        self._output: Any = None

    @contextmanager
    def during(self, progress: Progress) -> Iterator[None]:
        """Show the tasks of `progress`, the first of which is the whole step, from a thread of their own."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(PERIOD_S):
                self._show(drawn(progress.tasks))

        thread = threading.Thread(target=renew, name="notebook bars", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            if self._output is not None:
                self._show("")

    def _show(self, text: str) -> None:
        from IPython.display import HTML, display

        if self._output is None:
            self._output = display(HTML(text), display_id=True)
        else:
            self._output.update(HTML(text))


def drawn(tasks: list[Task]) -> str:
    """Draw a step as a whole, in words, and each part of it that is being done."""
    if not tasks:
        return ""
    whole, *parts = tasks
    texts = [(whole, line([whole])), *((part, name(part)) for part in parts)]
    lines = [f"{_bar(task)} {html.escape(text)}" for task, text in texts]
    return "".join(f"<div style='font-family:monospace'>{text}</div>" for text in lines)


def _bar(task: Task) -> str:
    done = f"value='{task.completed:g}' max='{task.total:g}'" if task.total else ""  # without: it moves to and fro
    return f"<progress {done} style='width:12em'></progress>"

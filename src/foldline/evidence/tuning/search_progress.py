"""The progress display of a search: a bar, and a line for each trial that ends."""

from __future__ import annotations

from typing import Any

from optuna.trial import FrozenTrial, TrialState

from foldline.core.console import Terminal
from foldline.evidence.tuning.pruning import score_so_far
from foldline.evidence.tuning.trial_queue import ENDED, REFUSED, TrialQueue


class SearchProgress:
    """Shows what is new in the study, whichever worker did it."""

    def __init__(self, queue: TrialQueue, terminal: Terminal, update: Any) -> None:
        """update: of a bar, `update(done, of)`."""
        self.queue, self.terminal, self.update = queue, terminal, update
        self.shown = {trial.number for trial in queue.trials(*ENDED)}
        self.lost = {trial.number for trial in queue.trials(TrialState.FAIL)}

    def show(self) -> None:
        """Show what has happened since the last call."""
        best = self.queue.best
        for trial in self.queue.trials(*ENDED):
            if trial.number not in self.shown:
                self.shown.add(trial.number)
                self._show_trial(trial, best)
        for trial in self.queue.trials(TrialState.FAIL):
            if trial.number not in self.lost:
                self.lost.add(trial.number)
                self.terminal.say(f"  trial {trial.number}: it was not finished; its values are tried again")
        running = sum(trial.user_attrs.get("share", 0.0) for trial in self.queue.trials(TrialState.RUNNING))
        self.update(len(self.shown) + running, max(self.queue.search.tune.trials, len(self.shown)))

    def _show_trial(self, trial: FrozenTrial, best: FrozenTrial | None) -> None:
        score, why = score_so_far(trial), trial.user_attrs.get("why", "")
        parts = [] if score is None else [f"{score:.4f}"]
        if trial.state == TrialState.PRUNED:
            parts.append(why if why.startswith(REFUSED) else f"pruned {why}")
        mark = " (best so far)" if best is not None and best.number == trial.number else ""
        values = ", ".join(f"{name}={format_value(value)}" for name, value in trial.params.items())
        of = self.queue.search.tune.trials
        self.terminal.say(f"  [{len(self.shown)}/{of}] trial {trial.number}: {', '.join(parts)}{mark}  {values}")


def format_value(value: Any) -> str:
    """Format a parameter for a table; numbers with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)

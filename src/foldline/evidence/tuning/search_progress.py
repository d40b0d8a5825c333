"""What the terminal shows of a search while it runs: a bar, and a line for each trial that ends."""

from __future__ import annotations

from typing import Any

from optuna.trial import FrozenTrial, TrialState

from foldline.core.console import Terminal
from foldline.evidence.tuning.pruning import reached
from foldline.evidence.tuning.trial_queue import ENDED, REFUSED, TrialQueue


class SearchProgress:
    """Looks at the study, whoever works on it, and says what is new."""

    def __init__(self, queue: TrialQueue, terminal: Terminal, update: Any) -> None:
        """update: of a bar, `update(done, of)`."""
        self.queue, self.terminal, self.update = queue, terminal, update
        self.said = {trial.number for trial in queue.trials(*ENDED)}
        self.lost = {trial.number for trial in queue.trials(TrialState.FAIL)}

    def look(self) -> None:
        """Say what has happened since the last look."""
        best = self.queue.best
        for trial in self.queue.trials(*ENDED):
            if trial.number not in self.said:
                self.said.add(trial.number)
                self._say(trial, best)
        for trial in self.queue.trials(TrialState.FAIL):
            if trial.number not in self.lost:
                self.lost.add(trial.number)
                self.terminal.say(f"  trial {trial.number}: its worker is gone; its values are tried again")
        running = sum(trial.user_attrs.get("share", 0.0) for trial in self.queue.trials(TrialState.RUNNING))
        self.update(len(self.said) + running, max(self.queue.search.tune.trials, len(self.said)))

    def _say(self, trial: FrozenTrial, best: FrozenTrial | None) -> None:
        score, why = reached(trial), trial.user_attrs.get("why", "")
        said = [] if score is None else [f"{score:.4f}"]
        if trial.state == TrialState.PRUNED:
            said.append(why if why.startswith(REFUSED) else f"pruned {why}")
        mark = " (best so far)" if best is not None and best.number == trial.number else ""
        values = ", ".join(f"{name}={shown(value)}" for name, value in trial.params.items())
        of = self.queue.search.tune.trials
        self.terminal.say(f"  [{len(self.said)}/{of}] trial {trial.number}: {', '.join(said)}{mark}  {values}")


def shown(value: Any) -> str:
    """A parameter in a table: three digits of a number."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)

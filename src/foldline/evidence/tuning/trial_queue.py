"""Whose turn it is: the rules by which workers share a study, whatever happens to them.

A trial counts when it has ended: complete, or pruned. At each turn a worker first looks which trials have lost their
worker; their values are queued again, and the dead trial is marked as failed, in this order, so that a kill in between
loses nothing. Then it takes a queued trial or samples a new one, unless as many as were asked for have ended or run.
"""

from __future__ import annotations

import time
import warnings
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from foldline.core.errors import UserError
from foldline.data import loading
from foldline.data.loading import Competition
from foldline.evidence.tuning import optuna_storage
from foldline.evidence.tuning.leases import Leases
from foldline.evidence.tuning.tuning_file import Search, TuneConfig

DEATHS = 5  # of the workers of one trial, after which its values are given up
REFUSED = "refused: "  # how the reason begins where a config, its training or the device refused a trial's values
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
Params = dict[str, Any]


class TrialQueue:
    """A study that several workers share."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.study = optuna_storage.open_study(search.tune.storage, search.folder, study_name(search))
        self.leases = Leases(search.folder / "leases")

    @cached_property
    def competition(self) -> Competition:
        """The tables that all trials are made from: no search varies [data]. Read once in each process."""
        return loading.load(self.search.config({}).data)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials in these states; none named: all."""
        found: list[FrozenTrial] = self.study.get_trials(deepcopy=False, states=states or None)
        return found

    @property
    def ended(self) -> int:
        """How many count by now."""
        return len(self.trials(*ENDED))

    @property
    def best(self) -> FrozenTrial | None:
        """The complete trial with the lowest score; the earliest of equal ones."""
        return min(self.trials(TrialState.COMPLETE), key=lambda trial: (trial.value, trial.number), default=None)

    def enqueue(self, params: Params, name: str) -> None:
        """Let the values of a config be tried before others, once."""
        if all(trial.user_attrs.get("warm") != name for trial in self.trials()):
            self.study.enqueue_trial(params, user_attrs={"warm": name})

    def begin(self) -> optuna.Trial | None:
        """A trial, its lease to be held at once; None: none is left to begin. Call it in `leases.turn`."""
        self.requeue_dead()
        if self.ended + len(self.trials(TrialState.RUNNING)) >= self.search.tune.trials:
            return None
        self.study.sampler = sampler(self.search.tune, len(self.trials()))
        trial = self.study.ask()
        while self._queued_before(trial):  # workers of two folders of leases have buried the same trial
            self.study.tell(trial, state=TrialState.FAIL)
            trial = self.study.ask()
        return trial

    def requeue_dead(self) -> None:
        """Queue again what dead workers had begun. Call it in `leases.turn`."""
        silent = {trial.number for trial in self.trials(TrialState.RUNNING) if self._dead(trial)}
        for trial in self.trials(TrialState.RUNNING):  # looked at again: one may have ended just before its lease did
            if trial.number in silent:
                self.requeue(trial, int(trial.user_attrs.get("deaths", 0)) + 1)

    def requeue(self, trial: FrozenTrial, deaths: int) -> None:
        """End a trial that was not finished, its values queued for a new one, unless too many workers died of them."""
        again = {name: value for name, value in trial.user_attrs.items() if name == "warm"}
        again |= {"again": trial.number, "deaths": deaths}
        queued = any(other.user_attrs.get("again") == trial.number for other in self.trials())
        if deaths < DEATHS and not queued:
            asked = trial.system_attrs.get("fixed_params", {})
            self.study.enqueue_trial({**asked, **trial.params}, user_attrs=again)
        self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def refuse_unpromising(self) -> None:
        """Stop a search none of whose first trials could be trained at all.

        Raises:
            UserError: with what the last of them said.
        """
        said = [trial.user_attrs["why"] for trial in self.trials(*ENDED) if "why" in trial.user_attrs]
        refused = [why for why in said if why.startswith(REFUSED)]
        if len(refused) >= self.search.tune.startup and self.best is None:
            raise UserError(f"None of the first {len(refused)} trials could be trained. The last was {refused[-1]}")

    def _queued_before(self, trial: optuna.Trial) -> bool:
        again = trial.user_attrs.get("again")
        return again is not None and any(
            other.user_attrs.get("again") == again for other in self.trials() if other.number < trial.number
        )

    def _dead(self, trial: FrozenTrial) -> bool:
        began = trial.datetime_start.timestamp() if trial.datetime_start else time.time()
        return self.leases.dead(trial.number, trial.user_attrs, began, several_folders=bool(self.search.tune.storage))


def study_name(search: Search) -> str:
    """In a storage that several studies share."""
    return f"{search.name}-{search.folder.name}"


def sampler(config: TuneConfig, number: int) -> BaseSampler:
    """The sampler of the number-th trial, seeded for it: workers side by side must not draw the same values.

    tpe: the tree-structured Parzen estimator, over groups of parameters that occur together, with running trials taken
    for bad ones. Bergstra et al. 2011, https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization;
    Falkner et al. 2018, https://proceedings.mlr.press/v80/falkner18a.html.
    """
    seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
    if config.sampler == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def seconds_a_trial(trials: list[FrozenTrial]) -> float:
    """Median duration of complete trials; 0 where there is none."""
    spans = [
        trial.duration.total_seconds() for trial in trials if trial.state == TrialState.COMPLETE and trial.duration
    ]
    return float(np.median(spans)) if spans else 0.0

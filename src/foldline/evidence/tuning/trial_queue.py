"""The queue of trials: how workers share an Optuna study, even if some of them are killed.

A trial counts when it has ended: complete, or pruned. Before a worker takes a trial it checks which trials have lost
their worker. Their values are queued again, then the dead trial is marked as failed; in this order a kill in between
loses nothing. Then the worker takes a queued trial or samples a new one, unless tune.trials have ended or are running.
Workers on other machines may do so at the same moment: whoever finds more trials than that gives its own back, and
whoever has what another one has, values queued twice or drawn by the same seed, asks again.
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
from foldline.data import loading, metrics
from foldline.data.loading import Competition
from foldline.data.metrics import Metric
from foldline.evidence.tuning import optuna_storage
from foldline.evidence.tuning.leases import Leases
from foldline.evidence.tuning.tuning_file import Search, TuneConfig

DEATHS = 5  # so many workers that died on the same values, and these are not tried again
REFUSALS = 10  # trials refused before training, without a trained one, that end a search
REFUSED = "refused: "  # begins the reason where a trial's values make no config, or cannot be trained
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
Params = dict[str, Any]


class TrialQueue:
    """An Optuna study that several workers share."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.leases = Leases(search.folder / "leases", search.tune.lost_s)
        self.study = optuna_storage.open_study(
            search.tune.storage,
            search.folder,
            study_name(search),
            self.metric.higher_is_better,
            search.tune.patience_s,
            known=self.leases.folder.exists(),  # whoever has opened the study takes one at once
        )

    @cached_property
    def metric(self) -> Metric:
        """The competition's metric, whose direction all trials share; it is asked before any data are read."""
        return metrics.metric(*self.search.config({}).data.metric_choice(0))

    @cached_property
    def competition(self) -> Competition:
        """The tables of all trials (no search varies [data]), read once in each process."""
        return loading.load(self.search.config({}).data)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """List the trials in these states, or all."""
        found: list[FrozenTrial] = self.study.get_trials(deepcopy=False, states=states or None)
        return found

    @property
    def ended(self) -> int:
        """How many trials have ended."""
        return len(self.trials(*ENDED))

    @property
    def best(self) -> FrozenTrial | None:
        """The complete trial with the best score; the earliest of equal ones."""
        return next(iter(self.ranked), None)

    @property
    def ranked(self) -> list[FrozenTrial]:
        """The complete trials, best first; the earlier one of equal ones."""
        cost = self.metric.cost
        return sorted(self.trials(TrialState.COMPLETE), key=lambda trial: (cost(float(trial.value)), trial.number))

    def enqueue(self, params: Params, name: str) -> None:
        """Queue the values of a config, unless they were queued before. name: of that config."""
        if all(trial.user_attrs.get("warm") != name for trial in self.trials()):
            self.study.enqueue_trial(params, user_attrs={"warm": name})

    def begin(self) -> optuna.Trial | None:
        """Begin a trial, whose lease the caller takes at once; None: none is left. Call it in `leases.queue_lock`."""
        self.requeue_dead()
        while len(self._taken()) < self.search.tune.trials:
            trial, drawn_as = self._ask()
            if self._is_double(trial, drawn_as):
                self.study.tell(trial, state=TrialState.FAIL)
            elif len(self._taken() - {trial.number}) < self.search.tune.trials:
                return trial
            else:
                self._give_back(trial)
                return None
        return None

    def _ask(self) -> tuple[optuna.Trial, int]:
        """Take a queued trial or sample a new one; return it, and the number that its sampler's seed was made of."""
        number = len(self.trials())
        self.study.sampler = sampler(self.search.tune, number)
        return self.study.ask(), number

    def _is_double(self, trial: optuna.Trial, drawn_as: int) -> bool:
        """Whether workers of two folders of leases have queued the same values twice, or drawn by the same seed."""
        marks = _queued_as(trial.user_attrs)
        if marks is None:
            return trial.number != drawn_as and not self._is_queued(trial)
        return any(_queued_as(other.user_attrs) == marks for other in self.trials() if other.number < trial.number)

    def _is_queued(self, trial: optuna.Trial) -> bool:
        return "fixed_params" in self._frozen(trial).system_attrs

    def _frozen(self, trial: optuna.Trial) -> FrozenTrial:
        return next(each for each in self.trials(TrialState.RUNNING) if each.number == trial.number)

    def _taken(self) -> set[int]:
        """Return the trials that have ended or are running: of one look, so that one which ends meanwhile counts."""
        return {trial.number for trial in self.trials(*ENDED, TrialState.RUNNING)}

    def _give_back(self, trial: optuna.Trial) -> None:
        """Fail a trial that is one too many; values that somebody has queued are queued again.

        Of workers on several machines that begin at the same moment the last one to begin sees all others, so never
        too many go on; it may be that none does, and all look again.
        """
        if self._is_queued(trial):
            self.requeue(self._frozen(trial), int(trial.user_attrs.get("deaths", 0)))
        else:
            self.study.tell(trial, state=TrialState.FAIL)

    def requeue_dead(self) -> None:
        """Queue again what dead workers had begun. Call it in `leases.queue_lock`."""
        dead = {trial.number for trial in self.trials(TrialState.RUNNING) if self._dead(trial)}
        for trial in self.trials(TrialState.RUNNING):  # read again: one may have ended just before its lease was freed
            if trial.number in dead:
                self.requeue(trial, int(trial.user_attrs.get("deaths", 0)) + 1)

    def requeue(self, trial: FrozenTrial, deaths: int) -> None:
        """Fail an unfinished trial and queue its values for a new one, unless too many workers have died on them."""
        again = {name: value for name, value in trial.user_attrs.items() if name == "warm"}
        again |= {"again": trial.number, "deaths": deaths}
        queued = any(other.user_attrs.get("again") == trial.number for other in self.trials())
        if deaths < DEATHS and not queued:
            queued_values = trial.system_attrs.get("fixed_params", {})  # a trial may die before it uses them
            self.study.enqueue_trial({**queued_values, **trial.params}, user_attrs=again)
        self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def stop_if_all_refused(self) -> None:
        """Stop a search whose first trials could all not be trained.

        Values that a check refuses before training cost little, and others may be fine: these are given more trials
        than those that fail while they are trained.

        Raises:
            UserError: with the reason of the last one.
        """
        attributes = [trial.user_attrs for trial in self.trials(*ENDED)]
        refused = [attrs for attrs in attributes if attrs.get("why", "").startswith(REFUSED)]
        in_training = sum("cells" in attrs for attrs in refused)
        startup, trials = self.search.tune.startup, self.search.tune.trials
        too_many = in_training >= startup or len(refused) >= min(max(startup, REFUSALS), trials)
        if too_many and self.best is None:
            last = refused[-1]["why"]
            raise UserError(f"None of the first {len(refused)} trials could be trained. The last was {last}")

    def _dead(self, trial: FrozenTrial) -> bool:
        began = trial.datetime_start.timestamp() if trial.datetime_start else time.time()
        return self.leases.dead(trial.number, trial.user_attrs, began, several_folders=bool(self.search.tune.storage))


def _queued_as(attributes: dict[str, Any]) -> tuple[str, Any] | None:
    """Return what a trial was queued for: to run a dead one again, or the values of a config. None: for neither."""
    return next(((name, attributes[name]) for name in ("again", "warm") if name in attributes), None)


def study_name(search: Search) -> str:
    """Name the study in a storage that several studies share."""
    return f"{search.name}-{search.folder.name}"


def sampler(config: TuneConfig, number: int) -> BaseSampler:
    """Make the sampler of a trial. Each has a seed of its own, so that parallel workers draw different values.

    tpe: the tree-structured Parzen estimator, over groups of parameters that occur together. Running trials count as
    bad ones, so that parallel workers do not try the same region. Bergstra et al. 2011,
    https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization; Falkner et al. 2018,
    https://proceedings.mlr.press/v80/falkner18a.html.
    """
    seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
    if config.sampler == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def seconds_a_trial(trials: list[FrozenTrial]) -> float:
    """Compute the median duration of complete trials; 0 where there is none."""
    spans = [
        trial.duration.total_seconds() for trial in trials if trial.state == TrialState.COMPLETE and trial.duration
    ]
    return float(np.median(spans)) if spans else 0.0

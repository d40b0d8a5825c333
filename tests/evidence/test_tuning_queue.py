"""A search's queue of trials: what is run again, given up, or left to others when workers die, and none twice."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import searches
from optuna.trial import TrialState

from foldline.core.errors import TryAgain
from foldline.evidence.tuning import optuna_storage, trial_evaluation
from foldline.evidence.tuning.leases import Leases
from foldline.evidence.tuning.trial_queue import DEATHS, TrialQueue, sampler
from foldline.run.on_ray import session


def test_whoever_opens_a_study_again_waits_for_its_storage(search_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, known = optuna_storage.open_study, list[bool]()
    monkeypatch.setattr(
        optuna_storage, "open_study", lambda *given, **named: known.append(named["known"]) or plain(*given, **named)
    )
    for _ in range(2):
        with searches.queue(search_file).leases.queue_lock():  # as a command does first
            pass
    assert known == [False, True]


def test_values_that_make_no_config_end_only_their_trial(rides: Path, home: Path) -> None:
    """ema and average are valid each, and refused together."""
    text = searches.SEARCH.replace('"model.0.num_leaves" = {choices = [3, 7]}', '"train.ema" = {choices = [0.0, 0.9]}')
    path = searches.install(home, f'{text}"train.average" = {{choices = [0, 1]}}\n')
    queue = searches.queue(path, "tune.trials=12", "tune.sampler=random")
    ended = searches.run_out(queue)
    both = [trial for trial in ended if trial.params["train.ema"] and trial.params["train.average"]]
    assert both
    assert all(trial.state == (TrialState.PRUNED if trial in both else TrialState.COMPLETE) for trial in ended)
    assert both[0].user_attrs["why"].startswith("refused: ") and "ema and average" in both[0].user_attrs["why"]


def test_a_dead_workers_trial_is_run_again_with_its_values(search_file: Path) -> None:
    queue = searches.queue(search_file)
    with queue.leases.queue_lock():
        lost = queue.begin()
    assert lost is not None
    params = queue.search.space.suggest(lost)  # and here its worker dies without a lease
    ended = searches.run_out(queue)
    assert ended[0].state == TrialState.FAIL
    assert ended[1].params == params and ended[1].user_attrs["again"] == 0
    assert [trial.state for trial in ended[1:]] == [TrialState.COMPLETE] * 6


def test_a_running_trial_is_not_taken_and_counts(search_file: Path) -> None:
    queue = searches.queue(search_file, "tune.trials=1")
    with queue.leases.queue_lock():
        running = queue.begin()
    assert running is not None
    with queue.leases.hold(running.number), queue.leases.queue_lock():
        assert queue.begin() is None
        assert queue.trials(TrialState.RUNNING)[0].number == running.number
    with queue.leases.queue_lock():
        again = queue.begin()
    assert again is not None and again.user_attrs["deaths"] == 1


def test_values_that_kill_every_worker_are_given_up(search_file: Path) -> None:
    queue = searches.queue(search_file)
    for _ in range(DEATHS):
        with queue.leases.queue_lock():
            assert queue.begin() is not None
    with queue.leases.queue_lock():
        queue.requeue_dead()
    assert not queue.trials(TrialState.WAITING)
    assert [trial.user_attrs.get("again") for trial in queue.trials()] == [None, *range(DEATHS - 1)]


def test_a_kill_between_queueing_again_and_failing_queues_nothing_twice(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = searches.queue(search_file)
    with queue.leases.queue_lock():
        assert queue.begin() is not None
    with monkeypatch.context() as patch:
        patch.setattr(queue.study, "tell", interrupted)
        with pytest.raises(KeyboardInterrupt), queue.leases.queue_lock():
            queue.requeue_dead()
    ended = searches.run_out(queue)
    assert sum(trial.user_attrs.get("again") == 0 for trial in ended) == 1
    assert sum(trial.state == TrialState.COMPLETE for trial in ended) == 6


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_two_folders_of_leases_queue_a_trial_twice_and_one_is_dropped(search_file: Path) -> None:
    queue = searches.queue(search_file)
    for _ in range(2):
        queue.study.enqueue_trial({"model.0.rounds": 9}, user_attrs={"again": 77})
    ended = searches.run_out(queue)
    states = [trial.state for trial in ended if trial.user_attrs.get("again") == 77]
    assert states == [TrialState.COMPLETE, TrialState.FAIL]


def two_machines(search_file: Path, tmp_path: Path, *overrides: str) -> tuple[TrialQueue, TrialQueue]:
    """The queues of two machines that share a journal."""
    here, there = (
        searches.queue(search_file, f"tune.storage={tmp_path / 'shared.journal'}", *overrides) for _ in range(2)
    )
    there.leases = Leases(tmp_path / "leases of the other machine")
    return here, there


def test_two_machines_that_draw_at_once_draw_different_values(
    search_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two_machines(search_file, tmp_path, "tune.sampler=random")
    ask, begun = here.study.ask, list[Any]()

    def begin_at_once() -> Any:
        monkeypatch.setattr(here.study, "ask", ask)
        begun.append(there.begin())
        return ask()

    monkeypatch.setattr(here.study, "ask", begin_at_once)
    mine, theirs = here.begin(), begun[0]
    assert mine is not None and mine.number == 2 and theirs.number == 0
    assert here.search.space.suggest(mine) != there.search.space.suggest(theirs)
    assert [trial.state for trial in here.trials()] == [TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING]


def test_a_config_that_two_machines_have_queued_is_tried_once(search_file: Path, tmp_path: Path) -> None:
    here, there = two_machines(search_file, tmp_path, "tune.trials=3")
    for queue in (here, there):
        queue.study.enqueue_trial({"model.0.rounds": 9}, user_attrs={"warm": "a config"})
    first, second = here.begin(), there.begin()
    assert first is not None and first.user_attrs == {"warm": "a config"}
    assert second is not None and "warm" not in second.user_attrs
    assert [trial.state for trial in here.trials()] == [TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING]


@pytest.mark.parametrize("queued", [False, True])
def test_of_two_machines_that_begin_the_last_trial_at_once_one_gives_it_back(
    queued: bool, search_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two_machines(search_file, tmp_path, "tune.trials=1")
    if queued:
        here.enqueue({"model.0.rounds": 9}, "a config")
    ask = here.study.ask

    def begin_at_once() -> Any:
        monkeypatch.setattr(here.study, "ask", ask)
        assert there.begin() is not None
        return ask()

    monkeypatch.setattr(here.study, "ask", begin_at_once)
    assert here.begin() is None
    states = [trial.state for trial in here.trials()]
    assert states == [TrialState.RUNNING, TrialState.FAIL]
    there.study.tell(0, 1.0)
    assert here.begin() is None and here.ended == 1


def test_values_that_are_given_back_are_queued_again(search_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = searches.queue(search_file, "tune.trials=1")
    queue.enqueue({"model.0.rounds": 9}, "a config")
    with monkeypatch.context() as patch:
        looks = iter([set[int](), {7}])  # another machine has begun one between the two looks
        patch.setattr(queue, "_taken", lambda: next(looks))
        assert queue.begin() is None
    trial = queue.begin()
    assert trial is not None and queue.search.space.suggest(trial)["model.0.rounds"] == 9
    assert trial.user_attrs == {"warm": "a config", "again": 0, "deaths": 0}


def test_an_interrupted_trial_is_requeued_without_a_death(search_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = searches.queue(search_file)
    with monkeypatch.context() as patch:
        patch.setattr(trial_evaluation, "train_fold", interrupted)
        with pytest.raises(KeyboardInterrupt):
            searches.run_out(queue)
    (waiting,) = queue.trials(TrialState.WAITING)
    assert waiting.user_attrs == {"again": 0, "deaths": 0}
    assert len(queue.trials(TrialState.FAIL)) == 1


def test_a_cluster_that_is_gone_ends_the_search_and_prunes_no_trial(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(**_: Any) -> None:
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(session, "require", lambda: None)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=nobody, shutdown=lambda: None))
    queue = searches.queue(search_file, "executor.kind=ray", "executor.address=head:6379")
    with pytest.raises(TryAgain, match="No cluster could be joined at 'head:6379'"):
        searches.run_out(queue)
    assert [trial.state for trial in queue.trials()] == [TrialState.RUNNING]  # found dead, and queued, by the next one


def test_a_score_of_a_worker_that_was_taken_for_dead_is_not_counted(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = searches.queue(search_file, "tune.trials=1")
    real = trial_evaluation.train_fold

    def taken_for_dead(*arguments: Any) -> None:
        monkeypatch.setattr(trial_evaluation, "train_fold", real)
        queue.requeue(queue.trials(TrialState.RUNNING)[0], deaths=1)
        real(*arguments)

    monkeypatch.setattr(trial_evaluation, "train_fold", taken_for_dead)
    assert [trial.state for trial in searches.run_out(queue)] == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_trial_that_was_failed_before_its_lease_was_taken_is_left_to_others(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, real = searches.queue(search_file, "tune.trials=1"), Leases.hold

    def taken_for_dead(leases: Leases, trial: int) -> Any:
        monkeypatch.setattr(Leases, "hold", real)
        queue.requeue(queue.trials(TrialState.RUNNING)[0], deaths=1)
        return real(leases, trial)

    monkeypatch.setattr(Leases, "hold", taken_for_dead)
    assert [trial.state for trial in searches.run_out(queue)] == [TrialState.FAIL, TrialState.COMPLETE]


def test_every_trial_has_a_seed_of_its_own(search_file: Path) -> None:
    tune = searches.search(search_file, "tune.sampler=random").tune
    draws = [sampler(tune, number)._rng.rng.uniform() for number in (0, 1, 0)]
    assert draws[0] == draws[2] != draws[1]

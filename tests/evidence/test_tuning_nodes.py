"""A search on two machines that share PostgreSQL or a journal: two homes, each with runs, cells and leases of its own.

Here machines are processes, and something goes wrong;
tests/run/test_on_ray_cluster.py has four workers on two Ray nodes.

./run.sh test --slow tests/evidence/test_tuning_nodes.py
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
import pytest
import searches
import shared_studies
from optuna.trial import FrozenTrial, TrialState

from benchmarks.fault_injection import children
from benchmarks.fault_injection.children import Child
from foldline.evidence.tuning import leases, optuna_storage, trial_evaluation
from foldline.evidence.tuning.search_space import SearchSpace
from foldline.evidence.tuning.trial_queue import TrialQueue

postgres = pytest.importorskip("postgres", reason="no psycopg: FOLDLINE_EXTRAS=storage ./run.sh doctor")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
AWAY_S = 30.0  # longer than every wait between two attempts
NEVER_S = 1e6
PATIENCE_S = 300.0  # longest wait for something that must happen
Tell = Callable[..., Any]  # Optuna's


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A PostgreSQL server."""
    if postgres.programs() is None:
        pytest.skip("no PostgreSQL: apt install postgresql")
    with postgres.running() as running:
        yield running


@pytest.fixture(params=["journal", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A storage that machines share, with no study of this test in it: a study's name hashes its folds."""
    if request.param == "journal":
        return str(tmp_path / "shared" / "study.journal")
    return str(request.getfixturevalue("server").url)


@pytest.fixture
def homes(rides: Path, home: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The homes of two machines."""
    return shared_studies.two_homes(home, tmp_path)


def at(home: Path) -> dict[str, str]:
    """The environment of a machine with this home."""
    return {**os.environ, "FOLDLINE_HOME": str(home)}


def start(home: Path, command: list[str], stack: ExitStack) -> Child:
    return stack.enter_context(children.start_foldline(home, *command, environment=os.environ))


def ended_well(nodes: list[Child]) -> None:
    for node in nodes:
        ended = node.ended(PATIENCE_S)
        assert ended.code == 0, ended.out + ended.err


def until(what: str, holds: Callable[[], bool], nodes: list[Child]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert all(node.process.exitcode in (None, 0) for node in nodes), "".join(node.printed() for node in nodes)
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


def numbers(trials: list[FrozenTrial], state: TrialState) -> set[int]:
    return {trial.number for trial in trials if trial.state == state}


def test_a_storage_that_goes_away_for_a_while(server: Any, homes: tuple[Path, Path]) -> None:
    """Again with another study, of more trials, where the trials of one had all ended before it went away."""
    for seed, trials in ((2, 12), (4, 40), (5, 120)):
        command = shared_studies.words(server.url, seed, "tune.workers=2", f"tune.trials={trials}")
        with ExitStack() as stack:
            nodes = [start(home, command, stack) for home in homes]
            complete = _goes_away(server, homes, nodes)
            ended_well(nodes)
        shared_studies.assert_whole(server.url, homes, trials)
        if complete < trials:
            return
    raise AssertionError("it went away too late, of each study")


def _goes_away(server: Any, homes: tuple[Path, Path], nodes: list[Child]) -> int:
    """Stop the server once both machines take part and a trial is complete; return how many are when it is back."""
    began = time.time()
    latest = [home / "runs" / "search" / "latest" for home in homes]
    until("a study", lambda: all(each.exists() and each.lstat().st_mtime >= began for each in latest), nodes)
    watched = shared_studies.study(server.url, homes[0])
    until("a trial", lambda: len(watched.get_trials(states=[TrialState.COMPLETE])) >= 1, nodes)
    server.stop()
    time.sleep(AWAY_S)
    server.start()
    return len(watched.get_trials(states=[TrialState.COMPLETE]))


def test_a_worker_that_is_killed_at_any_stage(storage: str, home: Path, rides: Path, tmp_path: Path) -> None:
    """Each on a machine of its own, of which nothing is left; one more machine takes up what they had begun."""
    searches.install(home)
    command = shared_studies.words(storage, 3, "tune.workers=1")
    with ExitStack() as stack:
        doomed = {}
        for stage in STAGES:
            shutil.copytree(home, tmp_path / stage)
            given = (die_at, stage, [*command, f"tune.lost_s={NEVER_S}"])
            doomed[stage] = stack.enter_context(children.start(*given, environment=at(tmp_path / stage)))
        for stage, child in doomed.items():
            ended = child.ended(PATIENCE_S)
            assert ended.code == -signal.SIGKILL, (stage, ended)
        killed = shared_studies.study(storage, tmp_path / STAGES[0]).trials
        states = Counter(trial.state for trial in killed)  # one had begun none, and one had ended its own
        assert (states[TrialState.RUNNING], states[TrialState.COMPLETE]) == (len(STAGES) - 2, 1)
        ended_well([start(home, command, stack)])
    trials = shared_studies.assert_whole(storage, (home,))
    lost = numbers(killed, TrialState.RUNNING)
    double = numbers(killed, TrialState.FAIL)  # values of two machines that began at once: one has asked again
    assert numbers(trials, TrialState.FAIL) == lost | double
    assert {trial.user_attrs["again"] for trial in trials if "again" in trial.user_attrs} == lost


# ------------------------------------------------------- in the processes that are killed


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_its_first_trial() -> None:
    TrialQueue.begin = die  # type: ignore[assignment, method-assign]


def die_before_its_lease_is_noted() -> None:
    leases.Leases.hold = die  # type: ignore[assignment, method-assign]


def die_before_it_has_values() -> None:
    SearchSpace.suggest = die  # type: ignore[assignment, method-assign]


def die_midway() -> None:
    """In its second fold."""
    train_fold = trial_evaluation.train_fold

    def train_one_fold(ready: Any, fold: int, *more: Any) -> None:
        train_fold(ready, fold, *more)
        trial_evaluation.train_fold = die

    trial_evaluation.train_fold = train_one_fold


def die_while_it_writes() -> None:
    """Its score is half in the storage: a line without its end, or a transaction that is not committed."""
    from sqlalchemy.orm import Session

    def die_half_told(tell: Tell, *given: Any, **named: Any) -> None:
        def half(journal: Any, logs: list[dict[str, Any]]) -> None:
            with Path(journal._file_path).open("ab") as stream:
                stream.write(b'{"op_code":6,"worker_id":')
            die()

        def uncommitted(session: Session) -> None:
            session.flush()
            die()

        optuna_storage.Journal.append_logs = half  # type: ignore[method-assign]
        Session.commit = uncommitted  # type: ignore[method-assign]
        tell(*given, **named)

    instead_of_telling_a_score(die_half_told)


def die_when_it_has_written() -> None:
    def tell_and_die(tell: Tell, *given: Any, **named: Any) -> None:
        tell(*given, **named)
        die()

    instead_of_telling_a_score(tell_and_die)


def instead_of_telling_a_score(act: Callable[..., None]) -> None:
    """Do something in the place of a trial's score. One that is failed, as another machine has its values, has none."""
    tell = optuna.Study.tell

    def told(self: optuna.Study, trial: Any, value: float | None = None, **named: Any) -> None:
        if value is None:
            tell(self, trial, **named)
        else:
            act(tell, self, trial, value, **named)

    optuna.Study.tell = told  # type: ignore[assignment, method-assign]


STAGES = (
    "die_before_its_first_trial",
    "die_before_its_lease_is_noted",
    "die_before_it_has_values",
    "die_midway",
    "die_while_it_writes",
    "die_when_it_has_written",
)


def die_at(stage: str, command: list[str]) -> int:
    """Run a command line that dies at a stage; it takes no trial of another one, however slow the machine is."""
    from foldline.cli.main import main

    leases.REGISTRATION_TIMEOUT_S = NEVER_S
    globals()[stage]()
    return main(command)

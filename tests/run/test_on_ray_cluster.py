"""Cells and searches on a Ray cluster of two nodes in this process: the same bytes, whatever is killed meanwhile.

./run.sh test --slow tests/run/test_on_ray_cluster.py
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import shared_studies
import tiny
from lab import EVERYTHING_WORDS
from test_cells import weights_of
from test_kill import Run

from benchmarks.fault_injection import ray_faults
from foldline.cli.main import main
from foldline.core import artefacts, files
from foldline.run import turns
from foldline.run.executor_config import ExecutorConfig
from foldline.run.on_ray import nodes, parcels, session

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STORE_BYTES = 100 << 20  # of each node: Ray takes a third of the memory by itself
PRETRAINED = [
    *EVERYTHING_WORDS,
    "train.epochs=6",
    "train.checkpoint_s=0",
    "model.0.pretrain={source = 'more', train = {epochs = 2}}",
]
EVIDENCE = {  # verb -> a file for it
    "ablate": """
base = "rides.toml"
[ablate]
seeds = [0]
bootstrap = 100
[[variant]]
name = "no convolution"
drop = ["block.conv"]
""",
    "study": """
base = "rides.toml"
[study]
parameters = 900
tolerance = 0.2
seeds = [0]
bootstrap = 100
[[system]]
name = "LSTM"
multiple = 2
model = {name = "hybrid", blocks = [{kind = "lstm"}]}
[[system]]
name = "convolution"
model = {name = "hybrid", blocks = [{kind = "conv", kernel = 3}]}
""",
    "tune": """
base = "rides.toml"
[tune]
trials = 3
workers = 1  # of more each joins the cluster, and Ray starts processes of its own for each, which import all
pruner = "none"
check_seeds = [0]
[space]
"train.lr" = {low = 1e-3, high = 1e-1, log = true}
""",
}
TIMES = ("time.epoch_s", "step", "growth", "folder", "command")  # in the results: measured, or of a home


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each, the second of which may be killed; RAY_ADDRESS names them."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        common = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
        made = Cluster()
        for left in reversed(range(5)):  # Ray gives up after 30 s, which on a busy machine are not always enough
            with suppress(Exception) if left else nullcontext():
                made.add_node(**common, node_name="one", include_dashboard=False)
                break
        made.add_node(**common, node_name="two", resources={ray_faults.DOOMED: 1})
        patch.setenv("RAY_ADDRESS", made.address)
        with session.opened(ExecutorConfig(kind="ray")):  # for all tests: workers import torch once
            yield made
        made.shutdown()


def with_more(folder: Path) -> None:
    """Put series to pre-train on into a folder."""
    tiny.write(folder / "more", {"train": tiny.rides(901, 12, 10, seed=5)})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which all cells were trained one after the other, pre-trained ones too."""
    folder = tmp_path_factory.mktemp("whole")
    with_more(folder)
    with tiny.home_of_rides(folder) as home:
        tiny.run("train", "rides", *PRETRAINED)
    return home


@pytest.fixture
def here(rides: Path, home: Path, tmp_path: Path) -> Path:
    """A home with the same competition."""
    with_more(tmp_path)
    return home


def same(home: Path, whole: Path) -> None:
    assert weights_of(home) == weights_of(whole)
    assert tiny.submission(home) == tiny.submission(whole)


def test_training_and_infer_leave_the_bytes_that_they_leave_serially(
    cluster: Any, whole: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "rides", *PRETRAINED, "executor.kind=ray", "executor.cpus=0.5")
    same(here, whole)
    tiny.write(here.parent / "new", tiny.frames(steps=8))
    tiny.run("infer", "rides", "data.source=new", "--quiet")
    predicted = tiny.submission(here)
    tiny.run("infer", "rides", "data.source=new", "--quiet", "executor.kind=serial")
    assert tiny.submission(here) == predicted
    assert capfd.readouterr().err.count("error") == 0


def without_times(value: Any) -> Any:
    """What was found, but for what no two runs share."""
    if isinstance(value, dict):
        return {name: without_times(each) for name, each in value.items() if name not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("verb", "made"), [("ablate", "ablation"), ("study", "study"), ("tune", "study")])
def test_evidence_is_what_it_is_serially(
    verb: str, made: str, cluster: Any, rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for kind in ("serial", "ray"):
        monkeypatch.setenv("FOLDLINE_HOME", str(home / kind))
        tiny.install(home / kind, rides)
        tiny.configure(home / kind, "evidence", EVIDENCE[verb])
        tiny.run(verb, "evidence", "--quiet", f"executor.kind={kind}", "executor.cpus=0.5")
        result = artefacts.read_json(home / kind / "runs" / "evidence" / "latest" / f"{made}.json")
        found[kind] = without_times(result), weights_of(home / kind)
        monkeypatch.setattr(turns, "take_turns", never)  # from now on, in this process
    assert found["ray"] == found["serial"] and len(found["ray"][1]) > 4


def never(*_: object) -> None:
    raise AssertionError("the process of the command has trained a cell")


@pytest.mark.parametrize("kind", ["journal", "postgresql"])
def test_four_workers_of_a_search_on_two_nodes(
    kind: str, cluster: Any, rides: Path, home: Path, tmp_path: Path
) -> None:
    """Each node runs the same command, in a home of its own: what they share is the storage of the study."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def command(words: list[str], home: Path) -> tuple[int, str]:
        with files.at_home_everywhere(home):
            return main(words), ray.get_runtime_context().get_node_id()

    homes = shared_studies.two_homes(home, tmp_path)
    ids = [node["NodeID"] for node in ray.nodes()]
    places = [NodeAffinitySchedulingStrategy(each, soft=False) for each in ids]
    task = ray.remote(command)
    with storage(kind, tmp_path) as where:
        for study in range(1, 5):  # a node that is slow to begin may find a whole study done by the other
            words = shared_studies.words(where, study, "tune.workers=2", "--quiet")
            given = [
                task.options(num_cpus=0, max_retries=0, scheduling_strategy=place).remote(words, home)
                for home, place in zip(homes, places, strict=True)
            ]
            assert ray.get(given) == [(0, each) for each in ids]
            trials = shared_studies.assert_whole(where, homes)
            if len({trial.user_attrs["lease"] for trial in trials if trial.value is not None}) == 2:
                return
    raise AssertionError("one node did it all, of each study")


@contextmanager
def storage(kind: str, folder: Path) -> Iterator[str]:
    """A storage that both nodes reach."""
    if kind == "journal":
        yield str(folder / "shared" / "study.journal")
        return
    postgres = pytest.importorskip("postgres", reason="no psycopg: FOLDLINE_EXTRAS=storage ./run.sh doctor")
    if postgres.programs() is None:
        pytest.skip("no PostgreSQL: apt install postgresql")
    with postgres.running() as server:
        yield server.url


def test_nodes_that_share_no_folder_get_what_cells_read_and_send_what_they_leave(
    cluster: Any, whole: Path, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both nodes are this machine, so that they share what is theirs; a worker is killed on the way."""
    ray_faults.instead(monkeypatch, ray_faults.kills_its_worker)
    try:
        tiny.run("train", "rides", *PRETRAINED, "executor.kind=ray", "executor.data=object-store")
        same(here, whole)
        assert len(list((parcels.node_home(str(here)) / "runs" / "cells").iterdir())) == 5
        assert not list((here / "runs" / "cells").glob("*/checkpoint.safetensors"))
    finally:
        shutil.rmtree(parcels.node_home(str(here)), ignore_errors=True)


def test_a_node_that_lacks_something_is_named_before_anything_is_trained(
    cluster: Any, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nodes, "code", lambda: "that of a changed checkout")
    assert main(["train", "rides", "executor.kind=ray"]) == 2
    err = capsys.readouterr().err
    assert (
        "has another foldline: its source differs. Every node needs" in err and "node one" in err and "node two" in err
    )
    assert main(["train", "rides", "executor.kind=ray", "executor.cpus=64"]) == 2
    err = capsys.readouterr().err
    assert (
        "a cell asks for 64 CPUs, and no node of the cluster has that: " in err and "node one has 1 CPUs and 0" in err
    )
    assert not list((here / "runs" / "cells").glob("*")) and not list((here / "runs" / "probes").glob(".ray*"))


def test_what_is_seen_of_a_cluster(cluster: Any, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen = tiny.as_json(capfd, "cluster")
    assert [(node["name"], node["head"], node["cpus"], node["trouble"]) for node in seen["nodes"]] == [
        ("one", True, 1.0, ""),
        ("two", False, 1.0, ""),
    ]
    assert seen["free_cpus"] == 2.0 and seen["gone"] == 0 and seen["address"] == os.environ["RAY_ADDRESS"]
    assert not list((here / "runs" / "probes").iterdir())


@pytest.mark.usefixtures("sigint")
def test_ctrl_c_saves_on_a_cluster_of_its_own_and_the_next_run_goes_on_in_another(cluster: Any, here: Path) -> None:
    """No checkpoint is due for an hour: the one that is found was written because of the signal."""
    words = ["train.epochs=100_000", "train.checkpoint_s=3600", "executor.kind=ray", "executor.workers=1"]
    for number, address in enumerate(["local", os.environ["RAY_ADDRESS"]]):
        with Run(here, [*words, f"executor.address={address}"]) as run:
            assert run.says("goes on after") if number else run.trains("history.jsonl")
            os.killpg(run.child.pid, signal.SIGINT)  # as a terminal does: Ray's own processes get it, too
            code, output = run.ends()
            assert code == 130, output
            assert "run the same command again to go on" in output and "Traceback" not in output
            run.leaves_no_orphan()  # the cluster that it has started ends with it
        assert list((here / "runs" / "cells").glob("*/checkpoint.safetensors"))


def test_a_killed_worker_at_each_stage_changes_no_bit(
    cluster: Any, whole: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ray_faults.instead(monkeypatch, ray_faults.kills_its_worker)
    answer = tiny.as_json(capfd, "train", "rides", *PRETRAINED, "executor.kind=ray")  # and nothing else on stdout
    assert ray_faults.happened(here) == set(ray_faults.STAGES)
    assert "submission" in answer
    same(here, whole)


def test_a_node_killed_midway_changes_no_bit(
    cluster: Any, whole: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last test of the file: the cluster has one node from then on."""
    ray_faults.instead(monkeypatch, ray_faults.kills_its_node)
    with ray_faults.room_on_the_doomed_node_only(here):
        tiny.run("train", "rides", *PRETRAINED, "executor.kind=ray")
    assert ray_faults.happened(here) == {"node"}
    assert "its node was lost; it goes on elsewhere, from its last checkpoint" in capsys.readouterr().out
    same(here, whole)

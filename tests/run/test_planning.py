"""From a config to cells and jobs: what a key depends on, what must come before what, and what need not."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from answers import blended_by_hand, submitted
from lab import small_store

from foldline.core import files
from foldline.core.errors import UserError
from foldline.data import metrics
from foldline.data.folds import Folds
from foldline.data.store import Store
from foldline.experiment import config, stored_experiment
from foldline.fit import augmentation, train_config
from foldline.fit.augmentation.views import TtaConfig
from foldline.fit.patches import PatchesConfig
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.pseudo_labels import TeacherConfig
from foldline.fit.sample_config import SampleConfig
from foldline.fit.train_config import AugmentConfig, TrainConfig, WatchConfig
from foldline.fit.window_config import TrainingWindowsConfig
from foldline.run import planning
from foldline.run.cells import Cell, ModelConfig
from foldline.run.plan_inputs import PlanInputs

# One other value for each field: a field that is new has to be thought of here.
OTHERS: dict[type, dict[str, Any]] = {
    TrainConfig: {
        "epochs": 21,
        "batch": 32,
        "micro": 8,
        "shuffle": "blocks",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "schedule": "constant",
        "cycles": 5,
        "clip": 0.0,
        "ema": 0.9,
        "average": 3,
        "margin": 2,
        "fill": "forward",
        "precision": "bf16",
        "threads": 2,
        "compile": True,
        "graphs": True,
        "processes": 2,
        "deterministic": "off",
        "seeds": (0, 1),
        "full_seeds": (7,),
        "device": "auto",
        "checkpoint_s": 1.0,
        "on_oom": "halve",
        "resident": "off",
    },
    AugmentConfig: {
        "mixup": 0.5,
        "mixup_alpha": 0.4,
        "mixup_like": "u_out",
        "mask_static": 0.1,
        "shuffle": 0.2,
        "shuffle_steps": 2,
        "drop_channels": {"tof": 0.5},
    },
    SampleConfig: {"by": "class", "curriculum": 0.5, "shortest": 0.5},
    TtaConfig: {"reverse": True, "flip": ("x",), "scale": (0.9,)},
    augmentation.Rotate: {"share": 0.5, "axes": (("x", "y", "z"),), "degrees": 9.0},
    augmentation.Flip: {"share": 0.5, "columns": ("x",)},
    augmentation.Reverse: {"share": 0.5},
    augmentation.WindowSlice: {"share": 0.5, "length": 0.5},
    augmentation.TimeWarp: {"share": 0.5, "sigma": 0.3, "knots": 5},
    augmentation.Scale: {"share": 0.5, "sigma": 0.3, "columns": ("x",)},
    augmentation.MagnitudeWarp: {"share": 0.5, "sigma": 0.3, "knots": 5, "columns": ("x",)},
    augmentation.Jitter: {"share": 0.5, "sigma": 0.3, "columns": ("x",)},
    augmentation.DropFeatures: {"share": 0.5, "rate": 0.3, "columns": ("x",)},
    augmentation.Cutout: {"share": 0.5, "length": 0.3, "columns": ("x",)},
    augmentation.CutMix: {"share": 0.5, "longest": 0.3},
    TrainingWindowsConfig: {
        "length": 9,
        "stride": 4,
        "starts": "even",
        "loss": "centre",
        "predict": 16,
        "overlap": 2,
        "weight": "centre",
    },
    PatchesConfig: {"rows": 3, "every": 3.0, "gaps": "left-out", "up": "repeat"},
    WatchConfig: {"share": 0.1, "best": True, "stop": 2, "patience": 3, "factor": 0.5},
}
# So that best and stop have what they look at, and windows something to cut.
BASE = TrainConfig(
    device="cpu", watch=WatchConfig(share=0.2), windows=TrainingWindowsConfig(length=8), patches=PatchesConfig(rows=2)
)


BESIDE: dict[tuple[type, str], dict[str, Any]] = {  # what else must be said then
    (PatchesConfig, "every"): {"rows": 1},
    (PatchesConfig, "gaps"): {"rows": 1, "every": 2.0},
    (AugmentConfig, "mixup_like"): {"mixup": 0.5},
    (augmentation.Rotate, "share"): {"axes": (("x", "y", "z"),)},
    (augmentation.Flip, "share"): {"columns": ("x",)},
}


def others(base: Any) -> dict[str, Any]:
    """Dotted name of a field, of nested tables too -> `base` with another value in it."""
    found: dict[str, Any] = {}
    for field in fields(base):
        value = getattr(base, field.name)
        if is_dataclass(value):
            inner = others(value)
            found |= {f"{field.name}.{name}": replace(base, **{field.name: other}) for name, other in inner.items()}
        else:
            changes = BESIDE.get((type(base), field.name), {}) | {field.name: OTHERS[type(base)][field.name]}
            found[field.name] = replace(base, **changes)
    return found


@pytest.fixture
def given(rides: Path) -> PlanInputs:
    """What cells share, made of nothing."""
    chosen = config.load(Path("rides"))
    folds = Folds(Path("folds.csv"), np.arange(10) % 2, 2)
    return PlanInputs(chosen.data, chosen.features, small_store(), folds, test="the test table", exact="its exact rows")


def net(label: str = "net", train: TrainConfig = BASE, width: int = 4, **changes: Any) -> ModelConfig:
    return ModelConfig(name="hybrid", label=label, params={"width": width}, train=train, **changes)


def key(given: PlanInputs, *models: ModelConfig) -> str:
    """Of the last model's cell of fold 0."""
    label = models[-1].label
    return next(cell.key for cell in planning.plan(given, models) if cell.model.label == label and cell.fold == 0)


@pytest.mark.parametrize("name", others(BASE))
def test_the_key_depends_on_every_field_of_train_but_on_where_and_how(
    name: str, given: PlanInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr(TrainConfig, "refuse_device", lambda self: None)  # CUDA graphs are for a GPU alone
    changed = key(given, net(train=others(BASE)[name]))
    assert (changed == key(given, net())) == (name in train_config.NOT_IN_KEY)


def test_keys_of_older_configs_know_nothing_of_newer_settings(given: PlanInputs) -> None:
    (cell, *_) = planning.plan(given, [net(train=TrainConfig(device="cpu"))])
    assert not set(cell.depends["train"]) & set(train_config.NEWER)
    older = {"mixup", "mixup_alpha", "mask_static", "shuffle", "shuffle_steps"}
    assert set(cell.depends["train"]["augment"]) == older
    (cell, *_) = planning.plan(given, [net()])  # with patches of rows, which there were before those of time
    assert cell.depends["train"]["patches"] == {"rows": 2, "up": "linear"}


def test_the_key_depends_on_what_becomes_of_gaps(given: PlanInputs) -> None:
    by_time = (replace(BASE, patches=PatchesConfig(every=2.0, gaps=gaps)) for gaps in ("missing", "left-out"))
    one, other = (key(given, net(train=train)) for train in by_time)
    assert one != other


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_the_key_depends_on_clusters_of_similar_series_where_they_are_drawn(share: float, given: PlanInputs) -> None:
    """And older keys have nothing of them."""
    train = replace(BASE, watch=WatchConfig(share=share))
    with_units = replace(given, folds=replace(given.folds, units=np.arange(10) // 2))
    assert (key(with_units, net(train=train)) == key(given, net(train=train))) == (share == 0)


def test_the_device_that_is_used_is_in_the_key_though_the_word_for_it_is_not(
    given: PlanInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for there in (False, True):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=there: there)
        seen.append(key(given, net(train=replace(BASE, device="auto"))))
    assert seen[0] == key(given, net()) != seen[1]


WATCHED: dict[str, tuple[WatchConfig, str, dict[str, bool]]] = {  # -> whether a network's, and trees', key holds it
    "nothing": (WatchConfig(), "cosine", {"net": False, "trees": False}),
    "series": (WatchConfig(share=0.2), "cosine", {"net": True, "trees": False}),  # a network's: tuning prunes by it
    "best": (WatchConfig(share=0.2, best=True), "cosine", {"net": True, "trees": True}),
    "stop": (WatchConfig(share=0.2, stop=2), "cosine", {"net": True, "trees": True}),
    "plateau": (WatchConfig(share=0.2), "plateau", {"net": True, "trees": False}),
}


@pytest.mark.parametrize("case", WATCHED)
def test_the_metric_is_in_the_key_exactly_where_a_score_is_watched(case: str, given: PlanInputs) -> None:
    watch, schedule, expected = WATCHED[case]
    train = replace(BASE, watch=watch, schedule=schedule)
    trees = ModelConfig(name="lightgbm", label="trees", params={"rounds": 5}, train=train)
    by_rmse = replace(given, data=replace(given.data, metric="rmse"))
    for model in (net(train=train), trees):
        one, other = (planning.plan(shared, [model])[0] for shared in (given, by_rmse))
        assert (one.key != other.key) == expected[model.label] == ("metric" in one.depends)
        assert other.depends.get("metric") == (metrics.key_of(*by_rmse.metric) if expected[model.label] else None)
        assert (one.metric.name, other.metric.name) == ("mae", "rmse")


def test_a_starts_key_holds_the_metric_too(given: PlanInputs) -> None:
    watching = net(train=replace(BASE, watch=WatchConfig(share=0.2, best=True)), pretrain=PretrainConfig())
    starts = []
    for metric in ("mae", "rmse"):
        shared = pretraining_store(replace(given, data=replace(given.data, metric=metric)), "one")
        start = planning.plan(shared, [watching])[0].start
        assert start is not None and start.metric.name == metric
        starts.append(start.key)
    assert starts[0] != starts[1]


def test_what_a_teacher_says_is_in_the_key(given: PlanInputs) -> None:
    def student(shared: PlanInputs = given, width: int = 4, **changes: Any) -> str:
        teacher = TeacherConfig(**{"of": ("a",), **changes})
        return key(shared, net("a", width=width), net("b", width=6), net("student", teacher=teacher))

    seen = [
        key(given, net("student")),
        student(),
        student(of=("b",)),
        student(of=("a", "b")),
        student(weight=0.25),
        student(exact=True),
        student(width=8),  # another teacher under the same label
        student(replace(given, test="another test table")),
        student(replace(given, exact="other rows"), exact=True),
    ]
    assert len(set(seen)) == len(seen)
    assert student(replace(given, exact="other rows")) == student()  # which this one does not ask for


def pretraining_store(given: PlanInputs, name: str, levels: str = "") -> PlanInputs:
    """Series to pre-train on: others for each source and fold."""

    def made(config: PretrainConfig, fold: int | None) -> Store:
        fingerprint = f"{name} {config.source} {fold}"
        return replace(small_store(seed=1), path=Path(files.digest(fingerprint + levels)), fingerprint=fingerprint)

    return replace(given, pretraining_data=made)


def test_what_a_start_was_trained_on_is_in_the_key(given: PlanInputs) -> None:
    def student(name: str = "one", levels: str = "", **changes: Any) -> str:
        return key(pretraining_store(given, name, levels), net(pretrain=PretrainConfig(**changes)))

    seen = [
        key(given, net()),
        student(),
        student("two"),
        student(levels="of another competition"),  # the same series, but a code stands for another value
        student(source="elsewhere"),
        student(train={"epochs": 3}),
        student(train={"augment": {"mixup": 0.1}}),
    ]
    assert len(set(seen)) == len(seen)
    assert student(train={"epochs": BASE.epochs}) == student()  # as the model's own [train] says anyway


def test_a_folds_start_is_made_for_that_fold_and_with_the_same_seed(given: PlanInputs) -> None:
    train = replace(BASE, seeds=(0, 1), full_seeds=(5,))
    made = planning.plan(
        pretraining_store(given, "one"), [net(train=train, pretrain=PretrainConfig(train={"epochs": 3}))]
    )
    assert [(cell.fold, cell.seed) for cell in made] == [(0, 0), (1, 0), (0, 1), (1, 1), (None, 5)]
    for cell in made:
        start = cell.start
        assert start is not None and start.seed == cell.seed and start.pretraining_store is not None
        assert start.depends["data"]["fingerprint"] == f"one simulate {cell.fold}"
        assert start.model.train.epochs == 3 and cell.model.train.epochs == BASE.epochs
        assert cell.depends["start"] == start.key and start.start is None
    assert len({cell.start.key for cell in made if cell.start}) == 5


def test_teachers_are_those_of_the_same_fold(given: PlanInputs) -> None:
    train = replace(BASE, full_seeds=(5,))
    several = replace(train, seeds=(0, 1))
    student = net("student", train=train, teacher=TeacherConfig(of=("a", "b")))
    made = planning.plan(given, [net("a", train=several), net("b", train=train, width=6), student])
    students = [cell for cell in made if cell.model.label == "student"]
    assert [cell.fold for cell in students] == [0, 1, None]
    for cell in students:
        expected = [("a", seed) for seed in ((0, 1) if cell.fold is not None else (5,))]
        expected += [("b", 0 if cell.fold is not None else 5)]
        assert {teacher.fold for teacher in cell.teachers} == {cell.fold}
        assert [(teacher.model.label, teacher.seed) for teacher in cell.teachers] == expected


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([net("student", teacher=TeacherConfig(of=("a",))), net("a")], "its teacher 'a' has no cell of fold 0"),
        ([net("a", teacher=TeacherConfig(of=("a",)))], "its teacher 'a' has no cell of fold 0"),
        (
            [net("a"), net("s", train=replace(BASE, full_seeds=(1,)), teacher=TeacherConfig(of=("a",)))],
            "model 's': its teacher 'a' has no cell of all series. Teachers stand further up",
        ),
    ],
)
def test_a_teacher_that_is_not_there_is_a_users_error(
    models: list[ModelConfig], message: str, given: PlanInputs
) -> None:
    with pytest.raises(UserError, match=message):
        planning.plan(given, models)


# ---------------------------------------------------------------- jobs


def made(
    name: str, *, start: Cell | None = None, teachers: tuple[Cell, ...] = (), pretraining_store: bool = False
) -> Cell:
    """A cell of which only what comes before it matters."""
    path = Path("store") if pretraining_store else None
    return Cell(None, "none", 0, 0, {"name": name}, start, teachers, path)  # type: ignore[arg-type]


def finish(*some: Cell) -> None:
    for cell in some:
        files.write_json(cell.folder / "done.json", {})


def jobs(*plan: Cell, force: bool = False) -> list[str]:
    """The names of the cells with something left to do."""
    found = planning.jobs(plan, Path("train"), Folds(Path("folds.csv"), np.zeros(4), 1), None, force=force)
    return [job.cell.depends["name"] for job in found]


@pytest.fixture
def school(home: Path) -> dict[str, Cell]:
    """A teacher that was pre-trained, a plain teacher, and a pre-trained student of both."""
    first, second = made("first", pretraining_store=True), made("second", pretraining_store=True)
    teacher, plain = made("teacher", start=first), made("plain")
    student = made("student", start=second, teachers=(teacher, plain))
    return {cell.depends["name"]: cell for cell in (first, second, teacher, plain, student)}


def test_a_cell_comes_behind_those_that_it_needs_and_once(school: dict[str, Cell]) -> None:
    teacher, plain, student = (school[name] for name in ("teacher", "plain", "student"))
    assert jobs(teacher, plain, student) == ["first", "teacher", "plain", "second", "student"]
    assert jobs(student) == jobs(teacher, plain, student)
    assert jobs(teacher, teacher, plain, student, student) == jobs(teacher, plain, student)


def test_finished_cells_need_nothing_of_what_came_before_them(school: dict[str, Cell]) -> None:
    plan = tuple(school[name] for name in ("teacher", "plain", "student"))
    finish(school["teacher"], school["plain"])
    assert jobs(*plan) == ["second", "student"]
    finish(school["second"])
    assert jobs(*plan) == ["student"]
    finish(school["student"])
    assert jobs(*plan) == []
    (school["second"].folder / "done.json").unlink()  # somebody made room
    assert jobs(*plan) == []
    (school["student"].folder / "done.json").unlink()
    assert jobs(*plan) == ["second", "student"]


def test_force_does_everything_again(school: dict[str, Cell]) -> None:
    finish(*school.values())
    plan = tuple(school[name] for name in ("teacher", "plain", "student"))
    assert jobs(*plan, force=True) == ["first", "teacher", "plain", "second", "student"]


# ---------------------------------------------------------------- cells that hold out nothing


def test_full_cells_only_predict_the_test_series(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = stored_experiment.read("rides")
    tiny.run("train", "rides", "train.full_seeds=[9]")
    assert "cells: 6, 4 finished, 2 to train" in capsys.readouterr().out
    after = stored_experiment.read("rides")
    assert after.blend == before.blend and after.score == before.score
    assert [(cell.fold, cell.seed) for cell in after.plan if cell.fold is None] == [(None, 9)] * 2
    assert all(np.load(cell.folder / "held_out.npy").size == 0 for cell in after.plan if cell.fold is None)
    np.testing.assert_allclose(submitted(trained), blended_by_hand(trained, cells_of_each=3), rtol=1e-12)
    assert "hybrid full seed 9" in (after.folder / "report.html").read_text()


def test_another_competitions_cells_are_no_neighbours(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"ride": "trip", "second": "hour", "power": "load", "bike": "truck", "speed": "place"}
    tables = {stem: table.rename(names, strict=False) for stem, table in tiny.frames(train_series=14).items()}
    path = tiny.install(trained, tiny.write(tmp_path / "away", tables), "trips")
    text = path.read_text()
    for old, new in names.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    path.write_text(text)
    tiny.run("train", "trips", "--dry-run")
    out = capsys.readouterr().out
    assert "4 to train" in out and "nearest finished cell" not in out


def test_rows_of_weight_0_change_the_keys_of_what_has_left_them_out_since(given: PlanInputs) -> None:
    """Of networks, whose scales and heads took them for others; not of trees, which never learned them."""
    store, trees = given.train, ModelConfig(name="lightgbm", label="trees", params={"objective": "l1"}, train=BASE)
    weights = np.ones(len(store.scored))
    even, uneven = (
        replace(given, train=replace(store, weight=each)) for each in (weights, weights * (store.step_of_answer > 0))
    )
    assert key(given, net()) == key(even, net()) != key(uneven, net())
    assert key(even, trees) == key(uneven, trees)
    ranks = [replace(each, data=replace(each.data, target_transform="rank")) for each in (even, uneven)]
    assert key(ranks[0], trees) != key(ranks[1], trees)


def test_large_targets_change_the_keys_of_trees_alone(given: PlanInputs) -> None:
    """Older versions rounded them to float32."""
    trees = ModelConfig(name="lightgbm", label="trees", params={"objective": "l1"}, train=BASE)
    large = replace(given, train=replace(given.train, y=given.train.y + 1e9))
    relative = replace(trees, params={"objective": "mape"})
    assert key(given, trees) != key(large, trees)
    assert key(given, net()) == key(large, net()) and key(given, relative) == key(large, relative)


@pytest.mark.parametrize("transform", ["", "rank"])
def test_trees_that_begin_at_the_median_since_have_another_key(transform: str, given: PlanInputs) -> None:
    inputs = replace(given, data=replace(given.data, target_transform=transform))
    for name, objective, centred in (
        ("xgboost", "huber", True),
        ("xgboost", "l1", False),
        ("lightgbm", "huber", False),
    ):
        model = ModelConfig(name=name, label="trees", params={"objective": objective}, train=BASE)
        assert all(("labels" in cell.depends) == centred for cell in planning.plan(inputs, [model]))


def test_a_metric_file_gets_the_columns_of_the_series_that_are_pre_trained_on(given: PlanInputs) -> None:
    """Their rows are others than the competition's: it read numbers of other series, or ended in an error."""
    data = replace(given.data, metric="metric.py", higher_is_better=False, metric_columns=("power",))
    other = replace(small_store(), path=Path("other"))
    inputs = replace(given, data=data, pretraining_data=lambda table, fold: other)
    model = net(train=TrainConfig(device="cpu"), pretrain=PretrainConfig(source="more"))
    for cell in planning.plan(inputs, [model]):
        assert cell.start is not None and cell.metric is not None and cell.start.metric is not None
        solutions = [each.file and each.file.solution for each in (cell.metric, cell.start.metric)]
        assert solutions == [str(Path(folder, "solution.parquet")) for folder in ("store", "other")]

"""Who teaches whom: out of fold only cells that hold out the student's fold, too; rounds by the round before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lab import small_store

from foldline.core.errors import UserError
from foldline.data.folds import Folds
from foldline.data.time_folds import TimeSplit
from foldline.data.time_spans import TimeSpans
from foldline.experiment import config
from foldline.fit.pseudo_labels import TeacherConfig
from foldline.fit.train_config import TrainConfig
from foldline.run import planning
from foldline.run.cells import Cell, ModelConfig
from foldline.run.plan_inputs import PlanInputs

TRAIN = TrainConfig(device="cpu", seeds=(0, 1), full_seeds=(5,))


@pytest.fixture
def given(rides: Path) -> PlanInputs:
    """What cells share: ten series in three folds."""
    chosen = config.load(Path("rides"))
    folds = Folds(Path("folds.csv"), np.arange(10) % 3, 3)
    return PlanInputs(chosen.data, chosen.features, small_store(), folds, test="the test table")


def net(label: str, train: TrainConfig = TRAIN, width: int = 4, **teacher: object) -> ModelConfig:
    taught = TeacherConfig(**teacher) if teacher else None  # type: ignore[arg-type]
    return ModelConfig(name="hybrid", label=label, params={"width": width}, train=train, teacher=taught)


def of_label(label: str, plan: list[Cell]) -> list[Cell]:
    return [cell for cell in plan if cell.model.label == label]


def test_out_of_fold_teachers_know_nothing_of_the_students_fold_and_label_every_other_series(given: PlanInputs) -> None:
    once = replace(TRAIN, seeds=(0,))
    plan = planning.plan(given, [net("a"), net("student", once, of=("a",), weight=0, distil=0.5)])
    students = {cell.fold: cell for cell in of_label("student", plan)}
    for fold, student in students.items():
        labelled = np.zeros(10)
        for teacher in student.distilled:
            own = teacher.held_out(given.folds)
            assert not np.isin(teacher.inside(given.folds), [*student.held_out(given.folds), *own]).any()
            labelled[np.setdiff1d(own, student.held_out(given.folds))] += 1
        expected = np.where(np.isin(np.arange(10), student.held_out(given.folds)), 0, 2)  # two seeds of the teacher
        assert labelled.tolist() == expected.tolist()
        assert {other.beside is None for other in student.distilled} == {fold is None} and not student.teachers
    shared = {frozenset({0, 1}), frozenset({0, 2}), frozenset({1, 2})}
    pairs = {other.key: frozenset({other.fold, other.beside}) for f in range(3) for other in students[f].distilled}
    assert set(pairs.values()) == shared and len(pairs) == 6  # one cell a pair and seed, for both students
    jobs = planning.jobs(plan, given.train.path, given.folds, Path("test"))
    assert len(jobs) == 7 + 4 + 6 and {job.test is None for job in jobs if job.key in pairs} == {True}


def test_a_pair_of_two_folds_leaves_nothing_to_learn_from(given: PlanInputs) -> None:
    two = replace(given, folds=Folds(Path("folds.csv"), np.arange(10) % 2, 2))
    with pytest.raises(UserError, match=r"model 'b': teacher.distil needs teachers that hold out two folds each"):
        planning.plan(two, [net("a"), net("b", of=("a",), distil=0.5)])


def test_by_time_the_earlier_folds_cells_teach(given: PlanInputs) -> None:
    day = np.arange(10.0)
    spans = TimeSpans(day, day, 0.0, "the time folds")  # type: ignore[call-arg]
    folds = Folds(Path("folds.csv"), np.array([-1, -1, -1, 0, 0, 1, 1, 2, 2, 2]), 3, TimeSplit(spans, day[[3, 5, 7]]))
    plan = planning.plan(replace(given, folds=folds), [net("a"), net("b", of=("a",), weight=0, distil=0.5)])
    for cell in of_label("b", plan):
        assert {other.fold for other in cell.distilled} == set(range(3 if cell.fold is None else cell.fold))
        for other in cell.distilled if cell.fold is not None else ():
            assert not np.isin(other.inside(folds), folds.not_known(cell.fold)).any()


def test_each_round_is_taught_by_the_round_before_and_the_first_is_a_student_of_one_round(given: PlanInputs) -> None:
    plan = planning.plan(given, [net("a"), net("b", of=("a",), rounds=3)])
    once = {cell.name: cell.key for cell in planning.plan(given, [net("a"), net("b", of=("a",))])}
    for cell in of_label("b", plan):
        seeds = (0, 1) if cell.fold is not None else (5,)
        second, first = cell.teachers, cell.teachers[0].teachers
        assert [(other.seed, other.fold, other.round) for other in second] == [(s, cell.fold, 2) for s in seeds]
        assert [(other.seed, other.fold, other.round) for other in first] == [(s, cell.fold, 1) for s in seeds]
        assert {other.model.label for other in first[0].teachers} == {"a"} and cell.round == 0
        assert first[0].name == second[0].name.replace("round 2", "round 1") == f"{name_of(first[0])}, round 1"
        assert first[0].key == once[name_of(first[0])] != second[0].key != cell.key


def name_of(cell: Cell) -> str:
    return cell.name.partition(",")[0]


def test_a_round_that_is_also_a_model_of_its_own_is_trained_for_it_whichever_comes_first(given: PlanInputs) -> None:
    alike = [net("a"), net("rounds", of=("a",), rounds=2), net("once", of=("a",))]
    plan = planning.plan(given, alike)
    keys = [job.key for job in planning.jobs(plan, given.train.path, given.folds, None)]
    assert len(keys) == len(set(keys)) == 3 * 7 and {cell.key for cell in plan} == set(keys)

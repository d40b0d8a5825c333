"""Transforms of the target: an exact way back, fitted on a cell's own series, and scores in the target's own unit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from lab import INSIDE, TRAIN, exhaust, silent, small_store
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core import files
from foldline.core.errors import UserError
from foldline.data.metrics import METRICS
from foldline.data.store import Store
from foldline.fit import scaler, target_transform
from foldline.fit.boosting_cell import BoostingCell
from foldline.fit.labelled_series import labelled_series, unlabelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.target_transform import PLAIN, Log1p, Rank, Standardise, TargetTransform
from foldline.fit.train_config import WatchConfig

KINDS = ("log1p", "standardise", "log1p-standardise", "rank")
TREES = {"rounds": 30, "min_data_in_leaf": 2, "num_leaves": 3}
NETWORK: dict[str, Any] = {"width": 4, "blocks": [{"kind": "conv"}]}


def store(**changes: Any) -> Store:
    """Ten series of up to six steps, two targets above -1; the first two steps of each are known and not scored."""
    data = small_store()
    y, observed = np.abs(data.y) + np.array([0.0, 1e4]), 2
    scored = data.scored & (data.step_of_answer >= observed)
    return replace(data, **{"y": y, "observed": observed, "scored": scored, **changes})


def every(data: Store) -> np.ndarray:
    return np.arange(len(data.scored))


def fit(kind: str, data: Store, series: np.ndarray = INSIDE) -> TargetTransform:
    return target_transform.fit(kind, data, series, seed=0)


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_the_way_back_is_exact_and_the_scale_rises(kind: str) -> None:
    data = store()
    transform = target_transform.from_json(json.loads(json.dumps(fit(kind, data, np.arange(10)).to_json())))
    inside = np.flatnonzero(data.scored) if kind == "rank" else every(data)  # what it was fitted on
    there = transform.forward(data.y[inside], data, inside)
    back = transform.inverse(there, data, inside)
    np.testing.assert_allclose(back, data.y[inside], rtol=1e-12)
    second = transform.inverse(there[:, 1:], data, inside, slice(1, 2))
    assert np.array_equal(second, back[:, 1:])
    more = transform.forward(data.y[inside] + 0.5, data, inside)
    assert (more >= there).all() and (more > there).mean() > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_stays_missing(kind: str) -> None:
    data = store()
    holes = np.where(np.arange(2) == 1, np.nan, data.y)
    transform = fit(kind, data)
    there = transform.forward(holes, data, every(data))
    assert np.isfinite(there[:, 0]).all() and np.isnan(there[:, 1]).all()
    assert np.isnan(transform.inverse(there, data, every(data))[:, 1]).all()


def test_log1p_by_hand_and_at_its_end() -> None:
    data, y = store(), np.array([[0.0, np.e - 1], [-1.0, 3.0]])
    np.testing.assert_allclose(Log1p().forward(y, data, every(data)[:2])[0], [0.0, 1.0])
    assert np.isfinite(Log1p().forward(y, data, every(data)[:2])).all()  # a prediction may be rounded to -1
    wrong = store(y=np.where(np.arange(2) == 1, -1.0, 3.0) * np.ones((len(data.y), 1)))
    wrong = replace(wrong, task=replace(wrong.task, columns=("p", "q")))
    with pytest.raises(UserError, match=r"train.csv: .*'log1p' needs targets above -1, but 'q' goes down to -1\. Take"):
        target_transform.check("log1p", wrong, Path("train.csv"))
    target_transform.check("rank", wrong, Path("train.csv"))
    target_transform.check("log1p", replace(wrong, labelled=False, observed=0), Path("test.csv"))  # nothing is given


def test_standardise_takes_the_known_steps_of_its_own_series_alone() -> None:
    data = store()
    transform = fit("standardise", data)
    assert isinstance(transform, Standardise)
    series, step = data.series_of_answer, data.step_of_answer
    there = transform.forward(data.y, data, every(data))
    of_five = there[(series == 5) & (step < 2)]
    np.testing.assert_allclose(of_five.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(of_five.std(axis=0), 1)
    later = np.where((step >= 2)[:, None], data.y * 7, data.y)
    again = fit("standardise", replace(data, y=later))
    assert np.array_equal(again.forward(data.y, replace(data, y=later), every(data)), there)
    tests = replace(
        data,
        labelled=False,
        known=np.repeat((step < 2)[:, None], 2, axis=1),
        y=np.where(step < 2, 1, 0)[:, None] * data.y,
    )
    np.testing.assert_array_equal(transform.forward(data.y, tests, every(data)), there)  # a test table has no more


def test_a_start_that_does_not_move_has_the_usual_deviation_of_the_training_series() -> None:
    data = store()
    still = np.where((data.series_of_answer == 5)[:, None], 4.0, data.y)
    moving = fit("standardise", data)
    found = fit("standardise", replace(data, y=still))
    assert isinstance(moving, Standardise) and isinstance(found, Standardise)
    assert np.array_equal(moving.usual, found.usual)  # 5 is not among the training series
    of_five = found.forward(
        np.full((1, 2), 4.0) + found.usual, replace(data, y=still), np.flatnonzero(data.series_of_answer == 5)[:1]
    )
    np.testing.assert_allclose(of_five, 1)


def test_ranks_by_hand() -> None:
    values, shares = target_transform._quantiles(np.array([3.0, 1.0, 1.0, 7.0, 5.0]))
    assert values.tolist() == [1, 3, 5, 7] and shares.tolist() == [0, 1.5 / 3.5, 2.5 / 3.5, 1]  # ranks .5 2 3 4
    ranks, data = Rank((values,), (shares,)), store()
    assert ranks.forward(np.array([[2.0], [-9.0], [99.0]]), data, every(data)[:3])[:, 0].tolist() == [0.75 / 3.5, 0, 1]
    assert ranks.inverse(np.array([[2 / 3.5], [-0.2], [1.3]]), data, every(data)[:3])[:, 0].tolist() == [4, 1, 7]
    assert target_transform._quantiles(np.full(9, 4.0)) == (np.array([4.0]), np.array([0.5]))
    many = target_transform._quantiles(np.random.default_rng(0).normal(size=20_000))[0]
    assert len(many) == target_transform.KNOTS


def test_ranks_are_fitted_on_scored_answers_of_the_training_series_alone() -> None:
    data = store()
    others = ~np.isin(data.series_of_answer, INSIDE) | ~data.scored
    changed = replace(data, y=np.where(others[:, None], 1e6, data.y))
    assert fit("rank", changed).to_json() == fit("rank", data).to_json()
    assert fit("rank", changed, np.arange(10)).to_json() != fit("rank", data, np.arange(10)).to_json()


def test_answers_of_weight_0_have_no_rank() -> None:
    data = store(weight=np.where(small_store().step_of_answer == 3, 0.0, 1.0))
    changed = replace(data, y=np.where((data.step_of_answer == 3)[:, None], -999.0, data.y))
    assert fit("rank", changed).to_json() == fit("rank", data).to_json()


def test_a_view_and_labels_are_on_the_same_scale() -> None:
    data, transform = store(), Log1p()
    seen = transform.view(data)
    assert np.array_equal(seen.y, np.log1p(data.y))
    of_part = transform.labelled(labelled_series(data, INSIDE)).y
    assert np.array_equal(of_part, labelled_series(seen, INSIDE).y)
    start = transform.labelled(unlabelled_series(data, INSIDE))
    assert np.array_equal(start.y[start.known], of_part[start.known])
    assert PLAIN.view(data) is data and transform.view(replace(data, labelled=False, observed=0)).y is data.y


def test_a_spread_is_carried_back_by_the_slope() -> None:
    data = store()
    z, spread = np.log1p(data.y), np.full(data.y.shape, 1e-6)
    np.testing.assert_allclose(Log1p().spread(z, spread, data, every(data)), 1e-6 * (1 + data.y), rtol=1e-4)
    assert PLAIN.spread(z, spread, data, every(data)) is spread


# ---------------------------------------------------------------- cells


def network(
    data: Store, transform: TargetTransform, folder: Path, watch: WatchConfig | None = None
) -> tuple[NetworkCell, list[float]]:
    config = replace(TRAIN, watch=watch or WatchConfig())
    fitted = scaler.fit("robust", transform.view(data), INSIDE, 0)
    cell, seen = NetworkCell("hybrid", NETWORK, config, fitted, METRICS["mae"], transform), list[float]()

    def emit(kind: str, **row: Any) -> None:
        if kind == "epoch" and "watched" in row:
            seen.append(row["watched"])

    exhaust(cell.fit([labelled_series(data, INSIDE)], 0, emit, folder))
    return cell, seen


def trees(data: Store, transform: TargetTransform, watch: WatchConfig | None = None) -> BoostingCell:
    cell = BoostingCell("lightgbm", TREES, replace(TRAIN, watch=watch or WatchConfig()), METRICS["mae"], transform)
    cell.fit(data, INSIDE, 0, silent)
    return cell


@pytest.mark.parametrize("kind", ["log1p", "rank"])
@pytest.mark.parametrize("made", ["network", "trees"])
def test_a_cell_learns_what_it_would_of_transformed_targets(kind: str, made: str, tmp_path: Path) -> None:
    """The same as learning a table whose targets were transformed before, and turning its predictions back."""
    data = store(observed=0)
    transform = fit(kind, data)
    before = transform.view(data)
    if made == "trees":
        own, plain = trees(data, transform), trees(before, PLAIN)
    else:
        own, plain = network(data, transform, tmp_path / "a")[0], network(before, PLAIN, tmp_path / "b")[0]  # type: ignore[assignment]
    answers = data.answers(INSIDE)
    found = own.predict(data, INSIDE)[0]
    assert np.array_equal(found, transform.inverse(plain.predict(before, INSIDE)[0], data, answers))
    assert (found[:, 1] > 5e3).all()  # the target's own unit


@pytest.mark.parametrize("made", ["network", "trees"])
def test_standardised_predictions_follow_the_unit_of_a_test_series(made: str, tmp_path: Path) -> None:
    """A test series in another unit, and from another zero, looks the same: its prediction is in that unit."""
    data = store()
    transform = fit("standardise", data)
    cell = trees(data, transform) if made == "trees" else network(data, transform, tmp_path)[0]
    start = np.repeat((data.step_of_answer < 2)[:, None], 2, axis=1)
    tests = replace(data, labelled=False, known=start, y=np.where(start, data.y, 0.0))
    other = replace(tests, y=np.where(start, 40 * data.y - 700, 0.0))
    some = np.flatnonzero(data.lengths > 2)
    before, after = (cell.predict(each, some)[0] for each in (tests, other))
    np.testing.assert_allclose(after, 40 * before - 700, rtol=1e-4)
    assert len(np.unique(before[:, 0])) > 2


@pytest.mark.learned
@pytest.mark.parametrize("kind", ["log1p", "rank"])
@pytest.mark.parametrize("made", ["network", "trees"])
def test_what_is_watched_is_scored_in_the_targets_own_unit(made: str, kind: str, tmp_path: Path) -> None:
    """The targets are near 10,000 and 20,000: the learned scale, or the way back of the other, gives another error."""
    far, watch = store(observed=0), WatchConfig(share=0.4, best=True)
    far = replace(far, y=far.y + 1e4)
    transform, scores = fit(kind, far), list[float]()
    if made == "network":
        scores = network(far, transform, tmp_path, watch)[1]
    else:
        cell = BoostingCell("lightgbm", TREES, replace(TRAIN, watch=watch), METRICS["mae"], transform)
        cell.fit(far, INSIDE, 0, lambda kind, **row: scores.append(row["watched"]) if "watched" in row else None)
    limit = 4e3 if kind == "log1p" and made == "network" else 5.0  # a network is not at 10,000 at once
    assert scores and all(0.1 < score < limit for score in scores)


def test_weights_of_a_stored_cell_come_with_its_own_transform(home: Path, tmp_path: Path) -> None:
    """Trained, predicted, and predicted again by `infer` from what is stored; every number in the target's unit."""
    Songs("regression", "step", more='target_transform = "rank"').install(home, tmp_path / "songs")
    tiny.run("train", "songs")
    folders = sorted((home / "runs" / "cells").iterdir())
    assert folders
    for folder in folders:
        fitted = files.read_json(folder / "transform.json")
        low, high = fitted["values"][0][0], fitted["values"][0][-1]
        rows = np.load(folder / "out_of_fold.npy")
        assert low <= rows.min() and rows.max() <= high and rows.max() > 1
        assert files.read_json(folder / "depends.json")["transform"] == "rank"
    before = tiny.submission(home, "songs")
    for stored in (home / "runs" / "cells").glob("*/test-*"):
        stored.unlink()
    tiny.run("infer", "songs")
    assert tiny.submission(home, "songs") == before


@pytest.mark.parametrize(
    ("transform", "words", "expected"),
    [
        ("standardise", "", "observed must be at least 2, but is 0"),
        ("log1p", "data.kind=ordinal data.metric=qwk", "is for numbers, but kind is 'ordinal'"),
        ("rank", "model.0.head.kind=smape", "head 'smape' needs the target in its own unit, but data.target_transform"),
        ("rank", "model.0.head.kind=grid", "is 'rank': choose gaussian, huber, l1, l2, laplace, quantile, twophase"),
        ("log1p", "model.1.objective=tweedie", "objective 'tweedie' needs the target in its own unit"),
        ("log1p", "model.1.objective=mape", "is 'log1p': choose l1, l2, huber, fair, quantile, or drop the transform"),
        ("log", "", "must be one of '', 'log1p', 'standardise', 'log1p-standardise', 'rank', but is 'log'"),
    ],
)
def test_refusals_before_any_training(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], transform: str, words: str, expected: str
) -> None:
    Songs("regression", "step", more=f'target_transform = "{transform}"').install(home, tmp_path / "songs")
    assert main(["train", "songs", *words.split()]) == 2
    assert expected in " ".join(capsys.readouterr().err.split())
    assert not (home / "runs" / "cells").exists()


def test_what_an_estimator_leaves_is_measured_by_what_it_expects_and_comes_back() -> None:
    data = small_store()
    rng = np.random.default_rng(0)
    estimate = np.stack([rng.normal(size=len(data.y)), rng.uniform(0, 2, len(data.y))], axis=1)
    data = replace(data, y=data.y[:, :1], known=data.known[:, :1], estimate=estimate)
    found = target_transform.fit("residual", data, INSIDE, seed=0)
    transform = target_transform.from_json(json.loads(json.dumps(found.to_json())))
    rows = data.answers(INSIDE)
    usual = float(np.median(estimate[rows[data.scored[rows]], 1]))
    there = transform.forward(data.y[:5], data, every(data)[:5])
    np.testing.assert_allclose(there[:, 0], (data.y[:5, 0] - estimate[:5, 0]) / (estimate[:5, 1] + usual))
    np.testing.assert_allclose(transform.inverse(there, data, every(data)[:5]), data.y[:5], rtol=1e-12)


@pytest.mark.parametrize("kind", ["", "log1p"])
def test_targets_that_float32_would_round_are_learned_less_their_median(kind: str) -> None:
    data = small_store()
    large = replace(data, y=data.y * np.array([1.0, 0.01]) + np.array([0.0, 1e9]))
    scale, none = fit(kind, large, INSIDE), fit(kind, data, INSIDE)
    assert target_transform.centred(none, data, INSIDE, always=False) is none
    made = target_transform.centred(scale, large, INSIDE, always=False)
    made = target_transform.from_json(json.loads(json.dumps(made.to_json())))
    there = made.forward(large.y, large, every(large))
    inside = large.answers(INSIDE)[large.scored[large.answers(INSIDE)]]
    assert np.median(there[inside, 1]) == pytest.approx(0, abs=1e-6)
    assert np.array_equal(there[:, 0], scale.forward(large.y, large, every(large))[:, 0])
    back = made.inverse(there.astype(np.float32).astype(np.float64), large, every(large))
    np.testing.assert_allclose(back[:, 1], large.y[:, 1], rtol=0, atol=1e-4)
    second = made.inverse(there[:, 1:], large, every(large), slice(1, 2))
    assert np.array_equal(second, made.inverse(there, large, every(large))[:, 1:])


def test_trees_tell_large_targets_apart(home: Path, tmp_path: Path) -> None:
    """Libraries keep labels in float32, which has no number between 1e9 and 1e9 + 64."""
    songs = Songs("regression", "step")
    songs.install(home, tmp_path / "songs")
    tables = songs.frames()
    tables["train"] = tables["train"].with_columns(pl.col("answer") + 1e9)
    tiny.write(tmp_path / "songs", tables)
    tiny.run("train", "songs", "model=[{name='lightgbm', rounds=20, min_data_in_leaf=2}]")
    truth = tables["train"]["answer"].to_numpy()
    for folder in (home / "runs" / "cells").iterdir():
        own = files.read_array(folder / "out_of_fold.npy")[:, 0]
        spread = np.abs(truth - np.median(truth)).mean()
        assert np.abs(own - np.median(truth)).max() < 3 * spread and np.ptp(own) > 0.5 * spread
        assert files.read_json(folder / "depends.json")["labels"] == "less their median"
    before = tiny.submission(home, "songs")
    for stored in (home / "runs" / "cells").glob("*/test-*"):
        stored.unlink()
    tiny.run("infer", "songs")
    assert tiny.submission(home, "songs") == before

"""The audit's numbers against slow, obvious references."""

from __future__ import annotations

from pathlib import Path

import audits
import numpy as np
import polars as pl
import pytest
import tiny
from scipy.spatial import cKDTree
from scipy.stats import kstest

from foldline.data import near_copies
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.evidence.audit import (
    adversarial_validation,
    audit_plots,
    near_duplicates,
    perturbations,
    shuffled_targets,
    target_copies,
)
from foldline.evidence.audit.audit_context import some, taken

DATA = DataConfig(**tiny.ROLES, scored="coasting == 0", source="a-folder")


def table(count: int = 12, steps: int = 10, seed: int = 0, first: int = 1) -> Table:
    return Table(Path("train.csv"), DATA, tiny.rides(first, count, steps, seed), np.full(count, steps))


def ragged() -> Table:
    """Series of 1 to 5 steps."""
    lengths = np.array([3, 1, 5, 2])
    frame = pl.concat([tiny.rides(number, 1, steps, seed=number) for number, steps in enumerate(lengths.tolist(), 1)])
    return Table(Path("train.csv"), DATA, frame, lengths)


# ---------------------------------------------------------------- perturbations


def test_warping_takes_other_values_of_the_same_set() -> None:
    values = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    np.testing.assert_array_equal(perturbations.warp(values), [1.0, 5.0, 1.0, 3.0, 2.0])  # ranks 1, 0, .75, .25, .5
    flags = np.repeat([0.0, 1.0], [80, 20])
    assert np.bincount(perturbations.warp(flags).astype(int)).tolist() == [89, 11]  # 1 - sqrt(0.8) of them are up


def test_everything_changes_in_the_chosen_series_and_nothing_elsewhere() -> None:
    before, chosen = table(), np.arange(12) < 4
    after, rows = perturbations.everything(before, chosen), np.repeat(chosen, 10)
    assert after.filter(~pl.Series(rows)).equals(before.frame.filter(~pl.Series(rows)))
    for name in ("second", "power", "speed", "bike"):
        assert not after[name].equals(before.frame[name]), name
    for name in ("row", "ride", "coasting"):  # names stay, and so does what says which rows count
        assert after[name].equals(before.frame[name]), name
    assert (after.group_by("ride").agg(pl.col("second").diff().min())["second"] > 0).all()


def test_series_are_taken_whole_and_in_the_given_order() -> None:
    got = taken(ragged(), np.array([2, 0]))
    assert got.frame["ride"].to_list() == [3] * 5 + [1] * 3 and got.lengths.tolist() == [5, 3]
    assert some(ragged(), 2).keys.to_list() == [1, 3]


# ---------------------------------------------------------------- near-near_duplicates


def compared(*tables: Table) -> near_duplicates.ComparedSeries:
    sides = [np.arange(len(tables[0].lengths)) % 2, *(np.full(len(other.lengths), -1) for other in tables[1:])]
    return near_duplicates.ComparedSeries(tables=tables, side=np.concatenate(sides), steps=10)


def test_series_are_named_by_their_side() -> None:
    sides = np.array([0, near_duplicates.NEVER, -1])
    both = near_duplicates.ComparedSeries(tables=(some(table(), 2), some(table(first=501), 1)), side=sides, steps=10)
    assert [both.name(place).partition(" (")[2] for place in range(3)] == ["fold 0)", "in no fold)", "test)"]


def slow_distance(one: near_duplicates.ComparedSeries) -> np.ndarray:
    """(N, N) by the definition."""
    columns = [np.concatenate([part.frame[name].to_numpy() for part in one.tables]) for name in ("power", "coasting")]
    shaped = [column.reshape(-1, 10) for column in columns]
    scaled = [(values - values.mean(axis=0)) for values in shaped if (values - values.mean(axis=0)).std() > 0]
    scaled = [values / values.std() for values in scaled]
    gaps = [(values[:, None] - values[None]) ** 2 for values in scaled]
    return np.asarray(np.sqrt(np.mean(gaps, axis=(0, 3))))


def test_the_nearest_neighbour_and_its_distance_are_those_of_the_definition() -> None:
    both = compared(table(30), table(20, seed=1, first=501))
    slow = slow_distance(both)
    pairs = np.argwhere(np.triu(np.ones_like(slow), k=1))
    np.testing.assert_allclose(near_copies.distance_of(both.channels(), pairs), slow[tuple(pairs.T)], rtol=1e-5)


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-3])
def test_copies_are_found_whatever_little_noise_is_on_them(noise: float) -> None:
    first = table(40)
    rng = np.random.default_rng(0)
    power = pl.col("power") * (1 + noise * pl.Series(rng.normal(size=50)))
    frame = some(first, 5).frame.with_columns(pl.col("ride") + 900, power)
    both = compared(first, Table(Path("test.csv"), DATA, frame, np.full(5, 10)))
    sketch = near_copies.sketch_of(both)
    assert sketch is not None
    pairs, _ = near_duplicates._copies(both, cKDTree(sketch), sketch)
    assert pairs.tolist() == [[8 * number, 40 + number] for number in range(5)]
    assert both.name(40) == "ride 901 (test)" and both.name(3) == "ride 4 (fold 1)"


def test_series_that_agree_in_their_first_steps_only_are_no_copies() -> None:
    """A ride that differs only after the end of the shortest ones."""
    lengths = np.full(40, 10)
    lengths[1:] = 4  # the steps by which candidates are found
    step = np.tile(np.arange(10), 40)
    kept = step < np.repeat(lengths, 10)
    first = Table(Path("train.csv"), DATA, table(40).frame.filter(pl.Series(kept)), lengths)
    other = some(table(40), 1).frame.with_columns(pl.col("ride") + 900)
    sides = np.append(np.arange(40) % 2, -1)
    for power, found in ((pl.col("power"), 1), (pl.when(pl.col("second") > 2).then(9.0).otherwise("power"), 0)):
        copy = Table(Path("test.csv"), DATA, other.with_columns(power.alias("power")), np.array([10]))
        both = near_duplicates.ComparedSeries(tables=(first, copy), side=sides, steps=4)
        sketch = near_copies.sketch_of(both)
        assert sketch is not None
        assert len(near_duplicates._copies(both, cKDTree(sketch), sketch)[0]) == found


def test_inputs_that_do_not_distinguish_series_are_no_leak(home: Path) -> None:
    made = audits.tables()
    coarse = {
        name: made[name].with_columns(power=(pl.col("row") // 1000 % 3).cast(pl.Float64)) for name in ("train", "test")
    }
    audits.rides(home, made | coarse)
    assert audits.found("near-duplicates").verdict != "LEAK"


# ---------------------------------------------------------------- correlations, chance, AUC


def test_correlation_is_numpys() -> None:
    rng = np.random.default_rng(0)
    columns, values = rng.normal(size=(50, 3)), rng.normal(size=50)
    columns[:, 2] = 1.0
    expected = [abs(np.corrcoef(columns[:, number], values)[0, 1]) for number in (0, 1)]
    np.testing.assert_allclose(target_copies._correlation(columns, values), [*expected, 0.0])


def test_shuffled_targets_are_whole_series_of_the_donors() -> None:
    train = ragged()
    speed, donors = train.frame["speed"].to_list(), np.array([2, 0, 1, 3])
    got = shuffled_targets._shuffled(train, donors)["speed"].to_list()
    assert (
        got[:3] == speed[4:7] and got[3] == speed[0]
    )  # the first ride has that of the third, the second that of the first
    assert got[4:9] == [speed[3]] * 5  # the donor has one step only: it is repeated
    assert got[9:] == speed[9:]


def test_the_permutation_test_is_exact_and_sees_a_leak(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffled_targets, "PERMUTATIONS", 199)
    audits.rides(home, audits.tables())
    context = audits.context()
    train, store = context.competition.train, context.features(context.competition.train)
    rng, count = np.random.default_rng(0), len(train.lengths)
    without_leak, with_leak = [], []
    for _ in range(200):
        donors = rng.permutation(count)
        guess = rng.normal(size=store.y.shape)  # type: ignore[union-attr]
        donated = store.y.reshape(count, audits.STEPS, 1)[donors].reshape(-1, 1)  # (R, 1)
        seen = guess + 0.5 * donated
        for predictions, into in ((guess, without_leak), (seen, with_leak)):
            score, permuted = shuffled_targets._scores(predictions, train, donors, store, context.folds.assignment)
            into.append((1 + (permuted <= score).sum()) / 200)
    assert kstest(without_leak, "uniform").pvalue > 0.01
    assert np.median(with_leak) < 0.05


def test_auc_is_the_share_of_pairs_in_order_and_its_interval_covers() -> None:
    scores, is_test = np.array([0.1, 0.4, 0.4, 0.8, 0.3]), np.array([0, 0, 1, 1, 1])
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[is_test == 1] for b in scores[is_test == 0]]
    value, low, high = adversarial_validation._auc(scores, is_test)
    assert value == pytest.approx(np.mean(pairs))
    # DeLong by hand: shares of training below each test series 0.75, 1, 0.5, of test above each training one 1, 0.5
    assert (low, high) == (pytest.approx(0.75 - 1.96 * np.sqrt(0.0625 / 3 + 0.125 / 2)), 1.0)
    rng, covered = np.random.default_rng(0), 0
    kinds = np.repeat([0, 1], [60, 40])
    for _ in range(400):  # shifted by 0.9538 standard deviations: the true area is 0.75
        _, low, high = adversarial_validation._auc(rng.normal(size=100) + 0.9538 * kinds, kinds)
        covered += low <= 0.75 <= high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize("values", [[1.0, 1.0 + 2e-16, 1.0], [0.0, 5e-324], [1e300, 1e300], [1.0, 2.0, 5.0]])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_histogram_of_nearly_equal_values_is_drawn(values: list[float], kind: type) -> None:
    drawn = np.clip(values * 20, -1e38, 1e38).astype(kind)
    assert audit_plots.histogram(drawn, float(drawn[0]), "error").count("<path") > 10

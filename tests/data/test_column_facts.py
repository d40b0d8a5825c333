"""What the training table says of its columns: which inputs lack values, and what float32 would lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from foldline.data import column_facts
from foldline.data.column_facts import COMPLETE, ColumnFacts
from foldline.data.roles import DataConfig

DATA = DataConfig(id="row", key="ride", order="second", inputs=("power",), target=("speed",))
LENGTHS = np.array([40, 60])
SECONDS = np.concatenate([np.arange(40), np.arange(60)]) * 0.5
NOISE = np.random.default_rng(0).normal(size=100)


def table(power: np.ndarray = NOISE, second: np.ndarray = SECONDS) -> pl.DataFrame:
    return pl.DataFrame({"second": second, "power": power})


def facts(frame: pl.DataFrame) -> ColumnFacts:
    return ColumnFacts.of(DATA, frame, LENGTHS)


@pytest.mark.parametrize("power", [NOISE, 100 + NOISE, 1e6 + np.arange(100.0), NOISE * 1e9, np.full(100, 1e9 + 1)])
def test_a_complete_table_that_float32_holds_has_no_facts(power: np.ndarray) -> None:
    frame = table(power)
    assert facts(frame) == COMPLETE and COMPLETE.to_json() == {}
    assert COMPLETE.for_features(frame, DATA, LENGTHS) is frame


@pytest.mark.parametrize("offset", [1e9, -3e7, 1.6e12])
def test_a_large_offset_is_subtracted_rounded_so_that_float32_keeps_the_movement(offset: float) -> None:
    found = facts(table(offset + NOISE))
    assert found.offsets == {"power": offset}  # round: nothing of the noise is in it
    seen = found.for_features(table(offset + NOISE), DATA, LENGTHS)["power"].to_numpy()
    assert np.std(np.float32(offset + NOISE)) != pytest.approx(np.std(NOISE), rel=0.01)
    np.testing.assert_allclose(np.float32(seen), NOISE, atol=2e-4)


def test_steps_between_two_series_are_no_movement_of_an_input() -> None:
    """Half of the series have one step, the others move by 10, and all lie a million apart."""
    lengths = np.array([1, 2] * 50)
    level = np.random.default_rng(1).normal(1e9, 1e6, size=len(lengths))
    moves = np.repeat(level, lengths) + 10.0 * (np.arange(150) % 3 == 2)
    found = ColumnFacts.of(DATA, table(moves, np.arange(150) % 3 // 2.0), lengths)
    assert found.offsets == {"power": 1e9}


def test_an_offset_says_nothing_about_a_series() -> None:
    other = NOISE.copy()
    other[:40] = 5 - 3 * other[:40]
    assert facts(table(1e9 + other)).offsets == facts(table(1e9 + NOISE)).offsets


def test_times_in_epoch_milliseconds_count_from_the_start_of_their_series() -> None:
    starts = np.repeat([1.6e12, 1.7e12], LENGTHS)
    found = facts(table(second=starts + 1000 * SECONDS))
    assert found == ColumnFacts(from_start=True)
    seen = found.for_features(table(second=starts + 1000 * SECONDS), DATA, LENGTHS)["second"]
    assert seen.to_list() == (1000 * SECONDS).tolist()


def test_missing_inputs_are_named_and_all_missing_ones_have_no_offset() -> None:
    gaps = np.where(np.arange(100) % 7, 1e9 + NOISE, np.nan)
    assert facts(table(gaps)) == ColumnFacts(missing=("power",), offsets={"power": 1e9})
    assert facts(table(np.full(100, np.nan))) == ColumnFacts(missing=("power",))


def test_facts_come_back_from_a_record() -> None:
    found = ColumnFacts(missing=("a", "b"), offsets={"c": 1e9}, from_start=True)
    assert ColumnFacts.from_json(found.to_json()) == found
    assert ColumnFacts.from_json({}) == COMPLETE


def test_an_input_of_its_own_unit_only_counts_where_it_is_an_input() -> None:
    frame = table().with_columns(height=pl.Series(1e9 + NOISE))
    assert ColumnFacts.of(DATA, frame, LENGTHS) == COMPLETE
    both = replace(DATA, inputs=("power", "height"))
    assert ColumnFacts.of(both, frame, LENGTHS).offsets == {"height": 1e9}


def test_a_sample_of_rows_sees_all_steps_of_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_facts, "SAMPLE", 100)
    step = np.tile(np.arange(10.0), 100)  # every tenth row begins a series
    frame = pl.DataFrame({"when": 1.6e12 + 10 * step, "x": 1e9 + step % 3})
    data = DataConfig(id="i", key="k", order="when", inputs=("x",), target=("y",))
    facts = ColumnFacts.of(data, frame, np.full(100, 10))
    assert facts.from_start and facts.offsets == {"x": 1e9}

"""How long a run may yet take, counted by hand."""

from __future__ import annotations

import pytest
from live_runs import cell

from foldline.output.live.remaining import remaining
from foldline.run.progress_file import CellProgress

NOW = 1000.0


def network(number: int, **given: object) -> CellProgress:
    return cell(number, **given)


def trees(number: int, **given: object) -> CellProgress:
    return cell(number, label="lightgbm", **given)


def test_nothing_is_known_at_first() -> None:
    begun = network(0, state="training", began=NOW - 3, done=0.01)
    assert remaining([begun, network(1)], 2, NOW) == (None, False)


def test_nothing_is_left() -> None:
    assert remaining([network(0, state="done", began=NOW - 9, ended=NOW, done=1.0)], 1, NOW) == (0.0, True)


@pytest.mark.parametrize(("at_a_time", "seconds"), [(1, 3 * 20.0), (2, 30.0), (9, 20.0)])
def test_cells_take_as_long_as_those_of_their_model_and_side_by_side_less(at_a_time: int, seconds: float) -> None:
    done = network(0, state="done", began=NOW - 50, ended=NOW - 30, done=1.0)
    assert remaining([done, network(1), network(2), network(3)], at_a_time, NOW) == (seconds, True)


def test_a_cell_counts_by_its_share() -> None:
    begun = network(0, state="training", began=NOW - 30, done=0.75)  # 40 s a cell
    assert remaining([begun, network(1)], 1, NOW) == (10.0 + 40.0, True)


def test_what_was_done_in_an_earlier_run_took_no_time_of_this_one() -> None:
    resumed = network(0, state="training", began=NOW - 10, before=0.5, done=0.75)  # a quarter in 10 s
    predicted = network(1, state="done", began=NOW - 1, ended=NOW, before=1.0, done=1.0)
    assert remaining([resumed, predicted, network(2)], 1, NOW) == (10.0 + 40.0, True)


def test_a_model_that_has_not_begun_may_take_longer() -> None:
    done = network(0, state="done", began=NOW - 20, ended=NOW, done=1.0)
    assert remaining([done, network(1), trees(0)], 1, NOW) == (20.0, False)
    assert remaining([done, trees(0)], 1, NOW) == (None, False)


def test_failed_cells_are_not_waited_for() -> None:
    done = network(0, state="done", began=NOW - 20, ended=NOW, done=1.0)
    assert remaining([done, network(1, state="failed", began=NOW - 5, done=0.5)], 1, NOW) == (0.0, True)

"""The final check's interval: worked out by hand, and on simulated folds that differ only by chance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from foldline.data.metrics import METRICS
from foldline.evidence.tuning.final_check import ConfigScores, FinalCheck, gain_of
from foldline.evidence.tuning.tuning_page import check_rows, verdict

FOLDS, UNSEEN = 5, 2
MAE = METRICS["mae"]


def test_the_interval_by_hand() -> None:
    gain = gain_of(np.array([0.1, 0.3]), np.array([0.5, 0.6, 0.7]), k=5)
    # spread around 0.2 and around 0.6: (0.02 + 0.02) / (1 + 2) = 0.01333; times 1/2 + 1/4: error 0.1; t(3) = 3.182
    assert gain.mean == pytest.approx(0.2)
    assert (gain.low, gain.high) == pytest.approx((0.2 - 0.3182, 0.2 + 0.3182), abs=1e-4)
    assert gain.p == pytest.approx(0.1394, abs=1e-4)  # of t = 2 on 3 degrees of freedom
    assert gain.verdict == "can't tell"


@pytest.mark.parametrize(("shift", "says"), [(0.5, "better"), (-0.5, "worse"), (0.0, "can't tell")])
def test_verdicts(shift: float, says: str) -> None:
    assert gain_of(np.array([-0.01, 0.01]) + shift, np.array([0.0, 0.01, 0.02]), k=5).verdict == says


def test_one_fold_on_either_side_gives_no_interval() -> None:
    gain = gain_of(np.array([0.3]), np.array([0.1]), k=2)
    assert (gain.mean, gain.verdict) == (0.3, "can't tell")
    assert math.isinf(gain.high)


def test_folds_without_any_spread_decide() -> None:
    assert gain_of(np.array([0.25, 0.25]), np.array([]), k=4).verdict == "better"
    assert gain_of(np.array([0.0, 0.0]), np.array([]), k=4).verdict == "can't tell"


@pytest.mark.parametrize(("configs", "promised"), [(1, 0.025), (20, 0.08)])
def test_how_often_a_config_that_is_no_better_is_called_so(configs: int, promised: float) -> None:
    """Differences between folds correlated by 1 / k, as Nadeau and Bengio take them to be, and the best on seen folds.

    Folds share training series, so the folds of the check are correlated with those of the search. The best of 20 equal
    configs is therefore called better more often than in 2.5 % of searches.
    """
    rng, runs, wrong = np.random.default_rng(0), 2000, 0
    for _ in range(runs):
        common = rng.normal(size=(configs, 1)) * np.sqrt(1 / FOLDS)
        deltas = common + rng.normal(size=(configs, FOLDS)) * np.sqrt(1 - 1 / FOLDS)
        chosen = deltas[np.argmax(deltas[:, UNSEEN:].mean(axis=1))]
        wrong += gain_of(chosen[:UNSEEN], chosen[UNSEEN:], FOLDS).verdict == "better"
    assert wrong / runs < promised + 2 * np.sqrt(promised * (1 - promised) / runs)


def test_the_optimism_is_the_promised_minus_the_measured_gain() -> None:
    check = FinalCheck(
        folds=(2,),
        seeds=(0, 1),
        baseline=ConfigScores(seen=(1.0, 2.0), unseen=(1.4,)),
        best=ConfigScores(seen=(0.5, 1.5), unseen=(1.3,)),
        gain=gain_of(np.array([0.1]), np.array([0.5, 0.5]), k=3),
        promised=0.5,
    )
    assert check.optimism == pytest.approx(0.4)
    assert [row[-1] for row in check_rows(check, MAE)] == ["0.5000", "0.1000", "0.4000"]
    assert verdict(check, MAE).startswith("The best config is better on fold 2 with seeds 0, 1: mae lower by 0.1000")
    worse = replace(check, gain=gain_of(np.array([-0.1]), np.array([0.5, 0.5]), k=3))
    assert "mae higher by 0.1000" in verdict(worse, MAE)
    assert "nothing better" in verdict(None, MAE)

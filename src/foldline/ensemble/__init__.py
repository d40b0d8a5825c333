"""Blending: the predictions of several members become one; weights are fitted on out-of-fold predictions only.

- blend_config.py: [blend] and [[blend.outside]]
- applicability.py: which method is for which kind of target and metric
- blend_rows.py: the out-of-fold rows that a blend is fitted on
- methods.py: all methods by name, from simple to complex: fit one, score it nested, choose one ("auto")
- weights.py: methods that find weights: best member, hill climbing, simplex, least squares, absolute deviations, Optuna
- target_weights.py: weights of its own for each target column
- stacking.py: methods with a second model: ridge regression and LightGBM on the members' predictions
- series_aggregates.py: what a stack's trees see of a series beside predictions
- fitted_blend.py: a fitted blend: stored as JSON, applied with numpy (and LightGBM where it was stacked by it)
- members.py: what is blended: a model's cells, or predictions that were made elsewhere
- outside_members.py: reads and checks predictions that were made elsewhere
- post_processing.py: [post]: rounding to the targets' grid, exact rows
- tidying.py: [post]: rounding to decimals, rows that sum to one
- decisions.py: [post]: thresholds, cut points and class factors, where the metric counts labels
"""

from foldline.ensemble.blend_config import BlendConfig, OutsideConfig
from foldline.ensemble.blend_rows import BlendRows
from foldline.ensemble.fitted_blend import Blend
from foldline.ensemble.methods import (
    MethodComparison,
    MethodScore,
    NestedPredictions,
    apply_blend,
    choose_method,
    fit,
    nested,
)

__all__ = [
    "Blend",
    "BlendConfig",
    "BlendRows",
    "MethodComparison",
    "MethodScore",
    "NestedPredictions",
    "OutsideConfig",
    "apply_blend",
    "choose_method",
    "fit",
    "nested",
]

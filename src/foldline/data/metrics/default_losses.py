"""The loss that follows a metric: the head of networks, and the objective of boosted trees, of models that name none.

Most numbers are learned by absolute or squared errors, whichever the metric is nearer to, and other kinds by their
likelihood (contract.py). Here stand the metrics that have a loss of their own. smape and mape have none: a loss that
has no slope where signs differ, or weights that explode near 0, is no loss for data that nobody has looked at.
"""

from __future__ import annotations

from typing import Any

from foldline.data.metrics.contract import Metric
from foldline.data.metrics.options import Kind

NEED_OWN_UNIT = ("rmspe", "mcrmse")  # metrics whose loss has no meaning on a transformed scale


def head_of(chosen: Metric, kind: Kind, own_unit: bool = True) -> dict[str, Any]:
    """Return the table of a metric's head. own_unit: whether targets are learned in it (data.target_transform)."""
    if chosen.name == "pinball":
        return {"kind": "quantile", "levels": [chosen.options.level], "predict": chosen.options.level}
    if chosen.name in NEED_OWN_UNIT and own_unit:
        return {"kind": chosen.name}
    return {"kind": chosen.trained_by_head(kind)}


def objective_of(chosen: Metric, kind: Kind, own_unit: bool = True) -> dict[str, Any]:
    """Return the keys of a table of boosted trees that say a metric's objective. own_unit: as for `head_of`."""
    if chosen.name == "pinball":
        return {"objective": "quantile", "alpha": chosen.options.level}
    if chosen.name == "rmspe" and own_unit:
        return {"objective": "rmspe"}
    return {"objective": chosen.trained_by_objective(kind)}

"""Registry of the heads, one file each. A head's table: `kind`, `aux` (auxiliary.py), then the fields of its Config."""

from typing import Any

from foldline.models.contract import Head, Part, Targets
from foldline.models.heads import gaussian, grid, huber, l1, l2, laplace, quantile, twophase
from foldline.models.heads.auxiliary import Aux

HEADS: dict[str, Part] = {
    "l1": Part(l1.Config, l1.L1),
    "l2": Part(l2.Config, l2.L2),
    "huber": Part(huber.Config, huber.Huber),
    "twophase": Part(twophase.Config, twophase.TwoPhase),
    "quantile": Part(quantile.Config, quantile.Quantile),
    "gaussian": Part(gaussian.Config, gaussian.Gaussian),
    "laplace": Part(laplace.Config, laplace.Laplace),
    "grid": Part(grid.Config, grid.Grid),
}


def build(table: dict[str, Any], hidden: int, targets: Targets) -> Head:
    """Make the head of a config's table, on a body of width `hidden`.

    Raises:
        ValueError: a field's value is impossible, or the head cannot serve these targets.
    """
    fields = dict(table)
    part = HEADS[fields.pop("kind")]
    if "aux" in fields:
        fields["aux"] = Aux(**fields["aux"])
    head: Head = part.make(part.config(**fields), hidden, targets)
    return head

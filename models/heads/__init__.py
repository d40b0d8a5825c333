"""Registry of the heads, one file each. A head's table: `kind`, `aux` (auxiliary.py), `pool` (ops/pooling.py), then
the fields of its Config. Which targets a head serves stands in its class: `kinds` and `target_levels`.
"""

from typing import Any

from foldline.models.contract import Head, Part, Targets
from foldline.models.heads import (
    bce,
    gaussian,
    grid,
    huber,
    joint,
    l1,
    l2,
    laplace,
    mcrmse,
    ordinal,
    poisson,
    quantile,
    rmspe,
    smape,
    softmax,
    tweedie,
    twophase,
)
from foldline.models.heads.auxiliary import Aux
from foldline.models.heads.joint import Beside, BesideConfig, JointHead
from foldline.models.ops.pooling import DEFAULT, PooledHead, Pooling

HEADS: dict[str, Part] = {
    "l1": Part(l1.Config, l1.L1),
    "l2": Part(l2.Config, l2.L2),
    "huber": Part(huber.Config, huber.Huber),
    "twophase": Part(twophase.Config, twophase.TwoPhase),
    "quantile": Part(quantile.Config, quantile.Quantile),
    "gaussian": Part(gaussian.Config, gaussian.Gaussian),
    "laplace": Part(laplace.Config, laplace.Laplace),
    "grid": Part(grid.Config, grid.Grid),
    "smape": Part(smape.Config, smape.SMAPE),
    "rmspe": Part(rmspe.Config, rmspe.RMSPE),
    "mcrmse": Part(mcrmse.Config, mcrmse.MCRMSE),
    "poisson": Part(poisson.Config, poisson.Poisson),
    "tweedie": Part(tweedie.Config, tweedie.Tweedie),
    "bce": Part(bce.Config, bce.BCE),
    "softmax": Part(softmax.Config, softmax.Softmax),
    "ordinal": Part(ordinal.Config, ordinal.Ordinal),
}
NONNEGATIVE = ("poisson", "tweedie")  # heads that learn the logarithm of a mean: targets must not be below 0
ANY_SCALE = ("gaussian", "huber", "l1", "l2", "laplace", "quantile", "twophase")  # of numbers, in whatever unit


def serving(targets: Targets) -> list[str]:
    """Return the kinds of head that serve such targets, sorted. A grid needs targets that lie on one, too."""
    made = {kind: part.make for kind, part in HEADS.items()}
    return sorted(kind for kind, head in made.items() if _serves(head, targets))


def _serves(head: Any, targets: Targets) -> bool:
    return targets.kind in head.kinds and targets.level in head.target_levels


def build(table: dict[str, Any], hidden: int, targets: Targets) -> Head:
    """Make the head of a config's table, on a body of width `hidden`, and those that it has beside it.

    Raises:
        ValueError: a field's value is impossible, or the head cannot serve these targets.
    """
    own, entries = joint.split_table(table)
    head = _single(own, hidden, targets)
    return (
        JointHead(head, targets.count, [_beside(each, hidden, targets) for each in entries], hidden)
        if entries
        else head
    )


def _beside(entry: dict[str, Any], hidden: int, targets: Targets) -> Beside:
    """Make the head of an entry of `beside`."""
    fields, table = joint.split_entry(entry)
    config, known, first = BesideConfig(**fields), dict(targets.auxiliary), 0
    if config.target not in known:
        raise ValueError(f"beside names {config.target!r}, but the auxiliary targets are {list(known)}.")
    for name, each in targets.auxiliary:
        if name == config.target:
            break
        first += each.count
    chosen = known[config.target]
    return Beside(_single(table, hidden, chosen), config.weight, slice(first, first + chosen.count))


def _single(table: dict[str, Any], hidden: int, targets: Targets) -> Head:
    """Make one head; for targets of whole series behind a pooling."""
    fields = dict(table)
    kind = fields.pop("kind")
    part = HEADS[kind]
    if "aux" in fields:
        fields["aux"] = Aux(**fields["aux"])
    config = part.config(**fields)
    _check(kind, config, targets)
    if targets.level == "step":
        head: Head = part.make(config, hidden, targets)
        return head
    pooling = Pooling(DEFAULT if config.pool is None else tuple(config.pool), hidden)
    return PooledHead(pooling, part.make(config, pooling.width, targets))


def _check(kind: str, config: Any, targets: Targets) -> None:
    """Refuse a head that does not serve these targets, and options that they leave without a meaning."""
    series = targets.level == "series"
    if not _serves(HEADS[kind].make, targets):
        what = f"{targets.kind} targets{' of whole series' if series else ''}"
        raise ValueError(f"The {kind} head does not serve {what}: choose {', '.join(serving(targets))}.")
    if config.aux is not None and (series or targets.kind != "regression"):
        raise ValueError(
            "Auxiliary targets are differences between the steps of a number, but these targets are "
            f"{'of whole series' if series else targets.kind}: leave out aux."
        )
    if config.pool is not None and not series:
        raise ValueError("pool is for targets of whole series, but these have a value at every step: leave it out.")

"""One training step: a batch's gradients, in parts where memory wants that, and the update of the weights.

The trainer, the probe of a precision and the study's measurement of costs all take this step: what is timed is what
trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from foldline.fit import out_of_memory
from foldline.fit.batch import Batch
from foldline.fit.out_of_memory import FullMemory
from foldline.fit.precision import autocast
from foldline.fit.ranks import Ranks, passing
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State
from foldline.models.heads.joint import JointHead
from foldline.models.heads.twophase import TwoPhase

LEAST_WEIGHT = 1e-6  # stands for the weight of a batch without scored steps, whose loss is 0: 0 / 0 would be NaN


def training_step(state: State, config: TrainConfig, batch: Sequence[Batch], rate: float) -> Tensor:
    """Change the weights once; return the batch's loss, (), as it was before.

    Args:
        batch: its parts, one for each length that its series are padded to.
        rate: learning rate.

    Raises:
        FullMemory: the device's memory is full. No checkpoint holds what is left of the step.
    """
    loss = backward_within_memory(state, config, batch)
    with out_of_memory.reporting_full_memory(out_of_memory.STEP_IS_TOO_MUCH):
        update(state, config, rate)
    return loss


def backward_within_memory(state: State, config: TrainConfig, batch: Sequence[Batch]) -> Tensor:
    """Run `backward`; where memory is full do what `train.on_oom` says, and never change the batch in silence.

    Raises:
        FullMemory: it is full and may not be halved, or one series is too much.
    """
    run = partial(backward, state, config, batch)
    whole = run if state.graphs is None else partial(state.graphs.run, partial(backward, state, config), batch)
    with state.ranks.exchange():
        loss = out_of_memory.attempt(whole)
    if loss is not None:
        return loss
    if not state.ranks.alone:  # what fits is not looked for: the others would have to make the same passes
        raise FullMemory(
            f"The device's memory is full in process {state.ranks.rank} of {state.ranks.count}. Set a smaller "
            "train.micro, the series that a process takes in a pass: batch and result stay."
        )
    tried = min(state.counters.micro or config.micro or config.batch, max(len(part.x) for part in batch))
    size = _find_micro(state, config, batch, tried)
    if config.on_oom == "stop":
        raise FullMemory(
            f"The device's memory is full with {tried} series in a pass; {size} fit. Set train.batch={size}, or keep "
            f"the batch and its result with train.micro={size}, or let that be found by itself: train.on_oom=halve."
        )
    return run()


def _find_micro(state: State, config: TrainConfig, batch: Sequence[Batch], size: int) -> int:
    """Find how many series fit into a pass by halving `size`, which does not; leave it in the state's counters."""
    while size > 1:
        size //= 2
        state.counters.micro = size
        state.optimiser.zero_grad(set_to_none=True)
        out_of_memory.free_cache(batch[0].x.device)
        if out_of_memory.attempt(partial(backward, state, config, batch)) is not None:
            return size
    raise FullMemory(out_of_memory.ONE_IS_TOO_MUCH)


def backward(state: State, config: TrainConfig, batch: Sequence[Batch]) -> Tensor:
    """Return the batch's loss, (), and leave its gradients in the parameters.

    A batch in parts has the same gradients: the parts' sums of losses are divided by the weight of the whole batch.
    """
    state.optimiser.zero_grad(set_to_none=True)
    whole = weight_of(batch)
    share = (whole > LEAST_WEIGHT) / whole.clamp(min=LEAST_WEIGHT)  # of a unit of weight; 0 where no step counts
    total = torch.zeros((), device=whole.device)
    micro, own = state.counters.micro or config.micro, state.ranks.part_of(batch)
    share = share * state.ranks.count  # of several processes the mean of gradients is taken: it is to be their sum
    if not own:  # fewer series than processes: a pass that counts nothing, as each takes part in the exchange
        own, share = [batch[0].some(slice(0, 1))], 0 * share
    passes = [smaller for each in own for smaller in each.parts(micro)]
    learner: Any = state.together or partial(loss_of, state.network, config)
    for number, part in enumerate(passes, 1):
        with passing(learner, last=number == len(passes)):
            loss = learner(part) * share
            state.loss_scale.scale(loss).backward()
        total += loss.detach()
    return state.ranks.mean(total)


def loss_of(network: nn.Module, config: TrainConfig, part: Batch) -> Tensor:
    """Return the sum of a part's weighted losses, ()."""
    past = _past_target(network, config, part)
    with autocast(config.precision, part.x.device):
        hidden = network(part.x, part.static, part.mask, **past)
    head: Any = network.head
    # head and loss in fp32: a mean over many steps loses digits in half precision
    raw = head(hidden.float(), part.mask)
    loss: Tensor = head.loss_sum(raw, _truth(head, part), part.weight, _labels(head, part))
    return loss


class Learner(nn.Module):
    """A network with its head and loss as one module: what several processes exchange gradients of."""

    def __init__(self, network: nn.Module, config: TrainConfig) -> None:
        super().__init__()
        self.network, self.config = network, config

    def forward(self, part: Batch) -> Tensor:
        """Return `loss_of` a part."""
        return loss_of(self.network, self.config, part)


def train_together(state: State, config: TrainConfig, ranks: Ranks) -> None:
    """Let several processes take each step together, from the first one's weights on."""
    if not ranks.alone:
        state.ranks, state.together = ranks, ranks.joined(Learner(state.network, config))


def weight_of(batch: Sequence[Batch]) -> Tensor:
    """Sum up how much the steps of a batch's parts count, ()."""
    return torch.stack([part.weight.sum() for part in batch]).sum()


def _truth(head: nn.Module, batch: Batch) -> Tensor:
    """Return what a head learns, (B, T, K): behind the target, of a joint head, the auxiliary ones."""
    if not isinstance(head, JointHead):
        return batch.y
    assert batch.auxiliary is not None, "a joint head has auxiliary targets"
    return torch.cat([batch.y, batch.auxiliary], dim=-1)


def _labels(head: nn.Module, batch: Batch) -> Tensor | None:
    """Return where a target's value may be learned from, (B, T, K) bool; None: everywhere.

    A scored step of weight 0 has no label, or not for all targets, or does not count (data.weight): it must not pass
    for a step that is not scored, of which a two-phase head learns, too.
    """
    if not batch.has_unknown and not any(isinstance(each, TwoPhase) for each in head.modules()):
        return batch.known
    counted = (~batch.scored | (batch.weight > 0)).unsqueeze(-1)
    return counted.expand_as(batch.y) if batch.known is None else batch.known & counted


def _past_target(network: nn.Module, config: TrainConfig, batch: Batch) -> dict[str, Tensor]:
    """The target that an autoregressive network reads one step later: the truth (see models/ops/known_target.py).

    Where it is not given, as at the unlabelled steps of test series, the network's own prediction stands in for it, as
    it does when it predicts; dropout is off for that.
    """
    if not getattr(network, "takes_target", False):
        return {}
    if batch.known is None or not batch.has_unknown:
        return {"y": batch.y}
    network.eval()
    own = predict_batch(network, config, batch)
    network.train()
    return {"y": torch.where(batch.known, batch.y, own)}


@torch.no_grad()
def predict_batch(network: nn.Module, config: TrainConfig, batch: Batch) -> Tensor:
    """Predict (B, T, K), scaled; an autoregressive network reads its own predictions."""
    head: Any = network.head
    with autocast(config.precision, batch.x.device):
        hidden = network(batch.x, batch.static, batch.mask)
    predicted: Tensor = head.predict(head(hidden.float(), batch.mask), batch.scored)
    return predicted


def update(state: State, config: TrainConfig, rate: float) -> None:
    """Clip the gradients, change the weights by them, and take the weights into their moving average."""
    state.loss_scale.unscale_(state.optimiser)  # before the clipping, whose limit is for the true gradients
    if config.clip:
        nn.utils.clip_grad_norm_(state.parameters, config.clip)
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.loss_scale.step(state.optimiser)  # at fp16 left out where a gradient has overflowed; the scale is lowered
    state.loss_scale.update()
    if config.ema:
        state.average()

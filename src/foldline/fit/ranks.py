"""The processes that train one network together, each a part of every batch: torchrun's, joined to a process group.

Each process makes the whole batch and augments it with the same draws; then it takes its part of the series. So the
weight of the whole batch is known to all, gradients are those of the whole batch however unevenly it is split, and
nothing but gradients and a few numbers is exchanged: by NCCL between GPUs, by gloo between processors.

    Li et al. 2020, PyTorch Distributed, https://arxiv.org/abs/2006.15704
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from foldline.core.errors import UserError
from foldline.fit.batch import Batch
from foldline.fit.out_of_memory import is_out_of_memory

Value = TypeVar("Value")
LONGEST = timedelta(days=7)  # that a process waits for the others: the first one may fit trees for hours meanwhile
GONE = 75  # exit code of a process that ends because another one is gone: the launcher says which
FIRST_ENDS_S = 10.0  # that such a process waits to be ended: the other one's end must be what the launcher sees first
OF_GONE = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe")  # lower case, in a RuntimeError


class PeerGone(SystemExit):
    """Another process of the group has ended. Ends this one without a word: the launcher knows what happened."""

    def __init__(self) -> None:
        super().__init__(GONE)


@dataclass(frozen=True)
class Ranks:
    """The processes of a group, as one of them sees it. One process alone exchanges nothing."""

    rank: int = 0  # of this process
    count: int = 1  # W

    @property
    def first(self) -> bool:
        """Whether this process is the one that stores, scores and speaks."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.count == 1

    def part_of(self, batch: Sequence[Batch]) -> list[Batch]:
        """Take this process's series of a batch, whose B series are split evenly by their order; none where B < W.

        batch: its parts, one for each length that series are padded to.
        """
        if self.alone:
            return list(batch)
        sizes = [len(part.x) for part in batch]
        first, last = (sum(sizes) * rank // self.count for rank in (self.rank, self.rank + 1))
        own, begin = [], 0
        for part, size in zip(batch, sizes, strict=True):
            cut = slice(max(first - begin, 0), max(min(last - begin, size), 0))
            if cut.stop > cut.start:
                own.append(part.some(cut))
            begin += size
        return own

    def joined(self, learner: nn.Module) -> nn.Module:
        """Let the others' gradients of a module that returns a loss be added to this process's, as their mean.

        All have the first one's weights from now on.
        """
        with self.exchange():  # a network may have weights that a step does not use: its graph is searched for them
            return DistributedDataParallel(learner, find_unused_parameters=True)

    @contextmanager
    def exchange(self) -> Iterator[None]:
        """Do what needs the others.

        Raises:
            PeerGone: one of them has ended.
        """
        try:
            yield
        except RuntimeError as error:
            if self.alone or is_out_of_memory(error):
                raise
            if isinstance(error, distributed.DistError) or any(word in str(error).lower() for word in OF_GONE):
                raise PeerGone from error
            raise

    def mean(self, value: Tensor) -> Tensor:
        """Average a number over all processes, in place."""
        if not self.alone:
            with self.exchange():
                distributed.all_reduce(value)
            value /= self.count
        return value

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return, of each flag, whether it is set in any process."""
        if self.alone:
            return flags
        found = torch.tensor(flags, dtype=torch.uint8)
        with self.exchange():
            distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in found)

    def from_first(self, value: Value) -> Value:
        """Return the value that the first process gives; those of all others are left alone."""
        if self.alone:
            return value
        values = [value]
        with self.exchange():
            distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def gathered(self, value: Value) -> list[Value]:
        """Return the values of all processes, in their order."""
        if self.alone:
            return [value]
        values: list[Value | None] = [None] * self.count
        with self.exchange():
            distributed.all_gather_object(values, value)
        return [each for each in values if each is not None]


ALONE = Ranks()


def passing(learner: object, last: bool) -> AbstractContextManager[None]:
    """Keep a pass's gradients in this process until the last pass of a step, which exchanges the sum of all."""
    if last or not isinstance(learner, DistributedDataParallel):
        return nullcontext()
    inside: AbstractContextManager[None] = learner.no_sync()
    return inside


def here() -> Ranks:
    """Return the group that this process has joined."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ALONE
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def refuse_other_count(processes: int) -> None:
    """Refuse to train a network with another number of processes than there are.

    Raises:
        UserError
    """
    found = here().count
    if processes not in (1, found):
        where = f"there are {found}" if found > 1 else "this is one process alone"
        raise UserError(
            f"train.processes = {processes} trains a network with {processes} processes, but {where}. Start them: "
            f"./run.sh ddp --processes {processes} CONFIG, or set train.processes = {found}."
        )


def of(processes: int) -> Ranks:
    """Return the processes that train a network with train.processes = `processes`; one of 1 the first one trains."""
    return ALONE if processes == 1 else here()


@contextmanager
def torchruns() -> Iterator[Ranks]:
    """Join the processes that torchrun has started, if it has started this one; leave them at the end of the block."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE
        return
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=LONGEST)
    try:
        yield here()
    except PeerGone:
        _wait_to_be_ended()
        raise
    # After an error nothing is said to the others: they may wait for anything. They see that this process has ended.
    distributed.destroy_process_group()


def _wait_to_be_ended() -> None:
    """Wait until the launcher has seen the end of another process, and wants to end this one; then it ends by itself.

    The other's connections close before it has ended. Would this one end meanwhile, it would be taken for the culprit,
    and the other, which may just have said what is wrong, would be killed.
    """
    told: list[int] = []

    def heard(number: int, _: FrameType | None) -> None:
        told.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, heard)
    until = time.monotonic() + FIRST_ENDS_S
    while not told and time.monotonic() < until:
        time.sleep(0.05)

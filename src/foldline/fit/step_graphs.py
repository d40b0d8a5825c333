"""A training step's forward and backward pass as CUDA graphs (train.graphs): one for each shape of its batch.

A GPU is given a small network's hundreds of operations one by one, and waits for the host between them. A graph holds
them all, with the places in memory that they read and write, and is started by one call
(https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs). So a batch is copied to where the graph reads, and its
loss and gradients lie where the graph has left them. What is drawn at random is as without a graph: a replay begins
from the generator's seed of the step. Clipping and the update of the weights follow as ever, outside of the graph.

The first steps of a shape run as ever: libraries choose kernels and allocate in these. What breaks a graph is refused:
passes whose number may change (train.micro, train.on_oom), cells in turn (executor.together: all graphs of a process
share one seed in the GPU's memory), and recurrent layers on padded series (they are packed by lengths of the host).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from foldline.core.errors import UserError
from foldline.fit.batch import Batch
from foldline.fit.out_of_memory import is_out_of_memory

WARM_UP = 3  # steps of a shape before it is captured; cuDNN's search for algorithms is over by then
MOST = 8  # shapes that are captured: series are padded to as many lengths; what has others runs as ever

Run = Callable[[Sequence[Batch]], Tensor]  # a batch -> its loss, (); leaves gradients in the parameters
Shape = tuple[Any, ...]


class StepGraphs:
    """The graphs of one training."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._parameters = parameters
        self._seen = Counter[Shape]()
        self._graphs: dict[Shape, _StepGraph] = {}
        self._pool: Any = None  # memory that all of them share: one runs at a time, and its results are used at once

    def run(self, run: Run, batch: Sequence[Batch]) -> Tensor:
        """Return a batch's loss, (), and leave its gradients in the parameters: as `run`, by a graph if there is one.

        Raises:
            UserError: the step can't be captured.
        """
        shape = tuple(map(_shape_of, batch))
        graph = self._graphs.get(shape)
        if graph is None:
            self._seen[shape] += 1
            if self._seen[shape] <= WARM_UP or len(self._graphs) == MOST:
                return run(batch)
            self._pool = self._pool or graph_pool()
            graph = self._graphs[shape] = _StepGraph(run, batch, self._parameters, self._pool)
        return graph.replay(batch)


class _StepGraph:
    """The graph of one shape, with the batch that it reads."""

    def __init__(self, run: Run, batch: Sequence[Batch], parameters: list[nn.Parameter], pool: Any) -> None:
        self._parameters = parameters
        self._batch = list(map(_copied, batch))
        self._replay, self._loss = capture(lambda: run(self._batch), pool)
        self._gradients = [parameter.grad for parameter in parameters]

    def replay(self, batch: Sequence[Batch]) -> Tensor:
        for mine, given in zip(self._batch, batch, strict=True):
            for (_, kept), (_, new) in zip(_tensors(mine), _tensors(given), strict=True):
                kept.copy_(new)
        self._replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._loss


def _tensors(part: Batch) -> list[tuple[str, Tensor]]:
    """Return a batch's tensors on the device, by name."""
    values = [(field.name, getattr(part, field.name)) for field in fields(part)]
    return [(name, value) for name, value in values if isinstance(value, Tensor) and name != "lengths"]


def _copied(part: Batch) -> Batch:
    tensors: dict[str, Any] = {name: value.clone() for name, value in _tensors(part)}
    return replace(part, **tensors)


def _shape_of(part: Batch) -> Shape:
    """Return all that the operations of a step depend on besides values."""
    tensors = tuple((name, tuple(value.shape), value.dtype) for name, value in _tensors(part))
    return (*tensors, part.has_unknown)


def graph_pool() -> Any:
    """Make a pool of the GPU's memory for graphs."""
    return torch.cuda.graph_pool_handle()


def capture(run: Callable[[], Tensor], pool: Any) -> tuple[Callable[[], None], Tensor]:
    """Capture what `run` gives a GPU to do, without doing it; return what does it, and its result.

    Raises:
        UserError: it can't be captured.
    """
    graph, failed = torch.cuda.CUDAGraph(), ""
    try:
        # "thread_local": the thread that reads the next batch may go on meanwhile
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            result = run()
    except RuntimeError as error:
        cause = error.__context__ if isinstance(error.__context__, RuntimeError) else error  # ending it fails, too
        if is_out_of_memory(cause):
            raise cause from None
        failed = str(cause).partition("\n")[0] or type(cause).__name__
    if failed:
        raise UserError(
            f"train.graphs = true: this network's step can't be captured as a CUDA graph ({failed}). Set train.graphs "
            "= false."
        )
    return graph.replay, result


def refuse(network: nn.Module, padded: bool) -> None:
    """Refuse what a graph would get wrong. padded: whether series are.

    Raises:
        UserError
    """
    if padded and any(isinstance(module, nn.RNNBase) for module in network.modules()):
        raise UserError(
            "train.graphs = true: recurrent layers read padded series by their lengths, which a CUDA graph would "
            "freeze, and here series are padded. Set train.graphs = false, or train on windows of one length "
            "(train.windows)."
        )

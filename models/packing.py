"""Packing of padded series for a recurrent layer, planned once a batch: on the host, where packing reads lengths.

torch's own pack and pad, given the lengths of unsorted series, sort them in every layer, send the order to the device
and fetch it back: on a GPU each waits for all work before it. A plan is made once for a mask, from lengths that the
host knows (`set_lengths`) or, where it does not, from one look at the mask. Letters as in contract.py.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import rnn
from torch.utils.weak import WeakTensorKeyDictionary

# Of each mask: real steps of its series, (B,) int64 on the host; and its plan.
_lengths: MutableMapping[Tensor, Tensor] = WeakTensorKeyDictionary()
_plans: MutableMapping[Tensor, Packing] = WeakTensorKeyDictionary()


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Copy values of the host to a device, without waiting for a GPU: it fetches them from page-locked memory."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def set_lengths(mask: Tensor, lengths: Tensor) -> None:
    """Tell what the host knows of a mask. mask: (B, T) bool; lengths: (B,) int64 on the host, its sum over time."""
    _lengths[mask] = lengths


def lengths_of(mask: Tensor) -> Tensor:
    """Return the real steps of each series, (B,) int64 on the host; a GPU is waited for where the host knows none."""
    found = _lengths.get(mask)
    if found is None:
        found = mask.sum(dim=1).cpu()
        set_lengths(mask, found)
    return found


@dataclass(frozen=True)
class Packing:
    """In which order the series of a batch are packed."""

    lengths: Tensor  # (B,) int64 on the host, descending
    order: Tensor  # (B,) int64 on the device, which series these are
    back: Tensor  # (B,) int64 on the device, the place of each series in that order

    def pack(self, x: Tensor) -> rnn.PackedSequence:
        """(B, T, C), padded -> its real steps, those of the longest series first."""
        return rnn.pack_padded_sequence(x.index_select(0, self.order), self.lengths, batch_first=True)

    def unpack(self, packed: rnn.PackedSequence, steps: int) -> Tensor:
        """Return (B, T, C), T = `steps`, each series at its own place; 0 where it is padded."""
        padded, _ = rnn.pad_packed_sequence(packed, batch_first=True, total_length=steps)
        return padded.index_select(0, self.back)


def packing_of(mask: Tensor) -> Packing:
    """Return the plan for a mask, (B, T) bool with at least one real step in each series: the same for all layers.

    Raises:
        RuntimeError: a CUDA graph is captured, which would read the host's lengths of one batch for ever.
    """
    if mask.is_cuda and torch.cuda.is_current_stream_capturing():
        raise RuntimeError("series are packed by lengths that the host knows")
    found = _plans.get(mask)
    if found is None:
        lengths, order = torch.sort(lengths_of(mask), descending=True)
        back = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
        found = Packing(lengths, sent(order, mask.device), sent(back, mask.device))
        _plans[mask] = found
    return found

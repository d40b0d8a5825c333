"""Both forms of attention are the paper's formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from foldline.models.ops import attention as module
from foldline.models.ops.attention import attention

SERIES, HEADS, STEPS, SIZE = 3, 2, 6, 4
REAL = torch.arange(STEPS)[None, :] < torch.tensor([6, 1, 4])[:, None]  # (B, T)


def slow(query: Tensor, key: Tensor, value: Tensor, real: Tensor) -> Tensor:
    """The formula, one series, head and step at a time, over the real steps."""
    out = torch.zeros_like(value)
    for series in range(SERIES):
        steps = real[series].nonzero().flatten()
        for head in range(HEADS):
            for step in range(STEPS):
                scores = key[series, head, steps] @ query[series, head, step] / SIZE**0.5
                out[series, head, step] = scores.softmax(dim=0) @ value[series, head, steps]
    return out


def inputs(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, SERIES, HEADS, STEPS, SIZE, generator=random).to(dtype)
    return query, key, value


@pytest.mark.parametrize("real", [None, REAL], ids=["full", "padded"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_the_softmax_of_scaled_products(dtype: torch.dtype, real: Tensor | None) -> None:
    query, key, value = inputs(dtype)
    expected = slow(query.float(), key.float(), value.float(), torch.ones_like(REAL) if real is None else real)
    out = attention(query, key, value, real)
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), expected, atol=0.03 if dtype == torch.bfloat16 else 1e-6, rtol=1e-5)


@pytest.mark.parametrize("real", [None, REAL], ids=["full", "padded"])
def test_both_forms_have_the_same_gradients(monkeypatch: pytest.MonkeyPatch, real: Tensor | None) -> None:
    """In bfloat16 on a CPU the limit of steps decides which form is taken."""
    gradients = []
    for short in (STEPS, STEPS - 1):
        monkeypatch.setattr(module, "SHORT", short)
        leaves = [tensor.requires_grad_() for tensor in inputs(torch.bfloat16)]
        attention(*leaves, real).float().square().sum().backward()
        gradients.append(torch.stack([leaf.grad for leaf in leaves if leaf.grad is not None]))
    assert len(gradients[0]) == 3 and not torch.equal(*gradients)  # else both took one form
    torch.testing.assert_close(*gradients, atol=0.1, rtol=0.05)

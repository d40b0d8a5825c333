"""The grid head: labels and medians by hand, its memory, and where a distribution beats a location."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from foldline.models import heads
from foldline.models.contract import Targets
from foldline.models.heads.grid import Grid


def grid(*grids: tuple[float, float, int], soften: float = 2.0) -> Grid:
    head = heads.build({"kind": "grid", "soften": soften}, 4, Targets(count=len(grids), grids=grids))
    assert isinstance(head, Grid)
    return head


def labels(position: float, count: int, soften: float) -> list[float]:
    """The whole label, a weight for each class."""
    classes, weights = grid((0.0, 1.0, count), soften=soften).labels(torch.tensor([[position]]), count)
    return torch.zeros(count).scatter_add(0, classes.flatten(), weights.flatten()).tolist()


def logits(*shares: float) -> Tensor:
    """(1, 1, count) logits of a distribution."""
    return torch.tensor(shares).log().view(1, 1, -1)


SCORED = torch.ones(1, 1, dtype=torch.bool)


@pytest.mark.parametrize(
    ("position", "soften", "expected"),
    [
        (2.0, 1.0, [0, 0, 1, 0, 0]),
        (2.25, 1.0, [0, 0, 0.75, 0.25, 0]),  # between two points: split in proportion
        (2.0, 2.0, [0, 0.25, 0.5, 0.25, 0]),
        (2.5, 2.0, [0, 0.125, 0.375, 0.375, 0.125]),
        (2.0, 1.5, [0, 0.2, 0.6, 0.2, 0]),
        (0.0, 2.0, [2 / 3, 1 / 3, 0, 0, 0]),  # nothing lies off the grid
        (-7.0, 2.0, [2 / 3, 1 / 3, 0, 0, 0]),
        (4.0, 1.0, [0, 0, 0, 0, 1]),
        (1e6, 1.0, [0, 0, 0, 0, 1]),
    ],
)
def test_labels_by_hand(position: float, soften: float, expected: list[float]) -> None:
    assert labels(position, 5, soften) == pytest.approx(expected)


def test_labels_sum_to_1_anywhere() -> None:
    positions = torch.linspace(-3, 12, 500).view(1, -1)
    for soften in (1.0, 1.3, 2.0, 4.7, 40.0):
        _, weights = grid((0.0, 1.0, 9), soften=soften).labels(positions, 9)
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones_like(positions))


def test_the_loss_is_the_cross_entropy_with_the_whole_label() -> None:
    head, y = grid((-1.0, 0.5, 5)), torch.tensor([[[0.1]]])  # at 2.2 steps
    raw = torch.randn(1, 1, 5, generator=torch.Generator().manual_seed(0))
    expected = -(torch.tensor(labels(2.2, 5, 2.0)) * raw.log_softmax(dim=-1)).sum()
    torch.testing.assert_close(head.loss(raw, y, torch.ones(1, 1), None), expected)


def test_the_prediction_is_the_median_not_the_most_probable_value() -> None:
    head = grid((10.0, 0.5, 4))
    raw = logits(0.4, 0.0001, 0.2999, 0.3)
    assert raw.argmax().item() == 0
    assert head.predict(raw, SCORED).item() == 11.0  # 0.4, 0.4001, 0.7: class 2
    errors = [sum(p * abs(v - w) for w, p in enumerate((0.4, 0.0001, 0.2999, 0.3))) for v in range(4)]
    assert min(range(4), key=errors.__getitem__) == 2
    assert head.spread(raw).item() == pytest.approx(0.5 * errors[2], rel=1e-5)


@pytest.mark.parametrize(("shares", "value"), [((1.0, 0.0, 0.0), 0.0), ((0.0, 0.0, 1.0), 2.0), ((0.5, 0.5, 0.0), 0.0)])
def test_medians_at_the_ends_and_where_half_is_reached_exactly(shares: tuple[float, ...], value: float) -> None:
    assert grid((0.0, 1.0, 3)).predict(logits(*shares).clamp(min=-1e4), SCORED).item() == value


def test_spread_is_the_expected_distance_to_the_median() -> None:
    head = grid((2.0, 0.07, 50))
    raw = 3 * torch.randn(4, 6, 50, generator=torch.Generator().manual_seed(0))
    values = 2.0 + 0.07 * torch.arange(50)
    away = (values - head.predict(raw, torch.ones(4, 6))).abs()  # (B, T, count)
    torch.testing.assert_close(head.spread(raw).squeeze(-1), (raw.softmax(dim=-1) * away).sum(dim=-1))


def test_each_target_has_its_own_grid() -> None:
    head = grid((0.0, 1.0, 3), (100.0, 10.0, 5), soften=1.0)
    raw = torch.cat([logits(0.0, 1.0, 0.0), logits(0.0, 0.0, 0.0, 1.0, 0.0)], dim=-1).clamp(min=-1e4)
    assert head.predict(raw, SCORED).flatten().tolist() == [1.0, 130.0]
    assert head.loss(raw, torch.tensor([[[1.0, 130.0]]]), torch.ones(1, 1), None).item() == 0.0
    assert head.loss(raw, torch.tensor([[[1.0, 120.0]]]), torch.ones(1, 1), None).item() == 1e4 / 2


@pytest.mark.learned
def test_a_step_that_is_one_of_two_values_gets_both() -> None:
    """Trained on 1 at two steps of five and on 9 at three, all alike to the body: no location can express that."""
    head = grid((0.0, 1.0, 11), soften=1.0)
    raw = torch.zeros(1, 1, 11, requires_grad=True)
    y = torch.tensor([1.0, 9.0, 9.0, 1.0, 9.0]).view(1, 5, 1)
    optimiser = torch.optim.Adam([raw], lr=0.2)
    for _ in range(200):
        optimiser.zero_grad()
        head.loss(raw.expand(1, 5, -1), y, torch.ones(1, 5), None).backward()
        optimiser.step()
    shares = raw.detach().softmax(dim=-1).flatten()
    assert shares[1].item() == pytest.approx(0.4, abs=0.01) and shares[9].item() == pytest.approx(0.6, abs=0.01)
    assert head.predict(raw, SCORED).item() == 9.0
    assert head.spread(raw).item() == pytest.approx(0.4 * 8, abs=0.1)


def test_broken_logits_are_no_prediction() -> None:
    assert grid((0.0, 1.0, 3)).predict(torch.full((1, 1, 3), torch.nan), SCORED).isnan().all()


def test_a_label_is_not_spread_over_the_grid_in_memory() -> None:
    head, sizes = grid((0.0, 1.0, 1000)), {}  # address -> bytes
    raw = torch.randn(2, 3, 1000, requires_grad=True)

    def keep(saved: Tensor) -> Tensor:
        sizes[saved.data_ptr()] = saved.numel() * saved.element_size()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        head.loss(raw, torch.rand(2, 3, 1), torch.ones(2, 3), None)
    large = [size for size in sizes.values() if size >= raw.numel()]  # bytes: a mask of that size would be among them
    assert large == [4 * raw.numel()]  # once, in float32: the log-probabilities


@pytest.mark.parametrize("grids", [(), (None, (0.0, 1.0, 3)), ((0.0, 1.0, 3), None)])
def test_targets_without_a_grid_are_refused(grids: tuple[tuple[float, float, int] | None, ...]) -> None:
    without = str(grids.index(None)) if grids else "0"
    with pytest.raises(ValueError, match=f"lie on an even grid, but target {without} has none: choose another head"):
        heads.build({"kind": "grid"}, 4, Targets(count=2, grids=grids))

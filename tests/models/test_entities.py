"""Entity embeddings: which features they read, what an unseen value is, and that codes have no order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foldline.models.contract import Targets
from foldline.models.ops import entities
from foldline.models.ops.entities import Entities, Entity, size_of
from foldline.models.systems.branches import Branches, Config

NAMES = ("speed", "road=a", "road=b", "road=c", "place(town)", "bike=20", "bike=28", "road=a*bike=20", "d(speed)")
PLACES = {"place(town)": 120}
HOT = torch.cat([torch.zeros(1, 3), torch.eye(3)])  # (4, 3): unknown, a, b, c


def drawn(entity: Entity) -> Entity:
    nn.init.normal_(entity.own)
    return entity


def learned(x: Tensor, y: Tensor, seed: int = 0) -> Entity:
    """Vectors of three values that were learned from some of them. x: (n, 1, 3) one-hots, y: (n,) their targets."""
    torch.manual_seed(seed)
    entity, read = Entity(3, 4, coded=False), nn.Linear(4, 1)
    optimiser = torch.optim.AdamW([*entity.parameters(), *read.parameters()], lr=0.05, weight_decay=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        (read(entity(x))[:, 0, 0] - y).square().mean().backward()
        optimiser.step()
    return entity


def test_a_value_that_training_has_not_is_the_unknown_one_to_the_bit() -> None:
    """Also behind an optimiser with momentum and decay: there is nothing drawn that no gradient has touched."""
    entity = learned(HOT[[1, 2, 1, 2]].unsqueeze(1), torch.tensor([1.0, -1.0, 1.0, -1.0]))
    unknown, a, b, c = entity(HOT)
    assert torch.equal(c, unknown) and not torch.allclose(a, unknown) and not torch.allclose(b, unknown)
    torch.manual_seed(0)
    assert not torch.allclose(unknown, Entity(3, 4, coded=False).common)  # it is learned from the others


def test_two_codes_of_one_meaning_get_one_vector_and_their_order_is_none() -> None:
    """Values a and c mean the same, b the opposite: a number of the code could not say so by a line."""
    x, y = HOT[[1, 2, 3]].unsqueeze(1), torch.tensor([1.0, -1.0, 1.0])
    entity = learned(x, y)
    _, a, b, c = entity(HOT)
    torch.testing.assert_close(a, c)
    assert (a - b).norm() > 0.1
    order = [2, 0, 1]  # the same values under other codes
    renamed = learned(x[..., order], y)
    torch.testing.assert_close(renamed(HOT[:, order]), entity(HOT))


@torch.no_grad()
def test_a_place_is_the_vector_of_the_one_hot_there() -> None:
    torch.manual_seed(0)
    hot, coded = drawn(Entity(3, 4, coded=False)), Entity(3, 4, coded=True)
    coded.load_state_dict(hot.state_dict())
    places = torch.tensor([0.0, 1.0, 2.001, 2.999]).unsqueeze(-1)  # the scaler rounds
    torch.testing.assert_close(coded(places), hot(HOT))
    nowhere = torch.tensor([[1.5], [4.0], [-1.0]])  # mixed ones, and none of the known values
    assert torch.equal(coded(nowhere), hot.common.expand(3, -1))


@torch.no_grad()
def test_mixed_values_are_the_mean_of_their_vectors() -> None:
    torch.manual_seed(0)
    entity = drawn(Entity(3, 4, coded=False))
    _, a, _, c = entity(HOT)
    torch.testing.assert_close(entity(0.75 * HOT[1] + 0.25 * HOT[3]), 0.75 * a + 0.25 * c)


@torch.no_grad()
def test_features_of_the_columns_go_and_vectors_stand_behind_the_others() -> None:
    torch.manual_seed(0)
    made = Entities(["road", "town", "bike"], 2, NAMES, PLACES, 11)  # and two channels of a known target
    assert made.names == ["speed", "road=a*bike=20", "d(speed)"] + [
        f"{column}[{number}]" for column in ("road", "town", "bike") for number in (0, 1)
    ]
    assert made.width == 3 + 6 + 2
    for entity in made.entities:
        drawn(entity)
    center, scale = torch.linspace(-1, 1, 9), torch.linspace(0.5, 3, 9)
    made.set_scale(center.tolist(), scale.tolist())
    own = torch.tensor([7.0, 0, 1, 0, 88, 0, 1, 0, 3])
    x = torch.cat([(own - center) / scale, torch.tensor([0.25, 1.0])]).expand(2, 5, -1)
    out = made(x)
    road, town, bike = made.entities
    vectors = [road.common + road.own[1], town.common + town.own[87], bike.common + bike.own[1]]
    torch.testing.assert_close(out[1, 4], torch.cat([x[0, 0, [0, 7, 8]], *vectors, x[0, 0, 9:]]))


@pytest.mark.parametrize(("values", "size"), [(2, 2), (10, 6), (100, 21), (1_000_000, 600)])
def test_sizes_follow_the_rule_of_thumb(values: int, size: int) -> None:
    assert size_of(values) == size
    if values == 2:
        assert Entities(["bike"], 0, NAMES, PLACES, 9).entities[0].own.shape == (2, 2)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"entities": ["roads"]}, "'roads' has none. Did you mean 'road'. Known: bike, road, town"),
        ({"entities": ["speed"]}, "'speed' has none. Known: bike"),
        ({"entities": ["road", "road"]}, "entities must be different columns"),
        ({"entities": ["road"], "entity_size": -1}, "entity_size not below 0.*and -1"),
    ],
)
def test_impossible_columns_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Branches(Config(**table), 9, (), Targets(count=1), NAMES, PLACES)


def test_a_place_of_an_older_store_is_refused() -> None:
    with pytest.raises(ValueError, match=r"an older version made.*has not said how many values 'town' has"):
        Entities(["town"], 0, NAMES, {}, 9)


def test_a_network_reads_them_by_the_patterns_of_its_branches() -> None:
    torch.manual_seed(0)
    config = Config(
        width=4,
        entities=("road", "town"),
        branches=({"inputs": ["road*"], "blocks": [{"kind": "conv"}]}, {"blocks": [{"kind": "conv"}], "width": 6}),
    )
    network = Branches(config, 9, (), Targets(count=1), NAMES, PLACES)
    entities.set_scales(network, [0.0] * 9, [1.0] * 9)
    x, static = torch.randn(2, 5, 9), torch.zeros(2, 0, dtype=torch.int64)
    x[..., 4] = 7.0
    before = network(x, static, None)
    x[:, 2, 1] += 1  # road=a
    after = network(x, static, None)
    assert torch.equal(before[..., 4:], after[..., 4:])  # size_of(3) channels of roads are the first branch's
    after.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in network.entities.parameters())

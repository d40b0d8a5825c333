"""The hybrid: skips, widths, embeddings, which files its weights depend on, and the tables it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline import models
from foldline.models.blocks import BLOCKS
from foldline.models.contract import Embed, Targets
from foldline.models.ops.covariates import NO_COVARIATES
from foldline.models.systems.hybrid import Config, Hybrid, Residual


def hybrid(features: int = 3, levels: tuple[int, ...] = (), targets: int = 1, **table: Any) -> Hybrid:
    torch.manual_seed(0)
    return Hybrid(Config(**table), features, levels, Targets(count=targets))


class Double(nn.Module):
    """A block whose output is known: 2 x."""

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return 2 * x


@pytest.mark.parametrize(("skip", "factor"), [(True, 3.0), (False, 2.0)])
def test_a_skip_adds_the_input(skip: bool, factor: float) -> None:
    x = torch.randn(2, 4, 6)
    residual = Residual(Double(), 6, 6, skip, 0.0)
    residual.norm = nn.Identity()
    torch.testing.assert_close(residual(x, None, NO_COVARIATES), factor * x)


def test_a_skip_is_a_linear_map_only_where_the_width_changes() -> None:
    network = hybrid(width=4, blocks=({"kind": "conv", "width": 4}, {"kind": "conv", "width": 6, "skip": True}))
    assert isinstance(network.blocks[0].skip, nn.Identity)
    assert isinstance(network.blocks[1].skip, nn.Linear) and network.blocks[1].skip.weight.shape == (6, 4)


def test_blocks_of_different_widths_follow_each_other_and_the_head_takes_the_last() -> None:
    blocks = ({"kind": "bilstm", "width": 6}, {"kind": "conv", "width": 5}, {"kind": "transformer", "width": 8})
    network = hybrid(width=4, blocks=blocks, targets=2)
    hidden = network(torch.randn(2, 7, 3), torch.zeros(2, 0, dtype=torch.long), None)
    assert hidden.shape == (2, 7, 8) and network.head(hidden).shape == (2, 7, 2)


def test_a_block_without_width_takes_the_hybrids() -> None:
    built = Config(width=12, blocks=({"kind": "bilstm"}, {"kind": "conv", "width": 7})).built()
    assert [config.width for _, config in built] == [12, 7]


def test_dropout_acts_on_the_block_and_spares_the_skip() -> None:
    torch.manual_seed(0)
    residual, x = Residual(Double(), 6, 6, True, 0.5), torch.ones(50, 20, 6)
    residual.norm = nn.Identity()
    assert residual(x, None, NO_COVARIATES).unique().tolist() == [1.0, 5.0]  # skip + 0, or skip + 2 / (1 - 0.5)


def test_embeddings_differ_between_levels_and_have_one_for_unseen_values() -> None:
    network = hybrid(levels=(2, 3), embed=4, blocks=({"kind": "conv"},)).eval()
    assert network.embed is not None
    assert [table.shape for table in network.embed.tables] == [(3, 4), (4, 4)]  # levels and the unknown one
    x = torch.randn(1, 5, 3).expand(4, -1, -1)
    codes = torch.tensor([[0, 0], [1, 1], [2, 3], [1, 1]])
    out = network(x, codes, None)
    assert torch.equal(out[1], out[3])
    assert not any(torch.allclose(out[1], out[other]) for other in (0, 2))


def test_without_embedding_static_codes_change_nothing() -> None:
    network, x = hybrid(levels=(2, 3), blocks=({"kind": "conv"},)).eval(), torch.randn(2, 5, 3)
    codes = torch.tensor([[1, 1], [2, 2]])
    assert torch.equal(network(x, codes, None), network(x, codes.flip(0), None))


def test_a_mixture_of_codes_is_the_mixture_of_their_embeddings() -> None:
    torch.manual_seed(0)
    embed, codes, others = Embed((2, 3), 4), torch.tensor([[0, 3], [2, 1]]), torch.tensor([[2, 0], [1, 1]])
    mixture = 0.7 * functional.one_hot(codes, 4).float() + 0.3 * functional.one_hot(others, 4).float()  # (B, S, L)
    torch.testing.assert_close(embed(mixture), 0.7 * embed(codes) + 0.3 * embed(others))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"blocks": ()}, "at least one block"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), but is 1.0"),
        ({"dropout": -0.1}, r"dropout must be in \[0, 1\), but is -0.1"),
        ({"width": 0}, "width must be at least 1, but is 0"),
        ({"embed": -1}, "embed must not be below 0, but is -1"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)


def test_a_hybrids_weights_depend_on_the_files_of_its_parts_only() -> None:
    of = {path.name for path in models.source_of("hybrid", {"blocks": [{"kind": "conv"}], "head": {"kind": "l1"}})}
    shared = {"attention.py", "contract.py", "initialisation.py", "linear.py", "auxiliary.py", "pooling.py"}
    shared |= {"packing.py"}  # of padded series
    shared |= {"covariates.py", "pairs.py", "recurrence.py", "scan.py"}  # by the blocks
    assert of == shared | {"hybrid.py", "conv.py", "l1.py"}
    default = {path.name for path in models.source_of("hybrid", {})}
    assert default - of == {"bilstm.py", "transformer.py"}


def test_default_size_is_what_its_docstring_says() -> None:
    count = sum(parameter.numel() for parameter in hybrid(features=37).parameters())
    assert 125_000 < count < 135_000


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_cells_key_knows_every_file_that_a_block_imports(kind: str) -> None:
    files = models.source_of("hybrid", {"blocks": [{"kind": kind}]})
    imports = {
        line
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if "from foldline.models." in line
    }
    modules = {line.split("from foldline.models.")[1].split(" import")[0].split(".")[-1] for line in imports}
    assert modules - {"heads", "blocks"} <= {path.stem for path in files}

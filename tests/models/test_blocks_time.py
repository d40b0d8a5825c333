"""Real time in the hybrid: the clock that reads it back, Time2Vec, the sinusoidal code on seconds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from foldline.models.blocks import time2vec, transformer
from foldline.models.contract import Targets
from foldline.models.ops.covariates import Clock, Covariates, set_clocks
from foldline.models.systems.hybrid import Config, Hybrid

TIME = torch.tensor([[0.0, 0.03, 0.07, 0.1], [0.0, 0.04, 0.05, 0.3]])  # (B, T), s, uneven
X = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))


def make(**table: int | float) -> time2vec.Time2Vec:
    torch.manual_seed(0)
    return time2vec.Time2Vec(time2vec.Config(width=6, waves=5, **table), 3)


@torch.no_grad()
def test_time2vec_is_one_line_and_k_sines_joined_to_the_features() -> None:
    block = make()
    frequency, phase = block.frequency.tolist(), block.phase.tolist()
    for series in range(2):
        for step, time in enumerate(TIME[series].tolist()):
            line = frequency[0] * time + phase[0]
            waves = [math.sin(w * time + f) for w, f in zip(frequency[1:], phase[1:], strict=True)]
            expected = block.join(torch.tensor([*X[series, step].tolist(), line, *waves]))
            torch.testing.assert_close(block(X, None, Covariates(time=TIME))[series, step], expected)


@torch.no_grad()
def test_rescaled_time_with_inversely_rescaled_frequencies_is_the_same() -> None:
    block = make()
    before = block(X, None, Covariates(time=TIME))
    block.frequency /= 1000  # rad / ms
    torch.testing.assert_close(block(X, None, Covariates(time=1000 * TIME)), before)
    assert not torch.allclose(block(X, None, Covariates(time=TIME)), before, atol=1e-3)


def test_waves_begin_as_harmonics_of_the_period() -> None:
    frequency = make(period=2.0).frequency
    torch.testing.assert_close(frequency[1:], math.pi * torch.arange(1.0, 6.0))


@torch.no_grad()
def test_the_code_of_even_ticks_is_that_of_the_steps() -> None:
    torch.manual_seed(0)
    block = transformer.Transformer(transformer.Config(width=8, position="time", tick=0.05), 3)
    by_time = block(X, None, Covariates(time=0.05 * torch.arange(4.0).expand(2, -1)))
    block.position = "step"
    torch.testing.assert_close(by_time, block(X, None))


def test_the_code_of_seconds_knows_how_long_a_step_took() -> None:
    torch.manual_seed(0)
    block = transformer.Transformer(transformer.Config(width=8, position="time"), 3)
    before, after = block(X, None, Covariates(time=TIME)), block(X, None, Covariates(time=TIME.flip(0)))
    assert not torch.allclose(before, after, atol=1e-2)


def test_a_clock_reads_the_unscaled_time_of_its_feature() -> None:
    clock = Clock("time_step")
    set_clocks(nn.ModuleList([clock]), ("u_in", "time_step", "R"), (5.0, 1.3, 0.0), (2.0, 0.8, 1.0))
    scaled = torch.stack([X[..., 0], (TIME - 1.3) / 0.8, X[..., 2]], dim=2)
    torch.testing.assert_close(clock(scaled), TIME)


def test_a_hybrid_reads_time_from_the_feature_it_names_whatever_its_scale() -> None:
    torch.manual_seed(0)
    config = Config(width=6, time="t", blocks=({"kind": "time2vec"}, {"kind": "transformer", "heads": 2}))
    network = Hybrid(config, 3, (), Targets(count=1)).eval()
    nn.init.zeros_(network.project_in.weight)  # only the clock looks at the features
    codes = torch.zeros(2, 0, dtype=torch.long)
    outputs = []
    for scale in (1.0, 0.25):
        set_clocks(network, ("a", "b", "t"), (0.0, 0.0, 0.5), (1.0, 1.0, scale))
        x = torch.cat([X[..., :2], ((TIME - 0.5) / scale).unsqueeze(2)], dim=2)
        outputs.append(network(x, codes, None))
    torch.testing.assert_close(outputs[0], outputs[1])


def test_a_clock_without_a_column_and_an_unknown_feature_are_refused() -> None:
    clock = nn.ModuleList([Clock("time_stop")])
    with pytest.raises(ValueError, match=r"feature 'time_stop', but its column is not set"):
        clock[0](X)
    with pytest.raises(ValueError, match=r"'time_stop' is none. Did you mean 'time_step'\? Known: time_step, u_in"):
        set_clocks(clock, ("u_in", "time_step"), (0.0, 0.0), (1.0, 1.0))


@pytest.mark.parametrize("block", [{"kind": "time2vec"}, {"kind": "transformer", "position": "time"}])
def test_a_block_that_reads_time_is_refused_where_none_is_named(block: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=rf"blocks\[0\] \({block['kind']}\) reads the time.*time names no feature"):
        Config(blocks=(block,))


def test_a_block_alone_says_that_it_needs_time() -> None:
    with pytest.raises(ValueError, match=r"reads the time of each step, but was given none"):
        make()(X, None)


def test_impossible_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="waves must be at least 1, but is 0"):
        time2vec.Config(waves=0)
    with pytest.raises(ValueError, match="period must be above 0, but is 0"):
        time2vec.Config(period=0.0)
    with pytest.raises(ValueError, match="tick must be above 0, but is -1"):
        transformer.Config(tick=-1.0)

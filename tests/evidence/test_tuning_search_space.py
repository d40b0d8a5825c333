"""[space]: what may be varied, how values become overrides and back, and what is refused."""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
import searches

from foldline.core.errors import UserError
from foldline.evidence.tuning import tuning_file
from foldline.evidence.tuning.search_space import SearchSpace, inline
from foldline.experiment import config

CONDITIONAL = {
    "train.schedule": {"choices": ["cosine", "restarts"]},
    "train.cycles": {"low": 2, "high": 6, "when": {"train.schedule": "restarts"}},
    "model.0.blocks": {"choices": {"one": [{"kind": "bilstm"}], "two": [{"kind": "bilstm"}, {"kind": "conv"}]}},
    "train.lr": {"low": 1e-3, "high": 1e-2, "log": True, "when": {"model.0.blocks": ["one", "two"]}},
}


@pytest.mark.parametrize(
    "value",
    [
        True,
        3,
        -1.5e-7,
        1e22,
        'text "quoted" \\ ü',
        [],
        [1, 2],
        [{"kind": "conv", "kernel": 3}],
        {"a-b": {"c d": [False]}},
    ],
)
def test_values_on_one_line_are_toml(value: Any) -> None:
    assert tomllib.loads(f"value = {inline(value)}") == {"value": value}


def test_a_conditional_entry_is_sampled_only_where_it_applies() -> None:
    space = SearchSpace.build(CONDITIONAL, "here")
    given = {"train.schedule": "cosine", "train.cycles": 3, "model.0.blocks": "two", "train.lr": 0.005}
    assert space.suggest(optuna.trial.FixedTrial(given)) == {
        name: given[name] for name in given if "cycles" not in name
    }
    given["train.schedule"] = "restarts"
    assert space.suggest(optuna.trial.FixedTrial(given)) == given


def test_parameters_become_overrides_in_the_order_of_the_file() -> None:
    params = {"train.lr": 0.002, "model.0.blocks": "two", "train.schedule": "cosine"}
    assert SearchSpace.build(CONDITIONAL, "here").overrides(params) == [
        'train.schedule="cosine"',
        'model.0.blocks=[{kind = "bilstm"}, {kind = "conv"}]',
        "train.lr=0.002",
    ]


def test_ranges_are_of_whole_numbers_where_all_their_numbers_are() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = SearchSpace.build({"a": {"low": 1, "high": 9, "step": 4}, "b": {"low": 0.0, "high": 1}}, "here")
    drawn = [space.suggest(study.ask()) for _ in range(30)]
    assert {params["a"] for params in drawn} == {1, 5, 9}
    assert all(type(params["b"]) is float and 0 <= params["b"] <= 1 for params in drawn)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({}, "at least one entry"),
        ({"train.lr": {"low": 1.0}}, r'"train.lr": give low and high, or choices'),
        ({"train.lr": {"low": 2.0, "high": 1.0}}, "low must be below high"),
        ({"train.lr": {"low": 0.0, "high": 1.0, "log": True}}, "log needs low above 0"),
        ({"train.lr": {"low": 1.0, "high": 2.0, "step": -1.0}}, "step must be above 0"),
        ({"train.epochs": {"low": 1, "high": 6, "step": 2}}, "1 and 2s miss 6"),
        ({"train.lr": {"low": 1.0, "high": 2.0, "choices": [1]}}, "not both"),
        ({"train.lr": {"lo": 1.0}}, "Did you mean 'low'"),
        ({"train.lr": {"choices": []}}, "choices must be a list of values or a table"),
        ({"model.0.blocks": {"choices": [[{"kind": "bilstm"}]]}}, "need names"),
        ({"train": {"lr": {"low": 1.0, "high": 2.0}}}, 'write keys with dots in quotes: "train.lr"'),
        ({"data.metric": {"choices": ["mae"]}}, "data.metric can't be varied: .*different data"),
        ({"folds.k": {"low": 2, "high": 3}}, "different series"),
        ({"post.decimals": {"low": 0, "high": 3}}, r"can't be varied: of \[post\] only post.snap changes"),
        ({"train.seeds": {"choices": [1]}}, "tune.seeds says"),
        ({"train.ema": {"choices": [0.0], "when": {"train.lr": 1}}}, "unknown entry further up 'train.lr'"),
        ({**CONDITIONAL, "train.ema": {"choices": [0.0], "when": {"train.cycles": 2}}}, "only be on choices"),
        ({**CONDITIONAL, "train.ema": {"choices": [0.0], "when": {"train.schedule": "flat"}}}, "but never 'flat'"),
    ],
)
def test_malformed_entries_are_refused_with_their_place(space: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        SearchSpace.build(space, "file: space")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ('"train.lrr" = {low = 1e-3, high = 1e-2}', r'"train.lrr" = 0.001 makes no config. .*Did you mean .lr.'),
        ('"train.schedule" = {choices = ["cosine", "flat"]}', "'flat' makes no config"),
        ('"train.ema" = {low = 0.5, high = 1.5}', "1.5 makes no config. .*ema must be in"),
        ('"train.weight_decay" = {low = 0, high = 1}', "no whole number: write low = 0.0"),
    ],
)
def test_every_end_of_the_space_must_make_a_config(entry: str, says: str, rides: Path, home: Path) -> None:
    path = searches.install(home, f'base = "rides.toml"\n[space]\n{entry}\n')
    with pytest.raises(UserError, match=says):
        tuning_file.load(path, [])


def test_a_configs_own_values_are_recognised(rides: Path, home: Path) -> None:
    space = SearchSpace.build(
        {
            "train.lr": {"low": 1e-4, "high": 1e-2},
            "model.0.train.lr": {"low": 1e-4, "high": 1e-2},
            "model.0.width": {"choices": [4, 8]},
            "model.0.blocks": {
                "choices": {"lstm": [{"kind": "bilstm"}], "ours": [{"kind": "bilstm"}, {"kind": "conv", "kernel": 3}]}
            },
            "train.schedule": {"choices": ["restarts", "cosine"]},
            "train.cycles": {"low": 2, "high": 3, "when": {"train.schedule": "restarts"}},
        },
        "here",
    )

    def load(extra: list[str], more: list[str]) -> config.Config:
        return config.load(Path("rides"), [*extra, *more])

    ours = {"model.0.blocks": "ours", "train.schedule": "cosine"}
    own = {"train.lr": 2e-3, "model.0.train.lr": 2e-3, "model.0.width": 4, **ours}
    assert space.express(partial(load, []), "rides") == own
    wider = ["model.0.width=8", "model.0.train.lr=5e-3"]  # the blocks' own tables are filled with it, and still known
    changed = {**own, "model.0.width": 8, "model.0.train.lr": 5e-3}
    assert space.express(partial(load, wider), "rides") == changed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("train.lr=0.5", "rides has 0.5 for train.lr, but the space goes from 0.0001 to 0.01"),
        ("model.0.width=6", "rides has none of the choices 4, 8 for model.0.width"),
    ],
)
def test_a_config_outside_the_space_is_said_so(change: str, says: str, rides: Path) -> None:
    space = SearchSpace.build({"train.lr": {"low": 1e-4, "high": 1e-2}, "model.0.width": {"choices": [4, 8]}}, "here")
    with pytest.raises(UserError, match=says):
        space.express(lambda more: config.load(Path("rides"), [change, *more]), "rides")

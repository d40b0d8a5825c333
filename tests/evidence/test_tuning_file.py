"""The file of a search: what it must say, what is filled in, and which overrides go where."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import searches
from tiny_targets import Birds

from foldline.api.tune import best_toml
from foldline.core.errors import UserError
from foldline.evidence.tuning import tuning_file
from foldline.experiment.preparation import PreparedExperiment

SPACE = '[space]\n"train.lr" = {low = 1e-3, high = 1e-2}\n'


def load(home: Path, tune: str, *overrides: str) -> tuning_file.Search:
    path = searches.install(home, f'base = "rides.toml"\n[tune]\n{tune}\n{SPACE}')
    return tuning_file.load(path, list(overrides))


def test_the_check_gets_what_the_search_does_not_see(rides: Path, home: Path) -> None:
    tune = load(home, "", "folds.k=5").tune
    assert (tune.folds, tune.check_folds) == ((0, 1, 2), (3, 4))
    tune = load(home, "folds = [1]\ncheck_folds = [4, 0]", "folds.k=5").tune
    assert (tune.folds, tune.check_folds) == ((1,), (4, 0))
    tune = load(home, "folds = [0, 1]\ncheck_seeds = [7]").tune
    assert (tune.folds, tune.check_folds) == ((0, 1), (0, 1))


@pytest.mark.parametrize(
    ("tune", "says"),
    [
        ("trials = 0", "trials must be at least 1"),
        ("hours = -1.0", "hours must not be below 0"),
        ("lost_s = 0.0", "lost_s must be at least 1"),
        ("patience_s = 0.5", "patience_s must be at least 1"),
        ("seeds = []", "at least one seed"),
        ("folds = [0, 0]", "different whole numbers"),
        ("folds = [2]", "numbered from 0 to 1, but there is 2"),
        ("folds = [0, 1]", "both use fold 0 with seed 0. .*check_seeds"),
        ('sampler = "grid"', "must be one of 'tpe', 'random'"),
        ("trails = 3", "Did you mean 'trials'"),
    ],
)
def test_impossible_searches_are_refused(tune: str, says: str, rides: Path, home: Path) -> None:
    with pytest.raises(UserError, match=says):
        load(home, tune)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SPACE, "base must name the config"),
        (f'base = "nothing.toml"\n{SPACE}', "unknown config"),
        ('base = "rides.toml"\n', "at least one entry"),
        (f'base = "rides.toml"\n[train]\nlr = 1\n{SPACE}', "unknown table 'train'"),
        ("base = ", "no valid TOML"),
    ],
)
def test_files_that_are_no_search(text: str, says: str, rides: Path, home: Path) -> None:
    with pytest.raises(UserError, match=says):
        tuning_file.load(searches.install(home, text), [])


def test_overrides_of_tune_change_the_search_and_others_the_base(rides: Path, home: Path) -> None:
    search = load(home, "", "tune.trials=3", "train.epochs=7", "tune.storage=sqlite:///x.db")
    assert (search.tune.trials, search.tune.storage, search.overrides) == (3, "sqlite:///x.db", ("train.epochs=7",))
    assert search.config({"train.lr": 0.004}).train.lr == 0.004
    assert search.config({}).train.epochs == 7
    with pytest.raises(UserError, match=r"must have the form tune.key=value"):
        load(home, "", "tune.a.b=3")
    (home / "configs" / "other.toml").write_text((home / "configs" / "rides.toml").read_text())
    assert load(home, "", "base=other.toml").base.name == "other.toml"


def test_a_config_is_no_search(rides: Path, home: Path) -> None:
    with pytest.raises(UserError, match=r"rides.toml is a config, not a search from one. .*base = 'rides.toml'"):
        tuning_file.load(Path("rides"), [])


def test_a_search_from_one_of_several_targets_names_it(home: Path, tmp_path: Path) -> None:
    """And its best config says that it is no config to train by itself."""
    Birds().install(home, tmp_path / "birds")
    search = tuning_file.load(searches.install(home, f'base = "birds.bird"\n{SPACE}'), [])
    assert search.base_name == "birds.bird"
    ready = SimpleNamespace(folds=SimpleNamespace(path=home / "folds.csv"))
    written = best_toml(search.config({}), cast(PreparedExperiment, ready), "Better.")
    assert "into the config with [[target]]" in written and "THIS_FILE" not in written


def test_an_error_in_the_base_is_reported_as_such(rides: Path, home: Path) -> None:
    with pytest.raises(UserError, match=r"^\S+rides.toml: train: unknown key 'lrr'"):
        load(home, "", "train.lrr=1")


@pytest.mark.parametrize(
    ("override", "cores", "workers"), [("tune.workers=3", 8, 3), ("train.threads=1", 8, 8), ("train.threads=4", 8, 2)]
)
def test_number_of_workers(
    override: str, cores: int, workers: int, rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    search = load(home, "", override)
    assert search.workers(search.config({})) == workers

"""Config files: extends, overrides, model tables, and a resolved config that reads back as itself."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
import tiny
import tomli_w

from foldline.core import files
from foldline.core.errors import UserError
from foldline.experiment import clean, config, config_files
from foldline.experiment.config import from_tables, load


@pytest.mark.parametrize("name", ["quickstart", "sample", "baseline", "gold", "ventilator"])
def test_the_repositorys_configs_load_and_resolve_to_themselves(name: str, home: Path) -> None:
    words = [] if name != "ventilator" else ['model=[{name = "hybrid"}]']
    chosen = load(Path(name), words)
    again = tomllib.loads(tomli_w.dumps(chosen.tables()))
    assert from_tables(name, again, "resolved") == chosen


def test_extends_merges_table_by_table_and_replaces_lists(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    (home / "configs" / "above.toml").write_text(
        'extends = "rides.toml"\n[features]\nfamilies = ["raw"]\n[train]\nbatch = 8\n[[model]]\nname = "lightgbm"\n'
    )
    below, above = load(Path("rides")), load(Path("above"))
    assert (above.name, above.train.batch, above.train.epochs) == ("above", 8, below.train.epochs)
    assert above.features.families == ("raw",) and above.features.tables == below.features.tables
    assert [model.name for model in above.models] == ["lightgbm"] and above.data == below.data


def test_overrides_are_toml_values_and_raw_text_where_that_fails(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    words = ["train.lr=1e-3", "data.source=../x", "features.lags.lags=[2, 4]", "model.1.rounds=7", "data.scored="]
    chosen = load(Path("rides"), words)
    assert (chosen.train.lr, chosen.data.source, chosen.data.scored) == (0.001, "../x", "")
    assert chosen.features.tables["lags"]["lags"] == [2, 4]
    assert chosen.models[1].params["rounds"] == 7
    quoted = load(Path("rides"), ['data.source="simulate"'])
    assert quoted.data.simulated


def test_a_models_train_table_changes_only_what_it_names(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    chosen = load(Path("rides"), ["train.lr=0.5", "model.0.train={epochs = 9}"])
    assert [(model.train.epochs, model.train.lr) for model in chosen.models] == [(9, 0.5), (2, 0.5)]
    assert chosen.tables()["model"][0]["train"] == {"epochs": 9}


def test_models_of_one_name_get_labels_of_their_own(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    three = 'model=[{name = "lightgbm"}, {name = "lightgbm", rounds = 3}, {name = "lightgbm", label = "slow"}]'
    assert [model.label for model in load(Path("rides"), [three]).models] == ["lightgbm", "lightgbm-2", "slow"]


def test_a_blocks_width_is_checked_as_the_hybrid_fills_it_in(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    blocks = 'model.0.blocks=[{kind = "transformer", heads = 3}]'  # 3 does not divide the default width, 64
    chosen = load(Path("rides"), ["model.0.width=9", blocks])
    assert chosen.models[0].params["blocks"] == [{"width": 9, "kind": "transformer", "heads": 3}]


def test_a_config_is_named_by_file_or_by_name(home: Path, tmp_path: Path) -> None:
    path = tiny.install(home, tmp_path)
    assert load(path) == load(Path("rides")) == load(Path("rides.toml"))


def test_configs_that_can_be_trained_are_offered_those_without_models_too(home: Path, tmp_path: Path) -> None:
    text = tiny.install(home, tmp_path).read_text()
    (home / "configs" / "bare.toml").write_text(text[: text.index("[[model]]")])
    (home / "configs" / "columns.toml").write_text('[data]\nkey = "ride"\n')  # for others to extend
    with pytest.raises(UserError, match="unknown config 'nosuch'") as refused:
        load(Path("nosuch"))
    assert "bare" in str(refused.value) and "columns" not in str(refused.value)


def test_recorded_steps_are_refused_where_cells_take_turns_in_a_process(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    with pytest.raises(UserError, match=r"train\.graphs = true needs a process to itself, but executor\.together = 2"):
        load(Path("rides"), ["train.graphs=true", "executor.together=2"])


def test_only_a_bare_name_or_one_in_configs_is_looked_up_at_home(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    assert load(Path("configs/rides.toml")) == load(Path("rides"))
    for elsewhere in ("no/such/rides.toml", str(tmp_path / "rides.toml"), "../rides"):
        with pytest.raises(UserError, match=f"unknown config '{elsewhere}'"):
            load(Path(elsewhere))


def test_no_epoch_at_all_is_for_networks_that_were_trained_before(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    chosen = load(Path("rides"), ["train.epochs=0", "model.0.pretrain.train.epochs=2"])
    assert chosen.models[0].train.epochs == 0  # and the trees, which know no epochs, stay as they are


def test_teachers_and_pretraining_resolve_to_themselves(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    words = [
        "model.1.label=trees",
        'model.0.pretrain={source = "x", train = {epochs = 3, augment = {mixup = 0.5}}}',
        'model.0.teacher={of = ["trees"], exact = true}',
        "model.0.train={augment = {shuffle = 0.1}, watch = {share = 0.2, best = true}, full_seeds = [4]}",
        "train.augment={mixup = 0.4}",
    ]
    chosen = load(Path("rides"), words)
    assert chosen.models[0].train.augment.mixup == 0.4 and chosen.models[0].train.augment.shuffle == 0.1
    assert from_tables("rides", tomllib.loads(tomli_w.dumps(chosen.tables())), "resolved") == chosen


def test_training_settings_that_trees_ignore_are_refused(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "trees.toml"
    path.write_text(
        tiny.CONFIG.format(source="rides").replace("rounds = 5", "rounds = 5\ntrain = {lr = 0.1, seeds = [1]}")
    )
    with pytest.raises(UserError, match=r"only threads, seeds, full_seeds and watch matter to lightgbm, but got lr\."):
        config.load(path)


@pytest.mark.parametrize(("metric", "loss"), [("mae", "l1"), ("mse", "l2"), ("rmse", "l2")])
def test_the_loss_follows_the_metric_unless_a_model_names_its_own(
    metric: str, loss: str, home: Path, tmp_path: Path
) -> None:
    tiny.install(home, tmp_path)
    words = [f"data.metric={metric}", 'model=[{name = "hybrid"}, {name = "lightgbm"}]']
    network, trees = load(Path("rides"), words).models
    assert (network.params["head"], trees.params["objective"]) == ({"kind": loss}, loss)
    words[1] = 'model=[{name = "hybrid", head = {kind = "l1"}}, {name = "lightgbm", objective = "huber"}]'
    network, trees = load(Path("rides"), words).models
    assert (network.params["head"], trees.params["objective"]) == ({"kind": "l1"}, "huber")


def test_a_pinball_metric_is_learned_at_its_level(home: Path, tmp_path: Path) -> None:
    """The absolute error would learn the median, whatever quantile is scored."""
    tiny.install(home, tmp_path)
    models = ", ".join(f'{{name = "{name}"}}' for name in ("hybrid", "tft", "third_place", "lightgbm"))
    at = ["data.metric=pinball", "data.metric_options={level = 0.9}"]
    *networks, trees = (model.params for model in load(Path("rides"), [*at, f"model=[{models}]"]).models)
    assert all(own["head"].items() >= {"kind": "quantile", "levels": [0.9], "predict": 0.9}.items() for own in networks)
    assert "aux" in networks[2]["head"] and (trees["objective"], trees["alpha"]) == ("quantile", 0.9)
    own = 'model=[{name = "hybrid", head = {kind = "l1"}}, {name = "lightgbm", objective = "l2"}]'
    network, named = load(Path("rides"), [*at, own]).models
    assert (network.params["head"], named.params["objective"]) == ({"kind": "l1"}, "l2")


def refused(*overrides: str) -> str:
    """Why the rides' config with overrides is refused."""
    with pytest.raises(UserError) as error:
        load(Path("rides"), list(overrides))
    return str(error.value)


def test_a_wrong_override_is_named_not_the_file(home: Path, tmp_path: Path) -> None:
    path = tiny.install(home, tmp_path)
    wrong = refused("train.lr=0.1", "train.epochs=many")
    assert wrong.startswith(f"{path}: train.epochs must be a whole number, but is 'many' (str).")
    assert wrong.endswith(" What is wrong is the override train.epochs=many, not the file.")
    assert refused("data.metric=maee").startswith(f"{path}: data.metric: unknown metric 'maee'. Did you mean 'mae'?")
    both = refused("train.epochs=many", "train.lr=0.1", "train.batch=few")
    assert both.endswith("the override train.epochs=many train.lr=0.1 train.batch=few, not the file.")
    path.write_text(path.read_text().replace("epochs = 2", "epochs = -2"))
    assert refused("train.lr=0.1").endswith("epochs must not be below 0, but is -2")


def test_the_keys_that_every_model_takes_are_among_the_known(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    message = refused("model.0.widht=3")
    known = message.partition("Known: ")[2].partition(". What")[0].split(", ")
    assert {"name", "label", "train", "teacher", "pretrain", "width"} <= set(
        known
    ) and "Did you mean 'width'?" in message


def test_configs_in_the_home_folder_come_before_those_of_the_installed_package(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed, own = tmp_path / "foldline" / "configs", home / "configs"
    shutil.copytree(own, packed)
    monkeypatch.setattr(files, "PACKAGE", packed.parent)
    for path in own.glob("*.toml"):
        path.unlink()
    for name in ("quickstart", "quickstart.toml", "configs/quickstart.toml"):
        assert config_files.locate(Path(name)) == packed / "quickstart.toml"
    (own / "mine.toml").write_text('extends = "ventilator.toml"\n[data]\nsource = "x"\n[[model]]\nname = "lightgbm"\n')
    assert load(Path("mine")).data.inputs == ("u_in", "u_out")
    with pytest.raises(UserError, match=r"Known: .*gold, mine, quickstart, .*"):
        load(Path("none"))
    (own / "quickstart.toml").touch()
    assert config_files.locate(Path("quickstart")) == own / "quickstart.toml"
    with pytest.raises(UserError, match=r"unknown config 'else/quickstart'"):
        config_files.locate(Path("else/quickstart"))


def test_the_list_of_known_configs_has_only_what_can_be_trained(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    (home / "configs" / "broken.toml").write_text("[data")
    known = "baseline, broken, gold, quickstart, quickstart-classes, rides, sample, sample-fast, tft"
    with pytest.raises(UserError, match=rf"Known: {known}\.$"):
        load(Path("rieds-2"))
    with pytest.raises(UserError, match=r"Did you mean 'tune-sample'\?"):
        config_files.locate(Path("tune-smaple"))


@pytest.mark.parametrize("name", [*files.SHARED_FOLDERS, *files.OWN_ENTRIES])
@pytest.mark.parametrize("where", ["configs", "."])
def test_a_config_named_like_a_folder_of_runs_is_refused(name: str, where: str, home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path, name)
    path = Path(name) if where == "configs" else home / "configs" / f"{name}.toml"
    with pytest.raises(UserError, match=rf"runs/{name} is not for a config's runs, so no config can be called"):
        load(path)


def test_folders_that_clean_takes_for_no_configs_are_no_names_of_configs() -> None:
    assert set(clean.NOT_EXPERIMENTS) <= set(files.SHARED_FOLDERS)


def test_folders_and_links_to_nothing_are_no_configs(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tmp_path)
    (home / "configs" / "folder.toml").mkdir()
    (home / "configs" / "link.toml").symlink_to("nowhere")
    for name in ("folder", "link", "nosuch"):
        with pytest.raises(UserError, match=rf"unknown config '{name}'.* Known: .*rides"):
            load(Path(name))

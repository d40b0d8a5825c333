"""The file of an ablation: what a variant's config becomes, and what is refused before anything is read or trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ablations
import pytest

from foldline.core.errors import UserError
from foldline.evidence.ablation import ablation_file, ablation_wording, droppable_parts
from foldline.experiment import config as configs
from foldline.experiment.config import Config

HEAD = 'base = "rides.toml"\n'
EVERYTHING = [
    "train.ema=0.9",
    "train.augment={mixup = 0.4, mask_static = 0.1, shuffle = 0.1, jitter = {share = 0.5}}",
    "train.margin=2",
    "model.0.train={augment = {mixup = 0.2}}",
    'model.0.head={kind = "l1", aux = {differences = [1]}}',
    "model.0.pretrain={breaths = 5}",
]


@pytest.fixture
def file(rides: Path, home: Path) -> Path:
    """An ablation of the rides."""
    return ablations.install(home)


def variant(home: Path, text: str, *overrides: str) -> Config:
    """The config of a file's only variant."""
    path = ablations.install(home, f'{HEAD}[[variant]]\nname = "it"\n{text}\n', "ablate-one")
    return ablation_file.load(path, list(overrides)).variants[0].config


def refused(home: Path, text: str) -> str:
    """What is said to a file."""
    with pytest.raises(UserError) as error:
        ablation_file.load(ablations.install(home, text, "ablate-bad"), [])
    return str(error.value)


def test_variants_are_the_baseline_with_their_changes(file: Path) -> None:
    ablation = ablation_file.load(file, ["train.epochs=1"])
    assert ablation.name == "ablate-rides" and ablation.base.name == "rides"
    assert ablation.base.folds.k == 3 and ablation.base.train.seeds == (0, 1)
    conv, lags, boosting, snap = (each.config for each in ablation.variants)
    assert [block["kind"] for block in conv.models[0].params["blocks"]] == ["bilstm"]
    assert lags.features.families == ("raw", "time", "static") and lags.blend.method == "mean"
    assert [model.label for model in boosting.models] == ["hybrid"] and not snap.post.snap
    for each in (conv, lags, boosting, snap):
        assert each.data == ablation.base.data and each.folds == ablation.base.folds
        assert all(model.train.seeds == (0, 1) and model.train.epochs == 1 for model in each.models)


def test_heads_on_auxiliary_targets_can_be_dropped(rides: Path, home: Path) -> None:
    heat = [
        'data.auxiliary=[{target = ["heat"]}]',
        'model.0.head={kind = "l2", beside = [{target = "heat", kind = "l1"}]}',
    ]
    found = variant(home, 'drop = ["head.beside"]', *heat)
    assert found.models[0].params["head"] == {"kind": "l2"} and found.data.auxiliary
    assert "drop: unknown" in refused(home, f'{HEAD}[[variant]]\nname = "it"\ndrop = ["head.beside"]\n')


def test_an_untouched_part_keeps_its_cells(file: Path) -> None:
    """Dropping goes by the tables of the resolved config, which must make the same model again."""
    base, conv = (ablation_file.load(file, []).base, ablation_file.load(file, []).variants[0].config)
    assert conv.models[1] == base.models[1]


def test_overrides_reach_the_design_and_the_baseline(file: Path, home: Path) -> None:
    (home / "configs" / "other.toml").write_text((home / "configs" / "rides.toml").read_text())
    ablation = ablation_file.load(file, ["ablate.seeds=[7]", "ablate.delta=0.05", "base=other.toml", "model.0.width=8"])
    assert ablation.base.name == "other" and ablation.settings.seeds == (7,) and ablation.settings.delta == 0.05
    assert ablation.base.models[0].params["width"] == 8 and ablation.variants[0].config.models[0].params["width"] == 8


def test_every_part_of_the_recipe_can_be_dropped(rides: Path, home: Path) -> None:
    for part, gone in {
        "recipe.mixup": lambda model: model.train.augment.mixup == 0,
        "recipe.mask_static": lambda model: model.train.augment.mask_static == 0,
        "recipe.jitter": lambda model: model.train.augment.jitter.share == 0,
        "recipe.shuffle": lambda model: model.train.augment.shuffle == 0,
        "recipe.ema": lambda model: model.train.ema == 0,
        "recipe.crop": lambda model: model.train.margin == -1,
        "recipe.clip": lambda model: model.train.clip == 0,
        "recipe.weight_decay": lambda model: model.train.weight_decay == 0,
        "recipe.schedule": lambda model: model.train.schedule == "constant",
        "recipe.pretrain": lambda model: model.pretrain is None,
        "head.aux": lambda model: "aux" not in model.params["head"],
    }.items():
        without = variant(home, f'drop = ["{part}"]', *EVERYTHING).models[0]
        kept = variant(home, 'set = ["model.0.width=6"]', *EVERYTHING).models[0]
        assert gone(without) and not gone(kept), part


def test_what_is_not_there_cannot_be_dropped(rides: Path) -> None:
    tables: dict[str, Any] = configs.load(Path("rides")).tables()
    assert set(droppable_parts.parts_of(tables)) == {
        "features.raw", "features.time", "features.lags", "features.static", "block.bilstm", "block.conv",
        "recipe.clip", "recipe.weight_decay", "recipe.schedule", "post.snap", "model.hybrid", "model.lightgbm",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a"\ndrop = ["block.convs"]', "unknown part 'block.convs'. Did you mean 'block.conv'?"),
        ('name = "a"\ndrop = ["recipe.mixup"]', "unknown part 'recipe.mixup'"),
        ('name = "a"\nset = ["model.0.widht=3"]', "variant 'a': "),
        ('name = "a"\nset = ["data.metric=rmse"]', "compared on the baseline's series, folds and seeds"),
        ('name = "a"\nset = ["folds.k=2"]', "compared on the baseline's series, folds and seeds"),
        ('name = "a"\nset = ["model.0.train.seeds=[3]"]', "compared on the baseline's series, folds and seeds"),
        ('name = "a"\nset = ["train.epochs=2"]', "changes nothing"),
        ('name = "a"', "a variant must change something"),
        ('name = "baseline"\ndrop = ["block.conv"]', "a name of its own, other than 'baseline'"),
        ('name = "a"\ndrops = ["block.conv"]', "Did you mean 'drop'?"),
        ('name = "a"\ndrop = ["block.conv", "block.bilstm"]', "blocks must hold at least one block"),
    ],
)
def test_bad_variants_are_refused(text: str, said: str, rides: Path, home: Path) -> None:
    message = refused(home, f"{HEAD}[[variant]]\n{text}\n")
    assert said in message and "ablate-bad.toml" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD, "variant must be given"),
        (f"{HEAD}variant = []", "at least one [[variant]]"),
        ('base = "ride.toml"\n[[variant]]\nname = "a"\ndrop = ["block.conv"]', "Did you mean 'rides'?"),
        (f"{HEAD}[ablate]\nseeds = []\n" + '[[variant]]\nname = "a"\nset = ["post.snap=false"]', "seeds must be"),
        (f"{HEAD}[ablate]\nseed = 1\n[[variant]]\nname = 'a'", "ablate-bad.toml: ablate: unknown key 'seed'"),
        (f"{HEAD}[[variant]]\nset = ['post.snap=false']", "ablate-bad.toml: variant[0]: name must be given"),
        (f"{HEAD}[ablate]\ndelta = 0\n" + '[[variant]]\nname = "a"\nset = ["post.snap=false"]', "delta must be above"),
        ("base = ", "no valid TOML"),
    ],
)
def test_bad_files_are_refused(text: str, said: str, rides: Path, home: Path) -> None:
    assert said in refused(home, text)


def test_a_config_is_no_ablation(rides: Path) -> None:
    with pytest.raises(UserError, match="is a config, not an ablation"):
        ablation_file.load(Path("rides"), [])


@pytest.mark.parametrize(
    ("name", "overrides"),
    [("components", []), ("components", ["base=sample-fast.toml", "data.source=there"]), ("sample", [])],
)
def test_the_repositorys_ablations_fit_their_baselines(name: str, overrides: list[str]) -> None:
    """Each drop and override means something for the configs as they are today."""
    assert len(ablation_file.load(Path(f"configs/ablate-{name}.toml"), overrides).variants) >= 10


def test_a_part_is_dropped_from_pre_training_too(rides: Path, home: Path) -> None:
    pretrain = "model.0.pretrain={breaths = 5, train = {augment = {mixup = 0.7, shuffle = 0.1}}}"
    config = variant(home, 'drop = ["recipe.mixup"]', "train.augment.mixup=0.5", pretrain).models[0]
    assert config.pretrain is not None and config.pretrain.train == {"augment": {"mixup": 0.0, "shuffle": 0.1}}


DOCUMENT = (Path(__file__).parents[2] / "docs" / "how-to" / "ablate.md").read_text(encoding="utf-8")


def test_the_documents_example_is_an_ablation(home: Path) -> None:
    example = DOCUMENT.split("```toml\n")[1].split("```")[0]
    ablation = ablation_file.load(ablations.install(home, example, "ablate-example"), [])
    assert [each.name for each in ablation.variants] == ["no convolution", "wider, no boosting"]


def test_the_document_names_every_part_of_the_recipe() -> None:
    line = next(line for line in DOCUMENT.splitlines() if line.startswith("| `recipe."))
    assert all(f"{name}`" in line for name in (*droppable_parts.RECIPE, *droppable_parts.OF_A_MODEL))


@pytest.mark.parametrize(("folds", "critical"), [(10, "4.0 with ten"), (5, "6.5 with five"), (3, "18.4 with three")])
def test_the_document_says_what_many_variants_ask_for(folds: int, critical: str) -> None:
    count = len(ablation_file.load(Path("configs/ablate-components.toml"), []).variants)
    assert f"with {count} variants" in DOCUMENT and critical in DOCUMENT.replace("\n", " ")
    assert f"|t| ≥ {critical.split()[0]} " in ablation_wording.needed(folds, 0.05, count)

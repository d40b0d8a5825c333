"""Configs, overrides and command lines that are refused: one clear sentence, exit code 2, nothing trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import refused

BAD_OVERRIDES = {
    "train.epoch=3": "unknown key 'epoch'. Did you mean 'epochs'?",
    "trian.epochs=3": "unknown table 'trian'. Did you mean 'train'?",
    "train.epochs=three": "train.epochs must be a whole number, but is 'three' (str)",
    "train.epochs=2.5": "train.epochs must be a whole number, but is 2.5 (float)",
    "train.epochs=0": "model[0]: a network must be trained, but for 0 epochs it is not: give train.epochs, or pretrain",
    "train.epochs=-1": "epochs must not be below 0, but is -1",
    "model.0.pretrain.train.epochs=0": "but for 0 epochs it is not: give pretrain.train.epochs",
    "train.lr=-1": "lr must be above 0, but is -1.0",
    "train.lr=nan": "train.lr must be a finite number, but is nan",
    "train.weight_decay=inf": "train.weight_decay must be a finite number, but is inf",
    "train.clip=nan": "train.clip must be a finite number, but is nan",
    "train.clip=-1": "clip must not be below 0, but is -1.0",
    "train.weight_decay=-0.1": "weight_decay must not be below 0, but is -0.1",
    "train.margin=-2": "margin must be at least -1, but is -2",
    "train.seeds=[]": "seeds must be different whole numbers, none below 0, but is []",
    "train.seeds=[1,1]": "seeds must be different whole numbers",
    "train.schedule=cosin": "train.schedule must be one of 'cosine', 'flat-cosine', 'constant', 'restarts', 'plateau', "
    "but is 'cosin'",
    "train.schedule=plateau": 'schedule = "plateau" follows a score: give watch.share, for instance 0.1',
    "train.cycles=0": "cycles must be at least 1, but is 0",
    "train.micro=-1": "micro must not be below 0, but is -1",
    "train.ema=1": "ema must be in [0, 1), but is 1.0",
    "train.ema=-0.1": "ema must be in [0, 1), but is -0.1",
    "train.average=-1": "average must not be below 0, but is -1",
    'train={ema = 0.9, average = 3, device = "cpu"}': "ema and average both choose the weights that predict",
    "train.checkpoint_s=-1": "checkpoint_s must not be below 0, but is -1.0",
    "train.checkpoint_s=never": "train.checkpoint_s must be a number, but is 'never' (str)",
    "train.on_oom=half": "train.on_oom must be one of 'stop', 'halve', but is 'half'",
    "train.precision=fp8": "train.precision must be one of 'auto', 'fp32', 'tf32', 'bf16', 'fp16', but is 'fp8'",
    "train.device=gpu": "train.device must be one of 'auto', 'cuda', 'mps', 'cpu', but is 'gpu'",
    "train.deterministic=true": "train.deterministic must be one of 'auto', 'on', 'off', but is True",
    "train.full_seeds=[1,1]": "full_seeds must be different whole numbers, none below 0, but is [1, 1]",
    "train.full_seeds=[-1]": "full_seeds must be different whole numbers, none below 0, but is [-1]",
    "train.augment.mixup=1.5": "augment: mixup must be a share from 0 to 1, but is 1.5",
    "train.augment.mixup_alpha=-1": "augment: mixup_alpha must not be below 0, but is -1.0",
    "train.augment.mask_static=-0.1": "augment: mask_static must be a share from 0 to 1, but is -0.1",
    "train.augment.shuffle=2": "augment: shuffle must be a share from 0 to 1, but is 2.0",
    "train.augment.shuffle_steps=0": "augment: shuffle_steps must be at least 1, but is 0",
    "train.augment.mixpu=0.1": "train.augment: unknown key 'mixpu'. Did you mean 'mixup'?",
    "train.augment=0.4": "train.augment must be a table, but is 0.4 (float)",
    "model.0.pretrain={train = {augment = {drop_channels = {grip = 0.5}}}}": "drop_channels names 'grip', but there",
    "train.windows.length=-1": "windows: length must be from 0 to 2,147,483,648 steps, but is -1",
    "train.windows.stride=5": "windows: windows need a length: give length, for instance length = 1000",
    "train.windows={length = 5, overlap = 5}": "overlap must be below the 5 steps of a window at prediction, but is 5",
    "train.watch.share=1": "watch: share must be in [0, 1), but is 1.0",
    "train.watch.best=true": "watch: best and stop need series to look at: give share, for instance share = 0.1",
    "train.watch.stop=5": "watch: best and stop need series to look at",
    "train.watch={share = 0.1, stop = -1}": "stop must not be below 0 and patience at least 1, but they are -1 and 30",
    "train.watch={share = 0.1, patience = 0}": "patience at least 1, but they are 0 and 0",
    "train.watch={share = 0.1, factor = 1}": "watch: factor must be between 0 and 1, but is 1.0",
    "train.lr=1e300": "train: lr must be at most 1e+30, but is 1e+300",
    "train.epochs=1000000000000": "epochs must be at most 1,000,000, but is 1,000,000,000,000",
    "train.batch=1000000000000": "batch must be at most 16,777,216, but is",
    "train.micro=1000000000000": "micro must be at most",
    "train.average=1000000000000": "average must be at most",
    "train.margin=1000000000000": "margin must be at most",
    "train.cycles=1000000000000": "cycles must be at most",
    "train.threads=1000000000000": "threads must be at most",
    "train.weight_decay=1e300": "weight_decay must be at most",
    "train.seeds=[5000000000]": "seeds and full_seeds must be at most 2,147,483,647",
    "train.augment.shuffle_steps=1000000000000": "augment: shuffle_steps must be at most",
    "train.watch={share = 0.1, patience = 1000000000000}": "watch: patience must be at most",
    "folds.seed=-1": "folds: seed must be at least 0 and below 2^32, but is -1",
    "folds.seed=10000000000": "folds: seed must be at least 0 and below 2^32",
    "executor.workers=1000000000": "workers and together must be at most 1,024, but they are 1,000,000,000 and 1",
    "model.0.width=1000000000000": "model[0].width must be at most 65,536, but is 1,000,000,000,000: one linear map",
    'model.0.blocks=[{kind = "conv", width = 99999}]': "model[0].blocks[0].width must be at most 65,536",
    'model.0.blocks=[{kind = "tcn", levels = 40}]': "blocks[0].levels must be at most 16, but is 40: each layer doub",
    'model.0.blocks=[{kind = "transformer", heads = 1000000}]': "blocks[0].heads must be at most 1,024",
    "model.1.rounds=1000000000": "model[1].rounds must be at most 1,000,000, but is 1,000,000,000: boosting has",
    "model.1.num_leaves=1000000000": "num_leaves must be at most 131,072, but is 1,000,000,000: LightGBM allows",
    "model.1.min_data_in_leaf=1000000000000": "min_data_in_leaf must be at most",
    "model.1.learning_rate=1e300": "learning_rate must be at most 10, but is 1e+300",
    "model.1.lambda_l2=1e300": "lambda_l2 must be at most 1,000,000,000, but is 1e+300: no setting",
    "executor.together=0": "workers must not be below 0 and together at least 1, but they are 0 and 0",
    "model.0.teacher={}": "teacher: a teacher needs labels to give: of = [labels of other models]",
    'model.0.teacher={of = ["x"], weight = 0}': "weight must be above 0 and at most 1, or 0 beside distil, but is 0.0",
    'model.0.teacher={of = ["x"], weight = 2}': "weight must be above 0 and at most 1, or 0 beside distil, but is 2.0",
    'model.0.teacher={of = ["x"], labels = "hard"}': 'teacher: labels = "hard" is for binary, multiclass, ordinal, ',
    'model.0.teacher={of = ["x"], temperature = 2}': "teacher: temperature = 2 is for binary, multilabel, multiclass ",
    'model.0.teacher={of = ["x"], confident = 0.5}': "teacher: confident = 0.5 is for binary, multiclass, ordinal tar",
    'model.0.teacher={of = ["x"], align = true}': "align = true is for binary, multiclass targets, but data.kind ",
    'model.0.teacher={of = ["x"], rounds = 2, distil = 0.5}': "distil is of one round: it trains teachers for",
    'model.0.teacher={of = ["x"], weight = 0, distil = 1, confident = 0.5}': "confident is of test series, but weight",
    "model.0.teacher={exact = true, distil = 0.5}": "distil mixes in what teachers predict: name them",
    "model.0.teacher.off=[]": "teacher: unknown key 'off'. Did you mean 'of'?",
    "model.1.pretrain={}": "lightgbm is no network: leave out pretrain",
    "model.0.pretrain.breaths=0": "pretrain: breaths must be at least 1, but is 0",
    "model.0.pretrain.calibrate=true": "pretrain.calibrate must be one of 'fold', 'test', 'no', but is True",
    "model.0.pretrain.train.epohcs=1": "pretrain.train: unknown key 'epohcs'. Did you mean 'epochs'?",
    "model.0.pretrain.train.ema=1": "pretrain.train: ema must be in [0, 1), but is 1.0",
    "model.1.train.augment.mixup=0.5": "only threads, seeds, full_seeds and watch matter to lightgbm, but got augment",
    "folds.k=1": "k must be at least 2",
    "folds.k=13": "folds.k = 13 must not exceed the number of series",
    "folds.k=7": "needs a stratum of at least k = 7 series, but the largest has 6",
    'folds.strata=["power"]': "folds.strata must name static columns or targets, but has 'power'",
    "folds.kind=random": "folds.kind must be one of 'group', 'stratified-group'",
    "data.metric=maee": "unknown metric 'maee'. Did you mean 'mae'?",
    "data.key=": "key and order must each name a column",
    "data.target=[]": "target must name at least one column",
    "data.inputs=[]": "inputs must name at least one column; only a forecast",
    'data.target=["power"]': "a column has one role, but power is named more than once",
    "data.scored=coasting = = 0": "data.scored must be a SQL condition",
    "data.scored=wind == 0": "unknown column 'wind'",
    "data.scored=max(power) > 1": "from the values of a row alone, but looks at other rows too",
    "data.scored=power / 0 > 1": "computes inf in 120 rows",
    "data.scored=row > 1010": "names the row id 'row'",
    "data.scored=order == 0": 'A column whose name is a word of SQL stands in double quotes: "order" == 0.',
    "data.key=fold": "key can't be 'fold': a fold file has a column of its own by it",
    'data.inputs=["^x$"]': "a column can't be called '^x$': it is empty or reads as a pattern",
    'data.inputs=["*"]': "a column can't be called '*'",
    'data.inputs=["__step__"]': "a column can't be called '__step__': the features have a column of their own",
    "data.target=['a\"b']": "no name of them can hold a quote",
    "data.scored=power + 1": "data.scored must be true or false for each row",
    "data.scored=power == 'much'": "does not fit the columns of",
    "features.families=[]": "families must name at least one feature family",
    'features.families=["lag"]': "did you mean 'lags'?",
    "features.lags.lag=[1]": "did you mean 'lags'?",
    "features.scaler=robst": "unknown scaler 'robst'. Did you mean 'robust'?",
    'features.raw.complement=["wind"]': "There is no input column 'wind'",
    "blend.method=best": "blend.method must be one of",
    "executor.workers=-1": "workers must not be below 0",
    "model.0.name=hybird": "unknown model 'hybird'. Did you mean 'hybrid'?",
    'model.0.name=["hybrid"]': "model[0].name must be a text, but is ['hybrid'] (list)",
    "model.0.label=3": "model[0].label must be a text, but is 3 (int)",
    'model.0.blocks=[{kind = ["conv"]}]': "model[0].blocks[0].kind must be a text, but is ['conv'] (list)",
    "model.0.head.kind=[]": "model[0].head.kind must be a text, but is [] (list)",
    'model.0.blocks=[{kind = "transformer", ffn = 0}]': "model[0].blocks[0]: ffn must be at least 1, but is 0",
    "model.0.width=0": "width must be at least 1, but is 0",
    "model.0.width=5": "width must be even",
    "model.0.blocks=[]": "blocks must hold at least one block",
    'model.0.blocks=[{kind = "lstn"}]': "unknown kind 'lstn'. Did you mean 'lstm'?",
    'model.0.blocks=[{kind = "conv", kernel = 4}]': "model[0].blocks[0]: kernel must be odd",
    'model.0.head={kind = "l1", size = 3}': "unknown key 'size'",
    "model.0.train.lr=0": "model[0].train: lr must be above 0",
    "model.1.num_leaves=1": "num_leaves must be at least 2, but is 1",
    "model.2.width=3": "'2' must be a position from 0 to 1",
    "model.1.label=hybrid": "every [[model]] needs a label of its own, but they are hybrid, hybrid",
    "train.epochs.x=3": "'epochs' is a value, not a table",
    "extends=quickstart.toml": "extends can only stand in a config file",
    "=3": "An override has the form table.key=value",
}


@pytest.mark.parametrize("override", BAD_OVERRIDES)
def test_bad_overrides(override: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert BAD_OVERRIDES[override] in refused(["train", "rides", override], home, capsys)


ROLES = "[data]\nid='a'\nkey='b'\norder='c'\ntarget=['d']\ninputs=['e']\n"
CUT = "[train.windows]\nlength = 5\n[[model]]\nname = 'hybrid'\n"
BAD_CONFIGS = {
    "[data\n": "is no valid TOML",
    "[[model]]\nname = 'hybrid'\n": "the table [data] must be given",
    f"{ROLES}level='series'\nsource='gone'\n": "gone does not exist",  # the default follows the number of series
    "[data]\nid='a'\n[[model]]\nname = 'hybrid'\n": "data: key, order, target, inputs must be given",
    f"{ROLES}[model]\nname = 'hybrid'\n": "write [[model]], with two brackets",
    "data = 3\n[[model]]\nname = 'hybrid'\n": "data must be a table, but is 3 (int)",
    f"{ROLES}level='series'\n{CUT}": "cuts series of which each step has an answer, but data.level is 'series'",
    f"{ROLES}observed=2\n{CUT}": "a window that begins later does not see the known start of its series",
    f"{ROLES}observed=2\n[[model]]\nname = 'hybrid'\npretrain = {{train = {{windows = {{length = 5}}}}}}\n": (
        "does not see the known start of its series"
    ),
    f"{ROLES}observed=2\n[train.patches]\nrows = 2\n[[model]]\nname = 'hybrid'\n": "each of these is a step of its own",
    f"{ROLES}observed=2\n[[model]]\nname = 'hybrid'\npretrain = {{train = {{patches = {{rows = 2}}}}}}\n": (
        "each of these is a step of its own"
    ),
    "extends = 'gone.toml'\n": "gone.toml does not exist, but a config extends it",
    "extends = '.'\n": "is a directory, but a config extends it",
    "extends = 'quickstart.toml'\n": "extends reaches one level only",
}


@pytest.mark.parametrize("text", BAD_CONFIGS)
def test_bad_configs(text: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "configs" / "bad.toml").write_text(text)
    assert BAD_CONFIGS[text] in refused(["train", "bad"], home, capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "unknown verb 'trian'. Did you mean 'train'?"),
        (["train", "quickstrat"], "unknown config 'quickstrat'. Did you mean 'quickstart'?"),
        (["train", "quickstart", "sample"], "takes [CONFIG] [key=value ...], but got 'sample' too"),
        (["train", "tune-quickstart"], "is no config, but a search: `./run.sh tune tune-quickstart` reads it"),
        (["train", "ablate-components"], "an ablation: `./run.sh ablate ablate-components` reads it"),
        (["train", "study-sequence"], "a study: `./run.sh study study-sequence` reads it"),
        (["train", "rides", "train.epochs", "3"], "'train.epochs 3' too. To set a key, write train.epochs=VALUE."),
        (["train", "rides", "other.toml"], "but got 'other.toml' too.\n"),
        (["train", "--train.epochs=3"], "a key of the config has no dashes: write train.epochs=VALUE, not --train.e"),
        (["train", "--forec"], "unknown option '--forec'. Did you mean '--force'?"),
        (["infer", "rides"], "There is no trained experiment 'rides'"),
        (["infer", "rides", "train.epochs=3"], "There is no trained experiment 'rides'"),
        (["infer", "rides+more"], "Run `./run.sh blend rides more` first."),
        (["submit", "rides+more"], "Run `./run.sh blend rides more` first."),
        (["simulate"], "needs one folder to write into"),
        (["simulate", "out", "breaths=0"], "breaths"),
        (["simulate", "out", "breath=3"], "unknown key 'breath'. Did you mean 'breaths'?"),
        (["simulate", "out", "breaths=many"], "takes key=value with a number"),
    ],
    ids=" ".join,
)
def test_bad_command_lines(
    words: list[str], message: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(words, home, capsys)

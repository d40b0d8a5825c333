"""Bad input gets one clear sentence and exit code 2 before anything is trained, and nothing is left half-written."""

from __future__ import annotations

import errno
import gzip
import re
import shutil
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import tiny

from foldline.cli.main import main
from foldline.core import files

Tables = dict[str, pl.DataFrame]


def refused(words: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused with exit code 2 and leave nothing; the one message it gives."""
    before = tiny.tree(home)
    assert main(words) == 2
    assert tiny.tree(home) == before
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def at_row(table: pl.DataFrame, column: str, row: int, value: object) -> pl.DataFrame:
    """The table with one value changed (as text, so that any value fits)."""
    values: list[str | None] = [str(item) for item in table[column].to_list()]
    values[row] = None if value is None else str(value)
    return table.with_columns(pl.Series(column, values))


def changed(stem: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Tables], Tables]:
    """A change of one of the tables."""
    return lambda tables: {**tables, stem: change(tables[stem])}


def with_train_series(tables: Tables) -> Tables:
    """The first training series is in the test table too."""
    shared = tables["train"].filter(pl.col("ride") == 3).drop("speed").with_columns(pl.col("row") + 10_000_000)
    test = pl.concat([tables["test"], shared])
    return {**tables, "test": test, "sample_submission": test.select("row", speed=pl.lit(0.0))}


BAD_TABLES: dict[str, tuple[Callable[[Tables], Tables], str]] = {
    "missing column": (changed("train", lambda t: t.drop("power")), "lacks a column that [data] names"),
    "misspelt column": (changed("train", lambda t: t.rename({"power": "powr"})), "Did you mean 'powr'?"),
    "missing column of test": (changed("test", lambda t: t.drop("bike")), "test.csv lacks a column"),
    "text in a number": (changed("train", lambda t: at_row(t, "power", 13, "strong")), "line 15: column 'power' must"),
    "inf in an input": (
        changed("train", lambda t: at_row(t, "power", 4, "inf")),
        "row 5 (row 1004): 'power' must be a finite number, but is inf; 1 such row. Write the right number, or leave",
    ),
    "null in the order": (
        changed("train", lambda t: at_row(t, "second", 4, None)),
        "row 5 (row 1004): 'second' must be a finite number, but is empty; 1 such row. Write it: only inputs may",
    ),
    "a condition on a missing input": (
        changed("test", lambda t: at_row(t, "coasting", 0, "NaN")),
        "is neither true nor false in 1 rows (first: row 1). Say what counts there, for instance by coalesce",
    ),
    "inf in the target": (
        changed("train", lambda t: at_row(t, "speed", 7, "inf")),
        "'speed' must be a finite number where the row is scored, but is inf; 1 such row. Fill it, leave",
    ),
    "null in the key": (
        changed("train", lambda t: at_row(t, "ride", 2, None)),
        "'ride' must have a value, but is empty; 1 such row.",
    ),
    "NaN in a static": (
        changed("train", lambda t: at_row(t, "bike", 2, "NaN").with_columns(pl.col("bike").cast(pl.Float64))),
        "'bike' is static, so it must be constant inside a series, but in ride 1 it changes from 20.0 to None",
    ),
    "duplicated id": (changed("train", lambda t: at_row(t, "row", 5, 1004)), "'row' must name each row once, but 1004"),
    "time goes back": (changed("train", lambda t: at_row(t, "second", 12, 0.2)), "in ride 2 it goes from 0.5 to 0.2"),
    "time stands still": (changed("train", lambda t: at_row(t, "second", 12, 0.5)), "'second' must increase inside"),
    "static changes": (changed("train", lambda t: at_row(t, "bike", 5, 99)), "in ride 1 it changes from 20 to 99"),
    "test series in train": (with_train_series, "must not be in the training data too, but 1 are (first: ride 3)"),
    "nothing scored": (changed("test", lambda t: t.with_columns(coasting=1)), "no row fulfils data.scored"),
    "sample of other rows": (
        changed("sample_submission", lambda t: t[:-1]),
        "but lacks 1 of them (first: row 501039).",
    ),
    "sample names another row": (
        changed("sample_submission", lambda t: at_row(t, "row", 39, 7)),
        "but lacks 1 of them (first: row 501039) and names 1 that are not there (first: row 7). Take both files",
    ),
    "sample repeats a row": (
        changed("sample_submission", lambda t: at_row(t, "row", 1, 501000)),
        "but lacks 1 of them (first: row 501001) and names row 501000 more than once.",
    ),
    "sample without a target": (changed("sample_submission", lambda t: t.drop("speed")), "sample_submission.csv lacks"),
    "sample with a column of nobody": (
        changed("sample_submission", lambda t: t.with_columns(odd=1)),
        "must have the columns row, speed, but has row, speed, odd",
    ),
    "no training table": (lambda tables: {k: v for k, v in tables.items() if k != "train"}, "no train with one of"),
    "header only": (changed("train", lambda t: t.clear()), "train.csv has a header but no rows"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_bad_tables(what: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, message = BAD_TABLES[what]
    tiny.install(home, tiny.write(tmp_path / "rides", change(tiny.frames())))
    assert message in refused(["train", "rides"], home, capsys)


def cut(path: Path, pack: Callable[[Path, bytes], None]) -> None:
    """Pack train.csv, and cut the packed file in the middle."""
    plain = path / "train.csv"
    packed = path / "packed"
    pack(packed, plain.read_bytes())
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    plain.unlink()


def zipped(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", content)


def gzipped(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content))


def truncated_zip(source: Path) -> None:
    cut(source, zipped)
    (source / "packed").rename(source / "train.csv.zip")


def truncated_gz(source: Path) -> None:
    cut(source, gzipped)
    (source / "packed").rename(source / "train.csv.gz")


def zip_of_two(source: Path) -> None:
    with zipfile.ZipFile(source / "train.csv.zip", "w") as archive:
        archive.write(source / "train.csv", "a.csv")
        archive.write(source / "train.csv", "b.csv")
    (source / "train.csv").unlink()


def directory(source: Path) -> None:
    (source / "train.csv").unlink()
    (source / "train.csv").mkdir()


def separated_by(sign: str) -> Callable[[Path], object]:
    """train.csv as a spreadsheet may write it."""
    return lambda source: tiny.frames()["train"].write_csv(source / "train.csv", separator=sign)


def doubled(source: Path) -> None:
    """train.csv has a second column called speed."""
    lines = (source / "train.csv").read_text().splitlines()
    rows = [f"{line},{'speed' if number == 0 else number}\n" for number, line in enumerate(lines)]
    (source / "train.csv").write_text("".join(rows))


def damaged_gzip(source: Path) -> None:
    """sample_submission.csv.gz, whose packed bytes are damaged."""
    raw = bytearray(gzip.compress((source / "sample_submission.csv").read_bytes()))
    raw[12:40] = b"\xff" * 28
    (source / "sample_submission.csv").unlink()
    (source / "sample_submission.csv.gz").write_bytes(raw)


def link_to_nothing(source: Path) -> None:
    (source / "train.csv").unlink()
    (source / "train.csv").symlink_to("elsewhere.csv")


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "two columns of one name": (doubled, "train.csv has more than one column called 'speed'. Rename all but one"),
    "damaged gzip": (damaged_gzip, "sample_submission.csv.gz is damaged or cut short"),
    "link to nothing": (link_to_nothing, "train.csv is a link to elsewhere.csv, which is not there"),
    "empty file": (lambda source: (source / "train.csv").write_text(""), "train.csv is empty: it needs a header"),
    "truncated zip": (truncated_zip, "train.csv.zip is damaged or cut short"),
    "truncated gz": (truncated_gz, "train.csv.gz is damaged or cut short"),
    "zip of two files": (zip_of_two, "train.csv.zip must hold one file, but holds 2: a.csv, b.csv"),
    "directory": (directory, "train.csv is a directory, but a file is needed"),
    "no Parquet": (
        lambda source: (source / "train.csv").rename(source / "train.parquet"),
        "train.parquet is no readable Parquet",
    ),
    "semicolons": (
        separated_by(";"),
        "train.csv seems to be separated by ';', but columns must be separated by ','. Write it again, for instance "
        "by polars: `pl.read_csv(FILE, separator=';')",
    ),
    "tabs": (separated_by("\t"), "train.csv seems to be separated by '\\t'"),
    "binary": (lambda source: (source / "train.csv").write_bytes(b"\x80\xff\x00,\xfe\n\x93\n"), "train.csv"),
    "broken line": (
        lambda source: (source / "train.csv").write_text((source / "train.csv").read_text() + "1,2,3,4,5,6,7,8,9\n"),
        "train.csv is no readable CSV",
    ),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_bad_files(what: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, message = BAD_FILES[what]
    spoil(rides)
    assert message in refused(["train", "rides"], home, capsys)


def test_a_source_that_is_not_there_or_no_folder(
    rides: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = f"nowhere does not exist (looked for at {tmp_path / 'nowhere'}: relative paths start at the folder"
    assert message in refused(["train", "rides", "data.source=nowhere"], home, capsys)
    alone = f"data.source={rides / 'train.csv'}"
    assert "is a file, but a folder or a .zip is needed" in refused(["train", "rides", alone], home, capsys)
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    assert "cut.zip is damaged or cut short" in refused(["train", "rides", "data.source=cut.zip"], home, capsys)


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
    "train.precision=fp8": "train.precision must be one of 'auto', 'fp32', 'bf16', 'fp16', but is 'fp8'",
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
    'model.0.teacher={of = ["x"], weight = 0}': "teacher: weight must be above 0 and at most 1, but is 0.0",
    'model.0.teacher={of = ["x"], weight = 2}': "teacher: weight must be above 0 and at most 1, but is 2.0",
    "model.0.teacher.off=[]": "teacher: unknown key 'off'. Did you mean 'of'?",
    'model.1.teacher={of = ["hybrid"]}': "lightgbm learns from its fold's rows only; leave out teacher and pretrain",
    "model.1.pretrain={}": "lightgbm learns from its fold's rows only; leave out teacher and pretrain",
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
    "data.target=[]": "target and inputs must each name at least one column",
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
BAD_CONFIGS = {
    "[data\n": "is no valid TOML",
    "[[model]]\nname = 'hybrid'\n": "the table [data] must be given",
    ROLES: "at least one [[model]] must be given",
    "[data]\nid='a'\n[[model]]\nname = 'hybrid'\n": "data: key, order, target, inputs must be given",
    f"{ROLES}[model]\nname = 'hybrid'\n": "write [[model]], with two brackets",
    "data = 3\n[[model]]\nname = 'hybrid'\n": "data must be a table, but is 3 (int)",
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


def test_the_folds_of_other_data_are_refused(rides: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("folds", "rides")
    capsys.readouterr()
    tiny.write(rides, tiny.frames(train_series=14))
    message = refused(["train", "rides"], home, capsys)
    assert "was made for other data: 2 series" in message
    assert f"Rebuild it with `./run.sh folds rides data.source={rides} --force`, or name" in message


def test_a_disk_that_is_too_small_is_refused_before_training(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 0))
    message = refused(["train", "rides"], home, capsys)
    assert re.search(r"train.csv needs about \d+\.\d KiB, but 0 bytes are free", message)


def test_a_disk_that_fills_up_ends_in_one_message_and_the_same_command_goes_on(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, array: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_array", full)
        assert main(["train", "rides"]) == 2
    err = capsys.readouterr().err
    assert "No space is left on the disk" in err and "Traceback" not in err
    left = tiny.tree(home / "runs")
    assert not any("done.json" in name or "meta.json" in name or "experiment.json" in name for name in left)
    tiny.run("train", "rides")


@pytest.mark.parametrize("value", [1e308, 1e30])
@pytest.mark.parametrize("stem", ["train", "test"])
def test_an_extreme_input_is_refused_before_training_and_leaves_no_fold_file(
    stem: str, value: float, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tiny.frames()
    spoilt = {**tables, stem: at_row(tables[stem], "power", 13, value)}
    tiny.write(rides, spoilt)
    assert main(["train", "rides"]) == 2
    assert "A feature must be finite in float32, and so must its square (below 1.8e+19)" in capsys.readouterr().err
    assert not list(home.rglob("folds/*")) and not list(home.rglob("cells/*"))
    if stem == "train":  # as the message says, that series is dropped
        tiny.write(rides, {**spoilt, stem: tables[stem].filter(pl.col("ride") != 2)})
        tiny.run("train", "rides", "--dry-run")


@pytest.mark.parametrize(
    ("objective", "speed", "message"),
    [
        ("poisson", pl.col("speed") - 100, "objective = 'poisson' needs targets not below 0, nor all 0, but 'speed' g"),
        ("tweedie", pl.col("speed") * 0, "'speed' goes from 0 to 0 outside fold 0"),
        ("gamma", pl.col("speed").clip(0.0, 1.0) - 0.5, "objective = 'gamma' needs targets above 0, but"),
        (
            "rmspe",
            (pl.col("speed") > 1) * 1.0,
            "objective = 'rmspe' needs targets other than 0, but 'speed' goes from 0",
        ),
        ("gamma", pl.col("speed") * 0 + 1e-60, "objective = 'gamma' needs targets above 0"),
        (
            "l1",
            pl.col("speed") * 1e39,
            "LightGBM keeps targets in float32, whose largest number is 3.4e38, but 'speed'",
        ),
    ],
)
def test_targets_that_an_objective_does_not_allow(
    objective: str, speed: pl.Expr, message: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tiny.frames()
    tiny.write(rides, {**tables, "train": tables["train"].with_columns(speed=speed)})
    assert message in refused(["train", "rides", f"model.1.objective={objective}"], home, capsys)


def test_targets_above_0_are_fine_for_every_objective(rides: Path) -> None:
    tables = tiny.frames()
    tiny.write(rides, {**tables, "train": tables["train"].with_columns(speed=pl.col("speed") + 1.0)})
    for objective in ("poisson", "tweedie", "gamma"):
        tiny.run("train", "rides", f"model.1.objective={objective}", "--dry-run")


def test_debug_shows_the_traceback_and_keeps_the_exit_code(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nosuch", "--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err and "unknown config 'nosuch'" in err

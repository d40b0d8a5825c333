"""competition.py: what each function must be, what its text feeds, and three files of real competitions' layouts."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import tiny

from foldline.core.errors import UserError
from foldline.data import assemble, competition_file, featurize, loading
from foldline.data.featurize import FeaturesConfig
from foldline.data.roles import DataConfig

EXAMPLES = Path(__file__).parent / "competition_files"
FEATURES = """
import polars as pl
from foldline.features.family import SERIES


def tables(folder):
    return {}


def features(columns):
    return [pl.col(columns.inputs[0]).mean().over(SERIES).alias("mean")]


@staticmethod
def submission(predictions, folder):
    return predictions
"""


def written(folder: Path, text: str) -> Path:
    (folder / "competition.py").write_text(text)
    return folder / "competition.py"


def roles(code: Path, source: Path, **more: object) -> DataConfig:
    """The roles of the rides, with a competition.py."""
    given = {"id": "row", "key": "ride", "order": "second", "target": ("speed",), "inputs": ("power",)}
    named = {"source": str(source), "code": code.name, "code_folder": str(code.parent)}
    return DataConfig(**(given | named | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def tables(folder):\n    return 1 +\n", "line 2: the file raised SyntaxError"),
        ("import no_such_package\n", "line 1: the file raised ModuleNotFoundError: No module named 'no_such_package'"),
        ("x = 1\n", "must have one of the functions tables, features, submission, but has none of them"),
        ("def table(folder): ...\n", "a function 'table', which nothing calls. Did you mean 'tables'?"),
        ("raise SystemExit('no')\n", "line 1: the file raised SystemExit: no"),
    ],
)
def test_a_file_that_can_not_be_used_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        competition_file.load(written(tmp_path, text))
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("    return folder.no_such_thing", "line 2: tables() raised AttributeError"),
        ("    return []", "tables() must return a dict with some of train, test, sample_submission, but returned []"),
        ("    return {'trian': 1}", "but returned trian"),
        ("    return {'train': 1}", "polars frames, lazy or not, but 'train' is a int"),
        ("    import polars as pl; return {'train': pl.DataFrame({'ride': [1]})}", "train lacks a column that [data]"),
        (
            "    import polars as pl; return {'train': pl.LazyFrame().select('u')}",
            "the table 'train' of tables() raised",
        ),
        ("    raise ValueError('a\\nb')", "line 2: tables() raised ValueError: a b. Correct it there."),
    ],
)
def test_tables_that_can_not_be_used_are_refused(body: str, message: str, tmp_path: Path) -> None:
    data = roles(written(tmp_path, f"def tables(folder):\n{body}\n"), tmp_path)
    with pytest.raises(UserError) as error:
        loading.load_table(assemble.source_of(data, tmp_path, "train"), data, labelled=True)
    assert message in str(error.value) and str(tmp_path / "competition.py") in str(error.value)


def test_tables_is_called_once_a_load(tmp_path: Path) -> None:
    tiny.write(tmp_path, tiny.frames())
    text = """
import polars as pl
CALLS = []

def tables(folder):
    CALLS.append(folder)
    return {name: pl.scan_csv(folder / f"{name}.csv") for name in ("train", "test", "sample_submission")}
"""
    code = written(tmp_path, text)
    loading.load(roles(code, tmp_path))
    assert [tmp_path] == competition_file.load(code).module.CALLS


def test_rows_out_of_order_are_blamed_on_the_frame_that_tables_returns(tmp_path: Path) -> None:
    tiny.write(tmp_path, tiny.frames())
    text = "import polars as pl\ndef tables(folder):\n    train = pl.scan_csv(folder / 'train.csv')\n"
    code = written(tmp_path, text + "    return {'train': train.reverse()}\n")
    with pytest.raises(UserError, match=r"must increase .* Sort the frame that tables\(\) returns: lazy joins"):
        loading.load(roles(code, tmp_path))


def test_tables_needs_a_folder(tmp_path: Path) -> None:
    data = roles(written(tmp_path, "def tables(folder): return {}\n"), tmp_path / "data.zip")
    (tmp_path / "data.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"tables\(\) needs a folder as data.source, .* Unpack it first"):
        assemble.source_of(data, tmp_path / "data.zip", "train")


def test_the_text_of_features_is_without_the_other_functions(tmp_path: Path) -> None:
    path = written(tmp_path, FEATURES)
    text = competition_file.load(path).text_of_features
    assert "def features" in text and "from foldline.features.family import SERIES" in text
    assert "tables" not in text and "submission" not in text and "staticmethod" not in text
    pages = "'''a\f\fb'''\n" + FEATURES  # a form feed ends no line
    assert competition_file.load(written(tmp_path, pages)).text_of_features == f"'''a\f\fb'''\n{text}"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [("return {}", "return {'a': 1}", True), ("return predictions", "return None", True), ("mean()", "max()", False)],
)
def test_only_what_features_depend_on_is_in_their_key(old: str, new: str, same: bool, tmp_path: Path) -> None:
    config = FeaturesConfig(families=("raw", "competition"), competition_file=str(written(tmp_path, FEATURES)))
    before = config.weights_depend_on()
    written(tmp_path, FEATURES.replace(old, new))
    assert (config.weights_depend_on() == before) is same


def checked(tmp_path: Path, expression: str) -> None:
    """Check features() that returns `expression`."""
    head = "import polars as pl\nfrom foldline.features.family import shifted\n\n\n"
    path = written(tmp_path, f"{head}def features(columns):\n    return {expression}\n")
    data = roles(path, tiny.write(tmp_path / "rides", tiny.frames()))
    table = loading.load_table(assemble.source_of(data, Path(data.source), "train"), data, labelled=True)
    config = FeaturesConfig(families=("competition",), competition_file=str(path))
    featurize.check(table, config, {})
    assert list(featurize.obtain(table, config, {}).names) == ["f"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("pl.col('power')", "features() must return a list of polars expressions"),
        ("[pl.col('power').alias('f'), pl.col('second').alias('f')]", "2 are called 'f'"),
        ("[pl.col('pwr').alias('f')]", "a feature of features() raised ColumnNotFoundError"),
        ("[pl.col('power').cast(pl.String).alias('f')]", "the feature 'f' must be numbers, but is String"),
        ("[pl.col('power').mean().alias('f')]", "must depend on its own series only, but in ride 1"),
        ("[pl.col('power').shift(1).fill_null(0).alias('f')]", "must depend on its own series only, but in ride 2"),
    ],
)
def test_features_that_can_not_be_used_are_refused(home: Path, expression: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        checked(tmp_path, expression)
    assert message in str(error.value)


def test_features_that_fail_on_later_series_are_refused(home: Path, tmp_path: Path) -> None:
    code = "pl.when(pl.col('ride') > 8).then(pl.lit('x')).otherwise(pl.lit('1')).cast(pl.Float64).alias('f')"
    with pytest.raises(UserError, match=r"competition.py: a feature of features\(\) raised InvalidOperationError"):
        checked(tmp_path, f"[{code}]")


def test_features_are_a_family_like_others(home: Path, tmp_path: Path) -> None:
    checked(tmp_path, "[shifted(pl.col('power'), 1).alias('f')]")


def example(name: str, source: Path, part: str, **more: object) -> assemble.Source:
    return assemble.source_of(roles(EXAMPLES / f"{name}.py", source, **more), source, part)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 30


def test_the_page_has_the_examples_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "layouts.md").read_text()
    assert all(path.read_text() in page for path in EXAMPLES.glob("*.py"))


def test_openvaccine(tmp_path: Path) -> None:
    line = {"id": "id_1", "sequence": "GGA", "structure": ".(.", "predicted_loop_type": "EHE", "signal_to_noise": 6.5}
    answers = ["reactivity", "deg_Mg_pH10", "deg_Mg_50C", "deg_pH10", "deg_50C"]
    (tmp_path / "train.json").write_text(json.dumps({**line, **{name: [0.5, 1.0] for name in answers}}) + "\n")
    (tmp_path / "test.json").write_text(
        json.dumps({**line, "id": "id_9", "sequence": "UACG", "structure": "....", "predicted_loop_type": "EEEE"})
        + "\n"
    )
    data = roles(
        EXAMPLES / "openvaccine.py",
        tmp_path,
        id="id_seqpos",
        key="id",
        order="position",
        target=tuple(answers),
        inputs=("A", "C", "G", "U"),
        scored="position < 2",
    )
    train = loading.load_table(assemble.source_of(data, tmp_path, "train"), data, labelled=True)
    assert train.frame["id_seqpos"].to_list() == ["id_1_0", "id_1_1", "id_1_2"]
    assert train.scored.tolist() == [True, True, False] and train.frame["G"].to_list() == [1.0, 1.0, 0.0]
    test = loading.load_table(assemble.source_of(data, tmp_path, "test"), data, labelled=False)
    assert test.lengths.tolist() == [4] and test.frame["U"].to_list() == [1.0, 0.0, 0.0, 0.0]


def test_gait(tmp_path: Path) -> None:
    for part, walk in (("train", "007ab"), ("test", "ff12")):
        (tmp_path / part).mkdir()
        frame = pl.DataFrame({"Time": range(300), "AccV": [3.0] * 300, "AccML": [4.0] * 300, "AccAP": [0.0] * 300})
        frame.write_csv(tmp_path / part / f"{walk}.csv")
    (tmp_path / "events.csv").write_text("Id,Init,Completion,Type,Kinetic\n007ab,0.5,1.0,Turn,1.0\n007ab,2.0,,Turn,1\n")
    wanted = {"Row": None, "Turn": pl.Float64(), "Walking": pl.Float64()}
    rows = example("gait", tmp_path, "train").read(wanted).frame  # type: ignore[arg-type]
    assert rows["Turn"].sum() == 65  # samples 64 to 128; an event without an end labels nothing
    assert rows.row(64) == ("007ab_64", 1.0, 0.0) and rows.row(128)[1] == 1.0 and rows.row(129)[1] == 0.0
    assert example("gait", tmp_path, "test").read({"Row": None}).frame["Row"][0] == "ff12_0"


def test_web_traffic(tmp_path: Path) -> None:
    (tmp_path / "train_1.csv").write_text("Page,2016-12-30,2016-12-31\nA_en.wikipedia.org,5,\nB_x,0,7\n")
    (tmp_path / "key_1.csv").write_text("Page,Id\nB_x_2017-01-01,k1\nA_en.wikipedia.org_2017-01-01,k2\n")
    wanted = {"Page": None, "day": pl.Float64(), "weekday": pl.Float64(), "Visits": pl.Float64()}
    train = example("web_traffic", tmp_path, "train").read(wanted).frame.sort("Page", "day")  # type: ignore[arg-type]
    assert train["Visits"].to_list() == [5.0, None, 0.0, 7.0] and train["weekday"].to_list() == [5.0, 6.0, 5.0, 6.0]
    test = example("web_traffic", tmp_path, "test").read({"Page": None, "row": None, "day": pl.Float64()}).frame
    assert test["Page"].to_list() == ["B_x", "A_en.wikipedia.org"] and test["day"][0] == train["day"][1] + 1
    predictions = test.select("Page", "day", "row").reverse().with_columns(Visits=pl.Series([3.0, 4.0]))
    code = competition_file.load(EXAMPLES / "web_traffic.py")
    assert code.call("submission", predictions, tmp_path).rows() == [("k1", 4.0), ("k2", 3.0)]

"""The competition's own metric file: what it is given, what it may do, and each way in which it is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import slow_references as slow

from foldline.core.errors import UserError
from foldline.data.metrics import (
    FileChoice,
    KaggleFile,
    NotScorable,
    chosen_file,
    frames,
    from_file,
    kaggle_file,
    score_interval,
)
from foldline.data.metrics.kaggle_utilities import ParticipantVisibleError

pandas = pytest.importorskip("pandas")  # the extra `metric`

FILES = Path(__file__).parent / "metric_files"
HEAD = "def score(solution, submission, row_id_column_name):\n"
TRUTH = pl.DataFrame({"id": [1, 2, 3], "y": [1.0, 0.0, 1.0]})


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """No module of a metric file stays in sys.modules."""
    yield
    assert [name for name in sys.modules if "_foldline_metric" in name or name == "kaggle_metric_utilities"] == []


def written(folder: Path, text: str, name: str = "metric.py", **given: Any) -> KaggleFile:
    """A metric file of that text, loaded; higher is better unless given."""
    (folder / name).write_text(text)
    return from_file(folder / name, **{"higher_is_better": True, **given})


def slow_default_rate(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Half Gini by Gini of the truth itself, half the share of defaults within 4 % of the weight: row after row."""
    total, defaults = sum(1 if t else 20 for t in truth), sum(truth)

    def gini(order: list[int]) -> float:
        before, found, area = 0, 0, 0.0
        for row in order:
            weight = 1 if truth[row] else 20
            before, found = before + weight, found + truth[row]
            area += (found / defaults - before / total) * weight
        return area

    order, before, top = sorted(range(len(truth)), key=lambda row: -prediction[row]), 0, 0
    for row in order:
        before += 1 if truth[row] else 20
        top += truth[row] if before <= int(0.04 * total) else 0
    best = sorted(range(len(truth)), key=lambda row: -truth[row])
    return float(0.5 * (gini(order) / gini(best) + top / defaults))


def test_a_ranking_metric_that_deletes_in_place() -> None:
    file, rng = from_file(FILES / "default_rate.py", higher_is_better=True), np.random.default_rng(0)
    truth = (rng.random((500, 1)) < 0.3).astype(np.int64)
    prediction = truth + rng.normal(size=truth.shape)
    solution, submission = frames(np.arange(500), truth, prediction, ["default"], "customer")
    found = file.score(solution, submission, "customer")
    assert found == file.score(solution, submission, "customer")  # its `del` was of copies
    assert solution.columns == ["customer", "default"] and 0 < found < 1
    assert found == pytest.approx(slow_default_rate(truth[:, 0], prediction[:, 0]), rel=1e-12)
    assert file.check_doctests() == 5


def test_a_hierarchical_metric_of_texts() -> None:
    file = from_file(FILES / "two_levels.py", higher_is_better=True)
    true = np.array([["scratch"], ["scratch"], ["pinch"], ["wave"], ["drink"]])
    said = np.array([["scratch"], ["wave"], ["pinch"], ["pinch"], ["wave"]])
    macro = (2 / 3 + 2 / 3 + 1 / 2) / 3  # scratch 1 of (1, 2), pinch 1 of (2, 1), the rest 1 of (2, 2)
    assert file.score(*frames([5, 6, 7, 8, 9], true, said, ["gesture"], "id"), "id") == pytest.approx(
        0.5 * 2 / 3 + 0.5 * macro
    )
    categories = pl.DataFrame({"id": [5, 6], "gesture": ["scratch", "wave"]}).cast({"gesture": pl.Categorical})
    assert file.score(categories, categories, "id") == 0.5 + 0.5  # texts, as from a CSV
    said[0, 0] = "wink"
    with pytest.raises(NotScorable, match=r"two_levels\.py: the metric refuses this: Unknown gestures: \['wink'\]\.$"):
        file.score(*frames([5, 6, 7, 8, 9], true, said, ["gesture"], "id"), "id")
    assert file.check_doctests() == 3


def test_a_metric_with_a_weight_and_kaggles_utilities() -> None:
    file = from_file(FILES / "weighted_r2.py", higher_is_better=True, arguments={"weight_column_name": "w"})
    rng = np.random.default_rng(0)
    truth, weight = rng.normal(size=(50, 2)), rng.random(50)
    prediction = truth + rng.normal(size=truth.shape)
    solution, submission = frames(np.arange(50), truth, prediction, ["a", "b"], "row", pl.DataFrame({"w": weight}))
    expected = slow.explained(truth, prediction, weight, zero_mean=True)
    assert file.score(solution, submission, "row") == pytest.approx(expected, rel=1e-12)
    other = solution.select("w", "b", "row", "a").with_columns(Usage=pl.lit("Public")).reverse()
    mixed = submission.sample(fraction=1.0, shuffle=True, seed=1).select("a", "row", "b")
    assert file.score(other, mixed, "row") == pytest.approx(expected, rel=1e-12)
    assert file.check_doctests() == 3


SPY = HEAD + (
    "    assert type(solution.index).__name__ == type(submission.index).__name__ == 'RangeIndex'\n"
    "    assert list(solution.columns) == ['id', 'b', 'a', 'group'] and list(submission.columns) == ['id', 'b', 'a']\n"
    "    assert solution['id'].tolist() == submission['id'].tolist() == [3, 1, 2]\n"
    "    assert [str(kind) for kind in solution.dtypes[:3]] == ['int64', 'bool', 'float64']\n"
    "    solution['a'] /= 2\n"
    "    submission.loc[:, 'a'] = submission['a'].values * 2\n"
    "    del solution[row_id_column_name], submission[row_id_column_name]\n"
    "    return float(submission['a'].sum())\n"
)


def test_frames_are_laid_out_as_kaggle_does(tmp_path: Path) -> None:
    """Row id first, the submission's columns, then others; the solution's rows; CSV's types; no Usage; copies."""
    solution = pl.DataFrame(
        {"Usage": ["Public"] * 3, "a": [1.0, 2.0, 3.0], "group": ["x", "y", "x"], "b": [True] * 3, "id": [3, 1, 2]},
        schema_overrides={"a": pl.Float32, "id": pl.Int16},
    )
    submission = pl.DataFrame({"b": [False] * 3, "id": [1, 2, 3], "a": [10.0, 20.0, 30.0]})
    before = solution.clone(), submission.clone()
    assert written(tmp_path, SPY).score(solution, submission, "id") == 120.0
    assert solution.equals(before[0]) and submission.equals(before[1])
    assert [path.name for path in tmp_path.iterdir()] == ["metric.py"]  # no byte code beside it


@pytest.mark.parametrize(
    ("solution", "submission", "message"),
    [
        ({"y": [1.0]}, {"id": [1], "y": [1.0]}, "the solution has no column 'id'"),
        ({"id": [1], "y": [1.0]}, {"y": [1.0]}, "the submission has no column 'id'"),
        ({"id": [1], "y": [1.0]}, {"id": [1], "z": [1.0]}, "the solution lacks columns of the submission: z"),
        ({"id": [1, 1], "y": [1.0, 2.0]}, {"id": [1, 2], "y": [1.0, 2.0]}, "solution, but id 1 stands there twice"),
        ({"id": [1, 2], "y": [1.0, 2.0]}, {"id": [1, 3], "y": [1.0, 2.0]}, "submission lacks 2, and the solution 3"),
        ({"id": [1, 2], "y": [1.0, 2.0]}, {"id": [1], "y": [1.0]}, "the submission lacks 2, and the solution nothing"),
        (
            {"id": [1], "y": [1.0]},
            {"id": ["1"], "y": [1.0]},
            "id is Int64 in the solution and String in the submission",
        ),
        ({"id": [1], "y": [None]}, {"id": [1], "y": [1.0]}, "a solution has a value everywhere, but column y has none"),
        ({"id": [1], "y": [1.0]}, {"id": [1], "y": [float("nan")]}, "a submission has .* none in 1 of 1 rows"),
    ],
)
def test_frames_that_do_not_belong_together(
    tmp_path: Path, solution: dict[str, Any], submission: dict[str, Any], message: str
) -> None:
    file = written(tmp_path, HEAD + "    return 1.0\n")
    with pytest.raises(UserError, match=message):
        file.score(pl.DataFrame(solution), pl.DataFrame(submission), "id")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("return float('nan')", NotScorable, "must return a finite number, but returned nan"),
        ("return float('inf')", NotScorable, "must return a finite number, but returned inf"),
        ("return None", UserError, "must return one number, but returned None"),
        ("return True", UserError, "must return one number, but returned True"),
        ("return 'high'", UserError, "must return one number, but returned 'high'"),
        ("return [1.0]", UserError, "must return one number"),
        ("return 1 / 0", NotScorable, r"the metric file raised ZeroDivisionError: division by zero\.$"),
        ("raise ValueError('one\\n  two.')", NotScorable, r"the metric file raised ValueError: one two\.$"),
        ("raise HostVisibleError('secret')", NotScorable, "the metric file raised HostVisibleError: secret"),
        ("raise ParticipantVisibleError('No.')", NotScorable, r"metric\.py: the metric refuses this: No\.$"),
        (
            "import kaggle_metric_utilities as u\n    raise u.ParticipantVisibleError('No')",
            NotScorable,
            "refuses this: No",
        ),
        ("raise SystemExit(3)", NotScorable, r"raised SystemExit: 3\.$"),
        ("raise AssertionError", NotScorable, r"raised AssertionError\.$"),
    ],
)
def test_what_a_file_returns_or_raises_is_one_sentence(tmp_path: Path, body: str, kind: type, message: str) -> None:
    classes = "class ParticipantVisibleError(Exception): pass\nclass HostVisibleError(Exception): pass\n"
    file = written(tmp_path, f"{classes}{HEAD}    {body}\n")
    with pytest.raises(kind, match=message) as caught:
        file.score(TRUTH, TRUTH, "id")
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    for text in ("numpy.float32(0.5)", "numpy.int64(3)", "numpy.float64(0.25)", "2"):
        found = written(tmp_path, f"import numpy\n{HEAD}    return {text}\n").score(TRUTH, TRUTH, "id")
        assert type(found) is float and found == eval(text, {"numpy": np})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def score(:", r"can't be loaded: SyntaxError"),
        ("import lifelines_of_nobody", "can't be loaded: ModuleNotFoundError: No module named 'lifelines_of_nobody'"),
        ("raise RuntimeError('no')", "can't be loaded: RuntimeError: no"),
        ("x = 1", r"defines a function score\(solution, submission, row_id_column_name, \.\.\.\), but .* none"),
        ("def score(y_true, y_pred): return 1.0", r"but this one defines score\(y_true, y_pred\)"),
        ("def score(submission, solution, row_id_column_name): return 1.0", r"defines score\(submission, solution"),
        ("def score(solution, submission, tolerances, series_id_column_name): return 1.0", "but this one defines"),
        ("def score(solution, submission, row_id_column_name, beta: float): return beta", "needs the argument 'beta'"),
    ],
)
def test_files_that_are_refused_before_training(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        written(tmp_path, text + "\n")


def test_arguments_are_those_of_the_file(tmp_path: Path) -> None:
    text = "def score(solution, submission, row_id_column_name, beta: float = 1.0, *, top=3): return beta * top\n"
    assert written(tmp_path, text, arguments={"beta": 2.0}).score(TRUTH, TRUTH, "id") == 6.0
    with pytest.raises(UserError, match=r"metric_arguments: unknown argument 'betta'\. Did you mean 'beta'"):
        written(tmp_path, text, arguments={"betta": 2.0})
    with pytest.raises(UserError, match="unknown argument 'solution'"):
        written(tmp_path, text, arguments={"solution": 2.0})
    anything = "def score(solution, submission, row_id_column_name, **more): return more['x']\n"
    assert written(tmp_path, anything, arguments={"x": 5}).score(TRUTH, TRUTH, "id") == 5.0


def test_the_direction_is_said_once(tmp_path: Path) -> None:
    text = HEAD + "    return 1.0\n"
    with pytest.raises(UserError, match=r"nothing says whether a higher score is better: set data\.higher_is_better"):
        written(tmp_path, text, higher_is_better=None)
    low = written(tmp_path, "higher_is_better = False\n" + text, higher_is_better=None)
    assert not low.higher_is_better and low.is_better(1.0, 2.0) and low.cost(1.0) == 1.0
    high = written(tmp_path, text)
    assert high.is_better(2.0, 1.0) and high.cost(1.0) == -1.0 and not high.is_better(float("nan"), 1.0)
    with pytest.raises(UserError, match=r"says higher_is_better = False, but data\.higher_is_better is True"):
        written(tmp_path, "higher_is_better = False\n" + text)


def test_no_file_no_text_no_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"metric\.py is no file that ends in \.py: give the competition's metric file"):
        from_file(tmp_path / "metric.py", higher_is_better=True)
    (tmp_path / "metric.py").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="a metric file is a text in UTF-8"):
        from_file(tmp_path / "metric.py", higher_is_better=True)
    monkeypatch.setattr(kaggle_file.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pandas, which is not installed here: set FOLDLINE_EXTRAS=metric"):
        from_file(FILES / "default_rate.py", higher_is_better=True)


def test_the_file_finds_itself_and_the_utilities_beside_it(tmp_path: Path) -> None:
    """Classes of dataclasses look their module up; a real utility script is taken before ours."""
    (tmp_path / "kaggle_metric_utilities.py").write_text("answer = 42\n")
    text = (
        "from __future__ import annotations\nimport dataclasses\nfrom typing import ClassVar\n"
        "import kaggle_metric_utilities\n"
        "@dataclasses.dataclass\nclass Event:\n    at: ClassVar[int] = 1\n    x: int = 0\n"
        "if __name__ == '__main__':\n    raise RuntimeError\n" + HEAD + "    import kaggle_metric_utilities as again\n"
        "    return float(kaggle_metric_utilities.answer + again.answer + Event().x)\n"
    )
    assert written(tmp_path, text).score(TRUTH, TRUTH, "id") == 84.0


def test_the_key_holds_the_utilities_beside_the_file(tmp_path: Path) -> None:
    text = f"import kaggle_metric_utilities as own\n{HEAD}    return own.answer\n"
    alone = written(tmp_path, f"{HEAD}    return 1.0\n").key()
    keys = []
    for answer in (1.0, 2.0):
        (tmp_path / "kaggle_metric_utilities.py").write_text(f"answer = {answer}\n")
        keys.append(written(tmp_path, text).key())
    assert keys[0] != keys[1] and "utilities" not in alone  # without any, older keys stay as they are


def test_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    files = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        files.append(written(tmp_path / str(number), f"state = {number}\n{HEAD}    return float(state)\n"))
    assert [file.score(TRUTH, TRUTH, "id") for file in files] == [1.0, 2.0]


def test_doctests_compare_numbers_and_names(tmp_path: Path) -> None:
    good = (
        "import numpy as np\nclass ParticipantVisibleError(Exception): pass\n"
        f"{HEAD}    '''\n    >>> np.float64(1) / 3\n    0.3333333333333333\n"
        "    >>> raise ParticipantVisibleError('no')\n    Traceback (most recent call last):\n"
        "    ParticipantVisibleError: no\n    '''\n    return 1.0\n"
    )
    assert written(tmp_path, good).check_doctests() == 2
    with pytest.raises(UserError, match=r"1 of 2 examples in its docstrings fail under pandas .*'0\.4', but gives '"):
        written(tmp_path, good.replace("0.3333333333333333", "0.4")).check_doctests()
    with pytest.raises(UserError, match="but raises ParticipantVisibleError: yes"):
        written(
            tmp_path,
            good.replace("    Traceback (most recent call last):\n    Part", "    Part").replace(
                "Error('no')", "Error('yes')"
            ),
        ).check_doctests()
    assert written(tmp_path, HEAD + "    return 1.0\n").check_doctests() == 0


def test_as_a_metric_it_has_intervals_and_refuses_weights(tmp_path: Path) -> None:
    text = (
        "from sklearn.metrics import roc_auc_score\n"
        + HEAD
        + "    return roc_auc_score(solution['y'], submission['y'])\n"
    )
    file = written(tmp_path, "import warnings\nwarnings.simplefilter('error')\n" + text)
    rng = np.random.default_rng(0)
    truth = (rng.random((40, 1)) < 0.5).astype(np.float64)
    prediction = truth + rng.normal(size=truth.shape)

    def build(y: np.ndarray, p: np.ndarray, weight: Any, groups: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
        return frames(np.arange(len(y)), y, p, ["y"], "id")

    chosen = file.as_metric(build, "id", kinds=("binary",), needs="ranks", trained_by="bce")
    score = chosen(truth, prediction)
    assert score == pytest.approx(slow.auc(truth, prediction, np.ones(40)), rel=1e-12) and chosen.higher_is_better
    found = score_interval(chosen, truth, prediction, np.arange(40) // 10)
    assert found.low <= score <= found.high and found.resamples == 1000
    with pytest.raises(UserError, match=r"metric\.py has no weights of answers"):
        chosen(truth, prediction, np.ones(40))
    with pytest.raises(NotScorable):
        chosen(0 * truth, prediction)
    prediction[0] = np.nan
    assert np.isnan(chosen(truth, prediction)) and chosen.row_loss(truth, truth).shape == (40,)


def test_as_a_metric_it_gets_what_else_the_solution_holds_of_its_answers() -> None:
    """Weights, and by `groups` the number of each row: also where a bootstrap repeats rows."""
    file = from_file(FILES / "weighted_r2.py", higher_is_better=True, arguments={"weight_column_name": "w"})
    rng, seen = np.random.default_rng(0), list[np.ndarray]()
    truth, weight = rng.normal(size=(30, 2)), rng.random(30)
    prediction = truth + 0.3 * rng.normal(size=truth.shape)

    def build(y: np.ndarray, p: np.ndarray, weights: Any, rows: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
        seen.append(rows)
        np.testing.assert_array_equal(y, truth[rows])
        return frames(np.arange(len(y)), y, p, ["a", "b"], "row", pl.DataFrame({"w": weights}))

    chosen = file.as_metric(build, "row", weighted=True)
    expected = slow.explained(truth, prediction, weight, zero_mean=True)
    assert chosen(truth, prediction, weight, np.arange(30)) == pytest.approx(expected, rel=1e-12)
    found = score_interval(chosen, truth, prediction, np.arange(30) // 3, weight, np.arange(30))
    assert found.low < expected < found.high and any(len(set(rows)) < 30 for rows in seen)


def test_the_key_holds_text_arguments_and_direction(tmp_path: Path) -> None:
    text = "def score(solution, submission, row_id_column_name, beta=1): return beta\n"
    keys = [
        written(tmp_path, text).key(),
        written(tmp_path, text + "\n").key(),
        written(tmp_path, text, arguments={"beta": 2}).key(),
        written(tmp_path, text, higher_is_better=False).key(),
    ]
    assert len({str(key) for key in keys}) == 4 and keys[0]["pandas"] == pandas.__version__
    assert written(tmp_path, text, name="other.py").key() == keys[0]


def test_our_utilities_tell_what_may_be_said() -> None:
    from foldline.data.metrics import kaggle_utilities as ours

    numbers, texts = pandas.DataFrame({"a": [1.5]}), pandas.DataFrame({"a": ["x"]})
    flags = pandas.DataFrame({"a": [True]})
    says = ours.treat_as_participant_error
    assert says("bad shape", numbers) and not says("bad 1", numbers) and not says("bad shape", texts)
    assert says("bad shape", flags) and not says("is True", flags)

    def fail(solution: Any, submission: Any, text: str) -> float:
        raise ValueError(text)

    with pytest.raises(ParticipantVisibleError, match="bad shape"):
        ours.safe_call_score(fail, numbers, numbers, text="bad shape")
    with pytest.raises(ValueError, match="bad 1"):
        ours.safe_call_score(fail, numbers, numbers, text="bad 1")
    ours.verify_valid_probabilities(pandas.DataFrame({"a": [0.25], "b": [0.75]}), "submission")
    for values, message in (([0.25, 0.5], "sum to one"), ([-0.5, 1.5], "between zero"), (["x", 1.0], "numbers")):
        with pytest.raises(ParticipantVisibleError, match=f"submission: .*{message}"):
            ours.verify_valid_probabilities(pandas.DataFrame({"a": values[:1], "b": values[1:]}), "submission")


def test_columns_that_are_there_anyway_may_be_named(tmp_path: Path) -> None:
    """The row id, the target: data.metric_columns may list whatever a file reads."""
    text = "def score(solution, submission, row_id_column_name):\n    assert list(solution) == ['row', 'a', 'w']\n"
    path = tmp_path / "metric.py"
    path.write_text(f"{text}    return float((solution.a * solution.w).sum())\n")
    choice = FileChoice(str(path), True, "{}", "row", ("a",), (), False, "")
    more = pl.DataFrame({"w": [1.0, 2.0], "row": [7, 8], "a": [0.0, 0.0]})
    truth = np.array([[3.0], [5.0]])
    assert chosen_file.metric_of(choice, "regression", 0, more)(truth, truth, None, np.arange(2)) == 13.0

"""Notebooks that serve: they pass the gateways of six competitions in four dialects, and faults end as they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import evaluation_gateway
import polars as pl
import pytest
import tiny
from tiny_serving import (
    Served,
    call_from_outside,
    cells_of,
    free_port,
    nearly,
    own_package,
    run_cells,
    submitted,
)

from foldline.core import files
from foldline.output.kaggle import bundle as packing
from foldline.output.kaggle import kernel, serving_kernel
from foldline.serve import border, load
from foldline.serve.answers import Answers, of_bundle

Pack = Callable[[str, str], Path]
QUICK = {("cmi", "0.3"), ("jane", "0.9"), ("mitsui", "1.4"), ("hull", "1.7"), ("nfl", "1.7"), ("shared", "0.9")}
PASSES = [
    pytest.param(kind, dialect, marks=[] if (kind, dialect) in QUICK else pytest.mark.slow, id=f"{kind}-{dialect}")
    for kind in evaluation_gateway.COMPETITIONS
    for dialect in evaluation_gateway.DIALECTS
]


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder in which the three configs are trained."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLDLINE_HOME", str(folder / "home"))
        patch.chdir(folder)
        for kind in ("cmi", "hull", "jane"):
            competition = Served(kind)
            competition.install(folder / "home", folder)
            tiny.run("train", competition.config, "--quiet")
        patch.setattr(packing, "PACKED", ())  # wheels take most of the time, and are tested elsewhere
        yield folder / "home"


@pytest.fixture(scope="module")
def pack(served_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Pack a competition's bundle for a dialect, each once."""
    made: dict[tuple[str, str], Path] = {}

    def packed(kind: str, dialect: str) -> Path:
        competition = Served(kind)
        key = kind, str(competition.serve(dialect))
        if key not in made:
            out = tmp_path_factory.mktemp("bundle") / kind
            tiny.run("bundle", competition.config, f"out={out}", *competition.serve(dialect), "--quiet")
            made[key] = out
        return made[key]

    return packed


@pytest.fixture
def copied(pack: Pack, tmp_path: Path) -> Path:
    """A bundle of songs by series, to be changed."""
    shutil.copytree(pack("cmi", "1.4"), tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def songs(pack: Pack, tmp_path: Path) -> Path:
    """Kaggle's input folder with that bundle."""
    return Served("cmi").kaggle(tmp_path / "input", pack("cmi", "1.4"), "1.4")


def assert_as_infer(found: pl.DataFrame, competition: Served, bundle: Path) -> None:
    """Compare a gateway's submission with what the bundle's experiment predicts of the whole test table."""
    predictor, rows = load(bundle / "dataset"), competition.test()
    expected = predictor.predict(rows)
    on = found.columns[0]
    known = expected if on in expected.columns else expected.with_columns(rows["second"])
    known = found.select(on).join(known, on=on, how="left", maintain_order="left")
    assert found.height == known.height == expected.height
    for ours, theirs in zip(found.columns[1:], predictor.columns, strict=True):
        nearly(found[ours], known[theirs])


@pytest.mark.parametrize(("kind", "dialect"), PASSES)
def test_a_notebook_passes_the_gateway_with_the_answers_of_infer(
    kind: str,
    dialect: str,
    pack: Pack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    competition, bundle = Served(kind), pack(kind, dialect)
    inputs = competition.kaggle(tmp_path / "input", bundle, dialect)
    names = run_cells(bundle, inputs, monkeypatch, tmp_path / "working")
    calls = len(names["SERVED"].seconds)
    assert f"{calls} calls, 0 of them by the fall-back" in capsys.readouterr().out and calls >= 2
    assert_as_infer(submitted(tmp_path / "working"), competition, bundle)


def broken_in_call(patch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """Let the answer of one call fail."""
    honest, calls = Answers.__call__, []

    def answer(self: Answers, *batch: Any) -> Any:
        calls.append(batch)
        if len(calls) == number:
            raise error
        return honest(self, *batch)

    patch.setattr(Answers, "__call__", answer)


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(0), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_at_home_an_error_in_a_call_ends_the_run_and_names_the_call(
    error: BaseException, pack: Pack, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_in_call(monkeypatch, 3, error)
    with pytest.raises(Exception, match=rf"call 3 failed: {type(error).__name__}") as raised:
        run_cells(pack("cmi", "1.4"), songs, monkeypatch, tmp_path / "working")
    assert raised.value.args[0] == "SERVER_RAISED_EXCEPTION"
    assert not (tmp_path / "working" / "submission.parquet").exists()


def rerun(kind: str, inputs: Path, bundle: Path, working: Path, patch: pytest.MonkeyPatch) -> pl.DataFrame:
    """Serve the hidden test as Kaggle does: the gateway calls from outside. Returns what it has written."""
    port = free_port()
    patch.setenv("KAGGLE_IS_COMPETITION_RERUN", "1")
    patch.setenv("STAND_IN_PORT", str(port))
    errors: list[BaseException] = []

    def gateway() -> None:
        try:
            call_from_outside(inputs / "competitions" / kind, kind, port)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=gateway)
    with own_package():
        thread.start()
        run_cells(bundle, inputs, patch, working)
        thread.join()
    assert not errors
    return submitted(working)


FALLEN = [("cmi", "1.4", str), ("jane", "0.3", float), ("nfl", "1.7", float)]


@pytest.mark.parametrize(("kind", "dialect", "of"), FALLEN)
def test_in_the_rerun_a_failed_call_gets_the_stated_fall_back_and_is_counted(
    kind: str,
    dialect: str,
    of: type,
    pack: Pack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = pack(kind, dialect)
    inputs = Served(kind).kaggle(tmp_path / "input", bundle, dialect)
    stated = files.read_json(bundle / "dataset" / kernel.MANIFEST)["serve"]["fall_back"]
    broken_in_call(monkeypatch, 2, ValueError("odd"))
    found = rerun(kind, inputs, bundle, tmp_path / "working", monkeypatch)
    out = capsys.readouterr().out
    assert "call 2: fall-back, 1 so far: ValueError: odd" in out and "1 of them by the fall-back" in out
    assert all(type(value) is of for value in stated.values())
    fallen = found.filter(
        pl.all_horizontal(pl.col(name) == value for name, value in zip(found.columns[1:], stated.values(), strict=True))
    )
    assert 1 <= fallen.height < found.height


def test_in_the_rerun_a_damaged_data_set_answers_by_the_fall_back(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    booster = next(copied.rglob("booster-*.txt"))
    booster.write_text(booster.read_text() + "more")
    inputs = Served("cmi").kaggle(tmp_path / "input", copied, "1.4")
    found = rerun("cmi", inputs, copied, tmp_path / "working", monkeypatch)
    assert found["prediction"].n_unique() == 1
    assert "changed since it was packed" in capsys.readouterr().out


def test_what_fails_to_load_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call of the rerun would hash the whole data set again."""
    table = {"answer": "scalar", "arguments": ["rows"], "with_id": False}
    files.write_json(tmp_path / kernel.MANIFEST, {"files": {}, "serve": {"table": table, "fall_back": {"x": "wren"}}})
    verified: list[Path] = []

    def damaged(folder: Path, sums: dict[str, str]) -> None:
        verified.append(folder)
        raise SystemExit("changed since it was packed")

    monkeypatch.setattr(serving_kernel, "search", lambda *_: [tmp_path / kernel.MANIFEST])
    monkeypatch.setattr(serving_kernel, "verify", damaged)
    monkeypatch.setenv("KAGGLE_IS_COMPETITION_RERUN", "1")
    served = serving_kernel.Served()
    assert served.in_words().startswith("0 calls, 0 of them by the fall-back")
    assert [served.answer((pl.DataFrame(),)) for _ in range(3)] == ["wren"] * 3
    assert (len(verified), served.failed) == (1, 3)
    monkeypatch.delenv("KAGGLE_IS_COMPETITION_RERUN")
    with pytest.raises(RuntimeError, match="call 4 failed: SystemExit: changed since it was packed"):
        served.answer((pl.DataFrame(),))


NAMED_BY = {
    "the id": ("jane", [], ["row"]),
    "key and order": ("jane", ["row"], ["ride", "second"]),
    "order": ("jane", ["row", "ride"], ["second"]),
    "the key": ("cmi", [], ["song"]),
    "nothing": ("cmi", ["song"], ["song"]),
}


@pytest.mark.parametrize(("kind", "lacking", "names"), NAMED_BY.values(), ids=NAMED_BY.keys())
def test_the_fall_back_has_the_ids_of_an_answer(kind: str, lacking: list[str], names: list[str], pack: Pack) -> None:
    dataset = pack(kind, "0.3") / "dataset"
    stated, rows = files.read_json(dataset / kernel.MANIFEST)["serve"], Served(kind).test()
    if lacking:
        rows = rows.filter(pl.col(key := stated["key"]) == rows[key][0]).drop(lacking)
    found = serving_kernel.fall_back(stated, (rows, None))
    answered = of_bundle(dataset)(rows, None)
    assert found.columns == answered.columns and found.columns[:-1] in (names, [*names, "x"])
    assert found.select(names).equals(answered.select(names))
    assert border.ONE_SERIES == serving_kernel.ONE_SERIES


def test_the_columns_of_a_fall_back_stand_in_the_order_of_an_answer(served_home: Path, tmp_path: Path) -> None:
    tiny.run("bundle", "flow2", f"out={tmp_path / 'out'}", "serve.per=table", "serve.answer=['y', 'x']", "--quiet")
    dataset, rows = tmp_path / "out" / "dataset", Served("jane").test()
    stated = files.read_json(dataset / kernel.MANIFEST)["serve"]
    assert serving_kernel.fall_back(stated, (rows,)).columns == of_bundle(dataset)(rows).columns == ["y", "x"]


@pytest.mark.slow
def test_in_the_rerun_two_processes_make_the_submission(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an interpreter of its own, foldline comes from the data set; the input folder can't be written to."""
    bundle, port = pack("jane", "1.7"), free_port()
    inputs = Served("jane").kaggle(tmp_path / "input", bundle, "1.7")
    for number, code in enumerate(cells_of(bundle)):
        (tmp_path / f"cell{number}.py").write_text(code)
    cell = "exec(compile(open('cell{}.py').read(), 'cell', 'exec'), names)"
    run = "\n".join(["names = {'__name__': '__main__'}", cell.format(0), cell.format(1)])
    named = {"FOLDLINE_INPUT": inputs, "STAND_IN_PORT": port, "KAGGLE_IS_COMPETITION_RERUN": 1, "HOME": tmp_path}
    environment = {"PATH": os.environ["PATH"]} | {name: str(value) for name, value in named.items()}
    with subprocess.Popen(
        [sys.executable, "-c", run], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        (tmp_path / "working").mkdir()
        monkeypatch.chdir(tmp_path / "working")
        with own_package():
            call_from_outside(inputs / "competitions" / "jane", "jane", port)
        out = process.communicate(timeout=250)[0]
    assert process.returncode == 0 and ", 0 of them by the fall-back" in out
    assert_as_infer(submitted(tmp_path / "working"), Served("jane"), bundle)


def changed(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Make tables of songs as a hidden test may be: types from the first rows, new values, columns, lengths, orders."""
    rows = tables["test"]
    more = pl.concat(rows.with_columns(pl.col("song") + f"-{copy}", pl.col("second") + copy) for copy in range(4))
    step = pl.int_range(pl.len()).over("song")
    more = more.filter(step < 1 + pl.col("song").rank("dense") % 9)
    more = more.sample(fraction=1.0, shuffle=True, seed=2)
    number = pl.int_range(pl.len())
    more = more.with_columns(
        pitch=pl.when(number >= 100).then("pitch"),  # no value in the first 100 rows: read as text
        volume=pl.when(~pl.col("song").str.ends_with("2")).then("volume"),
        extra=pl.lit("x"),
    )
    site = pl.when(pl.col("song").str.ends_with("1")).then(pl.lit("a lake")).otherwise(pl.lit("hill"))
    return {"test": more, "demographics": more.select("song").unique(maintain_order=True).with_columns(site=site)}


def test_a_hidden_test_of_other_types_values_lengths_and_order_is_answered(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, tables = pack("cmi", "1.4"), changed(Served("cmi").tables())
    monkeypatch.setattr(Served, "tables", lambda self: tables)
    inputs = Served("cmi").kaggle(tmp_path / "input", bundle, "1.4")
    assert pl.read_csv(inputs / "competitions" / "cmi" / "test.csv")["pitch"].dtype == pl.String
    run_cells(bundle, inputs, monkeypatch, tmp_path / "working")
    found = submitted(tmp_path / "working").sort("song")
    expected = load(bundle / "dataset").predict(tables["test"], tables["demographics"]).sort("song")
    assert found["prediction"].to_list() == expected["answer"].to_list() and found.height == 24


@pytest.mark.slow
def test_three_thousand_series_of_all_lengths_are_answered(pack: Pack) -> None:
    """Each alone, with gaps, empty groups of inputs and unknown sites; counted: no call fails."""
    predictor = load(pack("shared", "1.4") / "dataset")
    answers = Answers(predictor, predictor.stored.config.serve)
    base = pl.concat(Served("cmi").test().with_columns(pl.col("second") + 4.0 * copy) for copy in range(3))
    base = base.filter(pl.col("song") == base["song"][0])
    answered = 0
    for number in range(3000):
        rows = base[: 1 + number % base.height].with_columns(
            song=pl.lit(f"n{number}"),
            site=pl.lit(["hill", "river", "a lake", None][number % 4], dtype=pl.String),
            pitch=pl.when(number % 5 > 0).then("pitch"),
            volume=pl.col("volume") if number % 7 else pl.lit(None),
        )
        answered += answers(rows)["answer"][0] in predictor.models[0].task.classes
    assert answered == 3000


def remove(folder: Path) -> None:
    shutil.rmtree(folder / "competitions" / "cmi" / "kaggle_evaluation")


def another(folder: Path) -> None:
    shutil.copytree(folder / "competitions" / "cmi", folder / "competitions" / "other")


def with_method(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        server = folder / "competitions" / "cmi" / "kaggle_evaluation" / "cmi_inference_server.py"
        text = "class CmiInferenceServer:\n    def __init__(self, *listeners): ...\n    def {name}(self): ...\n"
        server.write_text(text.format(name=name))

    return change


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no package": (remove, r"must hold a competition's kaggle_evaluation .* once, but holds \[\]"),
    "two packages": (another, r"kaggle_evaluation .* once, but holds \['.*/cmi/.*', '.*/other/.*'\]"),
    "an unknown dialect": (with_method("launch"), r"'CmiInferenceServer': \['launch'\].*does not know that version"),
    "half a dialect": (
        with_method("serve"),
        "CmiInferenceServer has serve, but neither run nor both serve and run_loc",
    ),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_an_input_without_one_known_package_is_refused(
    change: Callable[[Path], None],
    message: str,
    pack: Pack,
    songs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(songs)
    with pytest.raises(SystemExit, match=message):
        run_cells(pack("cmi", "1.4"), songs, monkeypatch, tmp_path / "working")


def test_of_two_packages_that_of_the_named_competition_is_taken(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = copied / "dataset" / kernel.MANIFEST
    files.write_json(manifest, files.read_json(manifest) | {"competition": "cmi"})
    inputs = Served("cmi").kaggle(tmp_path / "input", copied, "1.4")
    another(inputs)
    run_cells(copied, inputs, monkeypatch, tmp_path / "working")
    assert_as_infer(submitted(tmp_path / "working"), Served("cmi"), copied)


SLOW = {
    "a call": ({"call_limit_s": 1e-6}, r"must be answered within serve.call_limit_s = 1e-06 s, but one took"),
    "all calls": ({"limit_h": 1e-6}, "more than half of the 1e-06 h that there are"),
}


@pytest.mark.parametrize(("table", "message"), SLOW.values(), ids=SLOW.keys())
def test_at_home_what_would_be_too_slow_is_refused_after_the_run(
    table: dict[str, float], message: str, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = copied / "dataset" / kernel.MANIFEST
    value = files.read_json(manifest)
    value["serve"]["table"] |= table
    files.write_json(manifest, value)
    inputs = Served("cmi").kaggle(tmp_path / "input", copied, "1.4")
    with pytest.raises(SystemExit, match=message):
        run_cells(copied, inputs, monkeypatch, tmp_path / "working")


def test_a_second_call_that_is_too_late_ends_the_run_and_the_first_has_all_the_time(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Served("cmi").kaggle(tmp_path / "input", pack("cmi", "0.9"), "0.9", "DEADLINE_S = 0.2")
    honest, calls = Answers.__call__, []

    def slow(self: Answers, *batch: Any) -> Any:
        calls.append(batch)
        time.sleep(0.5 if len(calls) == 2 else 0.0)
        return honest(self, *batch)

    monkeypatch.setattr(Answers, "__call__", slow)
    with pytest.raises(Exception, match="GRPC_DEADLINE_EXCEEDED"):  # loading, in the first call, took no less
        run_cells(pack("cmi", "0.9"), inputs, monkeypatch, tmp_path / "working")
    assert len(calls) == 2


def test_another_number_of_arguments_is_named(
    pack: Pack, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(songs / "datasets")
    shutil.copytree(pack("shared", "1.4") / "dataset", songs / "datasets")
    with pytest.raises(Exception, match=r"names 1 arguments \(rows\), but the gateway passes 2: a frame with song"):
        run_cells(pack("shared", "1.4"), songs, monkeypatch, tmp_path / "working")

"""The command line: help of every verb, what scripts read, and what a person reads."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import tiny
from lab import planned

from foldline import __version__
from foldline.cli.main import main, parse
from foldline.cli.verb_table import VERBS
from foldline.core import files
from foldline.core.errors import ExitCode, Finding, UserError
from foldline.fit import checkpoint


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_lists_every_verb(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: ./run.sh {verb}") and all(option in out for option in VERBS[verb].options)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0 and capsys.readouterr().out == f"{__version__}\n"


def test_train_imports_libraries_only_where_they_are_used() -> None:
    """Whoever runs it again, with nothing to do, waits for imports alone."""
    heavy = ("scipy", "sklearn", "lightgbm", "numba", "optuna", "wandb", "pandas", "pyarrow", "matplotlib", "ray")
    script = f"import sys, foldline.cli.train; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_words_overrides_and_flags_are_distinguished() -> None:
    split = parse("train", VERBS["train"], ["quickstart", "a.b=1", "--json", "data.source=x=y"])
    assert (split.words, split.overrides, split.flags) == (["quickstart"], ["a.b=1", "data.source=x=y"], {"--json"})
    assert split.config == "quickstart" and parse("train", VERBS["train"], []).config == "quickstart"


def test_pytest_gets_its_own_arguments() -> None:
    split = parse("test", VERBS["test"], ["--slow", "tests/features", "-x", "-k", "a=b"])
    assert (split.words, split.flags) == (["tests/features", "-x", "-k", "a=b"], {"--slow"})


def test_json_is_one_object_and_nothing_else(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) >= {"submission", "report", "scores", "experiment"}
    assert Path(answer["submission"]).read_bytes() == tiny.submission(trained)


def test_quiet_says_the_last_line_only(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides", "--quiet")
    out = capsys.readouterr().out
    assert out.startswith("submission: ") and out.count("\n") == 1


def test_a_dry_run_does_nothing(rides: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides", "--dry-run")
    out = capsys.readouterr().out
    assert "cells: 4, 0 finished, 4 to train" in out
    assert out.splitlines()[-1].startswith("dry run: nothing was trained; it would take about ")
    assert not (home / "runs" / "cells").exists() and not (home / "submissions").exists()


def dry_run(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a dry run of the rides says, and what it warns of."""
    tiny.run("train", "rides", "--dry-run")
    return capsys.readouterr()


def test_a_dry_run_says_whether_folds_would_be_made(rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "2 stratified-group folds, to be made)" in dry_run(capsys)[0]
    tiny.run("folds", "rides")
    assert "2 stratified-group folds)" in dry_run(capsys)[0]


def test_a_missing_sample_submission_is_mentioned(rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no sample_submission" not in dry_run(capsys)[0]
    (rides / "sample_submission.csv").unlink()
    line = "no sample_submission: the submission gets the rows of test.csv, in its order, and the columns row, speed\n"
    assert line in dry_run(capsys)[0]


def test_a_static_value_that_training_never_saw_is_a_warning(rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dry_run(capsys)[1] == ""
    tables = tiny.frames()
    bike = pl.when(pl.col("ride") < 504).then(pl.col("ride")).otherwise(pl.col("bike")).alias("bike")
    tiny.write(rides, {**tables, "test": tables["test"].with_columns(bike)})
    new = "3 of 4 test series have a bike that no training series has: 501, 502, 503; it is treated as unknown."
    assert dry_run(capsys)[1] == f"warning: {new}\n"


def test_cells_that_were_begun_are_counted(rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = planned()[0]
    cell.folder.mkdir(parents=True)
    (cell.folder / checkpoint.CHECKPOINT).touch()  # damaged: as if there were none
    assert "cells: 4, 0 finished, 4 to train\n" in dry_run(capsys)[0]
    checkpoint.write(cell.folder / checkpoint.CHECKPOINT, {}, {})
    assert "cells: 4, 0 finished, 4 to train, 1 of them begun: from the last checkpoint on" in dry_run(capsys)[0]


def test_help_says_what_options_do_for_the_verb_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "--help"]) == 0
    assert "  --dry-run            check the file at the gate; upload nothing\n" in capsys.readouterr().out
    assert main(["bundle", "--help"]) == 0
    assert "  --competition VALUE  the same as competition=VALUE\n" in capsys.readouterr().out


def test_help_behind_the_name_of_a_benchmark_is_the_benchmarks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started = list[list[str]]()
    monkeypatch.setattr(subprocess, "call", lambda command, **_: started.append(command) or 0)
    assert main(["bench", "gallery", "--help"]) == 0
    assert started[0][-2:] == [str(files.checkout() / "benchmarks" / "gallery.py"), "--help"]
    assert main(["bench", "--help"]) == 0
    assert len(started) == 1 and "usage: ./run.sh bench NAME" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["submit", "bundle"])
@pytest.mark.parametrize("words", [["competition=x"], ["--competition", "x"], ["--competition=x"]])
def test_a_competition_is_named_in_either_style(verb: str, words: list[str]) -> None:
    assert parse(verb, VERBS[verb], ["rides", *words]).overrides == ["competition=x"]


def test_an_interrupt_ends_with_130(
    rides: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("foldline.run.executors.execute", interrupt)
    assert main(["train", "rides"]) == 130
    assert "finished cells and checkpoints are kept" in capsys.readouterr().err


def test_the_folds_verb_makes_checks_and_rebuilds(rides: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "folds" / "rides-stratified-group-k2-seed0.csv"
    answers = []
    for words in ([], [], ["--force"]):
        tiny.run("folds", "rides", "--json", *words)
        answers.append(json.loads(capsys.readouterr().out))
    assert [answer["made"] for answer in answers] == [True, False, True]
    assert all(answer["series"] == [6, 6] and Path(answer["path"]) == path for answer in answers)


def test_simulate_writes_kaggles_files(home: Path, tmp_path: Path) -> None:
    tiny.run("simulate", "out", "breaths=3", "test_breaths=2", "seed=4")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [".simulated.json", "sample_submission.csv", "test.csv", "train.csv"]
    head = (tmp_path / "out" / "train.csv").read_text().split("\n", 1)[0]
    assert head == "id,breath_id,R,C,time_step,u_in,u_out,pressure"


def test_simulate_never_overwrites_files_unasked(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "train.csv").write_text("precious\n")
    assert main(["simulate", str(tmp_path / "real"), "breaths=2", "test_breaths=2"]) == 2
    assert "must be new or hold no CSV file" in capsys.readouterr().err
    assert (tmp_path / "real" / "train.csv").read_text() == "precious\n"
    assert main(["simulate", str(tmp_path / "real"), "breaths=2", "test_breaths=2", "--force"]) == 2
    assert "train.csv is not overwritten" in capsys.readouterr().err
    assert tiny.tree(tmp_path / "real") == {"train.csv": b"precious\n"}
    assert main(["simulate", str(tmp_path / "real" / "train.csv"), "breaths=2"]) == 2


@pytest.mark.parametrize(
    "words", [["doctor", "junk"], ["doctor", "a=b"], ["decode", "a", "b", "c"], ["train", "a", "b"]]
)
def test_arguments_that_mean_nothing_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "takes" in capsys.readouterr().err


class Panic(BaseException):
    """Stands for the panic of a library written in Rust, which is no Exception."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Finding("a leak"), 1),
        (UserError("a bad file"), 2),
        (PermissionError(13, "Permission denied", "train.csv"), 2),
        (OSError(28, "No space left on device"), 2),
        (ValueError("Too many bins"), 3),
        (Panic("index out of bounds"), 3),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(32, "Broken pipe"), 0),
    ],
)
def test_each_way_to_end_has_an_exit_code_of_its_own(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("foldline.cli.doctor.run", fail)
    assert main(["doctor"]) == code
    assert ("Traceback" in capsys.readouterr().err) == (code == 3)


def test_the_overview_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    out = capsys.readouterr().out
    assert all(f"  {code:<10} {code.meaning}\n" in out for code in ExitCode)


def test_a_file_of_another_owner_is_said_even_if_the_error_does_not_name_it(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*given: object, **options: object) -> None:
        raise PermissionError("permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(pl, "read_csv", refuse)
        assert main(["train", "rides"]) == 2
    assert "train.csv can't be read (permission denied). Check its owner." in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr("foldline.data.loading.load", refuse)
        assert main(["train", "rides"]) == 2
    assert capsys.readouterr().err == "error: A file can't be read or written: permission denied. Check its owner.\n"


def test_decode_refuses_a_damaged_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*given: object, **options: object) -> None:
        raise pl.exceptions.ComputeError("out-of-spec")

    (tmp_path / "test.parquet").write_bytes(b"")
    monkeypatch.setattr(pl, "scan_parquet", fail)
    assert main(["decode", str(tmp_path / "test.parquet"), str(tmp_path / "exact.csv")]) == 2
    assert "test.parquet is damaged or cut short (out-of-spec). Download or write it again." in capsys.readouterr().err
    assert not (tmp_path / "exact.csv").exists()
    assert main(["decode", str(tmp_path / "nowhere.csv"), str(tmp_path / "exact.csv")]) == 2
    assert "There is no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EDQUOT, "No space is left on the disk (kept.csv), or no more is allowed"),
        (errno.EFBIG, "No space is left on the disk (kept.csv), or no more is allowed"),
        (errno.EMFILE, "Too many files are open (kept.csv). Allow more"),
        (errno.ENAMETOOLONG, "The path 'kept.csv' is too long for the file system: 8 characters. Give another."),
    ],
)
def test_the_machines_limits_are_no_bugs(
    number: int, said: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object) -> int:
        raise OSError(number, os.strerror(number), "kept.csv")

    monkeypatch.setattr("foldline.cli.board.run", failing)
    assert main(["board"]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


@pytest.mark.parametrize("key", ["data.source", "data.train", "data.metric", "folds.file"])
def test_a_path_that_no_file_system_takes_is_refused_in_a_short_sentence(
    key: str, rides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "rides", f"{key}={'x' * 5000}"]) == 2
    err = capsys.readouterr().err
    assert "is too long for " in err and err.count("\n") == 1


def test_messages_say_what_was_typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0 and "usage: ./run.sh train" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["bin/foldline"])
    assert main(["train", "--help"]) == 0 and main(["init"]) == 2
    seen = capsys.readouterr()
    assert "usage: foldline train" in seen.out and "foldline init FOLDER" in seen.err
    assert "run.sh" not in seen.out + seen.err

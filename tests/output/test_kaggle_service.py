"""Kaggle's own package against a server on loopback: download, submit, refusals; a key is never shown."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import kaggle_server
import pytest
import tiny
from kaggle_server import KEY, SLUG, FakeKaggle

from foldline.cli.main import main
from foldline.core import files
from foldline.output.kaggle import upload
from foldline.output.kaggle.service import Service

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("kaggle") is None,
        reason="the extra `kaggle` is not installed: FOLDLINE_EXTRAS=kaggle ./run.sh test",
    ),
    pytest.mark.filterwarnings("ignore"),  # of Kaggle's package and what it imports
]

SUBMIT = ["submit", "rides", "data.source=rides"]


@pytest.fixture
def fake(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[FakeKaggle]:
    """The server with the rides as its competition; afterwards nothing has shown the key."""
    monkeypatch.setenv("HOME", str(tmp_path))  # the package makes ~/.kaggle
    monkeypatch.setattr(upload, "POLL_S", 0.01)
    tables = {f"{stem}.csv": table.write_csv().encode() for stem, table in tiny.frames().items()}
    with kaggle_server.serving(FakeKaggle(tables), monkeypatch) as served:
        yield served
    shown = capfd.readouterr()
    assert KEY not in shown.out + shown.err


@pytest.fixture
def submitting(fake: FakeKaggle, trained: Path, trained_once: Path, rides: Path) -> FakeKaggle:
    """The server, a trained config with its ledger, and its data noted as the competition's."""
    shutil.copytree(trained_once / "home" / "submissions", trained / "submissions")
    files.write_json(rides / "download.json", {"competition": SLUG, "listed": {}, "files": {}})
    return fake


def refused(words: list[str], capfd: pytest.CaptureFixture[str], code: int = 2) -> str:
    assert main(words) == code
    return capfd.readouterr().err


def ledger(home: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((home / "submissions" / "ledger.csv").read_text().splitlines()))


def test_a_download_is_unpacked_noted_and_not_repeated(
    fake: FakeKaggle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny.run("download", SLUG, "--json")
    answer = json.loads(capfd.readouterr().out)
    folder = tmp_path / "data" / SLUG
    assert answer["folder"] == str(folder) and answer["files"] == fake.listed
    assert sorted(path.name for path in folder.iterdir()) == ["download.json", *sorted(fake.listed)]
    assert (folder / "test.csv").read_bytes() == tiny.frames()["test"].write_csv().encode()
    tiny.run("download", SLUG)
    assert len(fake.ranges) == 1
    (folder / "test.csv").unlink()
    tiny.run("download", SLUG)
    assert len(fake.ranges) == 2 and (folder / "test.csv").exists()


def test_an_interrupted_download_goes_on_where_it_was(fake: FakeKaggle, tmp_path: Path) -> None:
    fake.archive = kaggle_server.zipped({"train.csv": bytes(3 << 20)})
    fake.listed, half = {"train.csv": 3 << 20}, (1 << 20) + 5
    partial = tmp_path / "data" / SLUG / ".download" / f"{SLUG}.zip"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(fake.archive[:half])  # and the note beside it, as the package leaves them when it is killed
    marker = {"validator": '"one"', "size": len(fake.archive)}
    partial.with_name(partial.name + ".kaggle-partial").write_text(json.dumps(marker))
    tiny.run("download", SLUG)
    assert fake.ranges == ["", f"bytes={half}-"]
    assert (tmp_path / "data" / SLUG / "train.csv").read_bytes() == bytes(3 << 20)


def test_a_damaged_archive_is_removed_and_nothing_is_noted(
    fake: FakeKaggle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = fake.archive.index(b"ride,second") + 3
    fake.archive = fake.archive[:place] + b"X" + fake.archive[place + 1 :]
    assert "is damaged" in refused(["download", SLUG], capfd)
    folder = tmp_path / "data" / SLUG
    assert not (folder / "download.json").exists() and not list(folder.rglob("*.zip"))


def test_a_file_replaced_at_the_same_size_is_fetched_again(fake: FakeKaggle, tmp_path: Path) -> None:
    tables = {f"{stem}.csv": table.write_csv().encode() for stem, table in tiny.frames().items()}
    tiny.run("download", SLUG)
    tables["test.csv"] = tables["test.csv"].replace(b"0.5", b"0.6")
    fake.archive = kaggle_server.zipped(tables)
    fake.made["test.csv"] = "2026-02-02T00:00:00Z"
    tiny.run("download", SLUG)
    assert (tmp_path / "data" / SLUG / "test.csv").read_bytes() == tables["test.csv"]
    tiny.run("download", SLUG)
    assert len(fake.ranges) == 2


@pytest.mark.parametrize("name", ["train.csv", f"{SLUG}.zip"])
def test_files_that_no_download_wrote_stay(
    name: str, fake: FakeKaggle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data" / SLUG / name
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    code = main(["download", SLUG])
    assert path.read_text() == "precious"
    if name == "train.csv":
        assert code == 2 and "train.csv is not overwritten" in capfd.readouterr().err
        assert sorted(path.name for path in path.parent.iterdir()) == [".download", "train.csv"]
        path.rename(tmp_path / "aside.csv")
        tiny.run("download", SLUG)


def test_a_downloaded_file_that_was_changed_since_stays(fake: FakeKaggle, tmp_path: Path) -> None:
    tiny.run("download", SLUG)
    train, test = (tmp_path / "data" / SLUG / name for name in ("train.csv", "test.csv"))
    changed = train.read_bytes().replace(b"0.5", b"0.7")
    train.write_bytes(changed)
    test.unlink()
    assert main(["download", SLUG]) == 2
    assert train.read_bytes() == changed and not test.exists()


def test_an_archive_that_differs_from_the_list_is_a_warning(
    fake: FakeKaggle, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.listed |= {"extra.csv": 5}
    tiny.run("download", SLUG)
    assert "lists extra.csv with 5 bytes, but its archive held none" in capfd.readouterr().err


REFUSALS = {
    400: ("Submission not allowed: notebook only.", "notebook only. If the competition takes notebooks only"),
    401: ("Unauthenticated", "does not accept the credentials in KAGGLE_USERNAME and KAGGLE_KEY (401)"),
    403: ("You must accept the rules.", f"Accept the rules first: https://www.kaggle.com/competitions/{SLUG}/rules"),
    404: ("Not found", f"knows no competition '{SLUG}' (404)"),
    429: ("Too Many Requests", "asks to slow down (429)"),
    500: ("Oh no", "answered with an error (500). Kaggle says: Oh no"),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_refusals_come_in_plain_words(fake: FakeKaggle, status: int, capfd: pytest.CaptureFixture[str]) -> None:
    message, words = REFUSALS[status]
    fake.refusals = {"ListDataFiles": (status, message)}
    assert words in refused(["download", SLUG], capfd)


def test_a_submission_is_uploaded_scored_and_written_down(
    submitting: FakeKaggle, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    submitting.pending = 3
    tiny.run(*SUBMIT, "--quiet")
    assert "public 0.1234, private 0.2345" in capfd.readouterr().out
    assert submitting.uploaded == [tiny.submission(home)]
    (row,) = ledger(home)
    assert (row["public"], row["private"]) == ("0.1234", "0.2345")
    assert submitting.submissions[0]["description"].endswith(f"sha256 {row['sha256'][:12]}")


def test_what_kaggle_has_is_not_sent_again(submitting: FakeKaggle, home: Path) -> None:
    submitting.scores = {"publicScore": "0.1234"}
    tiny.run(*SUBMIT)
    assert [row["private"] for row in ledger(home)] == [""]
    submitting.submissions[0]["privateScore"] = "0.9"  # the competition has ended
    tiny.run(*SUBMIT)
    assert len(submitting.uploaded) == 1 and submitting.calls.count("CreateSubmission") == 1
    assert [row["private"] for row in ledger(home)] == ["0.9"]


@pytest.mark.parametrize("newer", [99, 100, 250])
def test_a_submission_behind_many_newer_ones_is_found(submitting: FakeKaggle, home: Path, newer: int) -> None:
    """A list has pages of 100."""
    tiny.run(*SUBMIT)
    sent = {"ref": 1000, "description": "another", "status": "COMPLETE", "publicScore": "9"}
    submitting.submissions[:0] = [{**sent, "ref": 1000 + number} for number in range(newer)]
    submitting.submissions[-1]["privateScore"] = "0.9"
    submitting.calls.clear()
    tiny.run(*SUBMIT)
    assert submitting.calls.count("CreateSubmission") == 0 and [row["private"] for row in ledger(home)] == ["0.9"]


def test_a_new_file_is_sent_after_all_pages_and_pages_that_repeat_end(
    submitting: FakeKaggle, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"description": "another", "status": "COMPLETE", "publicScore": "9"}
    submitting.submissions = [{**other, "ref": 1000 + number} for number in range(200)]
    tiny.run(*SUBMIT)
    assert len(submitting.uploaded) == 1
    answer = submitting.answer
    monkeypatch.setattr(submitting, "answer", lambda method, request: answer(method, {**request, "page": 2}))
    assert sum(1 for _ in Service(SLUG).submissions()) == 100


def test_the_days_limit_is_respected(submitting: FakeKaggle, capfd: pytest.CaptureFixture[str]) -> None:
    submitting.left = 0
    assert "No submission is left (3 were made today)" in refused(SUBMIT, capfd)
    assert submitting.uploaded == []


def test_a_file_that_kaggle_cannot_score_is_a_finding(
    submitting: FakeKaggle, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    submitting.scores = {"status": "ERROR", "errorDescription": "Evaluation Exception"}
    assert "could not score" in refused(SUBMIT, capfd, 1)
    assert [row["public"] for row in ledger(home)] == [""]


def test_a_score_that_does_not_come_is_left_to_a_later_run(
    submitting: FakeKaggle, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "TIMEOUT_S", 0.0)
    submitting.pending = 9
    assert "It is submitted: run the same command later" in refused(SUBMIT, capfd)
    assert len(submitting.uploaded) == 1


def test_the_gate_comes_first(submitting: FakeKaggle, rides: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tables = tiny.frames(test_series=3)
    tiny.write(rides, {stem: tables[stem] for stem in ("test", "sample_submission")})
    assert "is refused by the submission gate" in refused(SUBMIT, capfd, 1)
    assert submitting.calls == []


def test_a_missing_network_is_reported(
    fake: FakeKaggle, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # discard: nobody listens
    assert "Kaggle can't be reached" in refused(["download", SLUG], capfd)

"""Completion: the script's answers in a real bash, and in zsh where that is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import tiny

from foldline.cli.main import main
from foldline.cli.verb_table import VERBS

SCRIPT = """
. ./completion
COMP_WORDS=({words}); COMP_CWORD={place}
_foldline
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def script(rides: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with run.sh beside configs, and the script as `completion`."""
    tiny.run("completion", "bash")
    (home / "completion").write_text(capsys.readouterr().out)
    return home


def completed(folder: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in ("./run.sh", *words))
    script = SCRIPT.format(words=quoted, place=len(words))
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return set(done.stdout.split())


def test_verbs_options_configs_and_keys_are_completed(script: Path) -> None:
    assert completed(script, "") >= set(VERBS)
    assert completed(script, "tra") == {"track", "train"}
    assert completed(script, "train", "ride") == {"rides"}
    assert completed(script, "train", "rides", "--dr") == {"--dry-run"}
    assert completed(script, "train", "rides", "train.augment.mask") == {"train.augment.mask_static="}
    assert completed(script, "tune", "--h") == {"--hours", "--help"}
    assert completed(script, "bundle", "rides", "com") == {"competition=", "completion"}  # and the file of that name
    assert completed(script, "clean", "un") == {"unused"}
    assert completed(script, "doctor", "--js") == {"--json"}


def test_keys_are_those_that_a_verb_takes(script: Path) -> None:
    assert completed(script, "infer", "rides", "exec") >= {"executor.kind=", "executor.together="}
    assert "executor.key=" not in completed(script, "infer", "rides", "exec")
    assert completed(script, "bundle", "rides", "data.s") == {"data.source="} and not completed(
        script, "infer", "train.l"
    )
    assert completed(script, "bundle", "rides", "serve.p") == {"serve.per=", "serve.paths="}
    for verb, key in (("tune", "trials"), ("ablate", "delta"), ("study", "growth")):
        assert completed(script, verb, "rides", f"{verb}.{key[:4]}") == {f"{verb}.{key}="}
    assert completed(script, "live", "rid") == {"rides"}


def test_files_are_completed_too(script: Path, tmp_path: Path) -> None:
    (script / "truth.csv").touch()
    assert completed(script, "score", "trut") == {"truth.csv"}


def test_values_are_files(script: Path) -> None:
    (script / "truth.csv").touch()
    for words in (("data.source", "=", "tru"), ("data.source=tru",)):  # as bash 4 splits it, and as 3.2 and zsh do not
        assert completed(script, "train", "rides", *words) == {"truth.csv"}
    assert completed(script, "train", "rides", "data.source", "=") == {"truth.csv", "completion", "configs"}
    assert "train.lr=" in completed(script, "train", "rides", "data.source", "=", "truth.csv", "train.l")


def test_another_shell_is_refused(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 2
    assert "Known: bash, zsh" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_its_script(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("completion", "zsh")
    done = subprocess.run(
        ["zsh", "-f", "-c", capsys.readouterr().out + "\nwhence -w _foldline"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "_foldline: function" in done.stdout

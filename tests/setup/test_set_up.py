"""How run.sh makes .venv: when it installs and when not, kills, two at once, pip's settings, failures."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from checkout import PATIENCE_S, Checkout, make_checkout


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that stand-ins wait for in the middle of an installation; touch it to let them go on."""
    return tmp_path / "gate"


def until_one_installs(checkout: Checkout) -> None:
    """Wait until an installation has begun; the lock is held from then on."""
    while not checkout.installs():
        time.sleep(0.01)


def until_one_waits(*processes: subprocess.Popen[str]) -> list[str]:
    """Read standard error of each until one says that it waits for another; what each has said by then."""
    said = [""] * len(processes)
    while not any("waiting" in text for text in said):
        for number, process in enumerate(processes):
            assert process.stderr is not None
            if select.select([process.stderr], [], [], 0.01)[0]:
                part = os.read(process.stderr.fileno(), 1 << 16).decode()
                assert part, f"ended without a wait: {said}"
                said[number] += part
    return said


def marked(checkout: Checkout) -> Path:
    """Put a file into .venv that is gone once .venv has been made afresh."""
    file = checkout.venv / "marked"
    file.touch()
    return file


def test_second_call_installs_nothing_and_says_nothing(checkout: Checkout) -> None:
    code, _, err = checkout.run()
    assert code == 0 and [line.split()[1] for line in err.splitlines()] == ["setting", "set"]
    assert checkout.run()[2] == ""
    assert len(checkout.installs()) == 1
    assert not (checkout.root / ".installing").exists()


def test_what_is_installed(checkout: Checkout) -> None:
    checkout.answer()
    (call,) = checkout.installs()
    argv = list(map(str, call["argv"]))  # type: ignore[call-overload]
    assert argv[argv.index("-e") + 1] == f"{checkout.root}[dev]"
    assert argv[argv.index("-c") + 1] == f"{checkout.root}/constraints.txt"
    assert argv[argv.index("--python") + 1] == f"{checkout.venv}/bin/python"
    assert "-r" not in argv


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_a_changed_file_installs_into_the_same_environment(checkout: Checkout, file: str) -> None:
    checkout.answer()
    kept = marked(checkout)
    checkout.change(file)
    checkout.answer()
    checkout.answer()
    assert len(checkout.installs()) == 2 and kept.exists()


def test_extras_are_remembered_until_given_again(checkout: Checkout) -> None:
    checkout.answer()
    checkout.answer(FOLDLINE_EXTRAS="ray,kaggle")
    checkout.answer()
    checkout.answer(FOLDLINE_EXTRAS="")
    assert [str(call["argv"]).count("[dev,ray,kaggle]") for call in checkout.installs()] == [0, 1, 0]


def test_another_python_makes_it_afresh_and_is_remembered(checkout: Checkout) -> None:
    checkout.answer()
    kept = marked(checkout)
    named = str(checkout.bin / "python3")
    checkout.answer(FOLDLINE_PYTHON=named)
    assert not kept.exists()
    kept = marked(checkout)
    checkout.answer()
    checkout.answer(FOLDLINE_PYTHON=named)
    assert kept.exists() and len(checkout.installs()) == 2


def test_a_moved_checkout_makes_it_afresh(checkout: Checkout) -> None:
    checkout.answer()
    marked(checkout)
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout.answer()["prefix"] == str(checkout.venv)
    assert not (checkout.venv / "marked").exists()


def test_a_venv_whose_python_is_gone_is_made_afresh(checkout: Checkout) -> None:
    checkout.answer()
    (checkout.venv / "bin" / "python").unlink()
    (checkout.venv / "bin" / "python").symlink_to("/nowhere/python3")
    assert checkout.answer()["prefix"] == str(checkout.venv)


def test_a_venv_made_by_hand_is_kept_and_completed(checkout: Checkout) -> None:
    checkout.answer()
    (checkout.venv / "foldline-stamp").unlink()
    kept = marked(checkout)
    checkout.answer()
    assert kept.exists() and len(checkout.installs()) == 2


@pytest.mark.parametrize("stamp", ["", "/somewhere\n", "\n\n\n\n"])
def test_a_broken_stamp_is_repaired(checkout: Checkout, stamp: str) -> None:
    checkout.answer()
    (checkout.venv / "foldline-stamp").write_text(stamp)
    checkout.answer()
    assert checkout.run()[2] == "" and len(checkout.installs()) == 2


@pytest.mark.parametrize("whole_group", [True, False], ids=["all of it", "the shell alone"])
def test_killed_while_installing_starts_afresh(checkout: Checkout, gate: Path, whole_group: bool) -> None:
    process = checkout.start(FAKE_WAITS=str(gate))
    until_one_installs(checkout)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    gate.touch()
    process.communicate(timeout=PATIENCE_S)
    kept = marked(checkout)
    assert (checkout.root / ".installing").exists()
    assert checkout.answer()["prefix"] == str(checkout.venv)
    assert len(checkout.installs()) == 2 and not kept.exists()
    assert checkout.run()[2] == ""


@pytest.mark.slow
@pytest.mark.parametrize("milliseconds", range(0, 400, 25))
def test_killed_at_any_moment_starts_afresh(checkout: Checkout, milliseconds: int) -> None:
    process = checkout.start(FAKE_SECONDS="0.1")
    time.sleep(milliseconds / 1000)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    assert checkout.answer("x")["argv"] == ["x"]
    assert checkout.run()[2] == ""


@pytest.mark.usefixtures("sigint")
def test_interrupted_is_130_and_tries_nothing_else(checkout: Checkout, gate: Path) -> None:
    process = checkout.start(FAKE_WAITS=str(gate))
    until_one_installs(checkout)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130 and len(checkout.installs()) == 1


def test_two_at_once_install_once(checkout: Checkout, gate: Path) -> None:
    first, second = (checkout.start(name, FAKE_WAITS=str(gate)) for name in ("one", "two"))
    early_1, early_2 = until_one_waits(first, second)
    gate.touch()
    (out_1, err_1), (out_2, err_2) = (each.communicate(timeout=PATIENCE_S) for each in (first, second))
    err_1, err_2 = early_1 + err_1, early_2 + err_2
    assert first.returncode == second.returncode == 0
    assert "one" in out_1 and "two" in out_2
    assert sorted([len(err_1.splitlines()), len(err_2.splitlines())]) == [1, 2] and "waiting" in err_1 + err_2
    assert len(checkout.installs()) == 1


def test_pips_settings_are_handed_to_uv_alone(checkout: Checkout) -> None:
    seen = checkout.answer(
        FAKE_PIP_CONFIG="\n".join(
            [
                ":env:.find-links='/first'",
                "global.cert='/ca.pem'",
                "global.extra-index-url='\\nfile:///a/simple\\nfile:///b/simple'",
                "global.find-links='/second'",
                "global.index-url='file:///main/simple'",
            ]
        ),
        UV_DEFAULT_INDEX="file:///own/simple",
    )
    assert checkout.installs()[0]["env"] == {
        "UV_FIND_LINKS": "/first",
        "SSL_CERT_FILE": "/ca.pem",
        "UV_INDEX": "file:///a/simple file:///b/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "file:///own/simple",
    }
    assert seen["SSL_CERT_FILE"] is None


def test_several_folders_of_wheels(checkout: Checkout) -> None:
    checkout.answer(FAKE_PIP_CONFIG="global.find-links='/a /b'")
    assert checkout.installs()[0]["env"] == {"UV_FIND_LINKS": "/a,/b"}


def backends(checkout: Checkout) -> list[object]:
    return [call["env"].get("UV_TORCH_BACKEND") for call in checkout.installs()]  # type: ignore[attr-defined]


def test_torch_is_the_build_for_this_machine_on_linux_only(checkout: Checkout, tmp_path: Path) -> None:
    checkout.answer(OSTYPE="linux-gnu")
    assert backends(checkout) == ["auto"]
    (tmp_path / "mac").mkdir()
    mac = make_checkout(tmp_path / "mac")
    mac.answer(OSTYPE="darwin22")
    assert backends(mac) == [None]


def test_torch_comes_from_pypi_where_its_own_index_cannot_be_reached(checkout: Checkout) -> None:
    checkout.answer(OSTYPE="linux-gnu", FAKE_FAILS="auto")
    assert backends(checkout) == ["auto", None]


def test_a_chosen_torch_build_is_left_alone(checkout: Checkout) -> None:
    checkout.answer(OSTYPE="linux-gnu", UV_TORCH_BACKEND="cu128")
    assert backends(checkout) == ["cu128"]


def test_a_failed_set_up_is_reported_and_begun_afresh(checkout: Checkout) -> None:
    code, out, err = checkout.run(FAKE_FAILS="always")
    assert (code, out) == (2, "")
    assert "as the test wants" in err and err.splitlines()[-1].startswith("foldline: set-up failed")
    checkout.answer()


def test_a_full_disk_is_named(checkout: Checkout) -> None:
    (checkout.bin / "df").unlink()
    (checkout.bin / "df").write_text("#!/bin/sh\necho header\necho /dev/x 99999999 1 317440 100% /\n")
    (checkout.bin / "df").chmod(0o755)
    code, _, err = checkout.run(FAKE_FAILS="always")
    assert code == 2 and "310 MB free" in err.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(checkout: Checkout) -> None:
    checkout.root.chmod(0o555)
    code, _, err = checkout.run()
    checkout.root.chmod(0o755)
    assert code == 2 and err.count("\n") == 1 and "cannot write" in err


def test_uv_is_fetched_with_pip_where_there_is_none(checkout: Checkout) -> None:
    checkout.without("uv")
    checkout.answer()
    assert [call["tool"] for call in checkout.installs()] == ["pip", "uv"]
    checkout.change("pyproject.toml")
    checkout.answer()
    assert [call["tool"] for call in checkout.installs()] == ["pip", "uv", "uv"]


def test_pip_installs_where_uv_cannot_be_had(checkout: Checkout) -> None:
    checkout.without("uv")
    code, _, err = checkout.run(FAKE_FAILS="fetching uv")
    assert code == 0 and "pip" in err
    last = str(checkout.installs()[-1]["argv"])
    assert checkout.installs()[-1]["tool"] == "pip" and "constraints.txt" in last and "[dev]" in last


def test_uv_is_enough_where_pip_is_missing(checkout: Checkout) -> None:
    checkout.answer(FAKE_NO_PIP="1")
    assert [call["tool"] for call in checkout.installs()] == ["uv"]


def test_neither_uv_nor_pip_nor_ensurepip(checkout: Checkout) -> None:
    checkout.without("uv")
    no_ensurepip = checkout.bin.parent / "sitecustomize.py"
    no_ensurepip.write_text("import sys\nsys.modules['ensurepip'] = None\n")
    code, _, err = checkout.run(FAKE_NO_PIP="1", PYTHONPATH=str(no_ensurepip.parent))
    assert code == 2 and "neither uv nor pip" in err

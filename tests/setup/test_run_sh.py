"""run.sh as a command: what it passes on, where it may be called from, and which Python it takes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from checkout import REPOSITORY, Checkout, make_checkout, make_environment


def all_requirements(extra: str = "") -> dict[str, str]:
    """Return what pyproject.toml requires, each in the lowest version that meets it."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"].get(extra, [])
    return {name: rest.split(",")[0] for name, rest in (line.split(">=") for line in lines)}


def test_arguments_and_the_callers_folder_are_passed_on(checkout: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    seen = checkout.answer("train", "a b", "post={x = 1}", "", cwd=elsewhere)
    assert seen["argv"] == ["train", "a b", "post={x = 1}", ""]
    assert seen["cwd"] == str(elsewhere)
    assert seen["FOLDLINE_HOME"] == str(checkout.root)
    assert seen["prefix"] == str(checkout.venv)


def test_exit_code_is_the_programs(checkout: Checkout) -> None:
    (checkout.root / "src/foldline/__main__.py").write_text("raise SystemExit(7)")
    assert checkout.run()[0] == 7


def test_through_symlinks_and_with_sh(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "first").symlink_to("../check out/run.sh")
    (tmp_path / "second").symlink_to(tmp_path / "links" / "first")
    assert checkout.answer(run=tmp_path / "second", cwd=tmp_path)["FOLDLINE_HOME"] == str(checkout.root)
    assert checkout.answer("run.sh", run=checkout.bin / "sh")["argv"] == []
    assert checkout.answer("run.sh", "x", run=checkout.bin / "bash")["FOLDLINE_HOME"] == str(checkout.root)


def test_cdpath_and_a_name_with_a_dash_do_no_harm(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path, "-e [x] $HOME 'q'")
    assert checkout.answer(CDPATH=str(tmp_path))["FOLDLINE_HOME"] == str(checkout.root)


def test_modules_in_the_callers_folder_do_not_shadow_ours(checkout: Checkout, tmp_path: Path) -> None:
    for name in ("json.py", "foldline.py"):
        (tmp_path / name).write_text("raise RuntimeError('shadowed')")
    assert checkout.answer(cwd=tmp_path)["cwd"] == str(tmp_path)


def test_byte_code_is_written(checkout: Checkout) -> None:
    assert checkout.answer(PYTHONDONTWRITEBYTECODE="1")["PYTHONDONTWRITEBYTECODE"] is None


def test_active_environment_that_fits_is_used_and_left_alone(checkout: Checkout, tmp_path: Path) -> None:
    prefix = tmp_path / "own"
    make_environment(prefix, all_requirements())
    before = sorted(prefix.rglob("*"))
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        checkout.env = {variable: str(prefix)}
        assert checkout.answer()["prefix"] == str(prefix)
    assert sorted(prefix.rglob("*")) == before
    assert not checkout.venv.exists()


def test_active_environment_that_lacks_something_is_passed_over(checkout: Checkout, tmp_path: Path) -> None:
    prefix = tmp_path / "own"
    make_environment(prefix, all_requirements() | {"torch": "1.13.1"})
    assert checkout.answer(VIRTUAL_ENV=str(prefix))["prefix"] == str(checkout.venv)


def test_verb_test_needs_extra_dev(checkout: Checkout, tmp_path: Path) -> None:
    make_environment(tmp_path / "plain", all_requirements())
    make_environment(tmp_path / "dev", all_requirements("dev"))
    assert checkout.answer("test", VIRTUAL_ENV=str(tmp_path / "plain"))["prefix"] == str(checkout.venv)
    assert checkout.answer("test", VIRTUAL_ENV=str(tmp_path / "dev"))["prefix"] == str(tmp_path / "dev")


def test_own_environment_activated_is_still_kept_up_to_date(checkout: Checkout) -> None:
    checkout.answer()
    checkout.change("pyproject.toml")
    assert checkout.answer(VIRTUAL_ENV=str(checkout.venv))["prefix"] == str(checkout.venv)
    assert len(checkout.installs()) == 2


@pytest.mark.parametrize("variable", ["KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG"])
def test_an_image_is_used_as_it_is(checkout: Checkout, tmp_path: Path, variable: str) -> None:
    python = make_environment(tmp_path / "image", all_requirements())
    checkout.env = {variable: "1"}
    assert checkout.answer(FOLDLINE_PYTHON=str(python))["prefix"] == str(tmp_path / "image")
    assert not checkout.venv.exists() and not checkout.installs()


def test_an_image_that_lacks_something_gets_the_list(checkout: Checkout, tmp_path: Path) -> None:
    packages = {k: v for k, v in all_requirements().items() if k != "polars"} | {"torch": "2.1.0"}
    python = make_environment(tmp_path / "image", packages)
    code, out, err = checkout.run("train", FOLDLINE_PYTHON=str(python), KAGGLE_KERNEL_RUN_TYPE="Batch")
    assert (code, out) == (2, "")
    assert [line.split(">=")[0] for line in err.splitlines() if ">=" in line] == ["torch", "polars"]
    assert "torch>=2.6,<3 (2.1.0)" in err and "(not installed)" in err and "pip" in err
    assert not checkout.venv.exists() and not checkout.installs()


@pytest.mark.parametrize("system", ["msys", "cygwin", "win32"])
def test_windows_is_refused_in_one_line(checkout: Checkout, system: str) -> None:
    code, _, err = checkout.run(OSTYPE=system)
    assert code == 2 and err.count("\n") == 1 and "WSL" in err


def test_old_python_is_refused_with_its_version(checkout: Checkout) -> None:
    old = checkout.bin / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n[ "$1" = --version ]\n')
    code, _, err = checkout.run()
    assert code == 2 and err.count("\n") == 1 and "3.11 or newer" in err and "Python 3.9.2" in err
    assert checkout.run(FOLDLINE_PYTHON=str(old))[2].count("FOLDLINE_PYTHON must be Python 3.11 or newer") == 1


def test_no_python_at_all(checkout: Checkout) -> None:
    checkout.without("python3")
    code, _, err = checkout.run()
    assert code == 2 and err.count("\n") == 1 and "missing" in err


def test_a_shim_that_fails_is_passed_over(checkout: Checkout) -> None:
    shim = checkout.bin / "python3.13"
    shim.write_text("#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    code, _, err = checkout.run()
    assert code == 0 and "not found" not in err

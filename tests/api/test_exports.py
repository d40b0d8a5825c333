"""What `import foldline` offers: cheap to import, typed, documented, with one type of errors."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

import foldline as fl
from foldline.cli.main import main
from foldline.core.errors import Error, Finding, UserError

EXPORTED = {name: getattr(fl, name) for name in fl.__all__}
VERBS = {name: each for name, each in EXPORTED.items() if inspect.isfunction(each) and name not in ("load", "live")}
RESULTS = {name: each for name, each in EXPORTED.items() if dataclasses.is_dataclass(each)}
REFUSED: dict[str, tuple[list[Any], dict[str, Any], list[str]]] = {  # a mistake in each verb, and the same typed
    "train": (["nowhere"], {}, ["nowhere"]),
    "blend": (["rides", "nowhere"], {}, ["rides", "nowhere"]),
    "audit": (["rides"], {"folds": {"k": 1}}, ["rides", "folds.k=1"]),
    "tune": (["rides"], {}, ["rides"]),
    "ablate": (["rides"], {}, ["rides"]),
    "study": (["rides"], {"study": {"parameters": 5}}, ["rides", "study.parameters=5"]),
    "decode": (["nowhere.csv", "out.csv"], {}, ["nowhere.csv", "out.csv"]),
    "estimate": (["nowhere.csv", "out.csv"], {}, ["nowhere.csv", "out.csv"]),
    "simulate": (["out"], {"breaths": -1}, ["out", "breaths=-1"]),
}


def test_importing_it_imports_no_library() -> None:
    heavy = ("torch", "polars", "numpy", "lightgbm", "optuna", "matplotlib", "rich")
    script = f"import sys, foldline; print([name for name in {heavy} if name in sys.modules], foldline.__version__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"[] {fl.__version__}\n"


def test_type_checkers_read_its_annotations() -> None:
    assert (Path(str(fl.__file__)).parent / "py.typed").is_file()


def test_every_name_is_there_and_listed() -> None:
    assert set(fl.__all__) <= set(dir(fl)) and sorted(fl.__all__) == fl.__all__
    with pytest.raises(AttributeError, match="'foldline' has no attribute 'trian'"):
        fl.trian  # noqa: B018
    assert set(VERBS) == set(REFUSED), "a verb without a test of its mistakes"


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_typed_and_documented(name: str) -> None:
    signature, hints = inspect.signature(VERBS[name]), typing.get_type_hints(VERBS[name])
    assert set(hints) == {*signature.parameters, "return"} and dataclasses.is_dataclass(hints["return"])
    text = inspect.getdoc(VERBS[name]) or ""
    arguments = text.partition("Args:\n")[2].partition("\n\n")[0]
    for parameter in signature.parameters.values():
        assert f"    {parameter.name}: " in arguments, f"{name} does not say what {parameter.name} is"
        assert parameter.name != "quiet" or parameter.default is False
    assert "quiet" in signature.parameters and "    foldline.Error: " in text.partition("Raises:\n")[2]


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_frozen_and_says_what_its_fields_are(name: str) -> None:
    kind = RESULTS[name]
    assert kind.__dataclass_params__.frozen and inspect.getdoc(kind)
    fields = typing.get_type_hints(kind)
    assert {field.name for field in dataclasses.fields(kind)} <= set(fields)


@pytest.mark.parametrize("name", VERBS)
def test_a_mistake_is_the_one_error_with_the_command_lines_sentence(
    name: str, rides: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    positional, named, words = REFUSED[name]
    assert main([name, *words]) == 2
    said = capfd.readouterr().err
    with pytest.raises(fl.Error) as caught:
        VERBS[name](*positional, **named, quiet=True)
    assert said == f"error: {caught.value}\n"
    assert capfd.readouterr() == ("", "")


def test_a_finding_is_caught_by_the_same_type() -> None:
    assert fl.Error is Error and issubclass(UserError, Error) and issubclass(Finding, Error)


def test_a_misspelt_keyword_is_refused_as_a_key(rides: Path) -> None:
    with pytest.raises(fl.Error, match=r"unknown table 'trian'. Did you mean 'train'\?"):
        fl.train("rides", trian={"epochs": 1})


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/python.md", "docs/how-to/serve.md"])
def test_pages_name_what_is_there(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert all(compile(block, page, "exec") for block in blocks)
    named = re.findall(r"\bfl\.(\w+)", text) + re.findall(r"from foldline import (\w+)", text)
    assert named and set(named) <= set(fl.__all__)
    fields = {name for kind in (fl.Run, fl.Audit) for name in dir(kind)} | set(fl.Run.__dataclass_fields__)
    assert set(re.findall(r"\brun\.(?!sh)(\w+)", text)) <= fields

"""Compiling ahead: what decoding calls is all compiled by then, by two processes, and neither is left behind."""

import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from numba.core.dispatcher import Dispatcher

from ventilator import simulator
from ventilator.decoder import compilation, decode


def _signatures() -> dict[str, set[Any]]:
    """Return what each of the decoder's compiled functions is compiled for in this process."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("ventilator.decoder.")]
    found = [each for module in modules for each in vars(module).values() if isinstance(each, Dispatcher)]
    return {f"{each.__module__}.{each.__name__}": set(each.signatures) for each in found}


def test_decoding_calls_nothing_that_is_not_compiled_ahead(tmp_path: Path) -> None:
    simulator.write_competition(tmp_path, breaths=24, test_breaths=100, seed=3)
    compilation.compile_half(0)
    compilation.compile_half(1)
    ahead = _signatures()
    assert not decode(pl.read_csv(tmp_path / "test.csv")).is_empty()
    assert _signatures() == ahead


def test_the_other_half_is_compiled_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, others = compilation._other_half, []
    monkeypatch.setattr(compilation, "COMPLETE", tmp_path / "complete")
    monkeypatch.setattr(compilation, "_other_half", lambda: others.append(begin()) or others[-1])
    compilation.compile_all(cores=2)
    assert [other.returncode for other in others] == [0] and (tmp_path / "complete").exists()
    compilation._compile_all.cache_clear()
    compilation.compile_all(cores=2)
    assert len(others) == 1


def test_without_a_second_process_and_with_no_place_for_the_mark_this_one_compiles_all_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise OSError("no process more")

    begin, compiled = compilation.compile_half, list[int]()
    monkeypatch.setattr(compilation.subprocess, "Popen", refused)
    monkeypatch.setattr(compilation, "COMPLETE", tmp_path / "nowhere" / "complete")
    monkeypatch.setattr(compilation, "compile_half", lambda number: compiled.append(number) or begin(number))
    for _ in range(2):
        compilation.compile_all(cores=2)
    assert compiled == [0, 1]


def test_an_interrupt_ends_the_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, others = compilation._other_half, []

    def interrupted(number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compilation, "COMPLETE", tmp_path / "complete")
    monkeypatch.setattr(compilation, "_other_half", lambda: others.append(begin()) or others[-1])
    monkeypatch.setattr(compilation, "compile_half", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compilation.compile_all(cores=2)
    assert [other.returncode for other in others] == [-9] and not (tmp_path / "complete").exists()


def test_one_core_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "COMPLETE", tmp_path / "complete")
    monkeypatch.setattr(compilation, "_other_half", lambda: pytest.fail("began"))
    compilation.compile_all(cores=1)
    assert (tmp_path / "complete").exists()

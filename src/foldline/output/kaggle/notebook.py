"""The notebook of a bundle: its cells, which are files of this folder, and its metadata."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from foldline.output.kaggle import kernel, serving_kernel

NOTEBOOK = "-notebook"  # the notebook's name is the data set's and this
MAIN = 'if __name__ == "__main__"'  # what the first of two cells leaves out: the second one goes on from it
USED = "from foldline.output"  # what the second one leaves out: the first one has it


def made(text: str, serves: bool) -> dict[str, Any]:
    """Make a notebook: a text, and the code of kernel.py, of one that serves that of serving_kernel.py behind it.

    Format: https://nbformat.readthedocs.io/en/latest/format_description.html
    """
    codes = {"predict": _code_of(kernel)}
    if serves:
        codes = {"find": _code_of(kernel, MAIN), "serve": _code_of(serving_kernel, USED)}
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "id": "what", "metadata": {}, "source": _lines(text)}]
    for name, code in codes.items():
        own = {"source": _lines(code), "outputs": [], "execution_count": None}
        cells.append({"cell_type": "code", "id": name, "metadata": {}, **own})
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": cells,
    }


def metadata(owner: str, competition: str, slug: str, on_gpu: bool) -> dict[str, Any]:
    """Make the notebook's metadata: https://github.com/Kaggle/kaggle-api/blob/main/docs/kernels_metadata.md

    Args:
        owner: Kaggle account. competition: whose files it reads; empty: none yet. slug: of the data set.
    """
    return {
        "id": f"{owner}/{slug}{NOTEBOOK}",
        "title": f"{slug}{NOTEBOOK}".replace("-", " "),
        "code_file": f"{slug}.ipynb",
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": on_gpu,
        "enable_internet": False,
        "dataset_sources": [f"{owner}/{slug}"],
        "competition_sources": [competition] if competition else [],
        "kernel_sources": [],
    }


def _code_of(module: ModuleType, left_out: str = "") -> str:
    """Return a file's text without the lines from `left_out` to the next empty one."""
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    if not left_out:
        return text
    before, found, after = text.partition(f"\n{left_out}")
    assert found, f"{module.__name__} has {left_out}"
    return before.rstrip("\n") + "\n" + after.partition("\n\n")[2].join(("\n", "")).rstrip("\n") + "\n"


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)

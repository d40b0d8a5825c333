"""Makes tutorial.ipynb from tutorial.py: runs its cells in Jupyter and keeps what they show. Needs the extra `jupyter`.

    FOLDLINE_EXTRAS=jupyter ./run.sh doctor && .venv/bin/python docs/tutorial/make.py

It runs in an empty folder, so that all is trained; a minute or two.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
MARK = "# %%"
LONGEST_S = 1800  # of a cell


def cells(source: str) -> list[tuple[str, str]]:
    """Split a script with `# %%` lines (py:percent) into cells: (markdown or code, text)."""
    found = []
    for part in f"\n{source}".split(f"\n{MARK}")[1:]:
        head, _, body = part.partition("\n")
        lines = body.strip().splitlines()
        if head.strip() == "[markdown]":
            found.append(("markdown", "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)))
        else:
            found.append(("code", "\n".join(lines)))
    return found


def notebook(source: str) -> nbformat.NotebookNode:
    """Make a notebook, not run yet."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    kinds = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    for number, (kind, text) in enumerate(cells(source)):
        made.cells.append(kinds[kind](text, id=f"cell-{number}"))
    return made


def main() -> None:
    """Write tutorial.ipynb."""
    made = notebook((HERE / "tutorial.py").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOLDLINE_HOME"] = folder
        NotebookClient(made, timeout=LONGEST_S, resources={"metadata": {"path": folder}}).execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)  # times of day
    made.metadata.pop("language_info", None)  # of this machine's Python
    nbformat.write(made, HERE / "tutorial.ipynb")


if __name__ == "__main__":
    main()

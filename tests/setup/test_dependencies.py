"""The default install: what pyproject.toml lists, whole and no more than it was."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from checkout import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
OPTIONAL = PROJECT["optional-dependencies"]

# A new line here costs every user disk, minutes, and an image that may lack it: it wants a reason in the same commit.
DEFAULT = """
lightgbm matplotlib numba numpy optuna polars psutil pyarrow rich safetensors scikit-learn scipy tomli-w torch wandb
"""
DEV = "hypothesis import-linter mypy pytest pytest-timeout pytest-xdist ruff"
MODULES = {"sklearn": "scikit-learn", "tomli_w": "tomli-w", "grpc": "grpcio", "google": "protobuf"}  # module: package
BY_OTHERS = {  # module: package that requires its package and whose interface takes it
    "sqlalchemy": "optuna",
    "threadpoolctl": "scikit-learn",  # whose own threads are limited by it
    "IPython": "ipykernel",  # a notebook's kernel: it is imported only inside of one
}


def names(requirements: Iterable[str]) -> list[str]:
    """Names of packages, without bounds."""
    return sorted(re.split("[<>=!;]", line)[0].strip() for line in requirements)


def test_the_default_install_has_not_grown() -> None:
    assert names(PROJECT["dependencies"]) == DEFAULT.split()
    assert names(OPTIONAL["dev"]) == DEV.split()


def imported(folder: Path) -> Iterator[str]:
    """First parts of the names of all modules that files below a folder import, wherever they do."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def test_everything_that_is_imported_is_required() -> None:
    found = {module for part in ("src", "features", "models") for module in imported(REPOSITORY / part)}
    others = found - set(sys.stdlib_module_names) - {"foldline", "gestures", "ventilator", "__future__"}
    packages = {BY_OTHERS.get(module) or MODULES.get(module, module) for module in others}
    required = {*DEFAULT.split(), *(name for extra in OPTIONAL if extra != "dev" for name in names(OPTIONAL[extra]))}
    assert packages <= required, f"imported and not required: {packages - required}"

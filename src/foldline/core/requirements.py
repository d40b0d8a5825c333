"""Which of pyproject.toml's requirements this Python lacks. Standard library only: it runs before any installation.

run.sh calls it for an active environment, and for Kaggle's and Colab's images, which are used as they are:

    python -P src/foldline/core/requirements.py pyproject.toml [EXTRA ...]

prints one line per lacking requirement, and exits 1 where there is one. Only what pyproject.toml names is looked at,
not what those packages require in turn.
"""

from __future__ import annotations

import operator
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

_OPERATORS: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
SAME = {"xgboost": ("xgboost-cpu",)}  # package: others that bring the same module
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?P<bounds>(?:[<>=!]=?\s*[\d.]+\s*,?\s*)*)")
_BOUND = re.compile(r"([<>=!]=?)\s*([\d.]+)")


def declared(pyproject: Path, extras: Iterable[str] = ()) -> list[str]:
    """List the requirements of pyproject.toml, those of the named extras included.

    Raises:
        ValueError: an extra that pyproject.toml does not declare.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    optional = project.get("optional-dependencies", {})
    requirements = list(project["dependencies"])
    for extra in extras:
        if extra not in optional:
            raise ValueError(f"An extra must be one of {sorted(optional)}, but got {extra!r} ({pyproject}).")
        requirements += optional[extra]
    return requirements


def own() -> list[str]:
    """List foldline's requirements without extras: from the checkout's pyproject.toml, else as it was installed."""
    pyproject = Path(__file__).resolve().parents[3] / "pyproject.toml"
    if pyproject.is_file():
        return declared(pyproject)
    return [line for line in requires("foldline") or [] if "extra ==" not in line]


def lacking(requirements: Iterable[str]) -> list[str]:
    """List the requirements that the running Python does not meet, one line each: requirement (installed version)."""
    found = {requirement: installed(_parse(requirement)[0]) for requirement in requirements}
    return [f"{line} ({have or 'not installed'})" for line, have in found.items() if not _meets(line, have)]


def _meets(requirement: str, have: str | None) -> bool:
    bounds = _parse(requirement)[1]
    return have is not None and all(_OPERATORS[sign](_release(have), _release(bound)) for sign, bound in bounds)


def _parse(requirement: str) -> tuple[str, list[tuple[str, str]]]:
    """Split `torch>=2.6,<3` into ("torch", [(">=", "2.6"), ("<", "3")])."""
    match = _REQUIREMENT.fullmatch(requirement.strip())
    if match is None:
        raise ValueError(
            f"A requirement must be a name and plain bounds such as 'torch>=2.6,<3', but got {requirement!r} "
            "in pyproject.toml; write it plainly, or extend src/foldline/core/requirements.py."
        )
    return match["name"], _BOUND.findall(match["bounds"])


def installed(name: str) -> str | None:
    """Return the version of a package, or of what is the same under another name; None: it is not installed."""
    for each in (name, *SAME.get(name, ())):
        try:
            return version(each)
        except PackageNotFoundError:
            continue
    return None


def _release(text: str) -> tuple[int, ...]:
    """Return the release part of a version, trailing zeros dropped: 2.13.0+cpu and 2.13 are both (2, 13)."""
    match = re.match(r"\d+(\.\d+)*", text)
    parts = [int(part) for part in match[0].split(".")] if match else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def main(pyproject: str, *extras: str) -> int:
    """Print what is lacking, one line each; 1 where anything is."""
    lines = lacking(declared(Path(pyproject), extras))
    print("\n".join(lines), end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

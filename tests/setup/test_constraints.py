"""constraints.txt: exact, complete, and good for every machine."""

from __future__ import annotations

import re
import tomllib
from itertools import chain

from checkout import REPOSITORY

TEXT = (REPOSITORY / "constraints.txt").read_text()
PINS = [line for line in TEXT.splitlines() if not line.startswith("#")]


def test_no_address_and_no_local_build() -> None:
    assert "://" not in TEXT and "+c" not in TEXT and " @ " not in TEXT


def test_every_line_is_an_exact_pin() -> None:
    pin = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; .+)?")
    assert [line for line in PINS if not pin.fullmatch(line)] == []


def test_cuda_libraries_are_left_to_torch() -> None:
    assert [line for line in PINS if line.startswith(("nvidia", "cuda", "triton"))] == []


def test_everything_that_pyproject_names_is_pinned() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = chain(project["dependencies"], *project["optional-dependencies"].values())
    named = {re.split("[<>=!;]", line)[0].strip() for line in lines}
    assert named - {line.split("==")[0] for line in PINS} == set()

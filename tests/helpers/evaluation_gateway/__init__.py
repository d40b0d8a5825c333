"""A stand-in for Kaggle's evaluation package: own code, no gRPC, four dialects, six competitions.

    folder = write(input_folder / "rides", "1.7", "hull", tables)   # the competition's folder with kaggle_evaluation

What is written is a package as a competition ships it: kaggle_evaluation/hull_gateway.py, hull_inference_server.py and
core/, which a notebook finds and imports. core.py has what the dialects do, competitions.py which batches gateways pass
and what they check. Their behaviour is from what is publicly known of the package's versions 0.3 to 1.7: codecs that
lose what the real ones lose, one worker thread that is not the main one, deadlines, checks, one concatenation.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

HERE = Path(__file__).parent
DIALECTS = ("0.3", "0.9", "1.4", "1.7")
COMPETITIONS = ("cmi", "jane", "mitsui", "hull", "nfl", "shared")
SERVER = '''"""The competitor's entry."""

from kaggle_evaluation.core import stand_in
from kaggle_evaluation.{name}_gateway import {kind}Gateway


class {kind}InferenceServer(stand_in.{base}):
    gateway = {kind}Gateway
'''
GATEWAY = '''"""The host's."""

from kaggle_evaluation.core.competitions import {kind} as {kind}Gateway
'''


def write(folder: Path, dialect: str, competition: str, tables: dict[str, pl.DataFrame], options: str = "") -> Path:
    """Write a competition's folder: its tables as CSV, and the package. options: lines for core/options.py."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, table in tables.items():
        table.write_csv(folder / f"{stem}.csv")
    package = folder / "kaggle_evaluation"
    (package / "core").mkdir(parents=True)
    kind = competition.capitalize()
    base = "RunServer" if dialect == "1.7" else "ForkServer"
    (package / "__init__.py").write_text(f'__version__ = "{dialect}.0"\n')
    (package / f"{competition}_gateway.py").write_text(GATEWAY.format(kind=kind))
    (package / f"{competition}_inference_server.py").write_text(SERVER.format(name=competition, kind=kind, base=base))
    (package / "core" / "__init__.py").touch()
    (package / "core" / "options.py").write_text(f'DIALECT = "{dialect}"\n{options}\n')
    for source, target in (("core.py", "stand_in.py"), ("competitions.py", "competitions.py")):
        shutil.copy(HERE / source, package / "core" / target)
    return folder

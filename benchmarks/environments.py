"""Environments of pinned packages that can't, or need not, stand beside ours; made once, below the cache folder.

Imported by uea.py and shows.py, whose data lie inside of wheels.
"""

import os
import shutil
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "foldline"


def environment(home: Path, packages: Sequence[str]) -> Path:
    """Make an environment unless it is there; return its Python. packages: as pip names them, with versions."""
    python, done = home / "bin" / "python", home / "done"
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        subprocess.check_call([str(python), "-m", "pip", "install", "--quiet", *packages])
        done.touch()
    return python

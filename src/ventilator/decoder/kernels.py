"""One decorator for the decoder's compiled functions: numba, without the GIL, cached on disk.

numba's cache looks at a function's own file only: edit a callee, and a cached caller in another file goes on running
the old one. So the cache lies in a folder named after the hash of every source the kernels are made of.
"""

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import numba
from numba.core import config

Function = TypeVar("Function", bound=Callable[..., object])

HERE: Final = Path(__file__).parent
STALE_S: Final = 30 * 86_400  # s; a folder untouched for 30 days belongs to no running process


def _cache_folder() -> Path:
    """Return the folder of these sources' machine code; remove old folders that no process can still use."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in [*sorted(HERE.glob("*.py")), HERE.parent / "controller.py"]:
        digest.update(source.read_bytes())
    folder = HERE / "__pycache__" / f"kernels-{digest.hexdigest()[:12]}"
    for other in folder.parent.glob("kernels-*"):
        if other != folder and time.time() - other.stat().st_mtime > STALE_S:
            shutil.rmtree(other, ignore_errors=True)
    return folder


CACHE: Final = _cache_folder()


def kernel(function: Function) -> Function:
    """Compile `function` on its first call, or load it from the cache; threads run it side by side."""
    # numba has no per-function cache folder: its global setting is read when the decorator runs, then put back.
    before, config.CACHE_DIR = config.CACHE_DIR, str(CACHE)
    try:
        # error_model="numpy": division by zero gives inf as in numpy, without a check at every division.
        compiled: Function = numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before
    return compiled

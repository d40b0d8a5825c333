"""One decorator for the decoder's compiled functions: numba, without the GIL, cached on disk.

numba's cache looks at a function's own file only: edit a callee, and a cached caller in another file goes on running
the old one. So the cache lies in a folder named after the hash of every source the kernels are made of.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from numba.core import config, types
from numba.core.types.misc import unliteral

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
    return _compiled(function, called_from_python=True)


def helper(function: Function) -> Function:
    """Do what `kernel` does for a function that only compiled ones call: numba makes no way in from Python."""
    return _compiled(function, called_from_python=False)


def _compiled(function: Function, called_from_python: bool) -> Function:
    # numba has no per-function cache folder: its global setting is read when the decorator runs, then put back.
    before, config.CACHE_DIR = config.CACHE_DIR, str(CACHE)
    try:
        compiled = numba.njit(
            cache=True,
            nogil=True,
            no_cfunc_wrapper=True,
            no_cpython_wrapper=not called_from_python,
            error_model="numpy",  # division by zero gives inf as in numpy, without a check at every division
        )(function)
    finally:
        config.CACHE_DIR = before
    if not config.DISABLE_JIT:
        _ignore_literals(compiled)
    return cast(Function, compiled)


def _ignore_literals(compiled: Any) -> None:
    """Let compiled callers ask for int64 where they pass a 0: numba would compile a function anew for each number."""
    call_template = compiled.get_call_template

    def without_literals(arguments: Sequence[types.Type], keywords: dict[str, types.Type]) -> Any:
        named = {name: unliteral(each) for name, each in keywords.items()}
        return call_template(tuple(unliteral(each) for each in arguments), named)

    compiled.get_call_template = without_literals

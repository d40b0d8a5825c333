"""Whether anything has changed that a finished command depends on: what it has opened, its code, its surroundings.

A `Witness` hears of every file that this process opens (Python's audit events), so that no reader can be forgotten;
what polars opens by itself is told by `reads`. A file is taken for unchanged while its size, times and inode are, as
git and make do; nothing is read. Imports no library: a command with nothing to do ends before those are imported.
"""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

READS, HIDDEN = "foldline.reads", "foldline.hidden"  # audit events of our own
PLACES = {"open": 0, "os.rename": 1, "os.listdir": 0, "os.scandir": 0, READS: 0}  # event -> which argument is the path
WRITTEN_ONLY = os.O_WRONLY | os.O_EXCL  # flags of files that are logs, or have a name for a while only
# Variables that a result, or where it is computed, may depend on.
VARIABLES = (
    *("FOLDLINE_", "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "CUBLAS_", "PYTORCH_", "TORCH_", "OMP_", "MKL_", "OPENBLAS_"),
    *("NUMBA_", "POLARS_", "WANDB_", "RAY_", "KAGGLE_", "COLAB_", "PYTHON"),
)
ACCELERATORS = ("nvidia*", "kfd", "dxg")  # in /dev: NVIDIA's, AMD's, those of WSL
NOT_FILES = ("/dev/", "/proc/", "/sys/")
COARSE_NS = 2 * 10**9  # file systems that keep whole seconds (FAT: every other one) may say that much too early
State = list[int] | None  # of a path: a file's size, inode and times; a folder's times; None: there is nothing
_LIBRARIES = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_witnesses: list[Witness] = []
_hooked: list[bool] = []


def reads(path: Path) -> None:
    """Tell witnesses of a file that something else than Python opens: polars, say. What comes beside it counts, too."""
    sys.audit(READS, path)


def hidden() -> None:
    """Tell witnesses that something may be read of which they don't hear: by code that is not foldline's."""
    sys.audit(HIDDEN)


class Witness:
    """Hears which files are opened, until its `end`."""

    def __init__(self) -> None:
        self._since = time.time_ns()
        self._paths: set[str] = set()
        self._made: set[str] = set()  # written by this process, under a temporary name first (files.atomic)
        self._hidden = False
        if not _hooked:  # Python takes none back: one a process
            _hooked.append(True)
            sys.addaudithook(_hook)
        _witnesses.append(self)

    def end(self) -> None:
        """Hear nothing more."""
        _witnesses.remove(self)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note what an audit event says."""
        if event == HIDDEN:
            self._hidden = True
            return
        path = arguments[PLACES[event]]
        if isinstance(path, int) or path is None:
            return
        if event == "open" and arguments[2] & WRITTEN_ONLY:
            return
        found = Path(os.fsdecode(path)).absolute()
        self._paths.add(str(found))
        if event == "os.rename":
            self._made.add(str(found))
        if event == READS:
            self._paths.add(str(found.parent))

    def facts(self, ours: Sequence[Path], whole: Path) -> dict[str, State] | None:
        """Return path -> state of all that this process has opened or listed, and of its code.

        Args:
            ours: folders that foldline itself writes into: what else comes into them matters to no command.
            whole: one of them: of its folders that were opened all files count, as other processes wrote some of them.

        Returns:
            None where it can't be said: something may have been read unheard, or something that others write (all
            but what lies beside `whole`) has changed since this witness began, and may have been read before.
        """
        if self._hidden:
            return None
        stored, runs = _starts(ours), _starts([whole.parent])
        modules = _modules()
        code = {str(Path(path).parent) for path in modules}
        libraries = {path: state_of(path) for path in _absolute(sys.path)}
        opened = {path for path in self._paths | modules if not _foreign(path)}
        opened |= {str(file) for folder in _folders_in(whole, opened) for file in folder.iterdir()}
        found = {path: state_of(path) for path in sorted(opened)}
        for path, state in list(found.items()):
            if f"{path}{os.sep}".startswith(stored) and (_is_folder(state) or f"{os.sep}locks{os.sep}" in path):
                del found[path]
            elif _is_folder(state) and (path in code or path in libraries):
                del found[path]  # byte code is written there; libraries' are noted below
            elif path in self._made or path.startswith(runs):
                continue  # written by this process, or by one that trains for it
            elif state is not None and _latest(state) >= self._since:
                return None
        return found | libraries


def differing(facts: dict[str, State]) -> str:
    """Return a path whose state is another one now; empty: there is none."""
    return next((path for path, state in facts.items() if state_of(path) != state), "")


def state_of(path: str | Path) -> State:
    """Return the state of a path now; of what cannot be looked at, that of nothing."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(found.st_mode):
        return [found.st_mtime_ns, found.st_ctime_ns]
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


def surroundings() -> dict[str, Any]:
    """Return what else a result, or where it is computed, may depend on."""
    return {
        "python": [sys.executable, sys.version],
        "machine": [os.uname().nodename, os.uname().machine, _processors()],
        "accelerators": sorted(str(path) for name in ACCELERATORS for path in Path("/dev").glob(name)),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)},
    }


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in PLACES or event == HIDDEN:
        for witness in _witnesses:
            witness.hear(event, arguments)


def _modules() -> set[str]:
    """Return the files of all modules that are imported and belong to no library."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {path for path in _absolute(file for file in files if file) if not _foreign(path) and Path(path).is_file()}


def _absolute(paths: Iterable[str]) -> Iterable[str]:
    return (str(Path(path).absolute()) for path in paths)


def _foreign(path: str) -> bool:
    """Whether a path is a library's, the system's, or that of byte code."""
    return path.startswith((*NOT_FILES, *_LIBRARIES)) or f"{os.sep}__pycache__{os.sep}" in f"{path}{os.sep}"


def _folders_in(whole: Path, opened: Iterable[str]) -> set[Path]:
    """Return the folders of `whole` that hold, or are, something opened."""
    inside = (path.removeprefix(f"{whole}{os.sep}") for path in opened if path.startswith(f"{whole}{os.sep}"))
    return {folder for name in inside if (folder := whole / Path(name).parts[0]).is_dir()}


def _starts(folders: Iterable[Path]) -> tuple[str, ...]:
    """Return what paths in folders start with: of a link its own name, too."""
    return tuple(f"{each}{os.sep}" for folder in folders for each in (folder.absolute(), folder.resolve()))


def _is_folder(state: State) -> bool:
    return state is not None and len(state) == 2


def _latest(state: list[int]) -> int:
    """Return the latest time, ns, at which a path may have changed."""
    time_ns = max(state[-2:])
    return time_ns if time_ns % 10**9 else time_ns + COARSE_NS

"""`doctor`: what this machine has, in one table. It tells; it never fails and never shows a secret."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from foldline import files, requirements
from foldline.cli import Arguments
from foldline.console import Terminal

LIBRARIES = ("torch", "numpy", "polars", "lightgbm", "scikit-learn", "optuna", "wandb", "numba")


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Print the table; exit code 0 whatever it says."""
    facts = {
        "python": f"{platform.python_version()} ({sys.executable})",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "disk": f"{shutil.disk_usage(files.home()).free / 2**30:.0f} GiB free at {files.home()}",
        "gpu": _gpu(),
        **{name: _version(name) for name in LIBRARIES},
        "wandb mode": _wandb(),
        "kaggle credentials": "found"
        if _kaggle()
        else "none (KAGGLE_USERNAME and KAGGLE_KEY, or ~/.kaggle/kaggle.json)",
        "lacking": _lacking(),
    }
    terminal.table("", ["this machine", ""], [[name, value] for name, value in facts.items()])
    terminal.result(facts, f"foldline {version('foldline') if _version('foldline') != 'missing' else 'from source'}")
    return 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _memory() -> str:
    try:
        import psutil
    except ImportError:
        return "unknown (psutil is missing)"
    memory = psutil.virtual_memory()
    return f"{memory.total / 2**30:.0f} GiB, {memory.available / 2**30:.0f} GiB free"


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "unknown (torch is missing)"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return "Apple GPU (mps)" if torch.backends.mps.is_available() else "none that torch can use"


def _wandb() -> str:
    from foldline.track import TrackConfig, mode_of

    return mode_of(TrackConfig())


def _kaggle() -> bool:
    folder = Path(os.environ.get("KAGGLE_CONFIG_DIR", "~/.kaggle")).expanduser()
    return bool(os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY")) or (folder / "kaggle.json").exists()


def _lacking() -> str:
    missing = requirements.lacking(requirements.declared(files.home() / "pyproject.toml", []))
    return ", ".join(missing) or "nothing"

"""`doctor`: show what this machine has, in one table. It never shows a secret.

With --verify it compares all that is stored under runs/ with its checksums instead: 1 where something is damaged.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version

from foldline.cli.main import Arguments
from foldline.core import files, requirements
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.experiment import verification
from foldline.output.kaggle import credentials
from foldline.run import ledger

LIBRARIES = (
    *("torch", "numpy", "polars", "lightgbm", "scikit-learn", "optuna", "wandb", "numba"),
    *("kaggle", "ray", "xgboost", "catboost"),  # extras
)


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Print the table; the exit code is 0, and 1 where --verify has found something damaged."""
    if "--verify" in arguments.flags:
        return _verify(terminal)
    facts = {
        "python": f"{platform.python_version()} ({sys.executable})",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "disk": f"{shutil.disk_usage(files.home()).free / 2**30:.0f} GiB free at {files.home()}",
        "gpu": _gpu(),
        **{name: _version(name) for name in LIBRARIES},
        "wandb mode": _wandb(),
        "kaggle credentials": credentials.found() or "none (KAGGLE_API_TOKEN, or ~/.kaggle/access_token)",
        "ledger": _ledger(),
        "lacking": _lacking(),
    }
    terminal.table("", ["this machine", ""], [[name, value] for name, value in facts.items()])
    terminal.result(facts, f"foldline {version('foldline') if _version('foldline') != 'missing' else 'from source'}")
    return 0


def _verify(terminal: Terminal) -> int:
    """List what is damaged under runs/."""
    with terminal.bar("checksums", "marks") as update:
        found = verification.verify(update)
    if found.damaged:
        rows = [[str(path.relative_to(files.home())), why] for path, why in found.damaged.items()]
        terminal.table("damaged", ["", "what is wrong"], rows)
        terminal.say("Run the commands again that made it: what is damaged counts as not finished, and is made anew.")
    older = f"; {found.unchecked} are of an older version, without checksums" if found.unchecked else ""
    answer = {"checked": found.checked, "unchecked": found.unchecked}
    damaged = {str(path): why for path, why in found.damaged.items()}
    last = f"doctor: {len(damaged)} of {found.checked} stored things are damaged{older}"
    terminal.result({**answer, "damaged": damaged}, last)
    return 1 if damaged else 0


def _version(name: str) -> str:
    return requirements.installed(name) or "missing"


def _memory() -> str:
    try:
        import psutil
    except ImportError:
        return "unknown (psutil is missing)"
    memory = psutil.virtual_memory()
    return f"{memory.total / 2**30:.0f} GiB, {memory.available / 2**30:.0f} GiB free"


def _ledger() -> str:
    try:
        return f"{len(ledger.entries(ledger.ledger_path(simulated=False)))} submissions"
    except UserError as error:  # the other lines are wanted then all the more
        return str(error)


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "unknown (torch is missing)"
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        return f"{', '.join(names)}; CUDA {torch.version.cuda}, driver {_driver()}"
    if torch.backends.mps.is_available():
        return "Apple GPU (mps)"
    driver = _driver()
    return "none that torch can use" + (f", but driver {driver}: see UV_TORCH_BACKEND in the README" if driver else "")


def _driver() -> str:
    """Return the version of NVIDIA's driver; empty where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return answer.stdout.split("\n")[0].strip() if answer.returncode == 0 else ""


def _wandb() -> str:
    from foldline.output.tracking import TrackConfig, mode_of

    return mode_of(TrackConfig())


def _lacking() -> str:
    missing = requirements.lacking(requirements.own())
    return ", ".join(missing) or "nothing"

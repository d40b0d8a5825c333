"""`ddp`: `train` with several processes for each network, which PyTorch's torchrun starts and watches.

Each process is a `train` of its own; what those behind the first one do is in run/followers.py. This one waits for
them, hands a signal on, and ends all when one has ended.
"""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import ExitCode, UserError

OWN = "torchrun."  # beginning of the overrides that are torchrun's options
SAVING_S = 120  # longest wait for the last checkpoint; torchrun's own is 30 s
OWN_CODES = (ExitCode.FINDING, ExitCode.USER_ERROR, ExitCode.BUG)  # of a process that has said why itself
TOLD_CODES = (ExitCode.INTERRUPTED, ExitCode.TERMINATED, -signal.SIGTERM)  # torchrun ends the others so after one's end


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Start the processes, and return the exit code of the first one, or of the one that has ended all."""
    options, overrides = _options(arguments.overrides)
    count = processes(options)
    overrides.append(f"train.processes={count}")
    flags = sorted(arguments.flags)
    os.environ["PYTHONSAFEPATH"] = "1"  # as run.sh has it: a models/ in this folder does not shadow ours
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # of the processes: that all weights are used is no warning
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun has it; train.threads says what networks get
    terminal.say(f"{count} processes: train.processes={count}")
    return _launched([*_arguments(options), "-m", "foldline", "train", *arguments.words, *overrides, *flags])


def _options(given: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split overrides into torchrun's options, name -> value, and the config's."""
    own = [text.removeprefix(OWN).partition("=") for text in given if text.startswith(OWN)]
    return {name: value for name, _, value in own}, [text for text in given if not text.startswith(OWN)]


def processes(options: dict[str, str]) -> int:
    """Return how many processes there are on all nodes.

    Raises:
        UserError: a number is no number: of GPUs, of a range of nodes.
    """
    found = {}
    for name, default in (("nproc-per-node", _gpus()), ("nnodes", 1)):
        text = options.get(name, str(default))
        if not text.isdecimal() or int(text) < 1:
            shown = "--processes" if name == "nproc-per-node" else f"--{name}"
            raise UserError(f"{shown} must be a whole number, at least 1, but is {text!r}: each batch is split by it.")
        found[name] = int(text)
    options["nproc-per-node"] = str(found["nproc-per-node"])
    return found["nproc-per-node"] * found["nnodes"]


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() or 1


def _arguments(options: dict[str, str]) -> list[str]:
    """Write torchrun's command line: on one node alone it looks for a free port by itself."""
    alone = [] if options.keys() - {"nproc-per-node", "nproc_per_node"} else ["--standalone"]
    return [*alone, *(f"--{name}={value}" for name, value in options.items()), "--max-restarts=0"]


def _launched(words: list[str]) -> int:
    """Run torchrun, and return the exit code.

    Raises:
        UserError: a process was killed, or ended without a word.
    """
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    launcher: Any = torchrun  # it has no types
    options = launcher.parse_args(words)
    for name, value in (("shutdown_timeout", SAVING_S), ("signals_to_handle", ",".join(_heeded()))):
        if hasattr(options, name):  # older versions of torch lack them
            setattr(options, name, value)
    logging.disable(logging.ERROR)  # what torchrun logs of an end is said here, in a sentence
    try:
        launcher.run(options)
    except SignalException as stopped:  # the first process has saved, and said so
        return ExitCode.INTERRUPTED if stopped.sigval == signal.SIGINT else ExitCode.TERMINATED
    except ChildFailedError as failed:
        return _ended({rank: failure.exitcode for rank, failure in failed.failures.items()})
    finally:
        logging.disable(logging.NOTSET)
    return ExitCode.DONE


def _heeded() -> list[str]:
    """Name the signals that end all processes: none that this one was started to ignore, as behind `nohup` or `&`."""
    every = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    return [number.name for number in every if signal.getsignal(number) != signal.SIG_IGN]


def _ended(codes: dict[int, int]) -> int:
    """Return the exit code where processes have failed. codes: of those, by their number.

    Raises:
        UserError: none of them has said why.
    """
    for rank in sorted(codes):
        if codes[rank] in OWN_CODES:
            return codes[rank]
    from foldline.fit.ranks import GONE

    rest = "The others were ended, too. Finished cells and the last checkpoint are kept: run the same command again."
    killed = [rank for rank in sorted(codes) if codes[rank] not in (GONE, *TOLD_CODES)]
    if not killed and GONE in codes.values():
        raise UserError(
            "The processes have lost each other. Either one on another node has ended, whose own output says why, or "
            f"they could not exchange gradients: NCCL_DEBUG=WARN before the command lets NCCL say why not. {rest}"
        )
    if not killed and ExitCode.INTERRUPTED in codes.values():
        return ExitCode.INTERRUPTED
    first = killed[0] if killed else min(codes)
    raise UserError(
        f"Process {first} of those that train together ended with exit code {codes[first]} (a negative one is "
        f"a signal; -9 is often the system running out of memory). {rest}"
    )

"""A machine that gives out: a full disk, folders of somebody else, a clock that jumps, no output, few open files.

A command runs in such a child; then the same command runs as it should. It must end with the bytes of a command that
nothing has disturbed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from random import Random

import tiny

from benchmarks.fault_injection import children
from benchmarks.fault_injection.children import Ended
from benchmarks.fault_injection.fault import Fault, Kind, Outcome

NEW_MOUNTS, PRIVATE = 0x00020000, (1 << 18) | (1 << 14)  # CLONE_NEWNS; MS_PRIVATE | MS_REC
NOBODY = 65534  # user
PRINTERS: list[subprocess.Popen[bytes]] = []  # of this process: what it prints goes through them
SMALLER = ["train.epochs=1", "model.1.rounds=2"]
COMMANDS = (
    ["train", "rides", *SMALLER],
    ["train", "rides", *SMALLER],
    ["folds", "rides"],
    ["infer", "rides"],
    ["report", "rides"],
)
COMPARED = (".npy", ".safetensors", ".csv", ".parquet", ".txt")  # what has no times in it


def full_disk(size: int) -> None:
    """Give runs/ a file system of some bytes; other processes do not see it."""
    libc, runs = ctypes.CDLL(None, use_errno=True), Path.cwd() / "runs"
    runs.mkdir(exist_ok=True)
    if libc.unshare(NEW_MOUNTS) or libc.mount(b"none", b"/", None, PRIVATE, None):
        return file_size(size)
    before = Path.cwd() / "runs-before"
    runs.rename(before)
    runs.mkdir()
    if libc.mount(b"tmpfs", str(runs).encode(), b"tmpfs", 0, f"size={max(size, 4096)}".encode()):
        runs.rmdir()
        before.rename(runs)
        return file_size(size)
    try:
        shutil.copytree(before, runs, dirs_exist_ok=True, symlinks=True)
    except OSError:
        libc.umount(str(runs).encode())
        runs.rmdir()
        before.rename(runs)
    return None


def file_size(size: int) -> None:
    """Let no file grow beyond some bytes; what is printed goes through a pipe, which is none."""
    for stream in (1, 2):
        printer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=stream)
        assert printer.stdin is not None, "a pipe was asked for"
        PRINTERS.append(printer)
        os.dup2(printer.stdin.fileno(), stream)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def open_files(count: int) -> None:
    """Let no more than some files be open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def somebody_else(number: int) -> None:
    """Become another user, who owns some of the home's folders."""
    draw = Random(number)
    for path in [Path.cwd(), *sorted(Path.cwd().rglob("*"))]:
        if path.is_dir() and draw.random() < 0.6:
            os.chown(path, NOBODY, NOBODY)
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def jumping_clock(number: int) -> None:
    """Let the time of day jump forwards and backwards, by years or milliseconds."""
    draw, real = Random(number), time.time

    def jumping() -> float:
        return max(0.0, real() + draw.choice([0.0, -1e-3, 60.0, -3600.0, 1e8, -1e9]))

    time.time = jumping


def closed(number: int) -> None:
    """Close standard input, output or error, as `>&-` does."""
    for stream, name in enumerate(("stdin", "stdout", "stderr")):
        if number & 1 << stream:
            os.close(stream)
            setattr(sys, name, None)


def full_output(number: int) -> None:
    """Let writing to standard output or error fail."""
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1 + number % 2)


TROUBLES: dict[str, tuple[Callable[[int], None], Callable[[Random], int]]] = {
    "a disk of its own for runs/, bytes": (full_disk, lambda draw: int(4096 * 2 ** draw.uniform(0, 9))),
    "no file larger than, bytes": (file_size, lambda draw: int(2 ** draw.uniform(0, 18))),
    "open files": (open_files, lambda draw: draw.randrange(4, 60)),
    "another user, folders by seed": (somebody_else, lambda draw: draw.randrange(1 << 16)),
    "a jumping clock, seed": (jumping_clock, lambda draw: draw.randrange(1 << 16)),
    "closed streams, as bits": (closed, lambda draw: draw.randrange(1, 8)),
    "standard output (even) or error on a full device": (full_output, lambda draw: draw.randrange(2)),
}


def disturbed(trouble: str, number: int, words: list[str]) -> int:
    """Run a command in trouble, in the child."""
    from foldline.cli.main import main

    TROUBLES[trouble][0](number)
    home = Path(os.environ["FOLDLINE_HOME"])
    try:
        code = main(words)
    finally:
        if (home / "runs-before").is_dir():  # the file system of runs/ ends with this process
            shutil.copytree(home / "runs", home / "runs-after", symlinks=True)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError, ValueError):  # it is closed, or full
            stream.flush()
    for stream, printer in enumerate(PRINTERS, 1):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        printer.communicate()  # closes its input
    os._exit(code)  # the harness would flush the streams that are gone


def results(home: Path) -> dict[str, bytes]:
    """Return what a command has made and what holds no times."""
    found = {name: content for name, content in tiny.tree(home).items() if name.endswith(COMPARED)}
    return {name: content for name, content in found.items() if "/probes/" not in name and "ledger" not in name}


def environment_faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Run commands in trouble, without end."""
    source, bare, trained = tiny.write(scratch / "rides", tiny.frames()), scratch / "bare", scratch / "trained"
    scratch.chmod(0o755)
    tiny.install(bare, source)
    shutil.copytree(bare, trained)
    _undisturbed(trained, COMMANDS[0])
    expected: dict[str, dict[str, bytes]] = {}
    number, draw = 0, Random(f"environment {seed}")
    while True:
        number += 1
        words, trouble = draw.choice(COMMANDS), draw.choice(list(TROUBLES))
        size = TROUBLES[trouble][1](draw)
        home, start = scratch / f"{number}", bare if words[0] in ("train", "folds") else trained
        if words[0] not in expected:
            expected[words[0]] = results(_undisturbed(_copied(start, scratch / words[0]), words))
        _copied(start, home)
        what = f"seed {seed}, number {number}: {' '.join(words)}: {trouble} {size}"
        yield Fault(what, *_judged(home, trouble, size, words, expected[words[0]]))
        shutil.rmtree(home)


def _copied(start: Path, home: Path) -> Path:
    return shutil.copytree(start, home, symlinks=True)


def _undisturbed(home: Path, words: list[str]) -> Path:
    ended = children.foldline(home, *words)
    assert ended.code == 0, f"{words} does not end well by itself: {ended}"
    return home


def _judged(home: Path, trouble: str, size: int, words: list[str], expected: dict[str, bytes]) -> tuple[Outcome, str]:
    with children.start(disturbed, trouble, size, words, environment={"FOLDLINE_HOME": str(home)}) as child:
        ended = child.ended()
    if ended.broken:
        return ended.broken, ended.err
    if not _clear(ended, trouble):
        return Outcome.UNCLEAR, f"exit {ended.code}: {ended.err}"
    if (home / "runs-after").is_dir():
        shutil.rmtree(home / "runs")
        shutil.rmtree(home / "runs-before")
        (home / "runs-after").rename(home / "runs")
    after = children.foldline(home, *words)
    if after.code != 0:
        return after.broken or Outcome.LOST, f"afterwards exit {after.code}: {after.err}"
    got = results(home)
    differs = sorted(name for name in expected | got if expected.get(name) != got.get(name))
    return (Outcome.SILENT, f"afterwards other bytes: {differs}") if differs else (Outcome.FINE, "")


def _clear(ended: Ended, trouble: str) -> bool:
    """Whether it ended well, or by one error; where standard error is gone, by its exit code."""
    unheard = "closed" in trouble or "full device" in trouble
    return ended.code == 0 or (ended.code == 2 and (unheard or ended.refused))


ENVIRONMENT = Kind(
    name="environment",
    promise="What a machine does to a command is one sentence, and the same command ends with the same bytes later",
    how="a full disk, limits on files, another user's folders, a jumping clock, closed or full output; then once "
    "more, undisturbed",
    share=3.0,
    faults=environment_faults,
)

"""The file of a checkpoint: tensors and words, with a SHA-256 that is compared before any library reads it."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from foldline.core import files
from foldline.core.artefacts import Damaged

CHECKPOINT = "checkpoint.safetensors"
KEY = b'"sha256":"'  # in the header; in a word it would be escaped
EMPTY = "0" * 64  # what the file is hashed with in the place of its hash
CHUNK = 1 << 20  # bytes that are hashed at once


def write(path: Path, tensors: dict[str, Tensor], words: dict[str, str]) -> None:
    """Write a safetensors file, atomically, whose metadata are the words and its own SHA-256."""
    data = memoryview(safetensors.torch.save(tensors, metadata={**words, "sha256": EMPTY}))
    place = _place(bytes(data[: 8 + struct.unpack("<Q", data[:8])[0]]))
    with files.atomic(path) as stream:
        stream.write(data[:place])
        stream.write(_digest(data).encode())
        stream.write(data[place + len(EMPTY) :])


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and words of a file that `write` wrote.

    Raises:
        Damaged: it is not what was written. A library may end the process over a damaged file.
    """
    try:
        same = _is_as_written(path)
    except PermissionError:
        raise
    except (OSError, ValueError, struct.error):
        same = False
    if not same:
        raise Damaged(f"{path.name} does not hold the bytes that were written")
    with safetensors.safe_open(path, framework="pt") as stored:
        return {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata()  # noqa: SIM118  (no mapping)


def is_sound(path: Path) -> bool:
    """Whether a checkpoint is there, as it was written."""
    try:
        return path.exists() and _is_as_written(path)
    except (OSError, ValueError, struct.error):
        return False


def _digest(data: memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_as_written(path: Path) -> bool:
    with path.open("rb") as stream:
        size = stream.read(8)
        (length,) = struct.unpack("<Q", size)
        if length > path.stat().st_size:
            return False
        head = size + stream.read(length)
        place = _place(head)
        state = hashlib.sha256(head[:place] + EMPTY.encode() + head[place + len(EMPTY) :])
        while chunk := stream.read(CHUNK):
            state.update(chunk)
    return head[place : place + len(EMPTY)] == state.hexdigest().encode()


def _place(head: bytes) -> int:
    """Return where the hash stands in a file's header.

    Raises:
        ValueError: there is none.
    """
    return head.index(KEY, 8) + len(KEY)

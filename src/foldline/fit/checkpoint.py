"""The file of a checkpoint: tensors and words, with a SHA-256 that is compared before any library reads it."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import IO

import safetensors
import safetensors.torch
from torch import Tensor

from foldline.core import files
from foldline.core.artefacts import NO_MARK, Damaged

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
        Damaged: it is not what was written, or nobody knows. A library may end the process over a damaged file.
    """
    if why := damage(path):
        raise Damaged(why)
    with safetensors.safe_open(path, framework="pt") as stored:
        return {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata()  # noqa: SIM118  (no mapping)


def damage(path: Path) -> str:
    """Return why a checkpoint is not what was written, empty where it is; NO_MARK for one of an older version."""
    try:
        if _is_as_written(path):
            return ""
        older = _is_older(path)
    except PermissionError:
        raise
    except (OSError, ValueError, struct.error):
        older = False
    return NO_MARK if older else f"{path.name} does not hold the bytes that were written"


def _digest(data: memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_older(path: Path) -> bool:
    """Whether a version that hashed no checkpoint wrote it: none of its words is a hash."""
    with path.open("rb") as stream:
        words = json.loads(_head(stream, path)[8:]).get("__metadata__", {})
    return bool(words) and not any(re.fullmatch("[0-9a-f]{64}", word) for word in words.values())


def _head(stream: IO[bytes], path: Path) -> bytes:
    """Read a file's header, with the eight bytes before it that say its length.

    Raises:
        ValueError: the file is shorter.
    """
    size = stream.read(8)
    (length,) = struct.unpack("<Q", size)
    if length > path.stat().st_size:
        raise ValueError(f"{path} is shorter than its header")
    return size + stream.read(length)


def _is_as_written(path: Path) -> bool:
    with path.open("rb") as stream:
        head = _head(stream, path)
        if KEY not in head:
            return False
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

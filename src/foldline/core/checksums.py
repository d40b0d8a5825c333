"""Checksums of files: SHA-256 of small ones, two fast sums over each chunk of large ones.

A large array is read at the speed of memory, so its checksum must not cost more than reading it. On this machine (AMD
EPYC, one core) SHA-256 runs at 1.8 GiB/s, and at a quarter of that where a processor has no instructions for it;
BLAKE2b at 1.2. CRC-32 runs at 6 GiB/s and sees any burst of up to 32 bits, but has 32 bits only; a sum of 64-bit words,
each times an odd number of its own, modulo 2^64, runs at 14 and sees any change within one word. Together: 96 bits a
chunk at 4 GiB/s. They guard against accidents, not against a forger: what leaves the machine has its SHA-256 in the
bundle's manifest.
"""

from __future__ import annotations

import hashlib
import zlib
from io import RawIOBase
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

SMALL = 1 << 20  # bytes up to which a file has one SHA-256
CHUNK = 1 << 22  # bytes of a large file that have a checksum together
BLOCK = 1 << 15  # words added up at once: they and their factors fit into a core's cache
PIECE = 1 << 22  # bytes read at once, a multiple of 8 BLOCK
GROWTH = 0x9E3779B97F4A7C15  # odd: the golden ratio, in 64 bits


def _factors() -> np.ndarray:
    """An odd factor for each place in a block, (BLOCK,) uint64: the splitmix64 sequence."""
    mixed = np.arange(1, BLOCK + 1, dtype=np.uint64) * np.uint64(GROWTH)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(31))) | np.uint64(1)


FACTORS = _factors()


class ChunkSum:
    """The sum of a chunk that comes in pieces; every piece but the last must hold whole blocks of words."""

    def __init__(self) -> None:
        self._crc, self._total = 0, 0

    def add(self, piece: memoryview) -> None:
        """Go on with the next piece."""
        piece = piece.cast("B")
        words = np.frombuffer(piece[: len(piece) // 8 * 8], dtype="<u8")
        for first in range(0, len(words), BLOCK):
            block = words[first : first + BLOCK]
            self._total = (self._total * GROWTH + int(np.dot(block, FACTORS[: len(block)]))) % 2**64
        self._crc = zlib.crc32(piece, self._crc)

    def digits(self) -> str:
        """Return 24 hex digits: CRC-32 of all bytes, and the sum of the whole 64-bit words."""
        return f"{self._crc:08x}{self._total:016x}"


def of_bytes(data: memoryview) -> str:
    """Sum up a whole chunk."""
    chunk = ChunkSum()
    chunk.add(data)
    return chunk.digits()


def of_file(path: Path) -> dict[str, Any]:
    """Return a file's entry, JSON-able: its bytes, and its SHA-256 or the checksum of each chunk."""
    size = path.stat().st_size
    if size <= SMALL:
        return {"bytes": size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return of_chunks(_chunk_sums(path, [CHUNK] * (size // CHUNK) + [size % CHUNK] * (size % CHUNK > 0)))


def of_chunks(chunks: list[tuple[int, str]]) -> dict[str, Any]:
    """Return the entry of a file whose chunks were summed up as they were written. chunks: (bytes, checksum)."""
    return {"bytes": sum(size for size, _ in chunks), "chunks": [list(chunk) for chunk in chunks]}


def intact(path: Path, chunks: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the first chunks of a file, up to the first one that does not hold what was written.

    chunks: (bytes, checksum) of each.
    """
    found = zip(chunks, _chunk_sums(path, [size for size, _ in chunks]), strict=True)
    return [chunk for chunk, _ in takewhile(lambda each: each[0] == each[1], found)]


def damage(path: Path, entry: dict[str, Any]) -> str:
    """Compare a file with its entry; return what is wrong with it, empty where nothing is."""
    if not path.is_file():
        return f"{path.name} is missing"
    size, written = path.stat().st_size, int(entry["bytes"])
    if size != written:
        return f"{path.name} has {size} bytes, not the {written} that were written"
    try:
        same = _same(path, entry)
    except PermissionError:
        raise
    except OSError as error:
        return f"{path.name} can't be read ({error.strerror})"
    return "" if same else f"{path.name} does not hold the bytes that were written"


def _same(path: Path, entry: dict[str, Any]) -> bool:
    if "sha256" in entry:
        return bool(hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"])
    chunks = [(int(size), str(known)) for size, known in entry["chunks"]]
    return _chunk_sums(path, [size for size, _ in chunks]) == chunks


def _chunk_sums(path: Path, sizes: list[int]) -> list[tuple[int, str]]:
    """Sum up the chunks of a file, piece by piece: a chunk of wide features has hundreds of MiB."""
    buffer = memoryview(bytearray(min(PIECE, max(sizes, default=0))))
    sums = []
    with path.open("rb", buffering=0) as stream:
        for size in sizes:
            chunk, left = ChunkSum(), size
            while left and (piece := _filled(stream, buffer[: min(PIECE, left)])):
                chunk.add(piece)
                left -= len(piece)
            sums.append((size, chunk.digits()))
    return sums


def _filled(stream: RawIOBase, buffer: memoryview) -> memoryview:
    """Read into a buffer until it is full or the file ends; return what was read."""
    filled = 0
    while filled < len(buffer) and (count := stream.readinto(buffer[filled:])):
        filled += count
    return buffer[:filled]

"""Checksums: any change of a stored file shows, whatever its size and place, and each file is read once only."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foldline.core import artefacts, checksums

LARGE = 3 * checksums.SMALL + 13  # bytes: more than a block, and no whole number of words


def flip(path: Path, byte: int, bit: int = 0) -> None:
    """Change one bit of a file in place."""
    with path.open("r+b") as stream:
        stream.seek(byte)
        value = stream.read(1)[0]
        stream.seek(byte)
        stream.write(bytes([value ^ 1 << bit]))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000, LARGE])
def test_a_file_is_what_its_entry_says(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(np.random.default_rng(0).bytes(size))
    entry = checksums.of_file(path)
    assert entry["bytes"] == size and not checksums.damage(path, entry)
    path.write_bytes(path.read_bytes() + b"x")
    assert f"has {size + 1} bytes, not the {size}" in checksums.damage(path, entry)


@pytest.mark.parametrize("size", [1000, LARGE])
def test_every_kind_of_change_shows(tmp_path: Path, size: int) -> None:
    path, rng = tmp_path / "a", np.random.default_rng(1)
    content = rng.bytes(size)
    path.write_bytes(content)
    entry = checksums.of_file(path)
    for byte in (0, size - 1, *rng.integers(0, size, 20)):
        flip(path, int(byte), int(rng.integers(8)))
        assert "does not hold the bytes" in checksums.damage(path, entry)
        path.write_bytes(content)
    swapped = [content[8:16] + content[:8] + content[16:], content[size // 2 :] + content[: size // 2]]
    zeros = [content[:400] + bytes(100) + content[500:], content[:-8] + bytes(8)]
    for other in [*swapped, *zeros]:
        path.write_bytes(other)
        assert checksums.damage(path, entry)
    path.unlink()
    assert checksums.damage(path, entry) == "a is missing"


def test_a_change_of_several_words_shows_in_a_fast_checksum() -> None:
    words = np.random.default_rng(2).integers(0, 2**63, 100_000, dtype=np.uint64)
    known = checksums.of_bytes(words.data)
    assert len(known) == 24
    for bit in (0, 31, 32, 63):  # the highest bits of two words cancel out in a sum: CRC-32 sees them
        other = words.copy()
        other[[5, 5 + checksums.BLOCK]] ^= np.uint64(1 << bit)
        assert checksums.of_bytes(other.data) != known
    moved = np.roll(words, checksums.BLOCK)
    assert checksums.of_bytes(moved.data)[8:] != known[8:]


def test_the_fast_checksum_is_the_same_on_every_machine_and_version() -> None:
    assert checksums.of_bytes(memoryview(bytes(range(256)) * 10)) == "c3b82b6c8152d8d733e3cad0"


@pytest.mark.parametrize("size", [3 * checksums.PIECE + 13, 2 * checksums.PIECE])
def test_a_chunk_that_is_read_in_pieces_has_the_sum_of_the_whole(tmp_path: Path, size: int) -> None:
    """A store sums up each chunk as it writes it; with 2,000 features one has 400 MiB, and is not read at once."""
    path, content = tmp_path / "a", np.random.default_rng(3).bytes(size)
    path.write_bytes(content)
    whole = checksums.of_chunks([(100, checksums.of_bytes(memoryview(content[:100])))])
    rest = checksums.of_chunks([(size - 100, checksums.of_bytes(memoryview(content[100:])))])
    entry = {"bytes": size, "chunks": [*whole["chunks"], *rest["chunks"]]}
    tracemalloc.start()
    assert not checksums.damage(path, entry)
    assert tracemalloc.get_traced_memory()[1] < 1.5 * checksums.PIECE
    tracemalloc.stop()
    flip(path, size - 1)
    assert checksums.damage(path, entry)
    path.write_bytes(content[:-9])  # it became shorter after its size was looked at
    assert checksums._chunk_sums(path, [size])[0][1] == checksums.of_bytes(memoryview(content[:-9]))


def test_a_mark_lists_its_files_and_vouches_for_its_own_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    mark = tmp_path / "done.json"
    assert artefacts.damage(mark) == "done.json is missing"
    artefacts.seal(mark, [tmp_path / "a"], {"seconds": 1.5, "names": ("x", "y")})
    assert not artefacts.damage(mark) and artefacts.read_json(mark)["seconds"] == 1.5
    content = mark.read_bytes()
    for byte in range(len(content)):
        flip(mark, byte)
        try:  # either it shows, or it says the same: white space, or the name of the key that holds the checksum
            assert artefacts.damage(mark) or artefacts.read_json(mark)["seconds"] == 1.5
        finally:
            mark.write_bytes(content)
    for cut in (0, 1, len(content) // 2):
        mark.write_bytes(content[:cut])
        assert artefacts.damage(mark) == "done.json can't be read"


def test_json_of_an_older_version_has_no_checksum_and_is_read(tmp_path: Path) -> None:
    (tmp_path / "done.json").write_text('{"time.train_s": 3.0}')
    assert artefacts.read_json(tmp_path / "done.json") == {"time.train_s": 3.0}
    assert artefacts.damage(tmp_path / "done.json") == artefacts.NO_MARK


def test_a_file_is_read_once_and_again_after_any_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, mark = tmp_path / "a", tmp_path / "done.json"
    path.write_bytes(b"one")
    artefacts.seal(mark, [path])
    read: list[Path] = []
    honest = checksums.damage

    def damage(path: Path, entry: dict[str, object]) -> str:
        read.append(path)
        return honest(path, entry)

    monkeypatch.setattr(checksums, "damage", damage)
    assert not artefacts.damage(mark) and not read  # it was summed up as it was written
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # its time of change is another
    assert not artefacts.damage(mark) and not artefacts.damage(mark) and len(read) == 1
    given = artefacts.checked()
    artefacts.trust({})
    artefacts.trust(given)
    assert not artefacts.damage(mark) and len(read) == 1
    flip(path, 1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert artefacts.damage(mark) == "a does not hold the bytes that were written" and len(read) == 2


@pytest.mark.parametrize(
    "harm", [lambda path: flip(path, 0), lambda path: path.write_bytes(b""), lambda path: path.unlink()]
)
def test_a_folder_that_is_damaged_is_made_again_and_named(
    home: Path, tmp_path: Path, harm: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    made, folder = [0], home / "runs" / "things" / "a"

    def write(draft: Path) -> None:
        made[0] += 1
        (draft / "one").write_bytes(b"content")

    artefacts.make_folder(folder, write)
    artefacts.make_folder(folder, write)
    assert made == [1] and not capsys.readouterr().err
    for name in ("one", artefacts.CHECKSUMS):
        harm(folder / name)
        there = (folder / name).exists()
        artefacts.make_folder(folder, write)
        lost = name == artefacts.CHECKSUMS and not there  # as an older version has left it
        said = f"unchecked: {folder}: {artefacts.NO_MARK}" if lost else f"damaged: {folder}: {name}"
        assert (folder / "one").read_bytes() == b"content" and said in capsys.readouterr().err
    assert made == [3] and [path.name for path in folder.parent.iterdir()] == ["a"]

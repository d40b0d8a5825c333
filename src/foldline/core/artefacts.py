"""What foldline stores under runs/, with checksums: written so that a fault shows, and checked before it is used.

A *mark* is a JSON file that is written last, after everything that belongs to it has reached the disk: it lists the
checksum of each of these files, and holds one of its own text. What has no mark, or another content than its mark says,
counts as not finished. A file is read once a process to be checked; after that its size, times and inode vouch for it.

Versions before there were checksums have left folders without. They are *unchecked*, never damaged: used where a file
says that they are whole, else made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from foldline.core import checksums, files
from foldline.core.errors import TryAgain, complain

CHECKSUMS = "checksums.json"  # mark of a folder that has no other use for one
OWN, LISTED = "checksum", "files"  # keys of a mark: of its own text; file -> entry (checksums.py)
NO_MARK = "it has no checksums"
Entry = dict[str, Any]  # of a file (checksums.py), JSON-able
Seen = dict[str, tuple[tuple[int, ...], Entry, str]]  # path -> state of the file, entry it was compared with, damage
Contents = tuple[dict[str, Any], dict[str, Entry]]  # what else a mark says, and entries that are known already
_seen: Seen = {}
_said: set[str] = set()


class Damaged(TryAgain):
    """Something stored is not what was written."""


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with a checksum of its own, atomically; `read_json` reads it."""
    files.write_json(path, {**value, OWN: _own(value)})


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object and compare it with its own checksum. Those that older versions wrote have none.

    Raises:
        Damaged: it is missing, no JSON object, or not what was written.
    """
    value, _ = _read(path)
    return value


def _read(path: Path) -> tuple[dict[str, Any], bool]:
    """Read a JSON object, and whether it has a checksum of its own, which is right then."""
    try:
        value = json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise Damaged(f"{path.name} is missing") from None
    except PermissionError:
        raise
    except (OSError, ValueError, RecursionError):
        raise Damaged(f"{path.name} can't be read") from None
    if not isinstance(value, dict):
        raise Damaged(f"{path.name} can't be read")
    known = value.pop(OWN, None)
    if known is None and LISTED not in value:
        return value, False
    if known != _own(value):
        raise Damaged(f"{path.name} does not hold the text that was written")
    return value, True


def _own(value: Mapping[str, Any]) -> str:
    """Hash an object as it will be read: keys are texts then, and tuples lists."""
    read = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()


def seal(
    mark: Path,
    paths: Iterable[Path],
    value: Mapping[str, Any] | None = None,
    known: Mapping[str, Entry] | None = None,
) -> None:
    """Write the mark of some files, after they have reached the disk.

    Args:
        paths: the files, beside the mark or below its folder.
        value: what else the mark says.
        known: file, relative to the mark's folder -> its entry, where it was summed up as it was written.
    """
    entries = {}
    for path in sorted(paths):
        name = path.relative_to(mark.parent).as_posix()
        files.sync(path)
        entries[name] = (known or {}).get(name) or checksums.of_file(path)
        _seen[str(path)] = (_state(path), entries[name], "")
    files.sync(mark.parent)
    write_json(mark, {**(value or {}), LISTED: entries})


def narrow(mark: Path) -> None:
    """Leave in a copied mark only those files that were copied with it."""
    value = read_json(mark)
    if LISTED in value:
        value[LISTED] = {name: entry for name, entry in value[LISTED].items() if (mark.parent / name).exists()}
        write_json(mark, value)


def damage(mark: Path, only: str = "") -> str:
    """Check a mark, or another JSON object with a checksum, and all files that it lists.

    Args:
        only: the one file to check; empty: all.

    Returns:
        What is wrong, empty where nothing is; NO_MARK for one that an older version wrote.
    """
    try:
        value, has_own = _read(mark)
    except Damaged as error:
        return str(error)
    if not has_own:
        return NO_MARK
    listed = [(name, entry) for name, entry in value.get(LISTED, {}).items() if not only or name == only]
    return next(filter(None, (_damage_of(mark.parent / name, entry) for name, entry in listed)), "")


def damage_of_folder(folder: Path, mark: str = CHECKSUMS) -> str:
    """Check a folder that appeared with its mark, in one step: one without CHECKSUMS is an older version's."""
    older = mark == CHECKSUMS and folder.is_dir() and not (folder / mark).exists()
    return NO_MARK if older else damage(folder / mark)


def refuse_damaged(mark: Path, way_out: str, what: Path | None = None) -> None:
    """Refuse what is not as its mark says. what: it, for the message; None: the mark's folder.

    A mark of an older version, without checksums, is enough.

    Raises:
        Damaged
    """
    why = damage(mark)
    if why and why != NO_MARK:
        raise Damaged(f"{what or mark.parent} is damaged: {why}. {way_out}")


def _damage_of(path: Path, entry: Entry) -> str:
    try:
        state = _state(path)
    except FileNotFoundError:
        return f"{path.name} is missing"
    before = _seen.get(str(path))
    if before is None or before[:2] != (state, entry):
        before = _seen[str(path)] = (state, entry, checksums.damage(path, entry))
    return before[2]


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def checked() -> Seen:
    """Return what this process has checked, to be passed to a worker's `trust`: it need not read that again."""
    return dict(_seen)


def trust(seen: Seen) -> None:
    """Take over what another process has checked; a file that has changed since is read again."""
    _seen.update(seen)


def say(what: Path, why: str, then: str) -> None:
    """Say on standard error, once a process, what is damaged, or unchecked (NO_MARK), and what is done about it."""
    line = f"{'unchecked' if why == NO_MARK else 'damaged'}: {what}: {why}; {then}"
    if line not in _said:
        _said.add(line)
        complain(line)


def make_folder(
    path: Path, write: Callable[[Path], Contents | None], mark: str = CHECKSUMS, resumes: bool = False
) -> None:
    """Make a folder by `write(draft)` unless it is there, whole; it appears in one step, with its mark.

    Args:
        write: may return what else the mark says, and the entries of files that it summed up as it wrote them. What it
            calls by a name with a dot in front says how far the draft is, and is removed in the end.
        mark: the mark's name.
        resumes: as of files.make_once.
    """

    def sealed(draft: Path) -> None:
        (draft / mark).unlink(missing_ok=True)  # of a call that was killed before the folder had its name
        value, known = write(draft) or ({}, {})
        inner = [each for each in draft.rglob("*") if each.is_file() and not each.name.startswith(".")]
        seal(draft / mark, inner, value, known)
        for each in draft.rglob(".*"):
            each.unlink()
        for each in inner:  # it keeps what vouches for it when the folder gets its name
            _seen[str(path / each.relative_to(draft))] = _seen.pop(str(each))

    def sound() -> bool:
        why = damage_of_folder(path, mark)
        if why == NO_MARK and mark != CHECKSUMS:
            return True  # it was written last: the folder is whole
        if why:
            say(path, why, "it is made again")
        return not why

    files.make_once(path, sealed, sound, resumes)

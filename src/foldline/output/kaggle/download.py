"""Download a competition's files: one archive, fetched by Kaggle's package, checked and unpacked.

download.json beside the files holds the competition's name, so that `submit` knows where submissions go, Kaggle's list
of files with their dates, so that a second download fetches nothing unless a file was replaced, and a checksum of each:
a file that is not, or no longer, what a download wrote is never overwritten.
"""

from __future__ import annotations

import errno
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

from foldline.core import files, own_files, zip_archives
from foldline.core.byte_sizes import needed_and_free
from foldline.core.errors import UserError
from foldline.output.kaggle.service import Service

NOTE = "download.json"
NO_PLACE = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)  # for a file of that name
DRAFT = ".download"  # folder of what is being fetched, inside the target


def fetch(service: Service, folder: Path, quiet: bool) -> dict[str, int]:
    """Put a competition's files into a folder unless they are there, and return their sizes in bytes.

    Raises:
        UserError: Kaggle refuses, the archive is damaged, the disk is too small, or other files are in the place.
    """
    found = service.files()
    sizes = {name: file.size for name, file in found.items()}
    listed: dict[str, Any] = {"listed": sizes, "made": {name: file.made for name, file in found.items()}}
    note = folder / NOTE
    known = files.read_json(note) if note.is_file() else {}
    same = known.get("competition") == service.competition and {name: known.get(name) for name in listed} == listed
    if same and _there(folder, known["files"]):
        return dict(known["files"])
    folder.mkdir(parents=True, exist_ok=True)
    _require_space(folder, 2 * sum(sizes.values()))  # for the files and their archive, which may be as large
    draft = folder / DRAFT  # all in it is a download's: an archive of the same name that somebody has put there stays
    draft.mkdir(exist_ok=True)
    archive = service.download(draft, quiet)
    unpacked, sums = unpack(archive, folder, known)
    shutil.rmtree(draft)
    files.write_json(note, {"competition": service.competition, **listed, "files": unpacked, "crc32": sums})
    return unpacked


def _there(folder: Path, sizes: dict[str, int]) -> bool:
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())


def differences(folder: Path) -> list[str]:
    """Compare Kaggle's list with what its archive held; a sentence for each difference. folder: filled by `fetch`."""
    note = files.read_json(folder / NOTE)
    listed, unpacked = note["listed"], note["files"]
    return [
        f"Kaggle lists {name} with {size} bytes, but its archive held {unpacked.get(name, 'none')}"
        for name, size in sorted(listed.items())
        if unpacked.get(name) != size
    ]


def competition_of(folder: Path) -> str:
    """Return the competition whose files `fetch` put into a folder; empty where it did not."""
    note = folder / NOTE
    return str(files.read_json(note)["competition"]) if note.is_file() else ""


def unpack(archive: Path, folder: Path, known: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """Unpack an archive, verify the checksum of each file, and return their sizes in bytes and their checksums.

    Args:
        known: the note of the download before, empty without one.

    Raises:
        UserError: it is damaged. It is removed then, because continuing its download would not repair it. Or a file
            would be overwritten that no download wrote; nothing is unpacked then.
    """
    try:
        with zip_archives.opened(archive) as opened:
            packed = [info for info in opened.infolist() if not info.is_dir()]
            _refuse_shared_places(folder, packed)
            for info in packed:
                _require_own(_inside(folder, info.filename), info, known)
            for info in packed:
                with opened.open(info) as source, files.atomic(_inside(folder, info.filename)) as stream:
                    shutil.copyfileobj(source, stream, 1 << 20)
    except UserError:
        raise
    except Exception as error:  # a damaged member raises what its own unpacker raises: zlib, bz2, lzma, ...
        if isinstance(error, OSError) and error.errno in NO_PLACE:
            raise UserError(
                f"{error.filename} can't be written ({error.strerror}). Unpack {archive} by hand into another folder."
            ) from error
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # of the disk, not of the archive
            raise
        archive.unlink()
        raise UserError(f"{archive} is damaged ({error}). It was removed; run the same command again.") from error
    return {info.filename: info.file_size for info in packed}, {info.filename: info.CRC for info in packed}


def _refuse_shared_places(folder: Path, packed: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive with two files for one place, or one inside another: the last would silently win."""
    places: dict[Path, str] = {}
    for info in packed:
        place = _inside(folder, info.filename)
        if place in places or place == folder.resolve():
            other = places.get(place, "the folder itself")
            raise UserError(
                f"An archive's files must each have a place of their own, but {info.filename!r} would lie where "
                f"{other!r} does. Unpack it by hand."
            )
        places[place] = info.filename
    within = next((place for place in places if not places.keys().isdisjoint(place.parents)), None)
    if within is not None:
        raise UserError(f"An archive's file can't lie in another one, but {places[within]!r} does. Unpack it by hand.")


def _require_own(path: Path, info: zipfile.ZipInfo, known: dict[str, Any]) -> None:
    """Refuse to overwrite a file that is neither the archive's nor as the download before has written it."""
    noted = known.get("crc32", {}).get(info.filename)

    def own() -> bool:
        if not path.is_file() or path.stat().st_size not in (info.file_size, known.get("files", {}).get(info.filename)):
            return False
        return _crc32(path) in (info.CRC, noted) or (noted is None and info.filename in known.get("files", {}))

    way_out = "Move it away, or name another folder: ./run.sh download COMPETITION FOLDER"
    own_files.require_own(path, own, "a downloaded file", way_out)


def _crc32(path: Path) -> int:
    """Compute the checksum that archives have of their files."""
    found = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found = zlib.crc32(block, found)
    return found


def _inside(folder: Path, name: str) -> Path:
    """Return where a file of the archive goes; one that would leave the folder is refused."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UserError(f"An archive's files must stay in their folder, but {name!r} would leave {folder}.")
    return path


def _require_space(folder: Path, count: int) -> None:
    free = shutil.disk_usage(folder).free
    if count > free:
        raise UserError(
            f"{folder}: the competition's files with their archive need up to "
            f"{needed_and_free(count, free)}. Free some space, or name another folder."
        )

"""Download a competition's files: one archive, fetched by Kaggle's package, checked and unpacked.

download.json beside the files holds the competition's name, so that `submit` knows where submissions go, and the list
of files, so that a second download fetches nothing.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from foldline.core import files
from foldline.core.errors import UserError
from foldline.output.kaggle.service import Service

NOTE = "download.json"


def fetch(service: Service, folder: Path, quiet: bool) -> dict[str, int]:
    """Put a competition's files into a folder unless they are there, and return their sizes in bytes.

    Raises:
        UserError: Kaggle refuses, the archive is damaged, or the disk is too small.
    """
    listed = service.files()
    note = folder / NOTE
    known = files.read_json(note) if note.is_file() else {}
    if known.get("competition") == service.competition and known["listed"] == listed and _there(folder, known["files"]):
        return dict(known["files"])
    folder.mkdir(parents=True, exist_ok=True)
    _require_space(folder, 2 * sum(listed.values()))  # for the files and their archive, which may be as large
    archive = service.download(folder, quiet)
    unpacked = unpack(archive, folder)
    archive.unlink()
    files.write_json(note, {"competition": service.competition, "listed": listed, "files": unpacked})
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


def unpack(archive: Path, folder: Path) -> dict[str, int]:
    """Unpack an archive, verify the checksum of each file, and return their sizes in bytes.

    Raises:
        UserError: it is damaged. It is removed then, because continuing its download would not repair it.
    """
    sizes = {}
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if not info.is_dir():
                    with opened.open(info) as packed, files.atomic(_inside(folder, info.filename)) as stream:
                        shutil.copyfileobj(packed, stream, 1 << 20)
                    sizes[info.filename] = info.file_size
    except UserError:
        raise
    except Exception as error:  # a damaged member raises what its own unpacker raises: zlib, bz2, lzma, ...
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of the archive
            raise
        archive.unlink()
        raise UserError(f"{archive} is damaged ({error}). It was removed; run the same command again.") from error
    return sizes


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
            f"{folder}: the competition's files need up to {count / 2**30:.1f} GiB, archive included, but "
            f"{free / 2**30:.1f} GiB are free. Free some space, or name another folder."
        )

"""Open zip archives so that damage to their directory shows: zipfile itself may list fewer files than were packed.

The directory at an archive's end repeats each file's name, and its last record says how many files there are (PKWARE's
APPNOTE.TXT 6.3.10, 4.3.12 to 4.3.16). zipfile (Python 3.11.7) does not compare the number.
"""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path
from typing import IO

ENCRYPTED = 1  # a flag of a zip member
END = struct.Struct("<4s4H2LH")  # signature, 2 numbers of disks, files on this disk, files, 2 sizes, comment's length
LONGEST_COMMENT = 0xFFFF  # bytes
LOCATOR_SIZE = 20  # bytes of the record between END and END64
END64 = struct.Struct("<4sQ2H2L4Q")  # END of an archive with more than 65,534 files, or more than 4 GiB
IN_END64 = 0xFFFF  # END's number of files where END64 has it
COUNTED = 1 << 16  # the Archive Utility of macOS writes no END64: its number of files is what remains of this many


def opened(packed: Path | IO[bytes]) -> zipfile.ZipFile:
    """Open an archive whose directory is whole.

    Args:
        packed: a stream must be able to seek.

    Raises:
        zipfile.BadZipFile: files are missing in the directory, or have other names than where they lie.
    """
    archive = zipfile.ZipFile(packed)
    try:
        if isinstance(packed, Path):
            with packed.open("rb") as stream:
                count = _count(stream)
        else:
            count = _count(packed)
        listed = len(archive.infolist())
        if (listed - count) % COUNTED:
            raise zipfile.BadZipFile(f"{count} files were packed, but {listed} are listed")
        for member in archive.infolist():
            if not member.flag_bits & ENCRYPTED:
                archive.open(member).close()  # compares the two names
    except BaseException:
        archive.close()
        raise
    return archive


def _count(stream: IO[bytes]) -> int:
    """Read how many files an archive says that it has. stream: of one that zipfile could open."""
    begin = max(0, stream.seek(0, os.SEEK_END) - LONGEST_COMMENT - END.size - LOCATOR_SIZE - END64.size)
    stream.seek(begin)
    tail = stream.read()
    at = tail.rfind(b"PK\5\6")
    count = int(END.unpack_from(tail, at)[4])
    at64 = at - LOCATOR_SIZE - END64.size
    if count == IN_END64 and at64 >= 0 and tail.startswith(b"PK\6\6", at64):
        return int(END64.unpack_from(tail, at64)[7])
    return count

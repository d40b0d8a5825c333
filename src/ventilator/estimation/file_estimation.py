"""Estimate a file, chunk by chunk; a killed run is gone on with.

What is finished is kept in a folder beside the output, as the decoder does it (decoder/file_decoding.py): estimated
rows of each chunk, and where lungs are fitted to labels what was decoded of each chunk, and the lungs. The folder's
name hashes what all that is made from: files, their sizes and times of change, code. The output appears by one rename,
then the folder is removed.
"""

import glob
import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ventilator.controller import Array
from ventilator.decoder.file_decoding import check_suffix, facts_of, obtain_part, read, refuse_foreign, write_rows
from ventilator.decoder.kernels import CACHE
from ventilator.estimation.fit import fit_lungs
from ventilator.estimation.frame_estimation import (
    CHUNK_BREATHS,
    COLUMNS,
    checked,
    chunked,
    decoded_chunk,
    estimated,
    joined,
)
from ventilator.estimation.known import DecodedBreaths, decoded
from ventilator.estimation.lungs import SessionLungs, embedded
from ventilator.measure import Recorded


def estimate_file(
    src: Path,
    dst: Path,
    *,
    labels: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    chunk_breaths: int = CHUNK_BREATHS,
) -> pl.DataFrame:
    """Write the estimates of `src` to `dst` and return them; see `frame_estimation.estimate` for the columns.

    Args:
        src: CSV or Parquet with the competition's columns.
        dst: .csv or .parquet; an older one is replaced, anything else is not.
        labels: a file with the column pressure, too: lungs are fitted to its labels and to the decoded rows of `src`.
            Without it the embedded lungs are used.
        progress: called with breaths done and breaths in all; with labels a breath that is only decoded is half done.
        chunk_breaths: breaths between two saves.

    Raises:
        ValueError: a file is not of the competition's shape, or neither CSV nor Parquet; `dst` holds something else.
        FileNotFoundError: there is no such file.
    """
    check_suffix(dst)
    refuse_foreign(dst, COLUMNS, "file of estimates")
    frame = checked(read(src))
    told = None if labels is None else read(labels, ["pressure"])
    if told is not None:
        _refuse_unlabelled(told)
    folder = dst.parent / f".{dst.name}.{_fingerprint(src, labels, chunk_breaths)}.parts"
    for stale in set(dst.parent.glob(f".{glob.escape(dst.name)}.*.parts")) - {folder}:
        shutil.rmtree(stale)
    parts = _Parts(folder, chunked(frame, chunk_breaths), progress)
    lungs = embedded() if told is None else parts.lungs(told)
    rows = joined([parts.estimated(number, lungs) for number in range(len(parts.chunks))], frame["id"].dtype)
    write_rows(rows, dst)
    shutil.rmtree(folder)
    return rows


class _Parts:
    """The chunks of a file, and what was made of them."""

    def __init__(
        self, folder: Path, chunks: Sequence[pl.DataFrame], progress: Callable[[int, int], None] | None
    ) -> None:
        self.folder, self.chunks = folder, chunks
        folder.mkdir(parents=True, exist_ok=True)
        self.breaths = [chunk["breath_id"].n_unique() for chunk in chunks]
        self.progress, self.fitted = progress, False

    def lungs(self, labels: pl.DataFrame) -> SessionLungs:
        """Fit lungs to labels and to what is decoded of all chunks."""
        self.fitted = True

        def write(path: Path) -> None:
            others = []
            for number in range(len(self.chunks)):
                each = self._known(number)
                others.append((each.breaths, each.known.pressure))
                self._done(number + 1, 0)
            found = _fitted(labels, others)
            path.write_text(found.to_json(), encoding="utf-8")

        # Read back at once: the text has few digits, and a run that is gone on with has nothing else.
        return SessionLungs.from_json(obtain_part(self.folder, "lungs", ".json", write).read_text(encoding="utf-8"))

    def estimated(self, number: int, lungs: SessionLungs) -> pl.DataFrame:
        """Estimate a chunk: its rows, with the column `place`."""

        def write(path: Path) -> None:
            chunk = self.chunks[number]
            found = self._known(number) if self.fitted else decoded_chunk(chunk)
            estimated(chunk, found, lungs).write_parquet(path)

        rows = pl.read_parquet(obtain_part(self.folder, f"rows-{number:06d}", ".parquet", write), glob=False)
        self._done(len(self.chunks), number + 1)
        return rows

    def _known(self, number: int) -> DecodedBreaths:
        """Decode a chunk."""

        def write(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez(stream, **decoded_chunk(self.chunks[number]).to_arrays())  # type: ignore[arg-type]

        with np.load(obtain_part(self.folder, f"known-{number:06d}", ".npz", write)) as arrays:
            return DecodedBreaths.of_arrays(arrays)

    def _done(self, decoded: int, estimated: int) -> None:
        """Report so many decoded chunks, and so many estimated ones."""
        if self.progress is not None:
            halves = sum(self.breaths[:decoded]) + sum(self.breaths[:estimated])
            self.progress(halves // 2 if self.fitted else sum(self.breaths[:estimated]), sum(self.breaths))


def fit_to_labels(labels: pl.DataFrame, *others: pl.DataFrame) -> SessionLungs:
    """Fit lungs to a frame's labels, and to what can be decoded of others that have none.

    Raises:
        ValueError: a frame is not of the competition's shape, or `labels` has no pressures.
    """
    _refuse_unlabelled(labels)
    found = [decoded(frame) for frame in others]
    return _fitted(labels, [(breaths, known.pressure) for breaths, known, _ in found])


def _fitted(labels: pl.DataFrame, others: Sequence[tuple[Recorded, Array]]) -> SessionLungs:
    """Fit lungs to a frame's labels, and to other breaths, of which the pressures (N, 80) are known or nan."""
    told = Recorded.of(labels)
    parts = [(told, np.where(told.u_out == 0, told.pressure, np.nan)), *others]
    names = vars(told)
    breaths = Recorded(**{name: np.concatenate([getattr(part, name) for part, _ in parts]) for name in names})
    seen = f"labels of {len(told)} breaths, and decoded rows of {len(breaths) - len(told)} others"
    return fit_lungs(breaths, np.concatenate([pressure for _, pressure in parts]), provenance=seen)


def _refuse_unlabelled(labels: pl.DataFrame) -> None:
    if "pressure" not in labels.columns:
        raise ValueError("Lungs are fitted to labels, but the file of labels has no column pressure.")


def _fingerprint(src: Path, labels: Path | None, chunk_breaths: int) -> str:
    """Hash what a file's estimates are made from."""
    here = Path(__file__).parent
    code = [path.read_text(encoding="utf-8") for path in sorted([*here.glob("*.*"), *here.parent.glob("*.py")])]
    facts = [facts_of(src), "" if labels is None else facts_of(labels), str(chunk_breaths), CACHE.name, *code]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:12]

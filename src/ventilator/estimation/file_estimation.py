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
from ventilator.decoder.file_decoding import facts_of, obtain_part, refuse_foreign, write_rows
from ventilator.decoder.file_reading import check_suffix, read
from ventilator.decoder.kernels import CACHE
from ventilator.estimation.fit import fit_lungs, fit_spread
from ventilator.estimation.frame_estimation import (
    CHUNK_BREATHS,
    COLUMNS,
    checked,
    chunked,
    decoded_chunk,
    estimated,
    joined,
)
from ventilator.estimation.known import DecodedBreaths, Known, decoded, joined_arrays
from ventilator.estimation.lungs import SessionLungs, embedded
from ventilator.measure import Recorded

Progress = Callable[[int, int], None]  # is told of breaths done, and of breaths in all


def estimate_file(
    src: Path,
    dst: Path,
    *,
    labels: Path | None = None,
    progress: Progress | None = None,
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
    parts = _Parts(folder, frame, chunk_breaths, progress)
    try:
        lungs = embedded() if told is None else parts.lungs(told)
        rows = joined([parts.estimated(number, lungs) for number in range(len(parts.chunks))], frame["id"].dtype)
    except ValueError:  # a file is refused, and would be again
        shutil.rmtree(folder)
        raise
    write_rows(rows, dst)
    shutil.rmtree(folder)
    return rows


class _Parts:
    """A folder with what was made of the chunks of a file, and of a file of labels."""

    def __init__(self, folder: Path, frame: pl.DataFrame, size: int, progress: Progress | None) -> None:
        """Make the folder. frame: checked; size: breaths of a chunk."""
        self.folder, self.size, self.chunks = folder, size, chunked(frame, size)
        folder.mkdir(parents=True, exist_ok=True)
        self.breaths, self.progress = frame["breath_id"].n_unique(), progress
        self.work, self.worked = self.breaths, 0  # breaths to decode or to estimate, and those done
        self.kept = False  # whether what was decoded of a chunk is kept

    def lungs(self, labels: pl.DataFrame) -> SessionLungs:
        """Fit lungs to labels and to what is decoded of all chunks."""
        told, own = Recorded.of(labels), chunked(checked(labels), self.size)
        self.work, self.kept = len(told) + 2 * self.breaths, True

        def write(path: Path) -> None:
            exact = joined_arrays([self._decoded("labels", number, chunk).known for number, chunk in enumerate(own)])
            found = [self._decoded("known", number, chunk) for number, chunk in enumerate(self.chunks)]
            lungs = _fitted(told, exact, [(each.breaths, each.known.pressure) for each in found])
            path.write_text(lungs.to_json(), encoding="utf-8")

        # Read back at once: the text has few digits, and a run that is gone on with has nothing else.
        text = obtain_part(self.folder, "lungs", ".json", write).read_text(encoding="utf-8")
        self._report(len(told) + self.breaths)
        return SessionLungs.from_json(text)

    def estimated(self, number: int, lungs: SessionLungs) -> pl.DataFrame:
        """Estimate a chunk: its rows, with the column `place`."""
        chunk, before = self.chunks[number], self.worked

        def write(path: Path) -> None:
            found = self._decoded("known", number, chunk) if self.kept else decoded_chunk(chunk)
            estimated(chunk, found, lungs).write_parquet(path)

        rows = pl.read_parquet(obtain_part(self.folder, f"rows-{number:06d}", ".parquet", write), glob=False)
        self._report(before + chunk["breath_id"].n_unique())
        return rows

    def _decoded(self, name: str, number: int, chunk: pl.DataFrame) -> DecodedBreaths:
        """Decode a chunk, and keep what is found."""

        def write(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez(stream, **decoded_chunk(chunk).to_arrays())  # type: ignore[arg-type]

        with np.load(obtain_part(self.folder, f"{name}-{number:06d}", ".npz", write)) as arrays:
            found = DecodedBreaths.of_arrays(arrays)
        self._report(self.worked + len(found.breaths))
        return found

    def _report(self, worked: int) -> None:
        """Report that so much is done, in breaths of the file."""
        self.worked = worked
        if self.progress is not None:
            self.progress(worked * self.breaths // max(self.work, 1), self.breaths)


def fit_to_labels(labels: pl.DataFrame, *others: pl.DataFrame) -> SessionLungs:
    """Fit lungs to a frame's labels, and to what can be decoded of others that have none.

    Raises:
        ValueError: a frame is not of the competition's shape, or `labels` has no pressures.
    """
    _refuse_unlabelled(labels)
    told, exact, _ = decoded(labels)
    found = [decoded(frame) for frame in others]
    return _fitted(told, exact, [(breaths, known.pressure) for breaths, known, _ in found])


def _fitted(told: Recorded, exact: Known, others: Sequence[tuple[Recorded, Array]]) -> SessionLungs:
    """Fit lungs to labelled breaths, of which so much is exact, and to others with pressures (N, 80) or nan."""
    parts = [(told, np.where(told.u_out == 0, told.pressure, np.nan)), *others]
    breaths, pressure = joined_arrays([part for part, _ in parts]), np.concatenate([known for _, known in parts])
    seen = f"labels of {len(told)} breaths, and decoded rows of {len(breaths) - len(told)} others"
    return fit_spread(fit_lungs(breaths, pressure, provenance=seen), told, exact, parts[0][1])


def _refuse_unlabelled(labels: pl.DataFrame) -> None:
    if "pressure" not in labels.columns:
        raise ValueError("Lungs are fitted to labels, but the file of labels has no column pressure.")
    pressure = labels["pressure"]
    odd = pressure.filter(pressure.is_not_null() & pressure.cast(pl.Float64, strict=False).is_null())
    if len(odd):
        raise ValueError(
            f"Lungs are fitted to labels, but pressure is {odd[0]!r} in the file of labels. Write a number, or nothing."
        )


def _fingerprint(src: Path, labels: Path | None, chunk_breaths: int) -> str:
    """Hash what a file's estimates are made from."""
    here = Path(__file__).parent
    code = [path.read_text(encoding="utf-8") for path in sorted([*here.glob("*.*"), *here.parent.glob("*.py")])]
    facts = [facts_of(src), "" if labels is None else facts_of(labels), str(chunk_breaths), CACHE.name, *code]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:12]

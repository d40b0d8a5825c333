"""Writes a small Ribonanza into a folder: `python configs/gallery/ribonanza/generate.py FOLDER [--shuffled]`

The competition's files, names, types and traps (layout.md), with made-up molecules. A base that is not paired
reacts, by its letter and by the letter behind it: a product, which no line through one position's inputs finds.
`--shuffled` deals all measured pairs of values out again at random, so that there is nothing to learn.
"""

import sys
from hashlib import md5
from pathlib import Path

import numpy as np
import polars as pl

HEAD, TAIL = "GGGAACGACUCGAGUAGAGUCGAAAA", "AAAGAAACAACAACAACAAC"  # 26 and 20 bases that all share, and nobody measures
BASES, PARTNER, PAIRS = "ACGU", dict(zip("ACGU", "UGCA", strict=True)), np.array(list("GCGCAU"))
KINDS = {"2A3_MaP": [0.9, 0.5, 0.8, 0.6], "DMS_MaP": [1.0, 0.8, 0.1, 0.1]}  # how much A, C, G and U react
WIDEST = 206  # columns of reactivities
FAMILIES, RELATIVES, REPEATED = 30, 2, 3  # molecules, near-duplicates of each, and those that were measured twice
Row = tuple[dict[str, object], np.ndarray, np.ndarray]  # what is said of a molecule, reactivities, errors
TEST = {177: 8, 207: 6, 457: 3}  # length of a molecule -> how many


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train_data.csv, test_sequences.csv, sample_submission.csv and Ribonanza_bpp_files/."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    families = [molecule(rng, int(rng.choice([177, 177, 177, 170, 206]))) for _ in range(FAMILIES)]
    learned = [relative(rng, each) for each in families for _ in range(RELATIVES)]
    learned = list({sequence: (sequence, structure) for sequence, structure in learned}.values())
    asked = [molecule(rng, length) for length, count in TEST.items() for _ in range(count)]
    asked[1] = learned[0]  # a molecule of training
    for sequence, structure in dict([*learned, *asked]).items():
        pairing(rng, folder, sequence, structure)
    measured = [measure(rng, kind, *each) for each in [*learned, *learned[:REPEATED]] for kind in KINDS]
    if shuffled:
        redeal(rng, measured)
    train = [
        said | columns("reactivity", values) | columns("reactivity_error", errors) for said, values, errors in measured
    ]
    pl.DataFrame(train, infer_schema_length=None).write_csv(folder / "train_data.csv")
    lengths = np.array([len(sequence) for sequence, _ in asked])
    ends = np.cumsum(lengths)
    test = {"id_min": ends - lengths, "id_max": ends - 1, "sequence_id": [identity(sequence) for sequence, _ in asked]}
    test |= {"sequence": [sequence for sequence, _ in asked], "future": (lengths > WIDEST).astype(int)}
    pl.DataFrame(test).write_csv(folder / "test_sequences.csv")
    sample = {"id": np.arange(ends[-1]), "reactivity_DMS_MaP": 0, "reactivity_2A3_MaP": 0}
    pl.DataFrame(sample).write_csv(folder / "sample_submission.csv")


def identity(sequence: str) -> str:
    """Return what a molecule is called: the beginning of a hash of its letters."""
    return md5(sequence.encode(), usedforsecurity=False).hexdigest()[:12]


def molecule(rng: np.random.Generator, length: int) -> tuple[str, str]:
    """Draw hairpins between a head and a tail that all molecules share: sequence and structure."""
    sequence, structure = HEAD, "." * len(HEAD)
    while len(sequence) < length - len(TAIL) - 30:
        stem, hairpin, gap = (int(rng.integers(*span)) for span in ((4, 9), (3, 8), (1, 7)))
        left = "".join(rng.choice(PAIRS, stem))
        right = "".join(PARTNER[base] for base in reversed(left))
        sequence += left + drawn(rng, hairpin) + right + drawn(rng, gap)
        structure += "(" * stem + "." * hairpin + ")" * stem + "." * gap
    spare = length - len(TAIL) - len(sequence)
    return sequence + drawn(rng, spare) + TAIL, structure + "." * (spare + len(TAIL))


def drawn(rng: np.random.Generator, count: int) -> str:
    """Draw bases."""
    return "".join(rng.choice(list(BASES), count))


def relative(rng: np.random.Generator, of: tuple[str, str]) -> tuple[str, str]:
    """Change a few unpaired bases of a molecule."""
    letters = list(of[0])
    free = [n for n in range(len(HEAD), len(letters) - len(TAIL)) if of[1][n] == "."]
    for place in rng.choice(free, 3, replace=False):
        letters[place] = str(rng.choice(list(BASES)))
    return "".join(letters), of[1]


def measure(rng: np.random.Generator, kind: str, sequence: str, structure: str) -> Row:
    """Draw what a row says of a molecule in one experiment, its reactivities and their errors; NaN where unmeasured."""
    codes = np.array([BASES.index(base) for base in sequence])
    push = np.append(np.array([1.5, 0.6, 0.4, 1.0])[codes[1:]], 1.0)  # of the base behind
    noise, reads = float(np.round(rng.lognormal(1.4, 0.8), 3)), int(rng.integers(50, 5000))
    values = 0.05 + np.array(KINDS[kind])[codes] * push * (np.array(list(structure)) == ".")
    deviation = 0.1 + 0.5 / noise * rng.uniform(0.7, 1.3, len(codes))
    values = values + rng.normal(size=len(codes)) * deviation  # some fall below 0, some above 1, as in the files
    gone = rng.uniform(size=len(codes)) < 0.01
    gone[: len(HEAD)], gone[-len(TAIL) :] = True, True
    about = {"sequence_id": identity(sequence), "sequence": sequence, "experiment_type": kind}
    about |= {"dataset_name": f"15k_{kind[:3]}", "reads": reads, "signal_to_noise": noise}
    about |= {"SN_filter": int(noise > 1 and reads > 100)}
    return about, np.where(gone, np.nan, np.round(values, 3)), np.where(gone, np.nan, np.round(deviation, 3))


def columns(name: str, values: np.ndarray) -> dict[str, float | None]:
    """Lay the positions of a molecule side by side, blank where there is no value, or no position."""
    filled = [None if value != value else float(value) for value in values] + [None] * (WIDEST - len(values))
    return {f"{name}_{place + 1:04}": value for place, value in enumerate(filled)}


def redeal(rng: np.random.Generator, measured: list[Row]) -> None:
    """Deal the values of all positions out again, those of the two experiments at a position together."""
    couples = [(measured[row][1], measured[row + 1][1]) for row in range(0, len(measured), 2)]
    values = np.concatenate([np.stack(couple) for couple in couples], axis=1)  # (2, positions of all molecules)
    known = np.isfinite(values).all(axis=0)
    values[:, known] = rng.permutation(values[:, known].T).T
    ends = np.cumsum([len(one) for one, _ in couples])[:-1]
    for couple, dealt in zip(couples, np.split(values, ends, axis=1), strict=True):
        couple[0][:], couple[1][:] = dealt


def pairing(rng: np.random.Generator, folder: Path, sequence: str, structure: str) -> None:
    """Write which positions pair, and how likely: their numbers from 1 on, a line each."""
    name, opened, lines = identity(sequence), list[int](), []
    for place, mark in enumerate(structure):
        if mark == "(":
            opened.append(place)
        elif mark == ")":
            lines.append(f"{opened.pop() + 1} {place + 1} {rng.uniform(0.7, 1.0):.4f}\n")
    path = folder / "Ribonanza_bpp_files" / "extra_data" / "/".join(name[:3]) / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])

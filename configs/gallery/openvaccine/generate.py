"""Writes a small OpenVaccine into a folder: `python configs/gallery/openvaccine/generate.py FOLDER [--shuffled]`

The competition's files, names, types and traps (layout.md), with made-up molecules. An unpaired base degrades, by its
letter and the letter behind it: a product, which no line through one position's inputs finds. So does a paired G or U
whose partner is the other one, a weak pair: only the matrix of pairs says which base that is. `--shuffled` deals all
answers out again at random, so that there is nothing to learn.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

HEAD, TAIL, BASES = "GGAAA", "AAAAGAAACAACAACAACAAC", np.array(list("ACGU"))
PARTNER, PAIRS = dict(zip("ACGU", "UGCA", strict=True)), np.array(list("GCGCAU"))  # G and C pair more often
ANSWERS = ["reactivity", "deg_Mg_pH10", "deg_pH10", "deg_Mg_50C", "deg_50C"]
ERRORS = ["reactivity_error", "deg_error_Mg_pH10", "deg_error_pH10", "deg_error_Mg_50C", "deg_error_50C"]
WEAK = np.array([[0.9, 0.4, 0.8, 0.5], [0.8, 0.3, 0.5, 0.6], [0.7, 0.4, 0.7, 0.6], [0.6, 0.4, 0.6, 0.7], [0.5] * 4])
FAMILIES, RELATIVES, SHORT, LONG = 45, 3, 12, 24  # train: molecules and their near-duplicates; test, by length
NOT_LETTERS, CHANGES = 0.15, 3  # noise of an answer; bases that near-duplicates differ in
WOBBLES, WOBBLE = 0.4, 0.8  # share of the pairs of G or U that are of G and U; what that adds to an answer


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train.json, test.json, sample_submission.csv and bpps/."""
    rng = np.random.default_rng(seed)
    families = [molecule(rng, 107) for _ in range(FAMILIES)]
    train = pl.DataFrame([row(rng, relative(rng, each), 68) for each in families for _ in range(RELATIVES)])
    test = pl.DataFrame(
        [row(rng, molecule(rng, 107 + 23 * (n >= SHORT)), 68 + 23 * (n >= SHORT)) for n in range(SHORT + LONG)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bpps").mkdir(exist_ok=True)
    for each in (train, test):
        for name, structure in each.select("id", "structure").rows():
            np.save(folder / "bpps" / f"{name}.npy", pairing(rng, structure))
    answered = train.with_columns(*answers(rng, train, shuffled))
    answered.with_row_index("index").write_ndjson(folder / "train.json")
    unknown = test.drop("signal_to_noise", "SN_filter").sample(fraction=1.0, shuffle=True, seed=seed)
    unknown.with_row_index("index").write_ndjson(folder / "test.json")
    sample(unknown).write_csv(folder / "sample_submission.csv")


def molecule(rng: np.random.Generator, length: int) -> tuple[str, str, str]:
    """Draw hairpins between a head and a tail that all molecules share: sequence, structure, loop type."""
    sequence, structure, loops = HEAD, "." * len(HEAD), "E" * len(HEAD)
    while len(sequence) < length - len(TAIL) - 30:
        stem, hairpin, gap = (int(rng.integers(*span)) for span in ((4, 9), (3, 8), (1, 5)))
        left = "".join(rng.choice(PAIRS, stem))
        right = "".join(partner(rng, base) for base in reversed(left))
        sequence += left + "".join(rng.choice(BASES, hairpin)) + right + "".join(rng.choice(BASES, gap))
        structure += "(" * stem + "." * hairpin + ")" * stem + "." * gap
        loops += "S" * stem + "H" * hairpin + "S" * stem + "X" * gap
    spare = length - len(TAIL) - len(sequence)
    sequence, structure = sequence + "".join(rng.choice(BASES, spare)) + TAIL, structure + "." * (spare + len(TAIL))
    loops = loops.rstrip("X")
    return sequence, structure, loops + "E" * (length - len(loops))


def partner(rng: np.random.Generator, base: str) -> str:
    """Draw the base across: G and U pair, too."""
    return {"G": "U", "U": "G"}[base] if base in "GU" and rng.uniform() < WOBBLES else PARTNER[base]


def relative(rng: np.random.Generator, of: tuple[str, str, str]) -> tuple[str, str, str]:
    """Change a few unpaired bases of a molecule."""
    letters, free = (
        list(of[0]),
        [n for n, mark in enumerate(of[1]) if mark == "." and len(HEAD) <= n < len(of[0]) - len(TAIL)],
    )
    for place in rng.choice(free, CHANGES, replace=False):
        letters[place] = str(rng.choice(BASES))
    return "".join(letters), *of[1:]


def row(rng: np.random.Generator, drawn: tuple[str, str, str], scored: int) -> dict[str, object]:
    """Describe a molecule as a line of the files does."""
    sequence, structure, loops = drawn
    noise = round(float(rng.lognormal(1.3, 0.7)), 3)
    texts = {"id": f"id_{rng.integers(16**9):09x}", "sequence": sequence, "structure": structure}
    kept = {"predicted_loop_type": loops, "signal_to_noise": noise, "SN_filter": int(noise > 1.0)}
    return texts | kept | {"seq_length": len(sequence), "seq_scored": scored}


def answers(rng: np.random.Generator, train: pl.DataFrame, shuffled: bool) -> list[pl.Series]:
    """Draw the five answers and their errors for the scored positions, lists of float."""
    found = np.empty((len(train), 68, len(ANSWERS)))
    for n, (sequence, structure) in enumerate(train.select("sequence", "structure").rows()):
        codes = np.array(["ACGU".index(base) for base in sequence])
        free = np.array(list(structure)) == "."
        push = np.where(codes[1:] == 0, 1.5, np.where(codes[1:] == 3, 1.0, 0.5))[:68]  # of the base behind
        found[n] = (0.1 + free[:68] * WEAK[:, codes[:68]] * push + WOBBLE * weak_pairs(sequence, structure)[:68]).T
    deviation = NOT_LETTERS * (1 + 2 / train["signal_to_noise"].to_numpy())[:, None, None]
    found = np.round(found + rng.normal(size=found.shape) * deviation, 4)  # some fall below 0, as in the files
    if shuffled:
        found = rng.permutation(found.reshape(-1, len(ANSWERS))).reshape(found.shape)
    errors = np.round(deviation * rng.uniform(0.7, 1.3, found.shape), 4)
    columns = [
        *zip(ERRORS, errors.transpose(2, 0, 1), strict=True),
        *zip(ANSWERS, found.transpose(2, 0, 1), strict=True),
    ]
    return [pl.Series(name, values.tolist()) for name, values in columns]


def pairs_of(structure: str) -> list[tuple[int, int]]:
    """List the positions that are paired."""
    found, opened = list[tuple[int, int]](), list[int]()
    for place, mark in enumerate(structure):
        if mark == "(":
            opened.append(place)
        elif mark == ")":
            found.append((opened.pop(), place))
    return found


def weak_pairs(sequence: str, structure: str) -> np.ndarray:
    """Return 1 at a G or U whose partner is the other one, (L,)."""
    found = np.zeros(len(sequence))
    for one, other in pairs_of(structure):
        found[[one, other]] = {sequence[one], sequence[other]} == {"G", "U"}
    return found


def pairing(rng: np.random.Generator, structure: str) -> np.ndarray:
    """Draw base pair probabilities, (L, L), symmetric, rows of at most 1."""
    matrix = np.zeros((len(structure), len(structure)))
    for one, other in pairs_of(structure):
        matrix[one, other] = matrix[other, one] = rng.uniform(0.7, 1.0)
    return matrix


def sample(test: pl.DataFrame) -> pl.DataFrame:
    """Ask for all five answers at every position, scored or not."""
    ids = [f"{name}_{place}" for name, length in test.select("id", "seq_length").rows() for place in range(length)]
    columns = ["reactivity", "deg_Mg_pH10", "deg_pH10", "deg_Mg_50C", "deg_50C"]
    return pl.DataFrame({"id_seqpos": ids}).with_columns(pl.lit(0.0).alias(name) for name in columns)


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])

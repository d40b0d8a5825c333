"""Writes a small AMEX into a folder: `python configs/gallery/amex/generate.py FOLDER [--shuffled]`

The competition's files, all 190 columns of it, their types and traps (layout.md), with made-up customers. Whoever
defaults has had trouble in the last three statements: some columns rise there, from a level that differs between
customers, so that mean and deviation over all statements say little. `--shuffled` deals the labels out again at
random, so that there is nothing to learn.
"""

import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

TRAIN, TEST, POSITIVE = 400, 120, 0.26  # customers; share of those in train who default
MOST, FULL = 13, 0.84  # statements of a customer; share of customers who have that many
TRAIN_END, TEST_ENDS = (2018, 3), ((2019, 4), (2019, 10))  # month of the last statement, in test of either part
# fmt: off
CODES: dict[str, list[str] | list[float]] = {  # of the columns that are categories, from the most frequent on
    "B_30": [0.0, 1.0, 2.0], "B_38": [2.0, 3.0, 1.0, 5.0, 7.0, 4.0, 6.0], "D_114": [1.0, 0.0], "D_116": [0.0, 1.0],
    "D_117": [-1.0, 3.0, 4.0, 2.0, 5.0, 6.0, 1.0], "D_120": [0.0, 1.0], "D_126": [1.0, 0.0, -1.0],
    "D_63": ["CO", "CR", "CL", "XZ", "XM", "XL"], "D_64": ["O", "U", "R", "-1"], "D_66": [1.0, 0.0],
    "D_68": [6.0, 5.0, 3.0, 4.0, 2.0, 1.0, 0.0],
}
ABSENT = {  # share of customers who lack a column in all statements, by column
    0.9993: ["D_87"], 0.99: ["D_88", "D_108", "D_110", "D_111", "B_39", "D_73", "B_42"],
    0.96: ["D_134", "D_135", "D_136", "D_137", "D_138"],
    0.9: ["R_9", "B_29", "D_106", "D_132", "D_49", "R_26", "D_76", "D_66", "D_42"],
    0.8: ["D_142", "D_53"], 0.6: ["D_82", "D_50", "B_17", "D_105", "D_56", "S_9"], 0.4: ["D_77", "D_43"],
    0.2: ["S_27", "D_46", "S_7", "S_3", "D_62", "D_48", "D_61"],
}
NOT_YET = ["D_113", "D_114", "D_115", "D_116", "D_117", "D_118", "D_119", "D_120"]  # missing in some first statements
DESCRIBING = (  # the columns in the files, behind customer_ID and S_2
    "P_2 D_39 B_1 B_2 R_1 S_3 D_41 B_3 D_42 D_43 D_44 B_4 D_45 B_5 R_2 D_46 D_47 D_48 D_49 B_6 B_7 B_8 D_50 D_51 B_9 "
    "R_3 D_52 P_3 B_10 D_53 S_5 B_11 S_6 D_54 R_4 S_7 B_12 S_8 D_55 D_56 B_13 R_5 D_58 S_9 B_14 D_59 D_60 D_61 B_15 "
    "S_11 D_62 D_63 D_64 D_65 B_16 B_17 B_18 B_19 D_66 B_20 D_68 S_12 R_6 S_13 B_21 D_69 B_22 D_70 D_71 D_72 S_15 B_23 "
    "D_73 P_4 D_74 D_75 D_76 B_24 R_7 D_77 B_25 B_26 D_78 D_79 R_8 R_9 S_16 D_80 R_10 R_11 B_27 D_81 D_82 S_17 R_12 "
    "B_28 R_13 D_83 R_14 R_15 D_84 R_16 B_29 B_30 S_18 D_86 D_87 R_17 R_18 D_88 B_31 S_19 R_19 B_32 S_20 R_20 R_21 "
    "B_33 D_89 R_22 R_23 D_91 D_92 D_93 D_94 R_24 R_25 D_96 S_22 S_23 S_24 S_25 S_26 D_102 D_103 D_104 D_105 D_106 "
    "D_107 B_36 B_37 R_26 R_27 B_38 D_108 D_109 D_110 D_111 B_39 D_112 B_40 S_27 D_113 D_114 D_115 D_116 D_117 D_118 "
    "D_119 D_120 D_121 D_122 D_123 D_124 D_125 D_126 D_127 D_128 D_129 B_41 B_42 D_130 D_131 D_132 D_133 R_28 D_134 "
    "D_135 D_136 D_137 D_138 D_139 D_140 D_141 D_142 D_143 D_144 D_145"
)
# fmt: on
ORDER = DESCRIBING.split()

NUMBERS = [name for name in ORDER if name not in CODES]
TROUBLE = ["P_2", "B_1", "B_3", "B_9", "D_44", "D_48", "D_55", "R_1", "R_3", "S_15"]  # move with a customer's trouble
WHOLE = [name for name in NUMBERS if name[0] in "RD" and name not in TROUBLE]  # whole numbers, but for the noise


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train_data.csv, train_labels.csv, test_data.csv and sample_submission.csv."""
    rng = np.random.default_rng(seed)
    customers = sorted({rng.bytes(32).hex() for _ in range(TRAIN + TEST)})
    in_test = np.sort(rng.choice(TRAIN + TEST, TEST, replace=False))
    names = {"train": np.delete(customers, in_test), "test": np.array(customers)[in_test]}
    folder.mkdir(parents=True, exist_ok=True)
    for part, ids in names.items():
        trouble = rng.normal(size=len(ids))
        statements(rng, ids, trouble, part).write_csv(folder / f"{part}_data.csv")
        risk = 5 * trouble + rng.logistic(size=len(ids))
        target = (risk > np.quantile(risk, 1 - POSITIVE)).astype(np.int64)
        if part == "train":
            dealt = rng.permutation(target) if shuffled else target
            pl.DataFrame({"customer_ID": ids, "target": dealt}).write_csv(folder / "train_labels.csv")
    sample = pl.DataFrame({"customer_ID": names["test"], "prediction": np.zeros(TEST, dtype=np.int64)})
    sample.write_csv(folder / "sample_submission.csv")


def statements(rng: np.random.Generator, ids: np.ndarray, trouble: np.ndarray, part: str) -> pl.DataFrame:
    """Draw the statements of customers, one row each, a customer's one after the other. trouble: (N,) of the last."""
    full = rng.uniform(size=len(ids)) < FULL
    counts = np.where(full, MOST, rng.integers(1, MOST, len(ids)))
    row = np.repeat(np.arange(len(ids)), counts)  # of each statement its customer's place, (R,)
    ago = np.concatenate([np.arange(count)[::-1] for count in counts])  # months before the last statement, (R,)
    columns = {"customer_ID": ids[row], "S_2": dates(rng, len(ids), part)[row, ago]}
    columns |= dict(zip(NUMBERS, numbers(rng, row, ago, trouble).T, strict=True))
    columns |= {name: codes(rng, levels, row) for name, levels in CODES.items()}
    columns["B_31"] = (rng.uniform(size=len(row)) < 0.997).astype(np.int64)
    blanks = {name: absent(rng, share, row) for share, lacking in ABSENT.items() for name in lacking}
    early = ((ago >= 10) & (rng.uniform(size=len(ids)) < 0.3)[row]).nonzero()[0]
    blanks |= dict.fromkeys(NOT_YET, early)
    table = pl.DataFrame({name: columns[name] for name in ("customer_ID", "S_2", *ORDER)})
    return table.with_columns(table[name].scatter(places, None) for name, places in blanks.items())


def dates(rng: np.random.Generator, count: int, part: str) -> np.ndarray:
    """Draw when customers' statements are: (N, MOST) dates, the last one first, about a month apart."""
    ends = [TRAIN_END] if part == "train" else TEST_ENDS
    days = rng.integers(3, 27, count)[:, None] + rng.integers(-2, 3, (count, MOST))
    last = [ends[place][0] * 12 + ends[place][1] - 1 for place in rng.integers(len(ends), size=count)]
    found = np.empty((count, MOST), dtype="datetime64[D]")
    for place, ago in np.ndindex(count, MOST):
        year, month = divmod(last[place] - ago, 12)
        found[place, ago] = date(year, month + 1, int(days[place, ago]))
    return found


def numbers(rng: np.random.Generator, row: np.ndarray, ago: np.ndarray, trouble: np.ndarray) -> np.ndarray:
    """Draw the columns that are numbers, (R, C): a customer's own level, and what changes; all with noise on top."""
    level = rng.normal(size=(len(trouble), len(NUMBERS)))
    values = level[row] + 0.3 * rng.normal(size=(len(row), len(NUMBERS)))
    now = np.where(ago < 3, trouble[row], 0.0)  # in the last three statements
    for name in TROUBLE:
        values[:, NUMBERS.index(name)] += 0.8 * now * (-1 if name == "P_2" else 1)
    values = 0.3 + 0.2 * values
    whole = [NUMBERS.index(name) for name in WHOLE]
    values[:, whole] = np.abs(np.round(values[:, whole] * 10))
    values = np.round(values + rng.uniform(0, 0.01, values.shape), 6)
    values[:, NUMBERS.index("D_87")] = 1.0
    return values


def codes(rng: np.random.Generator, levels: list[str] | list[float], row: np.ndarray) -> np.ndarray:
    """Draw a column of categories, (R,): a customer has mostly one of them, frequent ones more often."""
    share = 0.4 ** np.arange(len(levels))
    own = rng.choice(len(levels), int(row.max()) + 1, p=share / share.sum())[row]
    other = rng.choice(len(levels), len(row), p=share / share.sum())
    return np.array(levels)[np.where(rng.uniform(size=len(row)) < 0.9, own, other)]


def absent(rng: np.random.Generator, share: float, row: np.ndarray) -> np.ndarray:
    """Draw the statements that lack a column: all those of some customers, of which at least one keeps it."""
    count = int(row.max()) + 1
    lacking = rng.permutation(count)[: min(round(share * count), count - 1)]
    return np.isin(row, lacking).nonzero()[0]


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])

"""The rival's side of benchmarks/features.py: the same 37 features in pandas, in the winning teams' manner.

Column after column by groupby, one-hots from strings, scikit-learn's RobustScaler over all rows. Written from the
description of the 1st-place team's second network. Runs in the environment that the benchmark makes for it.
"""

import numpy as np
import pandas as pd
import sklearn
from sklearn.preprocessing import RobustScaler

from benchmarks.measured import run

LAGS = (1, 2, 3, 4)  # steps
LEVELS = [f"{name}_{level}" for name, levels in (("R", (5, 20, 50)), ("C", (10, 20, 50))) for level in levels]
PAIRS = [f"RC_{r}_{c}" for r in (5, 20, 50) for c in (10, 20, 50)]
# The features in the order of ours.
COLUMNS = [
    *("u_in", "u_out", "u_out_inverse", "time_step", "time_delta", "u_in_cumsum", "area"),
    *(f"u_in_{kind}{n}" for kind in ("lag", "lead", "diff") for n in LAGS),
    *("u_in_max", "u_in_to_max", "u_in_to_mean"),
    *(LEVELS + PAIRS),
]


def numeric(df: pd.DataFrame) -> pd.DataFrame:
    """Add the 22 numeric features to the columns of the file."""
    df["u_out_inverse"] = 1 - df["u_out"]
    df["time_delta"] = df.groupby("breath_id")["time_step"].diff().fillna(0)
    df["u_in_cumsum"] = df.groupby("breath_id")["u_in"].cumsum()
    df["area"] = df["u_in"] * df["time_delta"]
    df["area"] = df.groupby("breath_id")["area"].cumsum()
    for n in LAGS:
        df[f"u_in_lag{n}"] = df.groupby("breath_id")["u_in"].shift(n)
        df[f"u_in_lead{n}"] = df.groupby("breath_id")["u_in"].shift(-n)
    df = df.fillna(0)
    for n in LAGS:
        df[f"u_in_diff{n}"] = df["u_in"] - df[f"u_in_lag{n}"]
    df["u_in_max"] = df.groupby("breath_id")["u_in"].transform("max")
    df["u_in_to_max"] = df.groupby("breath_id")["u_in"].transform("max") - df["u_in"]
    df["u_in_to_mean"] = df.groupby("breath_id")["u_in"].transform("mean") - df["u_in"]
    return df


def one_hots(df: pd.DataFrame) -> pd.DataFrame:
    """Add R, C and their pair as text, then one column for each text; return the 37 features alone."""
    df["R"] = df["R"].astype(str)
    df["C"] = df["C"].astype(str)
    df["RC"] = df["R"] + "_" + df["C"]
    return pd.get_dummies(df)[COLUMNS]


def inputs(df: pd.DataFrame) -> np.ndarray:
    """Return the 37 features as the network takes them (rows, 37)."""
    x: np.ndarray = one_hots(numeric(df)).to_numpy(np.float32)
    return x


def training(csv: str) -> np.ndarray:
    """Return (x - median) / (q75 - q25) of the 37 features as float32 (rows, 37), the quantiles from all rows."""
    features = one_hots(numeric(pd.read_csv(csv)))
    x: np.ndarray = RobustScaler().fit_transform(features).astype(np.float32)
    return x


if __name__ == "__main__":
    run(
        f"pandas {pd.__version__}, scikit-learn {sklearn.__version__}",
        (pd.read_csv, numeric, one_hots),
        inputs,
        training,
    )

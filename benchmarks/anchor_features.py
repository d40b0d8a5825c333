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


def numeric(df: pd.DataFrame) -> pd.DataFrame:
    """The 22 numeric features, in the order of ours, then R and C."""
    df["u_out_inverse"] = 1 - df["u_out"]
    df["time"] = df["time_step"]
    df["time_delta"] = df.groupby("breath_id")["time_step"].diff().fillna(0)
    df["u_in_cumsum"] = df.groupby("breath_id")["u_in"].cumsum()
    df["area"] = df["u_in"] * df["time_delta"]
    df["area"] = df.groupby("breath_id")["area"].cumsum()
    for n in LAGS:
        df[f"u_in_lag{n}"] = df.groupby("breath_id")["u_in"].shift(n)
    for n in LAGS:
        df[f"u_in_lead{n}"] = df.groupby("breath_id")["u_in"].shift(-n)
    df = df.fillna(0)
    for n in LAGS:
        df[f"u_in_diff{n}"] = df["u_in"] - df[f"u_in_lag{n}"]
    df["u_in_max"] = df.groupby("breath_id")["u_in"].transform("max")
    df["u_in_to_max"] = df.groupby("breath_id")["u_in"].transform("max") - df["u_in"]
    df["u_in_to_mean"] = df.groupby("breath_id")["u_in"].transform("mean") - df["u_in"]
    df["R_"], df["C_"] = df["R"], df["C"]
    return df.drop(columns=["id", "breath_id", "R", "C", "time_step", "pressure"])


def one_hots(df: pd.DataFrame) -> pd.DataFrame:
    """R, C and their pair as text, then one column for each text: sorted as text, put into the order of ours."""
    df["R_"] = df["R_"].astype(str)
    df["C_"] = df["C_"].astype(str)
    df["RC_"] = df["R_"] + "_" + df["C_"]
    df = pd.get_dummies(df)
    levels = {"R_": ("5", "20", "50"), "C_": ("10", "20", "50")}
    pairs = [f"RC__{r}_{c}" for r in levels["R_"] for c in levels["C_"]]
    single = [f"{name}_{level}" for name in levels for level in levels[name]]
    return df[[*df.columns[:22], *single, *pairs]]


def scale(df: pd.DataFrame) -> np.ndarray:
    """(x - median) / (q75 - q25), the quantiles from all rows."""
    return RobustScaler().fit_transform(df)


if __name__ == "__main__":
    run(f"pandas {pd.__version__}, scikit-learn {sklearn.__version__}", (pd.read_csv, numeric, one_hots, scale))

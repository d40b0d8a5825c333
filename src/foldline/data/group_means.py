"""The mean of each group, with the same bits in every run."""

import polars as pl


def of(frame: pl.DataFrame, group: str) -> pl.DataFrame:
    """Return the mean of every other column in each group, a row a group, in the order in which the groups come.

    The last bits hang on the group's own rows alone. Those of `group_by(...).agg(mean)` hang on the number of threads
    where groups are few, and with a million rows change from run to run (polars 2.1.0,
    findings/polars-sums-by-threads.sh); a window adds up each group at once.
    """
    means = frame.select(group, pl.all().exclude(group).mean().over(group))
    return means.unique(group, keep="first", maintain_order=True)

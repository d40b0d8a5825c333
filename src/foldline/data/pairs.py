"""Matrices of pairs of steps as columns of rows, for tables() of a competition.py; models/ops/pairs.py reads them.

    from foldline.data.pairs import pair_columns, pair_names

A matrix L x L is a series' own, columns are rows': each row gets its strongest partners, each as how many steps ahead
it stands (below 0: back; 0: there is none) and the matrix' entry.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array


def pair_names(name: str, most: int) -> list[str]:
    """Return the columns of a matrix: partner(NAME.1), pair(NAME.1), partner(NAME.2) and so on. most: partners a row.

    Raises:
        ValueError: there are none.
    """
    if most < 1 or not name:
        raise ValueError(f"pair_names needs a name and at least 1 partner a row, but has {name!r} and {most}")
    return [f"{what}({name}.{place})" for place in range(1, most + 1) for what in ("partner", "pair")]


def pair_columns(name: str, matrix: np.ndarray | coo_array, length: int, most: int) -> dict[str, list[float]]:
    """Make the columns of one series.

    Args:
        name: of the matrix, as a model's `pairs` names it.
        matrix: (L, L), row i what step i sees of step j; or sparse: scipy.sparse.coo_array((values, (i, j)), (L, L)),
            where entries given twice add up. Both triangles count: of a symmetric one give both.
        length: L, rows of the series.
        most: partners a row, those of the largest entries, of either sign; the rest is left out.

    Returns:
        The columns of `pair_names`, L numbers each.

    Raises:
        ValueError: another size, a number that is not finite, or an entry on the diagonal.
    """
    names = pair_names(name, most)
    if matrix.shape != (length, length):
        raise ValueError(
            f"the matrix {name!r} must be {length} x {length}, as long as its series, but is {matrix.shape}"
        )
    found = coo_array(matrix)
    found.sum_duplicates()
    rows, others, values = (np.asarray(each) for each in (*found.coords, found.data))
    if not np.isfinite(values).all():
        raise ValueError(
            f"the matrix {name!r} must be of finite numbers, but {values[~np.isfinite(values)][0]} is among them"
        )
    if (own := (rows == others) & (values != 0)).any():
        raise ValueError(
            f"the matrix {name!r} must be 0 on its diagonal, as no step is its own partner, but step "
            f"{rows[own][0]} has {values[own][0]:g}"
        )
    order = np.lexsort((others, -np.abs(values), rows))  # the strongest of each row first; of equal ones the earlier
    order = order[values[order] != 0]
    begins = np.searchsorted(rows[order], np.arange(length))
    rank = np.arange(len(order)) - begins[rows[order]]
    kept, rank = order[rank < most], rank[rank < most]
    partner, entry = np.zeros((most, length)), np.zeros((most, length))
    partner[rank, rows[kept]], entry[rank, rows[kept]] = others[kept] - rows[kept], values[kept]
    columns = [each.tolist() for place in range(most) for each in (partner[place], entry[place])]
    return dict(zip(names, columns, strict=True))

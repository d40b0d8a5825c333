"""Ranked rows (post.ranked): open rows that an estimator settles by the only solution of the decoder's equation.

They rest on an estimate and are never exact (docs/decoder.md). For the out-of-fold score the estimate is that of the
fold's own estimator, which has not seen the labels of the rows; for test series the mean over its cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from foldline.data import open_rows
from foldline.data.store import Store
from foldline.ensemble.members import Member
from foldline.ensemble.post_processing import PostConfig
from foldline.fit.estimator_cell import ERROR

TOLERANCE = 1e-6  # of the target's unit, by which a right value may miss the label's printed digits


@dataclass(frozen=True)
class Counts:
    """How many scored rows are ranked, for sentences."""

    train: int
    wrong: int  # of these: their labels are another value
    test: int | None  # None: of no test table that is at hand

    @property
    def sentence(self) -> str:
        """Say it."""
        tested = "" if self.test is None else f", and {self.test:,} rows of the test table"
        return (
            f"ranked, not exact: {self.train:,} training rows, of which {self.wrong:,} "
            f"{'is' if self.wrong == 1 else 'are'} wrong{tested}"
        )

    def to_json(self) -> dict[str, int | None]:
        """Return what --json says."""
        return asdict(self)


@dataclass(frozen=True)
class Ranked:
    """The ranked rows of one table."""

    values: np.ndarray  # (R,) the target; NaN where a row is not ranked

    @property
    def rows(self) -> np.ndarray:
        """Rows that are ranked, (R,) bool."""
        return np.asarray(~np.isnan(self.values))

    def wrong(self, truth: np.ndarray) -> int:
        """Count the ranked rows whose value is not the true one. truth: (R,)."""
        return int(np.sum(np.abs(self.values - truth)[self.rows] > TOLERANCE))


def of_training(post: PostConfig, members: Sequence[Member], store: Store) -> Ranked | None:
    """Rank the rows of the training table by their out-of-fold estimates; None where that is not asked for."""
    member = estimator(post, members)
    if member is None:
        return None
    spread = member.spread(store)
    assert spread is not None, "an estimator knows what it expects of its errors"
    return _ranked(store, member.out_of_fold(store), spread)


def of_test(post: PostConfig, members: Sequence[Member], store: Store) -> Ranked | None:
    """Rank the rows of a test table, which the estimator's cells have predicted."""
    member = estimator(post, members)
    if member is None:
        return None
    return _ranked(store, member.test(store), member.test(store, spread=True))


def predicted(post: PostConfig, members: Sequence[Member], store: Store) -> bool:
    """Whether `of_test` has all that it needs: a report may be made beside another test table."""
    member = estimator(post, members)
    return member is None or not any(cell.test_damage(store.fingerprint) for cell in member.test_cells)


def of_both(
    post: PostConfig, members: Sequence[Member], train: Store, test: Store
) -> tuple[Ranked | None, Ranked | None]:
    """Rank the rows of both tables of an experiment whose cells are finished."""
    return of_training(post, members, train), of_test(post, members, test)


def estimator(post: PostConfig, members: Sequence[Member]) -> Member | None:
    """Return the first estimator among the members; None where no rows are to be ranked."""
    found = (each for each in members if each.cells and each.cells[0].model.fitted_as == "estimator")
    return next(found, None) if post.ranked else None


def _ranked(store: Store, mean: np.ndarray, spread: np.ndarray) -> Ranked:
    """Rank by predictions (R, 1) and their expected absolute errors (R, 1), which may be NaN: then nothing is."""
    values = open_rows.ranked(store.fingerprint, mean[:, 0], spread[:, 0] / ERROR)
    return Ranked(values)

"""One submission of several targets: each target's part has columns or rows of its own (data.partial).

Together they must have each value that the sample asks for, once. That hangs on the sample alone, and is checked
before anything is trained.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from foldline.core import files
from foldline.core.errors import Finding, UserError, shortened
from foldline.data import assemble, identity, sample_submission, source_folder
from foldline.data.roles import DataConfig
from foldline.data.submission_layout import Layout
from foldline.data.table import Table
from foldline.output import submission
from foldline.output.submission import Gate, Published
from foldline.run.ledger import Origin


@dataclass(frozen=True)
class Frame:
    """Rows and columns of the whole submission."""

    row_id: str
    order: tuple[str, ...]  # of all columns, the id's among them
    ids: pl.Series  # (rows,)

    @staticmethod
    def of(data: DataConfig, parts: Mapping[str, pl.DataFrame]) -> Frame:
        """Take the sample's rows and columns; without a sample those of the parts, in the targets' order.

        Args:
            data: of any of the targets.
            parts: name of a target -> its part of the submission, or of the sample.

        Raises:
            UserError: a value that the sample asks for is nobody's, or that of two targets.
        """
        source = assemble.sample_of(data, source_folder.of(data))
        if source is None:
            columns = dict.fromkeys(name for part in parts.values() for name in part.columns)
            ids = pl.concat(identity.texts(part[data.id]) for part in parts.values()).unique(maintain_order=True)
            frame, where = Frame(data.id, tuple(columns), identity.whole(ids)), "the submission"
        else:
            ids = source.read({data.id: pl.String()}).frame[data.id]
            stored = sample_submission.as_stored(ids, source)
            frame, where = Frame(data.id, tuple(source.columns()), stored), str(source.path)
        for column in frame.columns:
            frame._refuse_gaps(column, parts, where)
        return frame

    @property
    def columns(self) -> list[str]:
        """List the columns of values."""
        return [name for name in self.order if name != self.row_id]

    def _refuse_gaps(self, column: str, parts: Mapping[str, pl.DataFrame], where: str) -> None:
        owners = {name: part for name, part in parts.items() if column in part.columns}
        claimed = pl.concat([identity.texts(part[self.row_id]) for part in owners.values()] or [pl.Series([""])])
        if claimed.is_duplicated().any():
            raise UserError(
                f"{where}: column {column!r} of {self.row_id} {claimed.filter(claimed.is_duplicated())[0]} would be "
                f"predicted by two of the targets {shortened(list(owners))}: tell them apart by column_template."
            )
        lacking = self.ids.filter(~identity.texts(self.ids).is_in(claimed.implode()))
        if lacking.len():
            raise UserError(
                f"{where}: column {column!r} is asked for in {lacking.len()} rows (first {self.row_id}: {lacking[0]}) "
                f"that no [[target]] predicts; there are {shortened(list(parts))}. Add one."
            )

    def joined(self, parts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Join the targets' parts. Numbers and labels in one column are printed as each part has them."""
        keys, made = identity.texts(self.ids), [self.ids.alias(self.row_id)]
        for column in self.columns:
            owners = [part for part in parts.values() if column in part.columns]
            values = pl.concat(
                [part.select(id=identity.texts(part[self.row_id]), value=column) for part in owners],
                how="vertical_relaxed",
            )
            found = pl.DataFrame({"id": keys}).join(values, on="id", how="left", maintain_order="left")
            made.append(found["value"].alias(column))
        return pl.DataFrame(made).select(self.order)


def check(parts: Mapping[str, tuple[Table, pl.DataFrame | None]]) -> None:
    """Check, before any training, that the targets have each value of the submission among them.

    parts: name of a target -> the test table and the target's part of the sample.

    Raises:
        UserError: as `Frame.of` does.
    """
    asked = {name: _asked(Layout.of(*part)) for name, part in parts.items()}
    Frame.of(next(iter(parts.values()))[0].data, asked)


def _asked(layout: Layout) -> pl.DataFrame:
    """Return the rows and columns of a target's part, without values."""
    return pl.DataFrame({layout.addresses.table.data.id: layout.ids, **dict.fromkeys(layout.columns)})


def join(data: DataConfig, parts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Join the targets' parts of a submission. data: of any of the targets.

    Raises:
        UserError: as `Frame.of` does.
    """
    return Frame.of(data, parts).joined(parts)


@dataclass(frozen=True)
class Part:
    """One target's part of a submission, and the gate that checks it."""

    draft: Path  # where it is written
    table: pl.DataFrame
    gate: Gate


def publish(draft: Path, parts: Mapping[str, Part], origin: Origin, metric: str) -> Published:
    """Write each target's part and the submission of all; check the parts at the gate, and enter it into the ledger.

    Args:
        draft: where the submission is written.
        parts: by the target's name.
        origin: of the submission.
        metric: in words.

    Raises:
        Finding: the gate refused a part; all is written, and the reasons stand beside the part and the whole.
    """
    reasons, refused = draft.with_suffix(submission.REFUSED), []
    for part in parts.values():
        submission.write(part.draft, part.table)
    table = join(next(iter(parts.values())).gate.test.data, {name: part.table for name, part in parts.items()})
    submission.write(draft, table)
    for part in parts.values():
        try:
            part.gate.admit(part.draft)
        except Finding as finding:
            refused.append(str(finding))
    if refused:
        files.write_text(reasons, "\n".join(refused) + "\n")
        raise Finding("\n".join(refused))
    reasons.unlink(missing_ok=True)
    return Published(submission.enter(origin, draft, metric, table.height), table)


def check_written(path: Path, gates: Mapping[str, Gate]) -> None:
    """Check a written submission of several targets, each target's part of it at its own gate.

    Raises:
        Finding: it has other columns or rows than the sample, or a part is refused.
    """
    layouts = {name: Layout.of(gate.test, gate.sample) for name, gate in gates.items()}
    data = next(iter(gates.values())).test.data
    wanted = Frame.of(data, {name: _asked(layout) for name, layout in layouts.items()})
    if path.suffix == ".parquet":
        whole = pl.read_parquet(path, glob=False).cast(pl.String)
    else:
        whole = pl.read_csv(path, infer_schema=False, glob=False)
    if tuple(whole.columns) != wanted.order:
        raise Finding(f"{path}: its columns must be {','.join(wanted.order)}, but are {','.join(whole.columns)}")
    if identity.texts(whole[data.id]).to_list() != identity.texts(wanted.ids).to_list():  # a row of no target, too
        raise Finding(
            f"{path}: its {data.id}s must be the sample's {wanted.ids.len()}, in the sample's order, but are "
            f"{whole.height} others"
        )
    for name, layout in layouts.items():
        own = whole.filter(identity.texts(whole[data.id]).is_in(identity.texts(layout.ids).implode()))
        with tempfile.TemporaryDirectory() as scratch:
            draft = Path(scratch) / f"{name}.csv"
            submission.write(draft, own.select(layout.order))
            gates[name].check(draft)

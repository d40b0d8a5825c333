"""`ablate`: a baseline and its variants on the same folds and seeds, and a verdict on each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from foldline.api import asked
from foldline.api.asked import ConfigLike
from foldline.api.page import Page
from foldline.api.session import session
from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.core.json_values import without_nan
from foldline.evidence.ablation import ablation_file, ablation_results, ablation_run, ablation_wording
from foldline.evidence.ablation.ablation_file import AblationPlan
from foldline.evidence.ablation.ablation_page import page
from foldline.evidence.ablation.ablation_results import AblationResult
from foldline.evidence.ablation.ablation_run import PreparedAblation
from foldline.experiment import runs_index
from foldline.output.tracking import WandbTracker


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """What `ablate` returns. Effects and errors are in the metric's unit, variant minus baseline."""

    name: str  # the file's
    folder: Path  # runs/NAME/HASH
    score: float  # the baseline's: mean over folds and seeds
    variants: pl.DataFrame  # name, changes, verdict, effect, standard_error, p, p_holm, low and high (95 % bootstrap)
    failed: Mapping[str, str]  # variant that could not be trained -> why
    report: Page  # shown in Jupyter where it is the value of a cell
    warnings: tuple[str, ...] = ()  # sentences, printed or not

    @property
    def verdicts(self) -> dict[str, str]:
        """Return the verdict on each variant: helps, hurts, no difference, cannot tell yet; failed."""
        trained = dict(self.variants.select("name", "verdict").iter_rows())
        return trained | dict.fromkeys(self.failed, ablation_wording.FAILED)


def ablate(
    file: ConfigLike,
    *,
    force: bool = False,
    home: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **tables: Any,
) -> Ablation:
    """Train the cells that are not finished, and compare the variants of a config with it.

    Args:
        file: of an ablation: a path, a name in configs/, or its tables with a name.
        force: train finished cells again.
        home: the folder with runs/, folds/ and configs/; None: as the command line finds it.
        quiet: print nothing.
        tables: ablate={"seeds": [0]} and base="sample.toml" change the ablation, all other keys its baseline.

    Raises:
        foldline.Error: a mistake in file or data, before anything is trained.
        KeyboardInterrupt: finished cells and checkpoints are kept; the same call goes on.
    """
    with session("ablate", home, quiet) as notes:
        texts = asked.overrides(tables)
        with asked.as_file(file) as path:
            chosen = ablation_file.load(path, texts)
        prepared = plan(chosen, notes)
        compared, found = carry_out(prepared, asked.command("ablate", [file], texts), notes, force)
        return _ablation(compared, found, notes.warnings)


def plan(chosen: AblationPlan, terminal: Terminal, dry: bool = False) -> PreparedAblation:
    """Read the data, check every variant, and say what will be trained. dry: write no fold file."""
    prepared = ablation_run.prepare(chosen, terminal, dry)
    base = prepared.base
    cells = {cell.key: cell for each in prepared.prepared for cell in each.plan}
    done = sum(cell.done for cell in cells.values())
    terminal.say(
        f"{chosen.name}: {len(chosen.variants)} variants of {base.config.name}, {len(base.train.lengths)} series, "
        f"{base.folds.k} folds x {len(chosen.settings.seeds)} seeds"
    )
    needed = ablation_wording.needed(base.folds.k, chosen.settings.alpha, len(chosen.variants))
    terminal.say(f"a verdict needs {needed}")
    terminal.say(f"cells: {len(cells)}, {done} finished, {len(cells) - done} to train")
    return prepared


def carry_out(
    prepared: PreparedAblation, command: str, terminal: Terminal, force: bool = False
) -> tuple[PreparedAblation, AblationResult]:
    """Train, compare, show, and write page and JSON. command: that makes the same result, for the page."""
    prepared = ablation_run.train(prepared, force, terminal, WandbTracker)
    found = ablation_results.evaluate(prepared, terminal)
    _table(prepared, found, terminal)
    _write(prepared, found, command)
    return prepared, found


def _table(prepared: PreparedAblation, found: AblationResult, terminal: Terminal) -> None:
    title = ablation_wording.title(found, prepared.plan.base.data.metric)
    terminal.table(title, ablation_wording.COLUMNS, ablation_wording.rows(found))
    for text in ablation_wording.remarks(found)[: 3 + len(found.failed)]:
        terminal.say(text)


def _write(prepared: PreparedAblation, found: AblationResult, command: str) -> None:
    """Write the page and ablation.json into the run's folder, and point `latest` there."""
    folder = prepared.folder
    artefacts.write_json(folder / "ablation.json", without_nan(ablation_results.as_json(found)))
    files.write_text(folder / "ablation.html", page(prepared, found, command))
    runs_index.note_cells(folder, prepared.keys)
    files.replace_symlink(folder.parent / "latest", folder)


def _ablation(prepared: PreparedAblation, found: AblationResult, warnings: tuple[str, ...]) -> Ablation:
    rows = [
        {
            "name": each.name,
            "changes": each.changes,
            "verdict": str(each.significance.verdict),
            **{name: getattr(each.significance, name) for name in ("effect", "standard_error", "p", "p_holm")},
            "low": float(each.interval[0]),
            "high": float(each.interval[1]),
        }
        for each in found.variants
    ]
    texts = dict.fromkeys(("name", "changes", "verdict"), pl.String)
    numbers = dict.fromkeys(("effect", "standard_error", "p", "p_holm", "low", "high"), pl.Float64)
    return Ablation(
        name=prepared.plan.name,
        folder=prepared.folder,
        score=found.score,
        variants=pl.DataFrame(rows, schema={**texts, **numbers}),
        failed=dict(found.failed),
        report=Page(prepared.folder / "ablation.html"),
        warnings=warnings,
    )

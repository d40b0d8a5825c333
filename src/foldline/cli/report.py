"""`report`: make the page of the latest experiment of a config again from its stored cells. Trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.cli.moved_source import moved
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import featurize, folds, loading, open_rows
from foldline.data.featurize import FeaturesConfig
from foldline.data.loading import Competition
from foldline.data.store import Store
from foldline.ensemble import members
from foldline.ensemble.members import Member
from foldline.experiment import exact_tables, ranked_rows, runs_index, scoring, several_targets
from foldline.experiment.config import Config
from foldline.experiment.runs_index import short_path
from foldline.experiment.several_targets import JoinedResult, StoredTargets
from foldline.experiment.stored_experiment import StoredExperiment
from foldline.experiment.whole_metric import WholeMetric
from foldline.output import report, targets_page
from foldline.output.report import Provenance, RankedTables, ReportData


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Write report.html into the experiment's folder."""
    stored = several_targets.read(Path(arguments.config).name.removesuffix(".toml"), to_predict=False)
    if isinstance(stored, StoredTargets):
        return _of_targets(stored, arguments.overrides, terminal)
    page, shown = _written(stored, arguments.overrides, terminal)
    result = shown.result
    scores = {"score": result.score, "models_alone": result.models_alone}
    answer = {"report": str(page), "experiment": stored.folder.name, **scores}
    terminal.result(answer, f"report: {short_path(page)}")
    return 0


def _written(stored: StoredExperiment, overrides: list[str], terminal: Terminal) -> tuple[Path, ReportData]:
    """Write the page of an experiment of one target."""
    data = moved(stored.config.data, overrides, "`report` shows an experiment as it was run")
    report_data = gather(stored, replace(stored.config, data=data), terminal)
    return report.write(stored.folder, report_data), report_data


def _of_targets(stored: StoredTargets, overrides: list[str], terminal: Terminal) -> int:
    """Write the page of each target, and that of all."""
    shown = [_written(each, overrides, terminal)[1] for each in stored.parts.values()]
    whole = WholeMetric.of(stored.several, [each.competition for each in shown], [each.train for each in shown])
    joined = JoinedResult(stored.several, [each.result for each in shown], whole)
    provenance = _provenance(stored.folder)
    page = targets_page.write(stored.folder, joined, provenance)
    answer = {"report": str(page), "experiment": stored.folder.name, "score": joined.score}
    terminal.result(answer, f"report: {short_path(page)}")
    return 0


def gather(stored: StoredExperiment, config: Config, terminal: Terminal) -> ReportData:
    """Gather what the report shows from the experiment's record, its cells and its data.

    Raises:
        UserError: other data than it was trained on, or out-of-fold rows from outside are gone.
    """
    _refuse_lost(stored)
    first = stored.config_plans[0]
    with terminal.bar("reading", "MB") as update:
        competition = loading.load(config.data, update)
    if competition.train.fingerprint != first.plan[0].depends["data"]["fingerprint"]:
        raise UserError(
            f"{competition.train.path} is not the table that {config.name!r} was trained on. Say where that one lies: "
            f"./run.sh report {config.name} data.source=DIR"
        )
    assigned, _ = folds.obtain(first.config.folds, first.config.name, competition.train, save=False)
    with terminal.bar("features", "series") as update:
        train = featurize.obtain(competition.train, first.config.features, competition.levels, update)
        train = assigned.with_units(train)
    exact = exact_tables.obtain(config, competition, terminal)
    own = members.without_duplicates([member for part in stored.config_plans for member in part.members])
    every = [*own, *stored.outside_members]
    ranked = _ranked(config, first.config.features, every, train, competition, terminal)
    result = scoring.combine(config, every, train, assigned, exact[0], competition.train, ranked[0])
    return ReportData(
        config=config,
        plan=stored.plan,
        members=every,
        result=result,
        train=result.counted(train),
        competition=competition,
        exact=exact,
        ranked=ranked,
        provenance=_provenance(stored.folder),
    )


def _ranked(
    config: Config,
    features: FeaturesConfig,
    every: Sequence[Member],
    train: Store,
    competition: Competition,
    terminal: Terminal,
) -> RankedTables:
    """Rank open rows again, as `train` did; those of the test table where the cells have predicted it."""
    if not scoring.opens(config):
        return None, None
    with terminal.bar("open rows", "series") as update:
        for table in (competition.train, competition.test):
            open_rows.obtain(table, update)
        test = featurize.obtain(competition.test, features, competition.levels, update)
    found = ranked_rows.of_training(config.post, every, train)
    tested = ranked_rows.predicted(config.post, every, test)
    return found, ranked_rows.of_test(config.post, every, test) if tested else None


def _refuse_lost(stored: StoredExperiment) -> None:
    """Refuse members from outside of which only test rows are left."""
    for member in stored.outside_members:
        if member.rows is None:
            raise UserError(
                f"The out-of-fold predictions of {member.label!r}, which came from outside, are gone. Run the command "
                "again that blended it, with its files."
            )


def _provenance(folder: Path) -> Provenance:
    """Read how an experiment was made: from made.json, else from the record."""
    known = report.read_provenance(folder)
    if known is not None:
        return known
    environment = runs_index.read_record(folder)["environment"]
    return Provenance(command=f"./run.sh train {short_path(folder / 'config.toml')}", environment=environment)

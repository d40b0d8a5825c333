"""`infer`: apply the latest experiment of a config to new series. Trains nothing, imports no training code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from foldline.cli.main import Arguments
from foldline.cli.moved_source import moved, run_elsewhere
from foldline.core.console import Terminal
from foldline.data import loading, table_notes
from foldline.experiment import inference, runs_index, several_targets, stored_experiment
from foldline.experiment.inference import InferenceTask
from foldline.experiment.several_targets import StoredTargets
from foldline.experiment.stored_experiment import StoredExperiment
from foldline.output import joined_submission, submission
from foldline.output.submission import Gate, Published


@dataclass(frozen=True)
class Prepared:
    """An experiment of one target, its test table and that target's part of the sample."""

    task: InferenceTask
    sample: pl.DataFrame | None

    @staticmethod
    def of(stored: StoredExperiment, overrides: Sequence[str], terminal: Terminal) -> Prepared:
        """Read the test table and make its features."""
        executor, others = run_elsewhere(stored.config.executor, overrides)
        data = moved(stored.config.data, others, "`infer` uses the config as it was trained")
        with terminal.bar("reading", "MB"):
            test, sample = loading.load_test(data, stored.levels, stored.classes, stored.facts)
        submission.rehearse(test)
        there = replace(stored, config=replace(stored.config, executor=executor))
        return Prepared(inference.prepare(there, test, terminal), sample)

    @property
    def gate(self) -> Gate:
        """Return what its submission is checked by."""
        stored = self.task.stored
        return Gate(self.task.test, self.sample, stored.expected, stored.config.post.check_range)

    def announce(self, terminal: Terminal) -> None:
        """Say what is about to be done."""
        stored, test = self.task.stored, self.task.test
        terminal.say(f"{stored.config.name}: {len(self.task.jobs)} cells on {len(test.lengths)} series of {test.path}")
        table_notes.print_notes(test, self.sample, stored.levels, terminal)

    def submission(self, terminal: Terminal) -> pl.DataFrame:
        """Predict the table, and lay the predictions out."""
        return submission.build(self.task.test, inference.predict(self.task, terminal), self.sample)


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Predict the test file of data.source and write a checked submission."""
    stored = several_targets.read(Path(arguments.config).name.removesuffix(".toml"))
    parts = stored.parts if isinstance(stored, StoredTargets) else {"": stored}
    prepared = {name: Prepared.of(each, arguments.overrides, terminal) for name, each in parts.items()}
    if isinstance(stored, StoredTargets):
        joined_submission.check({name: (each.task.test, each.sample) for name, each in prepared.items()})
    terminal.say(f"from {runs_index.describe(stored.folder)}")
    for each in prepared.values():
        each.announce(terminal)
    if "--dry-run" in arguments.flags:
        jobs = [job for each in prepared.values() for job in each.task.jobs]
        waiting = sum(not job.finished for job in jobs)
        last = f"dry run: {waiting} of {len(jobs)} cells have yet to predict this file"
        terminal.result({"to_predict": waiting}, last)
        return 0
    found = _published(stored, prepared, terminal)
    answer = {"submission": str(found.path), "rows": found.table.height}
    terminal.result(answer, f"submission: {runs_index.short_path(found.path)}")
    return 0


def _published(
    stored: StoredExperiment | StoredTargets, prepared: dict[str, Prepared], terminal: Terminal
) -> Published:
    """Predict, and write a submission that passes the gate."""
    tables = {name: each.submission(terminal) for name, each in prepared.items()}
    test = next(iter(prepared.values())).task.test
    draft = submission.draft_of(stored.folder, f"infer-{test.fingerprint}", test.data)
    if isinstance(stored, StoredExperiment):
        origin = stored_experiment.origin(stored.config, stored.plan, stored.folder, test.fingerprint, stored.score)
        return submission.publish(origin, draft, tables[""], prepared[""].gate)
    parts = {
        name: joined_submission.Part(
            stored.folder / name / draft.name,
            tables[name],
            prepared[name].gate,
        )
        for name in stored.parts
    }
    return joined_submission.publish(draft, parts, stored.origin(test.fingerprint), stored.metric)

"""`infer`: apply the latest experiment of a config to new series. Trains nothing, imports no training code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.core.overrides import parse_override
from foldline.data import loading, table_notes
from foldline.experiment import inference, runs_index, stored_experiment
from foldline.output import submission


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Predict the test file of data.source and write a checked submission."""
    stored = stored_experiment.read(Path(arguments.config).name.removesuffix(".toml"))
    data = stored.config.data
    for text in arguments.overrides:
        key, value = parse_override(text)
        if key != ["data", "source"]:
            raise UserError(
                f"`infer` uses the config as it was trained; only data.source=DIR can be given, but got {text!r}."
            )
        data = replace(data, source=str(value))
    with terminal.bar("reading", "MB"):
        test, sample = loading.load_test(data, stored.levels, stored.classes, stored.facts)
    submission.rehearse(test)
    task = inference.prepare(stored, test, terminal)
    jobs = task.jobs
    terminal.say(f"from {runs_index.describe(stored.folder)}")
    terminal.say(f"{stored.config.name}: {len(jobs)} cells on {len(test.lengths)} series of {test.path}")
    table_notes.print_notes(test, sample, stored.levels, terminal)
    if "--dry-run" in arguments.flags:
        waiting = sum(not job.finished for job in jobs)
        last = f"dry run: {waiting} of {len(jobs)} cells have yet to predict this file"
        terminal.result({"to_predict": waiting}, last)
        return 0
    predictions = inference.predict(task, terminal)
    table = submission.build(test, predictions, sample)
    draft = stored.folder / f"infer-{test.fingerprint}.csv"
    origin = stored_experiment.origin(stored.config, stored.plan, stored.folder, test.fingerprint, stored.score)
    check_range = stored.config.post.check_range
    path = submission.publish(test, origin, draft, table, sample, stored.expected, check_range)
    terminal.result({"submission": str(path), "rows": table.height}, f"submission: {path}")
    return 0

"""`infer`: the latest experiment of a config on new series. Trains nothing; imports nothing that only training uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foldline import config as configs
from foldline import exact as decoding
from foldline import executors, experiment, series, store, submit
from foldline.cells import Job
from foldline.cli import Arguments
from foldline.console import Terminal
from foldline.errors import UserError


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Predict the test.csv of data.source and write a checked submission."""
    stored = experiment.read(Path(arguments.config).name.removesuffix(".toml"))
    data = stored.config.data
    for text in arguments.overrides:
        key, value = configs.override(text)
        if key != ["data", "source"]:
            raise UserError(
                f"`infer` uses the config as it was trained; only data.source=DIR can be given, but got {text!r}."
            )
        data = replace(data, source=str(value))
    test, sample = series.load_test(data, stored.levels)
    with terminal.bar("features", "series") as update:
        dense = store.obtain(test, stored.config.features, stored.levels, update)
    terminal.say(f"{stored.config.name}: {len(stored.plan)} cells on {len(dense.lengths)} series of {test.path}")
    jobs = {cell.key: Job(cell, None, None, dense.path) for cell in stored.plan}
    waiting = [job for job in jobs.values() if not job.finished]
    if "--dry-run" in arguments.flags:
        terminal.result(
            {"to_predict": len(waiting)}, f"dry run: {len(waiting)} of {len(jobs)} cells have yet to predict this file"
        )
        return 0
    if waiting:
        with terminal.cells(waiting) as bars:
            executors.execute(waiting, stored.config.executor, bars.event)
    with terminal.bar("decoding", "series") as update:
        exact = decoding.obtain(test, update) if stored.config.post.decode else None
    predictions = experiment.predict_test(stored.blend, stored.grids, stored.plan, dense, exact)
    table = submit.build(data, test.frame, predictions, sample, test.file_rows)
    draft = stored.folder / f"infer-{dense.fingerprint}.csv"
    origin = experiment.origin(stored.config, stored.plan, stored.folder, dense.fingerprint, stored.score)
    path = submit.publish(data, origin, draft, table, sample, stored.expected)
    terminal.result({"submission": str(path), "rows": table.height}, f"submission: {path}")
    return 0

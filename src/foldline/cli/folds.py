"""`folds`: make the fold file of a config, or check the existing one."""

from __future__ import annotations

from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.data import assemble, folds, loading, source_folder
from foldline.experiment import config as configs


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Make or check the file, and show how many series each fold has."""
    config = configs.load(Path(arguments.config), arguments.overrides)
    source = source_folder.of(config.data)
    with terminal.bar("reading", "MB"):
        if config.data.known:  # which of its rows count, the test table says
            table = loading.load(config.data).train
        else:
            table = loading.load_table(assemble.source_of(config.data, source, "train"), config.data, labelled=True)
    path = Path(config.folds.file) if config.folds.file else folds.committed_path(config.folds, config.name, table)
    made = "--force" in arguments.flags or not path.exists()
    assigned = folds.make(path, config.folds, table) if made else folds.read(path, config.folds, table, config.name)
    sizes = [len(assigned.held_out(fold)) for fold in range(assigned.k)]
    columns, rows = ["fold", "series"], [[str(k), str(n)] for k, n in enumerate(sizes)]
    if assigned.time is not None:
        columns += ["from", "trained on"]
        origins = map(assigned.time.spans.shown, assigned.time.origins.tolist())
        rows = [[*row, at, str(len(assigned.inside(k)))] for k, (row, at) in enumerate(zip(rows, origins, strict=True))]
    terminal.table(f"{'made' if made else 'checked'} {path.name}", columns, rows)
    if assigned.clusters is not None:
        terminal.say(assigned.clusters.sentence)
    terminal.result({"path": str(path), "made": made, "series": sizes}, f"folds: {path}")
    return 0

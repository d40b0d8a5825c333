"""`track`: count the runs that wandb has not sent yet; `track sync` sends them."""

from __future__ import annotations

from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import Finding, UserError
from foldline.experiment.runs_index import short_path
from foldline.output.tracking import TrackConfig, mode_of, wandb_offline


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Show the runs that wait; with the word sync, send them."""
    if arguments.words not in ([], ["sync"]):
        raise UserError(f"`track` takes nothing or the word sync, but got {' '.join(arguments.words)!r}.")
    runs = wandb_offline.waiting(files.runs())
    if not arguments.words:
        _show(runs, terminal)
        return 0
    if "--dry-run" in arguments.flags:
        for path in runs:
            terminal.say(f"  {short_path(path)}")
        terminal.result({"waiting": len(runs)}, f"dry run: {len(runs)} runs would be sent")
        return 0
    for path in wandb_offline.empty(files.runs()):
        terminal.warn(f"{short_path(path)} holds nothing, because its run was killed as it began: it is left out")
    failed = _send(runs, terminal) if runs else {}
    sent = len(runs) - len(failed)
    if failed:
        listed = "\n".join(f"  - {short_path(path)}: {problem}" for path, problem in failed.items())
        raise Finding(
            f"{sent} of {len(runs)} runs are sent; wandb could not send these, which `./run.sh track sync` tries again:"
            f"\n{listed}"
        )
    terminal.result({"sent": sent}, f"sent: {sent} runs" if sent else "nothing waits to be sent")
    return 0


def _send(runs: list[Path], terminal: Terminal) -> dict[Path, str]:
    """Send runs, and return those that could not be sent, with the reason."""
    failed: dict[Path, str] = {}
    with terminal.bar("sending to wandb", "runs") as update:
        for number, (path, problem) in enumerate(wandb_offline.sync(runs), start=1):
            if problem:
                failed[path] = problem
            else:
                terminal.say(f"  {short_path(path)}")
            update(number, len(runs))
    return failed


def _show(runs: list[Path], terminal: Terminal) -> None:
    """Show a line for each experiment that has runs waiting."""
    counts: dict[str, int] = {}
    for path in runs:
        experiment = str(path.relative_to(files.runs()).parents[1])
        counts[experiment] = counts.get(experiment, 0) + 1
    mode = mode_of(TrackConfig())
    if counts:
        terminal.table("", ["experiment", "runs that wait"], [[name, str(count)] for name, count in counts.items()])
    last = f"tracking is {mode} where a config does not say otherwise; {len(runs)} runs wait"
    terminal.result({"mode": mode, "waiting": counts}, f"{last}: ./run.sh track sync" if runs else last)

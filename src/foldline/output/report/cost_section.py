"""Where the cells ran, how long they waited, and what they cost."""

from __future__ import annotations

from foldline.core.byte_sizes import byte_size
from foldline.core.durations import duration
from foldline.core.pages import collapsed, note, table
from foldline.output.report.report_data import ReportData
from foldline.run import cell_cost
from foldline.run.cell_cost import COLUMNS, Cost


def costs(report: ReportData) -> str:
    """List devices with all that their cells cost, and each cell; empty where no cell says where it ran."""
    known = {cell.name: cost for cell in report.cells if (cost := cell_cost.cost_of(cell.key)) is not None}
    if not known:
        return ""
    columns = ["cell", "node", "device", "waited", "took", "cores", "GPU", "memory"]
    each = table(columns, [_row(name, cost) for name, cost in known.items()], plain=True)
    return (
        table(COLUMNS, [each.row for each in cell_cost.by_device(known.values())], plain=True)
        + collapsed(f"{len(known)} cells", each)
        + note(
            "A cell waits from when all that it needs is done until it begins. Cells that take turns share a GPU's "
            "time. Of a cell that was killed and went on, this is the run that finished it. Memory: the largest size "
            "of its process so far."
        )
    )


def _row(name: str, cost: Cost) -> list[str]:
    times = (cost.waited_s, cost.wall_s, cost.core_s, cost.gpu_s)
    return [name, cost.node, cost.device, *map(duration, times), byte_size(cost.memory)]

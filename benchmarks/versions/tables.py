"""What was measured, as Markdown for people and JSON for programs; both are written again after each job."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.versions.jobs import Run
from benchmarks.versions.pairs import Compared

GIB = 2.0**30


def processor() -> str:
    """Name the processor, with its cores."""
    lines = Path("/proc/cpuinfo")
    named = [line for line in lines.read_text().splitlines() if line.startswith("model name")] if lines.exists() else []
    name = named[0].partition(":")[2].strip() if named else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def ratios(found: Compared) -> list[float]:
    """Return now / before of each pair, of what the job measures."""
    pairs = zip(found.runs["now"], found.runs["before"], strict=True)
    return [getattr(now, found.measure) / getattr(before, found.measure) for now, before in pairs]


def markdown(record: dict[str, Any], results: list[Compared]) -> str:
    """Write the table. record: what it was measured on."""
    lines = [
        f"Commit {record['now'][:7]} against {record['before'][:7]}, on {record['processor']}; load when it began "
        f"{record['load']:.1f}. A ratio is now / before of a pair: median (smallest to largest). s, CPU s (of all "
        "processes) and peak GiB (anonymous and shared memory of all processes): medians, before -> now.",
        "",
        "| job | pairs | ratio | at most | s | CPU s | peak GiB | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(found) for found in results]
    return "\n".join(lines) + "\n"


def _line(found: Compared) -> str:
    each = sorted(ratios(found))
    ratio = f"{statistics.median(each):.2f} ({each[0]:.2f} to {each[-1]:.2f})"
    what = " of CPU" if found.measure == "cpu_seconds" else ""
    costs = [_arrow(found, name, unit) for name, unit in (("seconds", 1.0), ("cpu_seconds", 1.0), ("peak_bytes", GIB))]
    cells = [found.title, str(len(each)), ratio + what, found.at_most, *costs, _remarks(found)]
    return f"| {' | '.join(cells)} |"


def _arrow(found: Compared, name: str, unit: float) -> str:
    before, now = (_median(found.runs[side], name) / unit for side in ("before", "now"))
    return "" if not before else f"{before:.3g} → {now:.3g}"


def _median(runs: list[Run], name: str) -> float:
    return float(statistics.median(getattr(run, name) for run in runs))


def _remarks(found: Compared) -> str:
    said = [found.remark] if found.remark else []
    if "pandas" in found.runs:
        rival = zip(found.runs["pandas"], found.runs["now"], strict=True)
        times = sorted(one.seconds / other.seconds for one, other in rival)
        said.append(f"pandas takes {statistics.median(times):.1f} times as long ({times[0]:.1f} to {times[-1]:.1f})")
    for name in found.runs["now"][0].details.get("scores", {}):
        if name in found.runs["before"][0].details.get("scores", {}):
            said.append(_scores(found, name))
    said += [
        f"{side}: {runs[-1].details['pytest']}" for side, runs in found.runs.items() if "pytest" in runs[-1].details
    ]
    return "; ".join(said)


def _scores(found: Compared, name: str) -> str:
    """Compare the scores of the first pair, fold by fold; the last one is that of all folds."""
    before, now = (found.runs[side][0].details["scores"][name] for side in ("before", "now"))
    gains = [other - one for one, other in zip(before[:-1], now[:-1], strict=True)]
    return (
        f"score, {name}: {before[-1]:.4g} → {now[-1]:.4g}, by fold {statistics.mean(gains):+.2g} "
        f"({min(gains):+.2g} to {max(gains):+.2g})"
    )


def write(path: Path, record: dict[str, Any], results: list[Compared]) -> None:
    """Write both files: path.md and path.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".md").write_text(markdown(record, results), encoding="utf-8")
    texts = {**record, "jobs": [asdict(found) | {"ratios": ratios(found)} for found in results]}
    path.with_suffix(".json").write_text(json.dumps(texts, indent=1) + "\n", encoding="utf-8")


def read(path: Path, record: dict[str, Any]) -> list[Compared]:
    """Return what an earlier call has measured of the same commits on the same processor."""
    if not path.with_suffix(".json").exists():
        return []
    texts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if any(texts[key] != record[key] for key in ("now", "before", "processor", "small")):
        return []
    return [
        Compared(
            **{key: job[key] for key in ("name", "title", "at_most", "measure", "remark")},
            runs={side: [Run(**run) for run in runs] for side, runs in job["runs"].items()},
        )
        for job in texts["jobs"]
    ]

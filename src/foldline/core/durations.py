"""How long something took or will take, as text."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Write a duration in a unit that fits: 0.4 s, 4 s, 45 s, 12.5 min, 3.4 h."""
    if seconds < 100:
        return f"{round(seconds, 1 if seconds < 10 else 0):g} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
